//! A small model made by hand, and a server of it over the memory store.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_graphql::{Body, GraphQl, Options, Statements};
use fourfold_model::expr::{Compare, Expr, ExprKind, ExprType};
use fourfold_model::{
    Base, Default as FieldDefault, Entity, EntityId, EnumId, EnumType, EnumValue, Expose, Field, FieldId, Member, Model, OnDelete, OwnedId,
    OwnedType, Package, Relation, RelationId, RelationKind, Rule, RuleClass, Type, Value, Verb,
};
use fourfold_op::{Claims, Context, Deadline, IdempotencyKey, Limits, Principal, RequestId};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};

fn field(name: &str, number: u32, base: Base, nullable: bool, list: bool) -> Field {
    Field {
        name: name.into(),
        number,
        column: name.into(),
        ty: Type { base, nullable, list },
        doc: None,
        default: None,
        unique: false,
        min: None,
        max: None,
        length: (None, None),
        pattern: None,
        search: false,
        fold: false,
        computed: None,
        set: None,
        readonly: false,
        once: false,
        secret: false,
        relation: None,
        read_rule: None,
        write_rule: None,
        deprecated: None,
    }
}

fn rule(expr: Expr) -> Rule {
    Rule { verbs: vec![Verb::Read, Verb::Create, Verb::Update, Verb::Delete], expr, fields: None, text: "…".into(), line: 1 }
}

fn entity(name: &str, plural: &str, number: u32, fields: Vec<Field>, relations: Vec<Relation>) -> Entity {
    let snake = fourfold_model::names::snake(name);
    let members = (0..fields.len() as u16).filter(|id| *id != 1).map(|id| Member::Field(FieldId(id)));
    let members = members.chain((0..relations.len() as u16).map(|id| Member::Relation(RelationId(id)))).collect();
    Entity {
        name: name.into(),
        snake: snake.as_str().into(),
        plural: plural.into(),
        table: snake.as_str().into(),
        number,
        doc: Some(format!("Rows of {name}.\n\nWith a \"\"\" in its documentation.")),
        field_names: fields.iter().zip(0..).map(|(field, index)| (field.name.clone(), FieldId(index))).collect(),
        relation_names: relations.iter().zip(0..).map(|(relation, index)| (relation.name.clone(), RelationId(index))).collect(),
        fields,
        relations,
        members,
        rules: vec![rule(Expr::truth())],
        indexes: Vec::new(),
        uniques: Vec::new(),
        cache: None,
        require_revision: false,
        internal: false,
        readonly: false,
        retain: None,
        watch: true,
        expose: Expose { rest: true, graphql: true, grpc: true, websocket: true },
        before: Vec::new(),
        class: RuleClass::Local,
        reserved: Vec::new(),
    }
}

fn many(name: &str, number: u32, target: u16, field: u16) -> Relation {
    let kind = RelationKind::Many { inverse: RelationId(0), field: FieldId(field) };
    Relation { name: name.into(), number, doc: None, target: EntityId(target), kind }
}

fn one(name: &str, number: u32, target: u16, field: u16) -> Relation {
    let kind = RelationKind::One { field: FieldId(field), on_delete: OnDelete::Restrict };
    Relation { name: name.into(), number, doc: None, target: EntityId(target), kind }
}

fn revision() -> Field {
    field("revision", 2, Base::BigInt, false, false)
}

fn albums() -> Entity {
    let price = Base::Decimal { precision: 12, scale: 2 };
    let fields = vec![
        Field { default: Some(FieldDefault::Uuid7), ..field("id", 1, Base::Uuid, false, false) },
        revision(),
        Field { length: (Some(1), Some(20)), ..field("title", 3, Base::String, false, false) },
        field("price", 4, price, true, false),
        Field { default: Some(FieldDefault::Literal(Value::Enum(1))), ..field("state", 5, Base::Enum(EnumId(0)), false, false) },
        field("tags", 6, Base::String, false, true),
        Field { relation: Some(RelationId(0)), ..field("artist_id", 7, Base::Int, false, false) },
        field("lines", 9, Base::Owned(OwnedId(0)), false, true),
        field("released", 10, Base::Date, true, false),
        field("played_at", 11, Base::DateTime, true, false),
        field("meta", 12, Base::Json, true, false),
        field("cover", 13, Base::Bytes, true, false),
        field("rating", 14, Base::Float, true, false),
        Field { deprecated: Some("use rating".into()), ..field("plays", 15, Base::BigInt, true, false) },
        field("live", 16, Base::Boolean, true, false),
        Field { readonly: true, ..field("rank", 17, Base::Int, true, false) },
        Field { secret: true, ..field("code", 18, Base::String, true, false) },
    ];
    entity("Album", "albums", 2, fields, vec![one("artist", 8, 0, 6), many("song_notes", 19, 2, 3)])
}

