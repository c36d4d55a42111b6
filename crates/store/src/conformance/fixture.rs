//! The model that the suite runs on, and the words to ask it things in.

use std::sync::Arc;

use fourfold_model::expr::{Collection, Compare, Path, Quantifier, Scope};
use fourfold_model::{Base, Decimal, EntityId, Expr, ExprKind, ExprType, FieldId, Lock, RelationId, Row, SharedModel, Value};

/// A person: everybody may read and write it; the phone is for itself and admins.
pub const PERSON: EntityId = EntityId(0);
/// An item: read when it is live, one's own, or by admins; written by its owner and admins.
pub const ITEM: EntityId = EntityId(1);
/// An entry of a guest book, with a counter as its key; nobody may delete it.
pub const ENTRY: EntityId = EntityId(2);
/// What a caller says of itself: its key is the caller.
pub const PROFILE: EntityId = EntityId(3);

/// The fields of a person.
#[allow(missing_docs)]
pub mod person {
    use super::FieldId;
    pub const NAME: FieldId = FieldId(2);
    pub const EMAIL: FieldId = FieldId(3);
    pub const PHONE: FieldId = FieldId(4);
}

/// The fields of a profile.
#[allow(missing_docs)]
pub mod profile {
    use super::FieldId;
    pub const TEXT: FieldId = FieldId(2);
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
/// The states of an item by number.
pub const DRAFT: Value = Value::Enum(1);
/// See [`DRAFT`].
pub const LIVE: Value = Value::Enum(2);
/// See [`DRAFT`].
pub const ARCHIVED: Value = Value::Enum(3);

/// The model, read from `fixture.fourfold`.
///
/// # Panics
/// When that file has errors.
#[allow(clippy::panic, reason = "a fixture of tests")]
pub fn model() -> SharedModel {
    match fourfold_model::load(include_str!("fixture.fourfold"), &Lock::default()) {
        Ok(loaded) => Arc::new(loaded.model),
        Err(errors) => panic!("fixture.fourfold: {errors:?}"),
    }
}

/// The fixture's model with an entity more.
pub fn grown() -> SharedModel {
    let text = include_str!("fixture.fourfold");
    let first = fourfold_model::load(text, &Lock::default()).expect("the fixture");
    let more = format!("{text}\nentity Later {{\n  id Uuid @key @default(uuid7())\n  @@allow(read, true)\n}}\n");
    Arc::new(fourfold_model::load(&more, &first.lock).expect("the fixture, grown").model)
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
