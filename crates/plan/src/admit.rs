//! Admission: whether a caller passes a rule of a channel, for the row or the scalar that the channel is of.
//!
//! A rule about a scalar is decided from the caller alone. One about a row is a read of that row by its key with the rule as its filter:
//! the row is there for those who pass, and for nobody else.

use std::sync::{Arc, OnceLock};

use fourfold_model::{ChannelId, EntityId, Expr, FieldId, KEY, REVISION, Row, SharedModel, Value};
use fourfold_op::{Answered, Context, Error, FieldError, Limits};

use crate::coerce::coerce;
use crate::compile::{Binds, Compiler, Frame, Rights, Source};
use crate::node::Node;
use crate::read::{Fetch, FetchKind, ReadPlan, ReadShape};
use crate::select::decide;
use crate::watch::{self, PreparedWatch};

/// A rule of a channel, prepared: it holds no caller and no parameter.
#[derive(Debug)]
pub struct Admission {
    model: SharedModel,
    sources: Vec<Source>,
    by: By,
}

/// How it is judged.
#[derive(Debug)]
enum By {
    /// From the caller and the parameter.
    Values(Node),
    /// By a read of the parameter's row.
    Row(Arc<ReadShape>),
}

/// What a rule comes to for a caller and a parameter.
#[derive(Clone, Debug)]
pub enum Admitted {
    /// This, whatever the store holds.
    Decided(bool),
    /// What the store answers: see [`Admitted::passed`].
    Ask(Box<ReadPlan>),
}

impl Admitted {
    /// Whether an answer to [`Admitted::Ask`] lets the caller pass.
    pub fn passed(answered: &Answered) -> bool {
        matches!(answered, Answered::Row(Some(_)))
    }
}

impl Admission {
    /// Prepares a rule of a channel; without one nobody passes.
    ///
    /// # Errors
    /// `internal` for a rule that has no place in a channel.
    pub fn prepare(model: &SharedModel, channel: ChannelId, rule: Option<&Expr>) -> Result<Admission, Error> {
        let definition = model.channel(channel);
        let mut binds = Binds::default();
        let base = definition.param_base(model);
        let key = binds.bind(Source::Request { index: 0, base, list: false });
        let mut compiler = Compiler { model, binds: &mut binds, next: 1 };
        let by = match (rule, definition.param_entity()) {
            (None, _) => By::Values(Node::falsity()),
            // There is no row that the rule could name, so the frame's is none.
            (Some(rule), None) => By::Values(compiler.node(rule, &Frame::of(EntityId(0), 0, Rights::Author))?),
            (Some(rule), Some(entity)) => {
                let filter = compiler.node(rule, &Frame::of_channel(entity))?;
                By::Row(Arc::new(shape(model, entity, filter, key)))
            }
        };
        Ok(Admission { model: model.clone(), sources: binds.sources, by })
    }

    /// Puts a caller and the channel's parameter in.
    ///
    /// # Errors
    /// `invalid_argument` for a parameter of another type.
    pub fn bind(&self, context: &Context, parameter: &Value) -> Result<Admitted, Error> {
        let params = self.sources.iter().map(|source| self.param(source, context, parameter)).collect::<Result<Vec<_>, Error>>()?;
        Ok(match &self.by {
            By::Values(node) => Admitted::Decided(decide(&self.model, node, &params) == Value::Boolean(true)),
            By::Row(shape) => Admitted::Ask(Box::new(ReadPlan { shape: shape.clone(), params, token_hash: 0 })),
        })
    }

    fn param(&self, source: &Source, context: &Context, parameter: &Value) -> Result<Value, Error> {
        match source {
            Source::Claim(claim) => Ok(context.principal.claims.value(*claim).clone()),
            Source::Request { base, list, .. } => coerce(&self.model, *base, *list, parameter).map_err(Error::invalid),
            _ => Err(Error::internal("a rule of a channel with a moment or a page")),
        }
    }
}

/// Prepares to follow a channel's join rule, so that a right that is taken away ends what it gave: [`Verdict::Left`](crate::Verdict) once it no
/// longer holds. `None` where no row decides it.
///
/// # Errors
/// `internal` for a rule of class G, which the model refuses.
pub fn follow(model: &SharedModel, channel: ChannelId, limits: &Limits) -> Result<Option<PreparedWatch>, Error> {
    let definition = model.channel(channel);
    match (&definition.join, definition.param_entity()) {
        (Some(rule), Some(entity)) => watch::follow(model, entity, rule, limits).map(Some),
        _ => Ok(None),
    }
}

/// What a subscriber tells of itself, as the channel's presence fields say.
///
/// # Errors
/// `invalid_argument` that names each field that is missing, unknown or of another type; `limit_exceeded`.
pub fn presence(model: &SharedModel, channel: ChannelId, given: &[(FieldId, Value)], limits: &Limits) -> Result<Row, Error> {
    let fields = &model.channel(channel).presence;
    let mut row = Row::nulls(fields.len());
    let mut wrong = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let at = FieldId(index as u16);
        let value = given.iter().find(|(of, _)| *of == at).map_or(&Value::Null, |(_, value)| value);
        match coerce(model, field.ty.base, field.ty.list, value) {
            Ok(Value::Null) if !field.ty.nullable => wrong.push(wrong_at(&field.name, "it cannot be null, and must be given".to_owned())),
            Ok(value) => row.set(at, value),
            Err(detail) => wrong.push(wrong_at(&field.name, detail)),
        }
    }
    if given.iter().any(|(of, _)| usize::from(of.0) >= fields.len()) {
        return Err(Error::internal("a presence field that is not there"));
    }
    if let Some(error) = Error::invalid_places(wrong) {
        return Err(error);
    }
    let most = limits.channel_presence_bytes_max;
    match row.0.iter().map(bytes_of).sum::<usize>() > most {
        true => Err(Error::limit("channel_presence_bytes_max", most, "bytes of presence")),
        false => Ok(row),
    }
}

fn wrong_at(name: &str, detail: String) -> FieldError {
    FieldError { pointer: format!("/{name}"), detail }
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) => values.iter().map(bytes_of).sum(),
        _ => size_of::<Value>(),
    }
}

fn shape(model: &SharedModel, entity: EntityId, filter: Node, param: u16) -> ReadShape {
    let fetch = Fetch {
        entity,
        kind: FetchKind::Key { param, cursor: false },
        filter: (!filter.is_true()).then_some(filter),
        columns: vec![KEY, REVISION],
        owned: Vec::new(),
        masks: Vec::new(),
        children: Vec::new(),
    };
    ReadShape { model: model.clone(), fetch, page_bytes_max: usize::MAX, compiled: OnceLock::new() }
}
