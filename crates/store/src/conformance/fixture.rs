//! The model that the suite runs on, and the words to ask it things in.

use std::sync::Arc;

use fourfold_model::expr::{Arithmetic, Collection, Compare, Fold, FoldBy, Path, Quantifier, Scope};
use fourfold_model::{
    Base, Claim, ClaimId, Decimal, Default as FieldDefault, Entity, EntityId, EnumId, EnumType, EnumValue, Expose, Expr, ExprKind,
    ExprType, Field, FieldId, Index, Member, Model, OnDelete, OwnedId, OwnedType, Package, Relation, RelationId, RelationKind, Row, Rule,
    RuleClass, SharedModel, Type, Value, Verb,
};

/// A person: everybody may read and write it; the phone is for itself and admins.
pub const PERSON: EntityId = EntityId(0);
/// An item: read when it is live, one's own, or by admins; written by its owner and admins.
pub const ITEM: EntityId = EntityId(1);
/// An entry of a guest book, with a counter as its key; nobody may delete it.
pub const ENTRY: EntityId = EntityId(2);

/// The fields of a person.
#[allow(missing_docs)]
pub mod person {
    use super::FieldId;
    pub const NAME: FieldId = FieldId(2);
    pub const EMAIL: FieldId = FieldId(3);
    pub const PHONE: FieldId = FieldId(4);
}

/// The fields and relations of an item.
#[allow(missing_docs)]
pub mod item {
    use super::{FieldId, RelationId};
    pub const TITLE: FieldId = FieldId(2);
    pub const NOTE: FieldId = FieldId(3);
    pub const PRICE: FieldId = FieldId(4);
    pub const COUNT: FieldId = FieldId(5);
    pub const BIG: FieldId = FieldId(6);
    pub const SCORE: FieldId = FieldId(7);
    pub const FLAG: FieldId = FieldId(8);
    pub const AT: FieldId = FieldId(9);
    pub const DAY: FieldId = FieldId(10);
    pub const STATE: FieldId = FieldId(11);
    pub const TAGS: FieldId = FieldId(12);
    pub const OWNER: FieldId = FieldId(13);
    pub const PARENT: FieldId = FieldId(14);
    pub const HELPER: FieldId = FieldId(15);
    pub const OWNER_NAME: FieldId = FieldId(16);
    pub const LINES: FieldId = FieldId(17);
    pub const TOTAL: FieldId = FieldId(18);
    pub const NUMBER: FieldId = FieldId(19);
    pub const SKU: FieldId = FieldId(20);
    pub const BLOB: FieldId = FieldId(21);
    pub const EXTRA: FieldId = FieldId(22);
    pub const TO_OWNER: RelationId = RelationId(0);
    pub const TO_PARENT: RelationId = RelationId(1);
    pub const CHILDREN: RelationId = RelationId(3);
}

/// A person's items.
pub const PERSON_ITEMS: RelationId = RelationId(0);
/// The claim `roles`.
const ROLES: ClaimId = ClaimId(1);
const MONEY: Base = Base::Decimal { precision: 12, scale: 2 };
const STATE: Base = Base::Enum(EnumId(0));

/// The states of an item by number; their columns are ordered otherwise: archived, draft, live.
pub const DRAFT: Value = Value::Enum(1);
/// See [`DRAFT`].
pub const LIVE: Value = Value::Enum(2);
/// See [`DRAFT`].
pub const ARCHIVED: Value = Value::Enum(3);

/// The model.
pub fn model() -> SharedModel {
    let claim =
        |name: &str, base, list: bool| Claim { name: name.into(), ty: Type { base, nullable: !list, list }, path: name.into(), doc: None };
    Arc::new(Model {
        package: Package { name: "fixture.v1".into(), base: "fixture".into(), version: "v1".into() },
        doc: None,
        claims: vec![claim("id", Base::Uuid, false), claim("roles", Base::String, true)],
        enums: vec![states()],
        entities: vec![people(), items(), entries()],
        owned: vec![lines()],
        fingerprint: 1,
        ..Model::default()
    })
}

