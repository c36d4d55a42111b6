//! The model that expressions are about: a thing has a field of every type, nullable and not, and every kind of relation.

use std::sync::Arc;

use fourfold_model::expr::{Compare, Expr, ExprKind, ExprType};
use fourfold_model::{
    Base, Claim, ClaimId, Entity, EntityId, EnumId, EnumType, EnumValue, Expose, Field, FieldId, Index, Member, Model, OnDelete, OwnedId,
    OwnedType, Package, Relation, RelationId, RelationKind, Rule, RuleClass, SharedModel, Type, Value, Verb,
};

/// What filters are about.
pub const THING: EntityId = EntityId(0);
/// Who owns things. A person whose `rank` is not at least 0 is hidden from all but the trusted.
pub const PERSON: EntityId = EntityId(1);
/// What things have.
pub const PART: EntityId = EntityId(2);

const STATE: Base = Base::Enum(EnumId(0));
const MONEY: Base = Base::Decimal { precision: 12, scale: 2 };
const FINE: Base = Base::Decimal { precision: 18, scale: 6 };
const WHOLE: Base = Base::Decimal { precision: 18, scale: 0 };

/// The model, anew at each call.
pub fn model() -> SharedModel {
    Arc::new(Model {
        package: Package { name: "agreement.v1".into(), base: "agreement".into(), version: "v1".into() },
        claims: vec![trusted()],
        enums: vec![states()],
        entities: vec![things(), people(), parts()],
        owned: vec![lines(), addresses()],
        fingerprint: 1,
        ..Model::default()
    })
}

/// The claim of the caller who makes the rows, and may refer to hidden ones.
fn trusted() -> Claim {
    Claim { name: "trusted".into(), ty: Type { base: Base::Boolean, nullable: true, list: false }, path: "trusted".into(), doc: None }
}

/// Columns are in another order than numbers, and not the names.
fn states() -> EnumType {
    let value = |number, name: &str, column: &str| EnumValue { name: name.into(), number, column: column.into(), doc: None };
    EnumType { name: "State".into(), doc: None, values: vec![value(1, "draft", "d"), value(2, "live", "l"), value(3, "archived", "a")] }
}

fn things() -> Entity {
    let mut fields = vec![field("id", Base::Uuid), field("revision", Base::BigInt)];
    fields.extend(thing_scalars());
    fields.extend([
        list("tags", Base::String),
        list("flags", Base::Boolean),
        list("numbers", Base::Int),
        list("vasts", Base::BigInt),
        list("marks", Base::Float),
        list("prices", MONEY),
        list("times", Base::DateTime),
        list("days", Base::Date),
        list("codes", Base::Uuid),
        list("states", STATE),
        list("lines", Base::Owned(OwnedId(0))),
        masked(list("retreats", Base::Owned(OwnedId(1)))),
    ]);
    let (owner, parent) = (fields.len() as u16, fields.len() as u16 + 1);
    fields.extend([column("owner_id", Base::String, 0), column("parent_id", Base::Uuid, 1)]);
    let relations = vec![
        one("owner", PERSON, owner),
        one("parent", THING, parent),
        many("children", THING, 1, parent),
        // `thing_id` is the seventh field of a part.
        many("parts", PART, 0, 7),
    ];
    let indexed = ["note", "count", "price", "mood", "maybe"].map(|name| slot(&fields, name));
    let indexes = indexed.into_iter().chain([owner, parent]).map(|slot| Index { fields: vec![(FieldId(slot), false)] }).collect();
    Entity { indexes, ..entity("Thing", 1, fields, relations, Expr::truth()) }
}

/// A required and a nullable field of each type.
fn thing_scalars() -> Vec<Field> {
    vec![
        field("text", Base::String),
        nullable(field("note", Base::String)),
        field("flag", Base::Boolean),
        nullable(field("maybe", Base::Boolean)),
        field("small", Base::Int),
        nullable(field("count", Base::Int)),
        field("big", Base::BigInt),
        nullable(field("vast", Base::BigInt)),
        field("score", Base::Float),
        nullable(field("ratio", Base::Float)),
        field("price", MONEY),
        nullable(field("discount", MONEY)),
        nullable(field("fine", FINE)),
        nullable(field("whole", WHOLE)),
        field("at", Base::DateTime),
        nullable(field("until", Base::DateTime)),
        field("day", Base::Date),
        nullable(field("last_day", Base::Date)),
        field("code", Base::Uuid),
        nullable(field("other_code", Base::Uuid)),
        field("state", STATE),
        nullable(field("mood", STATE)),
        masked(nullable(field("hidden", Base::Int))),
    ]
}

/// Readable where `flag`, field 4 of a thing, is true.
fn masked(mut field: Field) -> Field {
    field.read_rule = Some(Expr::field(FieldId(4), ExprType::BOOLEAN));
    field
}

