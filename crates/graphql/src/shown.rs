//! What of the model this face shows, and under which names: asked by the schema and by the compiler alike.

use fourfold_model::names::camel;
use fourfold_model::{Base, Entity, EntityId, Field, KEY, Model, Relation, Type};

/// Whether an entity is in this contract.
pub(crate) fn exposed(entity: &Entity) -> bool {
    !entity.internal && entity.expose.graphql
}

/// The entities of this contract.
pub(crate) fn entities(model: &Model) -> impl Iterator<Item = (EntityId, &Entity)> {
    model.entity_ids().filter(|(_, entity)| exposed(entity))
}

/// Whether a field can be read at all.
pub(crate) fn readable(field: &Field) -> bool {
    !field.secret
}

/// Whether a relation's rows can be reached here.
pub(crate) fn reachable(model: &Model, relation: &Relation) -> bool {
    exposed(model.entity(relation.target))
}

/// Whether a to-one relation can be null for some reader: its column can, or its target can be hidden.
pub(crate) fn nullable_relation(model: &Model, column: &Field, relation: &Relation) -> bool {
    column.nullable_out() || !model.entity(relation.target).is_open()
}

/// Whether a field is an owned list.
pub(crate) fn is_owned(ty: Type) -> bool {
    matches!(ty.base, Base::Owned(_))
}

/// Whether rows can be ordered and grouped by a field.
pub(crate) fn orderable(field: &Field) -> bool {
    readable(field) && !field.ty.list && !matches!(field.ty.base, Base::Json | Base::Bytes | Base::Owned(_))
}

/// Whether a field can be summed.
pub(crate) fn summable(field: &Field) -> bool {
    let number = matches!(field.ty.base, Base::Int | Base::BigInt | Base::Float | Base::Decimal { .. });
    readable(field) && !field.ty.list && number && field.name != "revision"
}

/// Whether a field has a least and a greatest value.
pub(crate) fn bounded(field: &Field) -> bool {
    let ordered = matches!(field.ty.base, Base::String | Base::DateTime | Base::Date);
    summable(field) || (readable(field) && !field.ty.list && ordered)
}

/// What a sum of a field's values is.
pub(crate) fn sum_base(base: Base) -> Base {
    match base {
        Base::Int => Base::BigInt,
        Base::BigInt => Base::Decimal { precision: 18, scale: 0 },
        other => other,
    }
}

/// The fields that a client may give when a row is made.
pub(crate) fn creatable(field: &Field) -> bool {
    field.writable()
}

/// Whether the field must be given when a row is made.
pub(crate) fn required(field: &Field) -> bool {
    !field.ty.nullable && !field.ty.list && !is_owned(field.ty) && field.default.is_none()
}

/// The fields that a client may change: all but the key and what is set once.
pub(crate) fn updatable(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity.field_ids().filter(|(id, field)| *id != KEY && field.writable() && !field.once).map(|(_, field)| field)
}

/// The fields that an upsert replaces: all but the key.
pub(crate) fn replaceable(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity.field_ids().filter(|(id, field)| *id != KEY && field.writable()).map(|(_, field)| field)
}

/// `invoiceLine`: the name of one.
pub(crate) fn one(entity: &Entity) -> String {
    camel(&entity.snake)
}

/// `invoiceLines`: the name of many.
pub(crate) fn many(entity: &Entity) -> String {
    camel(&entity.plural)
}

/// The scalar or enum of GraphQL that shows a base type; an owned type has its own name.
pub(crate) fn type_name(model: &Model, base: Base) -> String {
    match base {
        Base::String => "String".to_owned(),
        Base::Boolean => "Boolean".to_owned(),
        Base::Int => "Int".to_owned(),
        Base::BigInt => "BigInt".to_owned(),
        Base::Float => "Float".to_owned(),
        Base::Decimal { .. } => "Decimal".to_owned(),
        Base::DateTime => "DateTime".to_owned(),
        Base::Date => "Date".to_owned(),
        Base::Uuid => "UUID".to_owned(),
        Base::Bytes => "Bytes".to_owned(),
        Base::Json => "JSON".to_owned(),
        Base::Enum(id) => model.enumeration(id).name.to_string(),
        Base::Owned(id) => model.owned(id).name.to_string(),
    }
}

/// The type of a field as readers see it: `[String!]!`.
pub(crate) fn out_type(model: &Model, field: &Field) -> String {
    let bang = if field.nullable_out() { "" } else { "!" };
    let name = if field.name == "revision" { "Revision".to_owned() } else { type_name(model, field.ty.base) };
    if field.ty.list { format!("[{name}!]{bang}") } else { format!("{name}{bang}") }
}

/// The type of a field as writers give it, without its own `!`.
pub(crate) fn in_type(model: &Model, field: &Field) -> String {
    let mut name = type_name(model, field.ty.base);
    if is_owned(field.ty) {
        name.push_str("Input");
    }
    if field.ty.list { format!("[{name}!]") } else { name }
}

/// The filter of a field: `DecimalFilter`, `StringListFilter`, `OrderLineListWhere`; none for what cannot be filtered by.
pub(crate) fn filter_name(model: &Model, field: &Field) -> Option<String> {
    if !readable(field) {
        return None;
    }
    let name = if field.name == "revision" { "Revision".to_owned() } else { type_name(model, field.ty.base) };
    match field.ty.base {
        Base::Json => None,
        Base::Owned(_) => Some(format!("{name}ListWhere")),
        _ if field.ty.list => Some(format!("{name}ListFilter")),
        _ => Some(format!("{name}Filter")),
    }
}

/// The entities of this contract whose rows can be watched.
pub(crate) fn watched(model: &Model) -> impl Iterator<Item = (EntityId, &Entity)> {
    entities(model).filter(|(_, entity)| entity.watch)
}

/// `invoiceLineChanges`: the name of the changes.
pub(crate) fn changes(entity: &Entity) -> String {
    format!("{}Changes", one(entity))
}
