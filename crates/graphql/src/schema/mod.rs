//! The schema: a function of the model alone.
//!
//! Types are in [`output`], inputs in [`input`], groups and measures in [`aggregate`], scalars and filters in [`scalar`].

mod aggregate;
mod input;
mod output;
mod scalar;
mod text;

use fourfold_model::{Entity, Model};

use crate::shown;
use text::Text;

/// The schema of a model, in the schema definition language: what `/schema.graphql` serves and what documents are checked against.
///
/// `node` and paging backwards are not served yet, so they are not in it.
///
/// ```
/// let sdl = fourfold_graphql::sdl(&fourfold_model::Model::default());
/// assert!(sdl.contains("type Query {"));
/// ```
pub fn sdl(model: &Model) -> String {
    let mut text = Text::default();
    text.block(model.doc.as_deref(), "schema", |text| {
        text.member(None, "query: Query");
        if shown::entities(model).any(|(_, entity)| !entity.readonly) {
            text.member(None, "mutation: Mutation");
        }
        if shown::watched(model).next().is_some() {
            text.member(None, "subscription: Subscription");
        }
    });
    text.line(Some("Exactly one of the members must be given, and it must not be null."), "directive @oneOf on INPUT_OBJECT");
    text.block(None, "type Query", |text| queries(text, model));
    text.block(None, "type Mutation", |text| mutations(text, model));
    text.block(None, "type Subscription", |text| subscriptions(text, model));
    if shown::watched(model).next().is_some() {
        output::change_kind(&mut text);
    }
    for enumeration in &model.enums {
        output::enumeration(&mut text, enumeration);
    }
    for (_, entity) in shown::entities(model) {
        output::entity(&mut text, model, entity);
        aggregate::aggregate(&mut text, model, entity);
        input::entity(&mut text, model, entity);
    }
    for owned in &model.owned {
        output::owned(&mut text, model, owned);
        input::owned(&mut text, model, owned);
    }
    output::page_info(&mut text);
    aggregate::shared(&mut text);
    input::shared(&mut text);
    scalar::shared(&mut text, model);
    text.0
}

fn queries(text: &mut Text, model: &Model) {
    if shown::entities(model).next().is_none() {
        // A type must have a field, and a model without entities is served too.
        text.member(Some("The package that is served; it has no entity yet."), "package: String!");
    }
    for (_, entity) in shown::entities(model) {
        let (name, one, many) = (&entity.name, shown::one(entity), shown::many(entity));
        let key = shown::type_name(model, entity.key_type());
        text.member(
            Some(&format!("The `{name}` with this key; null when there is none that the caller may see.")),
            &format!("{one}(id: {key}!): {name}"),
        );
        text.member(
            Some(&format!("The `{name}` rows that match, a page of 50, or of `first`.")),
            &format!("{many}({}): {name}Connection!", list_arguments(entity)),
        );
        text.member(
            Some(&format!("Counts and measures over the `{name}` rows that match; at most 1,000 groups.")),
            &format!("{many}Aggregate(where: {name}Where, filter: String, groupBy: [{name}GroupBy!]): [{name}Aggregate!]!"),
        );
    }
}

/// The arguments of a list.
fn list_arguments(entity: &Entity) -> String {
    let name = &entity.name;
    format!("where: {name}Where, filter: String, orderBy: [{name}OrderBy!], first: Int, after: String")
}

fn mutations(text: &mut Text, model: &Model) {
    for (_, entity) in shown::entities(model).filter(|(_, entity)| !entity.readonly) {
        let (name, key) = (&entity.name, shown::type_name(model, entity.key_type()));
        text.member(Some(&format!("Makes a row of `{name}`.")), &format!("create{name}(input: {name}CreateInput!): {name}Payload"));
        if shown::updatable(entity).next().is_some() {
            text.member(
                Some(&format!("Changes what is given of a row of `{name}`; null clears.")),
                &format!("update{name}(id: {key}!, input: {name}UpdateInput!, expectedRevision: Revision): {name}Payload"),
            );
        }
        if shown::replaceable(entity).next().is_some() {
            text.member(
                Some(&format!("Replaces a row of `{name}`, or makes it: what is not given gets its default, else null.")),
                &format!("upsert{name}(id: {key}!, input: {name}UpsertInput!, expectedRevision: Revision): {name}Payload"),
            );
        }
        text.member(
            Some(&format!("Deletes a row of `{name}`, and answers what it was.")),
            &format!("delete{name}(id: {key}!, expectedRevision: Revision): {name}Payload"),
        );
    }
}

fn subscriptions(text: &mut Text, model: &Model) {
    for (_, entity) in shown::watched(model) {
        let name = &entity.name;
        text.member(
            Some(&format!("Changes of the `{name}` rows that match, after a cursor, or with the rows as they are (`initial`).")),
            &format!("{}(where: {name}Where, after: String, initial: Boolean): {name}Change!", shown::changes(entity)),
        );
    }
}