fn people() -> Entity {
    let fields = vec![
        field("id", Base::String),
        field("revision", Base::BigInt),
        field("name", Base::String),
        nullable(field("rank", Base::Int)),
        nullable(field("alive", Base::Boolean)),
        nullable(field("born", Base::Date)),
        nullable(field("worth", WHOLE)),
        nullable(field("weight", Base::Float)),
        nullable(field("mood", STATE)),
        list("labels", Base::String),
        list("addresses", Base::Owned(OwnedId(1))),
    ];
    let zero = Expr { kind: ExprKind::Literal(Value::Int(0)), ty: ExprType::one(Base::Int) };
    let rank = Expr::field(FieldId(3), ExprType::one(Base::Int));
    let ranked = Expr::boolean(ExprKind::Compare(Compare::GreaterOrEqual, Box::new(rank), Box::new(zero)));
    let trusted = Expr::boolean(ExprKind::Claim(ClaimId(0)));
    let owner_id = slot(&things().fields, "owner_id");
    entity("Person", 2, fields, vec![many("things", THING, 0, owner_id)], Expr::boolean(ExprKind::Or(vec![trusted, ranked])))
}

fn parts() -> Entity {
    let fields = vec![
        field("id", Base::BigInt),
        field("revision", Base::BigInt),
        nullable(field("label", Base::String)),
        field("quantity", Base::Int),
        nullable(field("weight", Base::Float)),
        nullable(field("price", MONEY)),
        nullable(field("made", Base::DateTime)),
        column("thing_id", Base::Uuid, 0),
        column("maker_id", Base::String, 1),
    ];
    let indexes = vec![Index { fields: vec![(FieldId(7), false)] }];
    let relations = vec![one("thing", THING, 7), one("maker", PERSON, 8)];
    Entity { indexes, ..entity("Part", 3, fields, relations, Expr::truth()) }
}

fn lines() -> OwnedType {
    let fields = vec![
        nullable(field("label", Base::String)),
        field("quantity", Base::Int),
        nullable(field("amount", MONEY)),
        nullable(field("weight", Base::Float)),
        nullable(field("kind", STATE)),
        list("words", Base::String),
        column("person_id", Base::String, 0),
    ];
    owned("Line", 4, fields, vec![one("person", PERSON, 6)])
}

fn addresses() -> OwnedType {
    owned("Address", 5, vec![field("city", Base::String), nullable(field("zip", Base::Int)), list("floors", Base::Int)], Vec::new())
}

fn owned(name: &str, number: u32, fields: Vec<Field>, relations: Vec<Relation>) -> OwnedType {
    OwnedType { name: name.into(), doc: None, number, table: name.to_lowercase().into(), fields: numbered(fields), relations }
}

fn entity(name: &str, number: u32, fields: Vec<Field>, relations: Vec<Relation>, read: Expr) -> Entity {
    let fields = numbered(fields);
    let members = (0..fields.len()).map(|slot| Member::Field(FieldId(slot as u16))).collect();
    let rule = |verbs: &[Verb], expr| Rule { verbs: verbs.to_vec(), expr, fields: None, text: "a rule".into(), line: 1 };
    Entity {
        name: name.into(),
        snake: name.to_lowercase().into(),
        plural: format!("{}s", name.to_lowercase()).into(),
        table: name.to_lowercase().into(),
        number,
        doc: None,
        field_names: fields.iter().enumerate().map(|(slot, field)| (field.name.clone(), FieldId(slot as u16))).collect(),
        relation_names: relations.iter().enumerate().map(|(slot, one)| (one.name.clone(), RelationId(slot as u16))).collect(),
        members,
        fields,
        relations,
        rules: vec![rule(&[Verb::Read], read), rule(&[Verb::Create, Verb::Update, Verb::Delete], Expr::truth())],
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

fn numbered(fields: Vec<Field>) -> Vec<Field> {
    fields.into_iter().zip(1..).map(|(field, number)| Field { number, ..field }).collect()
}

fn slot(fields: &[Field], name: &str) -> u16 {
    fields.iter().position(|field| field.name == name).expect("a field of this name") as u16
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
        readonly: name == "revision",
        once: name == "id",
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

fn list(name: &str, base: Base) -> Field {
    let ty = Type { base, nullable: false, list: true };
    Field { ty, ..field(name, base) }
}

fn column(name: &str, base: Base, relation: u16) -> Field {
    Field { relation: Some(RelationId(relation)), ..nullable(field(name, base)) }
}

fn one(name: &str, target: EntityId, field: u16) -> Relation {
    let kind = RelationKind::One { field: FieldId(field), on_delete: OnDelete::Null };
    Relation { name: name.into(), number: 100, doc: None, target, kind }
}

fn many(name: &str, target: EntityId, inverse: u16, field: u16) -> Relation {
    let kind = RelationKind::Many { inverse: RelationId(inverse), field: FieldId(field) };
    Relation { name: name.into(), number: 101, doc: None, target, kind }
}
