//! A model of one entity, and a server of it over the memory store.

use std::net::SocketAddr;
use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_model::expr::{Expr, ExprKind, ExprType};
use fourfold_model::{
    Base, Claim, ClaimId, Default as FieldDefault, Entity, Expose, Field, FieldId, Member, Model, Package, Rule, RuleClass, Type, Value,
    Verb,
};
use fourfold_op::Limits;
use fourfold_server::auth::{Auth, DevKey};
use fourfold_server::config::{Config, Texts};
use fourfold_server::drain::Running;
use fourfold_server::stack::{Faces, Shown};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;

pub struct Asked {
    pub address: SocketAddr,
    pub running: Running,
    pub key: DevKey,
}

impl Asked {
    pub fn token(&self, claims: serde_json::Value) -> String {
        self.key.token(claims.as_object().unwrap()).unwrap()
    }
}

pub async fn started(dev: bool) -> Asked {
    let model = Arc::new(model());
    let store = MemoryStore::new();
    let migration = store.migration(&model).await.unwrap();
    store.migrate(&model, migration).await.unwrap();
    let folder = std::env::temp_dir().join(format!("fourfold-stack-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = loop {
        // Tests race to make the one key.
        if let Ok(key) = DevKey::open(&folder) {
            break key;
        }
    };
    let mut texts = Texts::default();
    for (name, text) in [
        ("server.listen", "127.0.0.1:0"),
        ("server.admin_listen", "127.0.0.1:0"),
        ("log.format", "off"),
        ("server.origins", "https://app.example"),
    ] {
        texts.given.insert(name, (text.to_owned(), fourfold_server::config::Source::Default));
    }
    let config = Config::new(&texts).unwrap();
    let engine = Engine::new(Arc::new(store), Arc::clone(&model), 1, Limits::default());
    let auth = Arc::new(Auth::new(model, None, Some(&key), true));
    let faces = Faces::new(engine, auth, Shown { visibility: config.visibility, dev });
    let running = Running::start(&config, faces, dev, key.bytes()).await.unwrap();
    Asked { address: running.address(), running, key }
}

fn field(name: &str, number: u32, base: Base, nullable: bool) -> Field {
    Field {
        name: name.into(),
        number,
        column: name.into(),
        ty: Type { base, nullable, list: false },
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

fn rule(verbs: Vec<Verb>, expr: Expr, text: &str) -> Rule {
    Rule { verbs, expr, fields: None, text: text.into(), line: 1 }
}

fn boolean(kind: ExprKind) -> Expr {
    Expr { kind, ty: ExprType::BOOLEAN }
}

fn is_admin() -> Expr {
    let admin = Expr { kind: ExprKind::Literal(Value::text("admin")), ty: ExprType::one(Base::String) };
    let roles = Expr { kind: ExprKind::Claim(ClaimId(0)), ty: ExprType::list(Base::String) };
    boolean(ExprKind::In(Box::new(admin), Box::new(roles)))
}

fn model() -> Model {
    let fields = vec![
        Field { default: Some(FieldDefault::Next), ..field("id", 1, Base::Int, false) },
        field("revision", 2, Base::BigInt, false),
        field("title", 3, Base::String, false),
    ];
    let field_names = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), FieldId(index as u16))).collect();
    let product = Entity {
        name: "Product".into(),
        snake: "product".into(),
        plural: "products".into(),
        table: "product".into(),
        number: 1,
        doc: Some("What is for sale.".into()),
        members: (0..fields.len() as u16).map(|index| Member::Field(FieldId(index))).collect(),
        fields,
        relations: Vec::new(),
        rules: vec![
            rule(vec![Verb::Read], boolean(ExprKind::Literal(Value::Boolean(true))), "true"),
            rule(vec![Verb::Create, Verb::Update, Verb::Delete], is_admin(), "\"admin\" in caller.roles"),
        ],
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
        field_names,
        relation_names: Default::default(),
    };
    Model {
        package: Package { name: "shop.v1".into(), base: "shop".into(), version: "v1".into() },
        claims: vec![Claim {
            name: "roles".into(),
            ty: Type { base: Base::String, nullable: false, list: true },
            path: "roles".into(),
            doc: None,
        }],
        entities: vec![product],
        fingerprint: 1,
        ..Model::default()
    }
}