fn states() -> EnumType {
    let value = |number, name: &str| EnumValue { name: name.into(), number, column: name.into(), doc: None };
    EnumType { name: "State".into(), doc: None, values: vec![value(1, "draft"), value(2, "live"), value(3, "archived")] }
}

fn lines() -> OwnedType {
    let fields = vec![field("label", Base::String), field("quantity", Base::Int), field("price", MONEY)];
    OwnedType { name: "Line".into(), doc: None, number: 4, table: "line".into(), fields: numbered(fields, 1), relations: Vec::new() }
}

fn people() -> Entity {
    let mut phone = nullable(field("phone", Base::String));
    phone.read_rule = Some(any(vec![mine(KEY_PATH, fourfold_model::KEY), admin()]));
    let mut email = nullable(field("email", Base::String));
    email.unique = true;
    let fields = vec![key(Base::Uuid, FieldDefault::Uuid7), revision(), field("name", Base::String), email, phone];
    let relations = vec![many("items", ITEM, item::TO_OWNER, item::OWNER)];
    let open = rule(&[Verb::Read, Verb::Create, Verb::Update, Verb::Delete], Expr::truth(), None);
    Entity { uniques: vec![vec![person::EMAIL]], rules: vec![open], ..entity("Person", "people", 1, fields, relations) }
}

const KEY_PATH: &[RelationId] = &[];

fn items() -> Entity {
    let relations = vec![
        one("owner", PERSON, item::OWNER, OnDelete::Restrict),
        one("parent", ITEM, item::PARENT, OnDelete::Cascade),
        one("helper", PERSON, item::HELPER, OnDelete::Null),
        many("children", ITEM, item::TO_PARENT, item::PARENT),
    ];
    let own = any(vec![mine(KEY_PATH, item::OWNER), admin()]);
    let live = compare(Compare::Equal, column(item::STATE, STATE), literal(LIVE, STATE));
    let rules = vec![
        rule(&[Verb::Read], any(vec![live, own.clone()]), None),
        rule(&[Verb::Create, Verb::Delete], own.clone(), None),
        rule(&[Verb::Update], admin(), None),
        rule(&[Verb::Update], own, Some(vec![item::TITLE, item::NOTE, item::COUNT, item::OWNER])),
    ];
    let indexes = vec![Index { fields: vec![(item::OWNER, false)] }];
    Entity { uniques: vec![vec![item::SKU]], rules, indexes, ..entity("Item", "items", 2, item_fields(), relations) }
}

fn item_fields() -> Vec<Field> {
    let mut state = field("state", STATE);
    state.default = Some(FieldDefault::Literal(DRAFT));
    let mut tags = field("tags", Base::String);
    tags.ty.list = true;
    let mut owner_name = nullable(field("owner_name", Base::String));
    let to_owner = Path { scope: Scope::Row, hops: vec![item::TO_OWNER] };
    owner_name.set = Some(Expr { kind: ExprKind::Field(to_owner, person::NAME), ty: ExprType::one(Base::String) });
    let mut lines = field("lines", Base::Owned(OwnedId(0)));
    lines.ty.list = true;
    let mut total = field("total", Base::Decimal { precision: 14, scale: 2 });
    total.computed = Some(sum_of_lines());
    let mut number = field("number", Base::Int);
    number.default = Some(FieldDefault::Next);
    let mut sku = nullable(field("sku", Base::String));
    sku.unique = true;
    let related = |name: &str, relation: RelationId| Field { relation: Some(relation), ..nullable(field(name, Base::Uuid)) };
    vec![
        key(Base::Uuid, FieldDefault::Uuid7),
        revision(),
        field("title", Base::String),
        nullable(field("note", Base::String)),
        nullable(field("price", MONEY)),
        nullable(field("count", Base::Int)),
        nullable(field("big", Base::BigInt)),
        nullable(field("score", Base::Float)),
        nullable(field("flag", Base::Boolean)),
        nullable(field("at", Base::DateTime)),
        nullable(field("day", Base::Date)),
        state,
        tags,
        related("owner_id", item::TO_OWNER),
        related("parent_id", item::TO_PARENT),
        related("helper_id", RelationId(2)),
        owner_name,
        lines,
        total,
        number,
        sku,
        nullable(field("blob", Base::Bytes)),
        nullable(field("extra", Base::Json)),
    ]
}

