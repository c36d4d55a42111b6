//! The messages of rows: an entity's, its list's, an owned type's.

use fourfold_model::{Base, Entity, EntityId, Field as ModelField, Model, OwnedType, Relation, RelationKind};

use super::{Field, Label, Message, Ty, exposed, full_name, is_exposed, ty};

/// The message of an entity's rows.
pub fn entity_message(model: &Model, entity: &Entity) -> Message {
    let mut fields = Vec::new();
    let mut reserved = entity.reserved.clone();
    for field in &entity.fields {
        fields.push(row_field(model, field));
        if let Some(relation) = field.relation.map(|id| entity.relation(id)) {
            put_relation(model, relation, &mut fields, &mut reserved);
        }
    }
    for relation in entity.relations.iter().filter(|relation| matches!(relation.kind, RelationKind::Many { .. })) {
        put_relation(model, relation, &mut fields, &mut reserved);
    }
    let doc = entity.doc.clone().or_else(|| Some(format!("A row of `{}`.", entity.plural)));
    Message { name: entity.name.to_string(), doc, fields, reserved, ..Message::default() }
}

/// The message of an owned type. Its relations are not read through it, so their numbers are kept free.
pub fn owned_message(model: &Model, owned: &OwnedType) -> Message {
    let fields = owned.fields.iter().map(|field| row_field(model, field)).collect();
    let reserved = owned.relations.iter().map(|relation| relation.number).collect();
    let doc = owned.doc.clone().or_else(|| Some("A value inside the row that holds it.".to_owned()));
    Message { name: owned.name.to_string(), doc, fields, reserved, ..Message::default() }
}

/// `AlbumList`, for an entity that a to-many relation leads to.
pub fn list_message(model: &Model, id: EntityId) -> Option<Message> {
    let is_target = |relation: &Relation| relation.target == id && matches!(relation.kind, RelationKind::Many { .. });
    if !exposed(model).any(|(_, entity)| entity.relations.iter().any(is_target)) {
        return None;
    }
    let entity = model.entity(id);
    let items =
        Field::repeated(1, "items", Ty::Message(full_name(model, &entity.name))).doc("The first of them, in the order of their keys.");
    let more = Field::optional(2, "has_more", Ty::Bool).doc("Whether there are more; list them to see all.");
    Some(Message::new(format!("{}List", entity.name), format!("Some of a row's {}.", entity.plural), vec![items, more]))
}

fn row_field(model: &Model, field: &ModelField) -> Field {
    let repeated = field.ty.list || matches!(field.ty.base, Base::Owned(_));
    Field {
        name: field.name.to_string(),
        number: field.number,
        doc: field_doc(field),
        label: if repeated { Label::Repeated } else { Label::Optional },
        ty: ty(model, field.ty.base),
        deprecated: field.deprecated.is_some(),
    }
}

fn field_doc(field: &ModelField) -> Option<String> {
    let mut lines: Vec<String> = field.doc.iter().cloned().collect();
    if field.name == "revision" && field.doc.is_none() {
        lines.push("Counts the row's changes from 1; sent back as `etag`.".into());
    }
    if let Base::Decimal { precision, scale } = field.ty.base {
        lines.push(format!("A decimal number of at most {precision} digits, {scale} of them after the point."));
    }
    match field.ty.base {
        Base::Date => lines.push("A date, such as 2026-11-22.".into()),
        Base::Uuid => lines.push("A UUID.".into()),
        _ => {}
    }
    if let Some(instead) = &field.deprecated {
        lines.push(format!("Deprecated: {instead}."));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn put_relation(model: &Model, relation: &Relation, fields: &mut Vec<Field>, reserved: &mut Vec<u32>) {
    let target = model.entity(relation.target);
    if !is_exposed(target) {
        return reserved.push(relation.number);
    }
    let (name, filled) = match relation.kind {
        RelationKind::One { .. } => (target.name.to_string(), "Filled when the read mask names it."),
        RelationKind::Many { .. } => (format!("{}List", target.name), "The first of them, filled when the read mask names it."),
    };
    let doc = relation.doc.as_ref().map_or_else(|| filled.to_owned(), |doc| format!("{doc}\n{filled}"));
    fields.push(Field::optional(relation.number, relation.name.as_str(), Ty::Message(full_name(model, &name))).doc(doc));
}
