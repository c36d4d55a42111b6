//! The page at `/` in `dev`: the model, and the four APIs with examples that run when clicked. It needs no network.

use fourfold_model::{Base, Entity, Member, Model, RelationKind, Type, Verb, names};
use fourfold_op::ErrorCode;
use serde_json::{Value, json};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page for a model.
pub(crate) fn page(model: &Model) -> String {
    // `<` is escaped so that no text of the model can end the script.
    let data = describe(model).to_string().replace('<', "\\u003c");
    PAGE.replace("{{title}}", &escape(&model.package.name))
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT)
        .replace("{{model}}", &data)
}

/// The page that explains an error's code.
pub(crate) fn problem(code: ErrorCode) -> String {
    let row = code.row();
    let retry = if row.temporary { "The same request may succeed later." } else { "The same request will fail again." };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{name}</title>\
         <style>{STYLE}</style><main class=\"problem\"><h1>{title}</h1><p>{remedy} {retry}</p><table>\
         <tr><th>code</th><td><code>{name}</code></td></tr><tr><th>HTTP</th><td>{http}</td></tr>\
         <tr><th>gRPC</th><td>{grpc}</td></tr><tr><th>WebSocket</th><td>{websocket}</td></tr></table></main></html>",
        name = row.name,
        title = escape(row.title),
        remedy = escape(row.remedy),
        http = row.http,
        grpc = row.grpc,
        websocket = row.websocket,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn describe(model: &Model) -> Value {
    let entities: Vec<Value> = model.entities.iter().filter(|entity| !entity.internal).map(|entity| of_entity(model, entity)).collect();
    json!({"package": &*model.package.name, "version": &*model.package.version, "entities": entities})
}

fn of_entity(model: &Model, entity: &Entity) -> Value {
    let members: Vec<Value> = entity.members.iter().map(|member| of_member(model, entity, *member)).collect();
    let rules: Vec<Value> = entity
        .rules
        .iter()
        .map(|rule| json!({"verbs": rule.verbs.iter().map(|verb| verb_name(*verb)).collect::<Vec<_>>(), "text": &*rule.text}))
        .collect();
    let exposed = entity.expose;
    json!({
        "name": &*entity.name,
        "doc": entity.doc,
        "plural": &*entity.plural,
        "graphql": names::camel(&entity.plural),
        "shown": shown_fields(entity),
        "service": format!("{}.{}Service", model.package.name, entity.name),
        "list": format!("List{}", names::pascal(&entity.plural)),
        "members": members,
        "rules": rules,
        "expose": {"rest": exposed.rest, "graphql": exposed.graphql, "grpc": exposed.grpc, "websocket": exposed.websocket},
    })
}

/// A few plain fields for the GraphQL example.
fn shown_fields(entity: &Entity) -> Vec<String> {
    let plain = entity.fields.iter().filter(|field| !field.secret && field.name != "revision" && field.relation.is_none());
    plain.filter(|field| !matches!(field.ty.base, Base::Owned(_))).take(4).map(|field| names::camel(&field.name)).collect()
}

fn of_member(model: &Model, entity: &Entity, member: Member) -> Value {
    match member {
        Member::Field(id) => {
            let field = entity.field(id);
            let notes = notes(field);
            json!({"name": &*field.name, "type": type_name(model, field.ty), "notes": notes, "doc": field.doc})
        }
        Member::Relation(id) => {
            let relation = entity.relation(id);
            let many = matches!(relation.kind, RelationKind::Many { .. });
            let target = &model.entity(relation.target).name;
            json!({"name": &*relation.name, "type": format!("{target}{}", if many { "[]" } else { "" }), "relation": &**target, "notes": [], "doc": relation.doc})
        }
    }
}

fn notes(field: &fourfold_model::Field) -> Vec<&'static str> {
    let marks = [
        (field.name == "id", "key"),
        (field.unique, "unique"),
        (field.computed.is_some(), "computed"),
        (field.set.is_some(), "set by the server"),
        (field.readonly, "read only"),
        (field.once, "once"),
        (field.secret, "secret"),
        (field.search, "search"),
        (field.read_rule.is_some(), "masked"),
    ];
    marks.into_iter().filter(|(is, _)| *is).map(|(_, note)| note).collect()
}

fn type_name(model: &Model, ty: Type) -> String {
    let base = match ty.base {
        Base::Enum(id) => model.enumeration(id).name.to_string(),
        Base::Owned(id) => model.owned(id).name.to_string(),
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        other => format!("{other:?}"),
    };
    format!("{base}{}{}", if ty.list { "[]" } else { "" }, if ty.nullable { "?" } else { "" })
}

fn verb_name(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "read",
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Delete => "delete",
    }
}