/// `lines.map(l, l.quantity * l.price).sum()`
fn sum_of_lines() -> Expr {
    let element = |id, base| Expr {
        kind: ExprKind::Field(Path { scope: Scope::Variable(0), hops: Vec::new() }, FieldId(id)),
        ty: ExprType::one(base),
    };
    let money = ExprType::one(Base::Decimal { precision: 18, scale: 2 });
    let product = ExprKind::Arithmetic(Arithmetic::Multiply, Box::new(element(1, Base::Int)), Box::new(element(2, MONEY)));
    let map = Some(Box::new(Expr { kind: product, ty: money }));
    let fold = Fold { list: item::LINES, filters: Vec::new(), map, by: FoldBy::Sum };
    Expr { kind: ExprKind::Fold(fold), ty: money }
}

fn entries() -> Entity {
    let mut text = field("text", Base::String);
    text.length = (Some(1), Some(40));
    text.pattern = Some("[^!]*".into());
    let mut stars = nullable(field("stars", Base::Int));
    stars.min = Some(Value::Int(1));
    stars.max = Some(Value::Int(5));
    let mut once = nullable(field("source", Base::String));
    once.once = true;
    let fields = vec![key(Base::Int, FieldDefault::Next), revision(), text, stars, once];
    let open = rule(&[Verb::Read, Verb::Create, Verb::Update], Expr::truth(), None);
    Entity { rules: vec![open], require_revision: true, ..entity("Entry", "entries", 3, fields, Vec::new()) }
}

