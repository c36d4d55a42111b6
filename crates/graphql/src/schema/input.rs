//! Types that requests are made of: filters over rows, orders, and what is written.

use fourfold_model::names::camel;
use fourfold_model::{Entity, Field, Member, Model, OwnedType, RelationKind};

use super::text::{Text, deprecated};
use crate::shown;

/// The inputs of an entity.
pub(super) fn entity(text: &mut Text, model: &Model, entity: &Entity) {
    filter(text, model, entity);
    list_filter(text, &entity.name);
    order(text, model, entity);
    if !entity.readonly {
        writes(text, model, entity);
    }
}

fn filter(text: &mut Text, model: &Model, entity: &Entity) {
    let name = &entity.name;
    text.block(Some(&format!("Which `{name}` rows: all that is given must hold.")), &format!("input {name}Where"), |text| {
        logic(text, name);
        for field in entity.fields.iter().take(2) {
            field_filter(text, model, field);
        }
        for member in &entity.members {
            match member {
                Member::Field(id) if id.0 < 2 => {}
                Member::Field(id) => field_filter(text, model, entity.field(*id)),
                Member::Relation(id) => {
                    let relation = entity.relation(*id);
                    if shown::reachable(model, relation) {
                        let list = if matches!(relation.kind, RelationKind::Many { .. }) { "List" } else { "" };
                        text.member(None, &format!("{}: {}{list}Where", camel(&relation.name), model.entity(relation.target).name));
                    }
                }
            }
        }
    });
}

fn logic(text: &mut Text, name: &str) {
    text.member(Some("All of them hold."), &format!("and: [{name}Where!]"));
    text.member(Some("At least one of them holds."), &format!("or: [{name}Where!]"));
    text.member(Some("It is false (not merely unknown)."), &format!("not: {name}Where"));
}

fn field_filter(text: &mut Text, model: &Model, field: &Field) {
    if let Some(filter) = shown::filter_name(model, field) {
        text.member(None, &format!("{}: {filter}", camel(&field.name)));
    }
}

fn list_filter(text: &mut Text, name: &str) {
    text.block(Some(&format!("Which `{name}` rows belong to a row.")), &format!("input {name}ListWhere"), |text| {
        text.member(Some("At least one matches."), &format!("some: {name}Where"));
        text.member(Some("Every one matches."), &format!("every: {name}Where"));
        text.member(Some("None matches."), &format!("none: {name}Where"));
    });
}

fn order(text: &mut Text, model: &Model, entity: &Entity) {
    let name = &entity.name;
    text.block(Some(&format!("What `{name}` rows are ordered by: one member each.")), &format!("input {name}OrderBy @oneOf"), |text| {
        for field in entity.fields.iter().filter(|field| shown::orderable(field)) {
            text.member(None, &format!("{}: OrderDirection", camel(&field.name)));
        }
        for relation in entity.relations.iter().filter(|relation| shown::reachable(model, relation)) {
            if matches!(relation.kind, RelationKind::One { .. }) {
                text.member(None, &format!("{}: {}OrderBy", camel(&relation.name), model.entity(relation.target).name));
            }
        }
    });
}

fn writes(text: &mut Text, model: &Model, entity: &Entity) {
    let name = &entity.name;
    text.block(Some(&format!("A new row of `{name}`.")), &format!("input {name}CreateInput"), |text| {
        for field in entity.fields.iter().filter(|field| shown::creatable(field)) {
            given(text, model, field, shown::required(field));
        }
    });
    text.block(
        Some(&format!("What changes of a row of `{name}`: what is not given stays, null clears.")),
        &format!("input {name}UpdateInput"),
        |text| {
            for field in shown::updatable(entity) {
                given(text, model, field, false);
            }
        },
    );
    text.block(Some(&format!("A whole row of `{name}`.")), &format!("input {name}UpsertInput"), |text| {
        for field in shown::replaceable(entity) {
            given(text, model, field, shown::required(field));
        }
    });
}

fn given(text: &mut Text, model: &Model, field: &Field, required: bool) {
    let bang = if required { "!" } else { "" };
    // A required member cannot be deprecated (GraphQL, "Input Objects", type validation).
    let deprecated = if required { String::new() } else { deprecated(field.deprecated.as_deref()) };
    text.member(field.doc.as_deref(), &format!("{}: {}{bang}{deprecated}", camel(&field.name), shown::in_type(model, field)));
}

/// The inputs of an owned type.
pub(super) fn owned(text: &mut Text, model: &Model, owned: &OwnedType) {
    let name = &owned.name;
    text.block(owned.doc.as_deref(), &format!("input {name}Input"), |text| {
        for field in owned.fields.iter().filter(|field| shown::creatable(field)) {
            given(text, model, field, shown::required(field));
        }
    });
    text.block(Some(&format!("Which `{name}` elements: all that is given must hold.")), &format!("input {name}Where"), |text| {
        logic(text, name);
        for field in &owned.fields {
            field_filter(text, model, field);
        }
    });
    list_filter(text, name);
}

/// What all orders share.
pub(super) fn shared(text: &mut Text) {
    text.block(None, "enum OrderDirection", |text| {
        text.member(Some("Rising; nulls first."), "ASC");
        text.member(Some("Falling; nulls last."), "DESC");
    });
}
