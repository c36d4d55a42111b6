//! Watch plans: what an event is to a reader, by its filter and its rules.
//!
//! A rule of class L is judged from the row and the caller alone, so a watch of one needs no store.

use std::sync::Arc;

use fourfold_model::{EntityId, Expr, Row, RuleClass, SharedModel, Value};
use fourfold_op::{Context, Error, ErrorCode, Event, Limits, wire};

use crate::coerce::coerce;
use crate::compile::{Binds, Compiler, Frame, Rights, Source};
use crate::eval::{Scan, eval};
use crate::node::Node;

/// A prepared watch of one entity.
#[derive(Debug)]
pub struct PreparedWatch {
    model: SharedModel,
    entity: EntityId,
    filter: Node,
    masks: Vec<(fourfold_model::FieldId, Node)>,
    sources: Vec<Source>,
}

/// A watch for a caller. Only [`PreparedWatch::bind`] makes one.
#[derive(Clone, Debug)]
pub struct WatchPlan {
    prepared: Arc<PreparedWatch>,
    params: Vec<Value>,
}

/// What an event is to a reader.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Ignore,
    /// The row is now one that the reader asked for and may see.
    Entered(Row),
    /// It was and is.
    Changed(Row),
    /// It no longer is: deleted, out of the filter, or hidden; which, the reader cannot tell.
    Left,
}

/// Prepares a watch.
///
/// # Errors
/// `failed_precondition` for an entity that cannot be watched, `invalid_argument` for a filter that looks beyond the row.
pub fn watch(model: &SharedModel, entity: EntityId, filter: Option<&Expr>, limits: &Limits) -> Result<PreparedWatch, Error> {
    let definition = model.entity(entity);
    if !definition.watch || definition.class != RuleClass::Local {
        return Err(Error::new(
            ErrorCode::FailedPrecondition,
            format!("`{}` cannot be watched: {}", definition.name, why_not(definition.watch)),
        ));
    }
    if filter.is_some_and(|expr| expr.size() > limits.expression_nodes_max * 2) {
        return Err(Error::limit("expression_nodes_max", limits.expression_nodes_max, "nodes"));
    }
    let mut binds = Binds::default();
    let mut compiler = Compiler { model, binds: &mut binds, next: 1 };
    let mut parts = vec![compiler.read_rule(entity, 0)?];
    if let Some(expr) = filter {
        parts.push(compiler.node(expr, &Frame::of(entity, 0, Rights::Client))?);
    }
    let filter = Node::all(parts);
    let mut masks = Vec::new();
    for (field, _) in definition.field_ids() {
        masks.extend(compiler.mask(entity, 0, field)?.map(|mask| (field, mask)));
    }
    if !filter.is_local() || masks.iter().any(|(_, mask)| !mask.is_local()) {
        return Err(Error::invalid("a watch's filter can name only the row's own fields"));
    }
    Ok(PreparedWatch { model: model.clone(), entity, filter, masks, sources: binds.sources })
}

fn why_not(watch: bool) -> &'static str {
    if watch { "its read rule looks beyond the row and the caller" } else { "the model says `@@watch(false)`" }
}

impl PreparedWatch {
    /// Puts a caller and the filter's values in.
    ///
    /// # Errors
    /// `invalid_argument` for a value that does not fit its place.
    pub fn bind(self: &Arc<PreparedWatch>, context: &Context, values: &[Value]) -> Result<WatchPlan, Error> {
        let mut params = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            params.push(match source {
                Source::Claim(claim) => context.principal.claims.value(*claim).clone(),
                Source::Request { index, base, list } => {
                    coerce(&self.model, *base, *list, values.get(usize::from(*index)).unwrap_or(&Value::Null)).map_err(Error::invalid)?
                }
                _ => return Err(Error::internal("a watch with a moment or a page")),
            });
        }
        Ok(WatchPlan { prepared: self.clone(), params })
    }
}

impl WatchPlan {
    /// What an event is to this reader.
    ///
    /// # Errors
    /// `internal` for a payload that cannot be read.
    pub fn judge(&self, event: &Event) -> Result<Verdict, Error> {
        if event.entity != self.prepared.entity {
            return Ok(Verdict::Ignore);
        }
        let (before, after) = images(&self.prepared.model, event)?;
        let saw = before.is_some_and(|row| self.sees(&row));
        let sees = after.filter(|row| self.sees(row)).map(|row| self.masked(row));
        Ok(match (saw, sees) {
            (false, Some(row)) => Verdict::Entered(row),
            (true, Some(row)) => Verdict::Changed(row),
            (true, None) => Verdict::Left,
            (false, None) => Verdict::Ignore,
        })
    }

    fn sees(&self, row: &Row) -> bool {
        eval(&self.prepared.model, &self.prepared.filter, row, &self.params, &Alone) == Value::Boolean(true)
    }

    fn masked(&self, row: Row) -> Row {
        let mut shown = row.clone();
        for (field, mask) in &self.prepared.masks {
            if eval(&self.prepared.model, mask, &row, &self.params, &Alone) != Value::Boolean(true) {
                shown.set(*field, Value::Null);
            }
        }
        shown
    }
}

/// The row before and the row after: before is after overlaid with what changed.
fn images(model: &SharedModel, event: &Event) -> Result<(Option<Row>, Option<Row>), Error> {
    let entity = model.entity(event.entity);
    let after = event.after.as_ref().map(|bytes| wire::decode_row(model, entity, bytes)).transpose();
    let changed = event.changed.as_ref().map(|bytes| wire::decode_changed(model, entity, bytes)).transpose();
    let (after, changed) = (after.map_err(|_| unreadable())?, changed.map_err(|_| unreadable())?);
    let before = changed.map(|changed| match &after {
        None => changed.old,
        Some(after) => {
            let mut before = after.clone();
            for field in &changed.fields {
                before.set(*field, changed.old.value(*field).clone());
            }
            before
        }
    });
    Ok((before, after))
}

fn unreadable() -> Error {
    Error::internal("an event's payload is not a message of its entity")
}

struct Alone;

impl Scan for Alone {
    fn by_key(&self, _: EntityId, _: &Value) -> Option<Row> {
        None
    }
    fn rows(&self, _: EntityId) -> Vec<Row> {
        Vec::new()
    }
}

impl Node {
    /// Whether it needs no row but its own.
    fn is_local(&self) -> bool {
        let mut local = true;
        self.clone().map(&mut |part| {
            local = local && !matches!(part, Node::One { .. } | Node::Exists { .. });
            part
        });
        local
    }
}