fn entity(name: &str, plural: &str, number: u32, fields: Vec<Field>, relations: Vec<Relation>) -> Entity {
    let fields = numbered(fields, 1);
    let next = fields.len() as u32 + 1;
    let relations: Vec<Relation> = relations.into_iter().zip(next..).map(|(relation, number)| Relation { number, ..relation }).collect();
    let members = (0..fields.len()).map(|slot| Member::Field(FieldId(slot as u16)));
    let members = members.chain((0..relations.len()).map(|slot| Member::Relation(RelationId(slot as u16))));
    Entity {
        name: name.into(),
        snake: name.to_lowercase().into(),
        plural: plural.into(),
        table: name.to_lowercase().into(),
        number,
        doc: None,
        field_names: fields.iter().enumerate().map(|(slot, field)| (field.name.clone(), FieldId(slot as u16))).collect(),
        relation_names: relations.iter().enumerate().map(|(slot, one)| (one.name.clone(), RelationId(slot as u16))).collect(),
        members: members.collect(),
        fields,
        relations,
        rules: Vec::new(),
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

fn numbered(fields: Vec<Field>, first: u32) -> Vec<Field> {
    fields.into_iter().zip(first..).map(|(field, number)| Field { number, ..field }).collect()
}

fn field(name: &str, base: Base) -> Field {
    Field {
        name: name.into(),
        number: 0,
        column: name.into(),
        ty: Type { base, nullable: false, list: false },
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

fn nullable(mut field: Field) -> Field {
    field.ty.nullable = true;
    field
}

fn key(base: Base, default: FieldDefault) -> Field {
    Field { default: Some(default), once: true, ..field("id", base) }
}

fn revision() -> Field {
    Field { readonly: true, ..field("revision", Base::BigInt) }
}

fn one(name: &str, target: EntityId, field: FieldId, on_delete: OnDelete) -> Relation {
    Relation { name: name.into(), number: 0, doc: None, target, kind: RelationKind::One { field, on_delete } }
}

fn many(name: &str, target: EntityId, inverse: RelationId, field: FieldId) -> Relation {
    Relation { name: name.into(), number: 0, doc: None, target, kind: RelationKind::Many { inverse, field } }
}

fn rule(verbs: &[Verb], expr: Expr, fields: Option<Vec<FieldId>>) -> Rule {
    Rule { verbs: verbs.to_vec(), expr, fields, text: "a rule of the fixture".into(), line: 1 }
}

/// `"admin" in caller.roles`
fn admin() -> Expr {
    let roles = Expr { kind: ExprKind::Claim(ROLES), ty: ExprType::list(Base::String) };
    Expr::boolean(ExprKind::In(Box::new(literal(Value::text("admin"), Base::String)), Box::new(roles)))
}

/// `<field> == caller.id`
fn mine(hops: &[RelationId], field: FieldId) -> Expr {
    let path = Path { scope: Scope::Row, hops: hops.to_vec() };
    let column = Expr { kind: ExprKind::Field(path, field), ty: ExprType::one(Base::Uuid) };
    compare(Compare::Equal, column, Expr { kind: ExprKind::Claim(ClaimId(0)), ty: ExprType::one(Base::Uuid) })
}

/// A literal of a type.
pub fn literal(value: Value, base: Base) -> Expr {
    Expr { kind: ExprKind::Literal(value), ty: ExprType::one(base) }
}

/// A field of the row itself.
pub fn column(field: FieldId, base: Base) -> Expr {
    Expr::field(field, ExprType::one(base))
}

/// A field of the row that a path leads to.
pub fn over(hops: &[RelationId], field: FieldId, base: Base) -> Expr {
    let path = Path { scope: Scope::Row, hops: hops.to_vec() };
    Expr { kind: ExprKind::Field(path, field), ty: ExprType::one(base) }
}

/// A comparison.
pub fn compare(by: Compare, a: Expr, b: Expr) -> Expr {
    Expr::boolean(ExprKind::Compare(by, Box::new(a), Box::new(b)))
}

/// Any of these.
pub fn any(parts: Vec<Expr>) -> Expr {
    Expr::boolean(ExprKind::Or(parts))
}

/// `rel.exists(v, v.<field> <by> literal)`
pub fn exists(relation: RelationId, field: FieldId, base: Base, by: Compare, value: Value) -> Expr {
    let collection = Collection::Relation(Path { scope: Scope::Row, hops: Vec::new() }, relation);
    quantified(collection, field, base, by, value, Quantifier::Exists)
}

/// `lines.exists(l, …)` or `lines.all(l, …)`
pub fn of_lines(quantifier: Quantifier, field: u16, base: Base, by: Compare, value: Value) -> Expr {
    let collection = Collection::Owned(Path { scope: Scope::Row, hops: Vec::new() }, item::LINES);
    quantified(collection, FieldId(field), base, by, value, quantifier)
}

fn quantified(collection: Collection, field: FieldId, base: Base, by: Compare, value: Value, quantifier: Quantifier) -> Expr {
    let path = Path { scope: Scope::Variable(0), hops: Vec::new() };
    let element = Expr { kind: ExprKind::Field(path, field), ty: ExprType::one(base) };
    let body = compare(by, element, literal(value, base));
    Expr::boolean(ExprKind::Quantified(quantifier, collection, Box::new(body)))
}

/// An amount of money: `money(1250)` is 12.50.
pub fn money(cents: i64) -> Value {
    Value::Decimal(Decimal { unscaled: cents, scale: 2 })
}

/// A line of an item.
pub fn line(label: &str, quantity: i64, cents: i64) -> Row {
    Row(vec![Value::text(label), Value::Int(quantity), money(cents)].into())
}

/// A list of texts.
pub fn texts(items: &[&str]) -> Value {
    Value::List(items.iter().map(Value::text).collect())
}
