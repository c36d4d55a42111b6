//! Publishing: a row where there is a stream, else one JSON value that is kept in memory.

use std::sync::Arc;

use fourfold_model::expr::{Compare, Scope};
use fourfold_model::{EntityId, Expr, ExprKind, FieldId, Value};
use fourfold_op::{Answer, Cursor, Error, ErrorCode, Operand, Operation, Outcome, Write, WriteKind, json};

use super::Channel;
use super::join::{holds, refused};
use super::said::Said;

/// What is published.
#[derive(Clone, Debug)]
pub enum Publishing {
    /// A row of the stream's entity; what the stream asks of its rows may be left out, and is then set as it asks.
    Row(Vec<(FieldId, Value)>),
    /// One JSON value, where there is no stream; it is taken as it is.
    Free(Arc<str>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it stands; none where the store or the bus tells it later.
    pub cursor: Option<Cursor>,
    /// The new row's key.
    pub key: Option<Value>,
}

impl Channel<'_> {
    /// Publishes: a row is created under the rules of its entity, and under `@publish` where there is one; a free publication under `@join` and
    /// `@publish`.
    ///
    /// # Errors
    /// `permission_denied`; `invalid_argument` for a field that the stream asks to be something else; `limit_exceeded`; those of
    /// [`Engine::execute`](crate::Engine::execute).
    pub async fn publish(&self, client: &Arc<str>, publishing: Publishing) -> Result<Published, Error> {
        let channel = self.engine.model.channel(self.topic.channel);
        match (&channel.stream, publishing) {
            (Some((entity, condition)), Publishing::Row(set)) => {
                if channel.publish.is_some() {
                    self.may_publish().await?;
                }
                self.create(*entity, condition, set).await
            }
            (None, Publishing::Free(data)) => {
                self.joined().await?;
                self.may_publish().await?;
                self.say(client, data)
            }
            (Some(_), Publishing::Free(_)) => Err(Error::invalid("this channel has a stream: expected a row of its entity")),
            (None, Publishing::Row(_)) => Err(Error::invalid("this channel has no stream: expected one JSON value")),
        }
    }

    async fn may_publish(&self) -> Result<(), Error> {
        if holds(&*self.engine.store, &self.rules.publish, self.context, &self.topic).await? {
            return Ok(());
        }
        match self.joined().await {
            Ok(()) => {
                let name = &self.engine.model.channel(self.topic.channel).name;
                Err(Error::new(ErrorCode::PermissionDenied, format!("this caller may not publish in `{name}`")))
            }
            Err(_) => Err(refused(&self.engine.model, &self.topic)),
        }
    }

    fn say(&self, client: &Arc<str>, data: Arc<str>) -> Result<Published, Error> {
        let limits = &self.engine.limits;
        if data.len() > limits.json_bytes_max {
            return Err(Error::limit("json_bytes_max", limits.json_bytes_max, "bytes of a publication"));
        }
        if json::depth(&data) > limits.json_depth_max {
            return Err(Error::limit("json_depth_max", limits.json_depth_max, "levels"));
        }
        let said = Said::Publication { data, by: self.client(client) };
        let cursor = self.engine.channels.bus.say(&self.topic, said)?;
        Ok(Published { cursor, key: None })
    }

    async fn create(&self, entity: EntityId, condition: &Expr, mut set: Vec<(FieldId, Value)>) -> Result<Published, Error> {
        for (field, value) in pinned(condition, &self.topic.parameter) {
            match set.iter().find(|(of, _)| *of == field) {
                None => set.push((field, value)),
                Some((_, given)) if *given == value => {}
                Some(_) => {
                    let name = &self.engine.model.entity(entity).field(field).name;
                    return Err(Error::invalid_at(format!("/{name}"), "the channel says what this is; leave it out"));
                }
            }
        }
        set.sort_unstable_by_key(|(field, _)| *field);
        let (fields, values): (Vec<FieldId>, Vec<Value>) = set.into_iter().unzip();
        let key = fields.iter().position(|field| *field == fourfold_model::KEY).map(|at| Operand(at as u16));
        let set = fields.into_iter().zip((0..).map(Operand)).filter(|(field, _)| *field != fourfold_model::KEY).collect();
        let write = Write { entity, kind: WriteKind::Create, key, set, if_revision: None, answer: Answer::Key };
        let executed = self.engine.execute(self.context, &Operation::Write(vec![write]), &values).await?;
        match executed.outcome {
            Outcome::Written(written, cursor) => Ok(Published { cursor, key: written.into_iter().next().map(|written| written.key) }),
            Outcome::Read(..) => Err(Error::internal("a write became a read")),
        }
    }
}

/// What a stream's condition says that a field must equal.
fn pinned(condition: &Expr, parameter: &Value) -> Vec<(FieldId, Value)> {
    match &condition.kind {
        ExprKind::And(parts) => parts.iter().flat_map(|part| pinned(part, parameter)).collect(),
        ExprKind::Compare(Compare::Equal, a, b) => {
            let sides = [(a, b), (b, a)];
            sides.into_iter().find_map(|(field, value)| Some((own_field(field)?, constant(value, parameter)?))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn own_field(expr: &Expr) -> Option<FieldId> {
    match &expr.kind {
        ExprKind::Field(path, field) if path.scope == Scope::Row && path.hops.is_empty() => Some(*field),
        _ => None,
    }
}

fn constant(expr: &Expr, parameter: &Value) -> Option<Value> {
    match &expr.kind {
        ExprKind::Literal(value) => Some(value.clone()),
        ExprKind::Field(path, _) if path.scope == Scope::Channel => Some(parameter.clone()),
        ExprKind::Argument(_) => Some(parameter.clone()),
        _ => None,
    }
}
