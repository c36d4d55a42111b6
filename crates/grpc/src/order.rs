//! `order_by`: `price desc, title` (AIP-132), or `-price,title` as in REST.

use fourfold_model::{Base, Entity, EntityId, FieldId, Model, RelationKind};
use fourfold_op::{Error, Limits, OrderBy};

use crate::message::unknown_field;

/// Reads an order.
///
/// # Errors
/// `invalid_argument` for what cannot be ordered by, `limit_exceeded` for more than three keys.
pub fn order(model: &Model, entity: EntityId, text: &str, limits: &Limits) -> Result<Vec<OrderBy>, Error> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<OrderBy> = text.split(',').map(|key| order_key(model, entity, key.trim())).collect::<Result<_, _>>()?;
    if keys.len() > limits.order_keys_max {
        return Err(Error::limit("order_keys_max", limits.order_keys_max, "keys in `order_by`"));
    }
    Ok(keys)
}

fn order_key(model: &Model, entity: EntityId, key: &str) -> Result<OrderBy, Error> {
    let mut words = key.split_whitespace();
    let (path, direction) = (words.next().unwrap_or_default(), words.next());
    let (path, minus) = path.strip_prefix('-').map_or((path, false), |path| (path, true));
    let descending = match direction {
        None => minus,
        Some("asc") if !minus => false,
        Some("desc") if !minus => true,
        Some(_) => return Err(wrong(key, "expected a field and at most one of `asc` and `desc`")),
    };
    if words.next().is_some() {
        return Err(wrong(key, "expected a field and at most one of `asc` and `desc`"));
    }
    follow(model, entity, key, path, descending)
}

fn follow(model: &Model, entity: EntityId, key: &str, path: &str, descending: bool) -> Result<OrderBy, Error> {
    let mut at = model.entity(entity);
    let mut hops = Vec::new();
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            let field = at.field_by_name(name).ok_or_else(|| wrong(key, &unknown_field(at, name)))?;
            let ty = at.field(field).ty;
            if ty.list || matches!(ty.base, Base::Owned(_) | Base::Json | Base::Bytes) {
                return Err(wrong(key, &format!("`{name}` has no order")));
            }
            return Ok(OrderBy { hops, field, descending });
        }
        if let (Some("id"), Some(column)) = (names.peek().copied(), column_of(at, name))
            && path.ends_with(&format!("{name}.id"))
        {
            // A path that ends in the related key is the column itself.
            return Ok(OrderBy { hops, field: column, descending });
        }
        let relation = at.relation_by_name(name).ok_or_else(|| wrong(key, &unknown_field(at, name)))?;
        if matches!(at.relation(relation).kind, RelationKind::Many { .. }) {
            return Err(wrong(key, &format!("`{name}` leads to many rows")));
        }
        hops.push(relation);
        at = model.entity(at.relation(relation).target);
    }
    Err(wrong(key, "expected a field"))
}

fn column_of(entity: &Entity, relation: &str) -> Option<FieldId> {
    match entity.relation(entity.relation_by_name(relation)?).kind {
        RelationKind::One { field, .. } => Some(field),
        RelationKind::Many { .. } => None,
    }
}

fn wrong(key: &str, detail: &str) -> Error {
    Error::invalid_at("/order_by", format!("order `{key}`: {detail}"))
}
