//! Types that answers are made of.

use fourfold_model::names::camel;
use fourfold_model::{Entity, EnumType, Field, Member, Model, OwnedType, Relation, RelationKind};

use super::list_arguments;
use super::text::{Text, deprecated};
use crate::shown;

/// An enum, with its values as the model names them.
pub(super) fn enumeration(text: &mut Text, enumeration: &EnumType) {
    text.block(enumeration.doc.as_deref(), &format!("enum {}", enumeration.name), |text| {
        for value in &enumeration.values {
            text.member(value.doc.as_deref(), &value.name);
        }
    });
}

/// An entity's type, its connection, its edge and its payload.
pub(super) fn entity(text: &mut Text, model: &Model, entity: &Entity) {
    let name = &entity.name;
    text.block(entity.doc.as_deref(), &format!("type {name}"), |text| {
        for field in entity.fields.iter().take(2) {
            member(text, model, field);
        }
        for member in &entity.members {
            entity_member(text, model, entity, *member);
        }
    });
    connection(text, name);
    if entity.watch {
        change(text, model, entity);
    }
    if !entity.readonly {
        payload(text, entity);
    }
}

fn entity_member(text: &mut Text, model: &Model, entity: &Entity, which: Member) {
    match which {
        // The key and the revision stand first, whatever the file's order is.
        Member::Field(id) if id.0 < 2 => {}
        Member::Field(id) => member(text, model, entity.field(id)),
        Member::Relation(id) => relation(text, model, entity, entity.relation(id)),
    }
}

fn member(text: &mut Text, model: &Model, field: &Field) {
    if !shown::readable(field) {
        return;
    }
    let doc = if field.name == "revision" { Some("Counts the row's changes, from 1.") } else { field.doc.as_deref() };
    text.member(doc, &format!("{}: {}{}", camel(&field.name), shown::out_type(model, field), deprecated(field.deprecated.as_deref())));
}

fn relation(text: &mut Text, model: &Model, entity: &Entity, relation: &Relation) {
    if !shown::reachable(model, relation) {
        return;
    }
    let target = model.entity(relation.target);
    let name = camel(&relation.name);
    let member = match relation.kind {
        RelationKind::One { field, .. } => {
            let bang = if shown::nullable_relation(model, entity.field(field), relation) { "" } else { "!" };
            format!("{name}: {}{bang}", target.name)
        }
        RelationKind::Many { .. } => format!("{name}({}): {}Connection!", list_arguments(target), target.name),
    };
    text.member(relation.doc.as_deref(), &member);
}

fn connection(text: &mut Text, name: &str) {
    text.block(Some(&format!("A page of `{name}` rows.")), &format!("type {name}Connection"), |text| {
        text.member(Some("The rows, each with its cursor."), &format!("edges: [{name}Edge!]!"));
        text.member(Some("The rows."), &format!("nodes: [{name}!]!"));
        text.member(Some("Where the page stands among all that match."), "pageInfo: PageInfo!");
        text.member(Some("How many rows match, counted to 10,000; it costs only where it is asked for."), "totalCount: Int!");
        text.member(Some("Whether more rows match than `totalCount` says."), "totalCapped: Boolean!");
        text.member(Some("The cursor of the snapshot that was read: what happens after it is not on this page."), "cursor: String");
    });
    text.block(Some(&format!("A row of `{name}` on a page.")), &format!("type {name}Edge"), |text| {
        text.member(Some("Send it as `after` to go on behind this row."), "cursor: String!");
        text.member(Some("The row."), &format!("node: {name}!"));
    });
}

fn payload(text: &mut Text, entity: &Entity) {
    let name = &entity.name;
    text.block(Some(&format!("What a write of a row of `{name}` came to.")), &format!("type {name}Payload"), |text| {
        text.member(Some("The row, where the caller may read it."), &format!("{}: {name}", shown::one(entity)));
        text.member(Some("The cursor of the commit, where the store can tell it at once."), "cursor: String");
    });
}

/// An owned type.
pub(super) fn owned(text: &mut Text, model: &Model, owned: &OwnedType) {
    text.block(owned.doc.as_deref(), &format!("type {}", owned.name), |text| {
        for field in &owned.fields {
            member(text, model, field);
        }
    });
}

/// What every page says of itself.
pub(super) fn page_info(text: &mut Text) {
    text.block(Some("Where a page stands among all that match."), "type PageInfo", |text| {
        text.member(Some("Whether rows follow behind this page."), "hasNextPage: Boolean!");
        text.member(Some("Whether the page was asked for with `after`."), "hasPreviousPage: Boolean!");
        text.member(Some("The cursor of the first row."), "startCursor: String");
        text.member(Some("The cursor of the last row: send it as `after` for the next page."), "endCursor: String");
    });
}

fn change(text: &mut Text, model: &Model, entity: &Entity) {
    let name = &entity.name;
    text.block(Some(&format!("A change of a row of `{name}`.")), &format!("type {name}Change"), |text| {
        text.member(Some("Send it as `after` to go on behind this change; null for a row of `initial`."), "cursor: String");
        text.member(Some("What it is to this subscription."), "change: ChangeKind!");
        text.member(Some("The row's key; null for a bookmark."), &format!("key: {}", shown::type_name(model, entity.key_type())));
        text.member(Some("The row's revision; null once it has left."), "revision: Revision");
        text.member(Some("When it was committed; null for a row of `initial`."), "at: DateTime");
        text.member(Some("The row as it is now; null once it has left."), &format!("item: {name}"));
    });
}

/// What a change can be.
pub(super) fn change_kind(text: &mut Text) {
    text.block(Some("What a change is, relative to the filter and what the caller may see."), "enum ChangeKind", |text| {
        for (doc, name) in [
            ("The row is now among those watched.", "ENTERED"),
            ("It was and is, with another revision.", "CHANGED"),
            ("It no longer is.", "LEFT"),
            ("Only the cursor is newer.", "BOOKMARK"),
            ("What was told no longer holds: list again.", "RESET"),
        ] {
            text.member(Some(doc), name);
        }
    });
}