/// Notes that only those with an even number can be read.
fn notes() -> Entity {
    let fields = vec![
        field("id", 1, Base::Int, false, false),
        revision(),
        field("text", 3, Base::String, false, false),
        Field { relation: Some(RelationId(0)), ..field("album_id", 4, Base::Uuid, false, false) },
    ];
    let literal = |number| Expr { kind: ExprKind::Literal(Value::Int(number)), ty: ExprType::one(Base::Int) };
    let below = ExprKind::Compare(Compare::Less, Box::new(Expr::field(FieldId(0), ExprType::one(Base::Int))), Box::new(literal(100)));
    let mut entity = entity("SongNote", "song_notes", 4, fields, vec![one("album", 5, 1, 3)]);
    entity.rules = vec![rule(Expr::boolean(below))];
    entity
}

pub fn model() -> Model {
    let value = |name: &str, number| EnumValue { name: name.into(), number, column: name.into(), doc: None };
    let state = EnumType { name: "AlbumState".into(), doc: None, values: vec![value("draft", 1), value("on_sale", 2)] };
    let line = OwnedType {
        name: "Line".into(),
        doc: None,
        number: 3,
        table: "line".into(),
        fields: vec![
            field("quantity", 1, Base::Int, false, false),
            field("unit_price", 2, Base::Decimal { precision: 12, scale: 2 }, true, false),
        ],
        relations: Vec::new(),
    };
    let artist = vec![field("id", 1, Base::Int, false, false), revision(), field("name", 3, Base::String, false, false)];
    Model {
        package: Package { name: "shop.v1".into(), base: "shop".into(), version: "v1".into() },
        doc: Some("A shop.".to_owned()),
        enums: vec![state],
        owned: vec![line],
        entities: vec![entity("Artist", "artists", 1, artist, vec![many("albums", 4, 1, 6)]), albums(), notes()],
        ..Model::default()
    }
}

pub fn context() -> Context {
    let principal = Principal { issuer: "test".into(), subject: "ada".into(), claims: Claims::default() };
    Context { principal: Arc::new(principal), deadline: Deadline::default(), idempotency: None, request: RequestId("r1".into()) }
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub json: Json,
    pub text: String,
    pub statements: u32,
}

pub struct Shop(pub GraphQl);

pub async fn shop() -> Shop {
    let model = Arc::new(model());
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let engine = Engine::new(Arc::new(store), model, 1, Limits::default());
    let face = GraphQl::new(engine, Options { dev: true, introspection: true });
    assert_eq!(face.problem(), None);
    Shop(face)
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Shop {
    pub async fn http(&self, context: Context, request: http::request::Builder, sent: String) -> Answer {
        let response = self.0.serve(context, request.body(body(sent)).unwrap()).await;
        let (status, statements) = (response.status().as_u16(), response.extensions().get::<Statements>().map_or(0, |count| count.0));
        let content_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, content_type, json: serde_json::from_str(&text).unwrap_or(Json::Null), text, statements }
    }

    pub async fn ask(&self, query: &str, variables: Json) -> Answer {
        self.ask_as(context(), query, variables).await
    }

    pub async fn ask_as(&self, context: Context, query: &str, variables: Json) -> Answer {
        let request = http::Request::post("/graphql").header("content-type", "application/json");
        let request = request.header("accept", "application/graphql-response+json");
        self.http(context, request, json!({ "query": query, "variables": variables }).to_string()).await
    }

    /// The `data` of an answer without errors.
    pub async fn data(&self, query: &str, variables: Json) -> Json {
        let answer = self.ask(query, variables).await;
        assert_eq!(answer.json.get("errors"), None, "{query}\n{}", answer.text);
        answer.json["data"].clone()
    }

    /// The status, and the code and message of the first error.
    pub async fn error(&self, query: &str, variables: Json) -> (u16, String, String) {
        let answer = self.ask(query, variables).await;
        let error = &answer.json["errors"][0];
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        (answer.status, text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

pub fn with_key(key: &str) -> Context {
    Context { idempotency: Some(IdempotencyKey(key.into())), ..context() }
}
