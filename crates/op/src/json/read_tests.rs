//! What bodies become, and how they are refused.

use super::*;
use fourfold_model::{Entity, EnumId, EnumType, EnumValue, OwnedId, OwnedType, RelationId};

fn ty(base: Base) -> Type {
    Type { base, nullable: true, list: false }
}

fn field(name: &str, ty: Type) -> Field {
    Field {
        name: name.into(),
        number: 0,
        column: name.into(),
        ty,
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

fn relation(name: &str) -> Relation {
    let kind = fourfold_model::RelationKind::One { field: FieldId(2), on_delete: fourfold_model::OnDelete::Restrict };
    Relation { name: name.into(), number: 0, doc: None, target: EntityId(0), kind }
}

fn model() -> Model {
    let price = Base::Decimal { precision: 6, scale: 2 };
    let state = EnumValue { name: "cart".into(), number: 1, column: "cart".into(), doc: None };
    let line = OwnedType {
        name: "Line".into(),
        doc: None,
        number: 2,
        table: "line".into(),
        fields: vec![field("quantity", ty(Base::Int)), field("price", ty(price))],
        relations: Vec::new(),
    };
    let fields = vec![
        field("id", ty(Base::Uuid)),
        field("revision", ty(Base::BigInt)),
        Field { relation: Some(RelationId(0)), ..field("buyer_id", ty(Base::Int)) },
        field("state", ty(Base::Enum(EnumId(0)))),
        field("total", ty(price)),
        field("tags", Type { base: Base::String, nullable: false, list: true }),
        field("lines", Type { base: Base::Owned(OwnedId(0)), nullable: false, list: true }),
        field("data", ty(Base::Json)),
        Field { readonly: true, ..field("paid", ty(Base::Boolean)) },
        field("count", ty(Base::BigInt)),
    ];
    let mut model = Model::default();
    model.enums.push(EnumType { name: "OrderState".into(), doc: None, values: vec![state] });
    model.owned.push(line);
    model.entities.push(entity(fields));
    model
}

fn entity(fields: Vec<Field>) -> Entity {
    Entity {
        name: "Order".into(),
        snake: "order".into(),
        plural: "orders".into(),
        table: "order".into(),
        number: 1,
        doc: None,
        fields,
        relations: vec![relation("buyer")],
        members: Vec::new(),
        rules: Vec::new(),
        indexes: Vec::new(),
        uniques: Vec::new(),
        cache: None,
        require_revision: false,
        internal: false,
        readonly: false,
        retain: None,
        watch: true,
        expose: fourfold_model::Expose { rest: true, graphql: true, grpc: true, websocket: true },
        before: Vec::new(),
        class: fourfold_model::RuleClass::Local,
        reserved: Vec::new(),
        field_names: Default::default(),
        relation_names: Default::default(),
    }
}

fn read(body: &str) -> Result<Vec<(FieldId, Value)>, Error> {
    read_entity(&model(), EntityId(0), body.as_bytes(), &Limits::default())
}

fn refusals(body: &str) -> Vec<(String, String)> {
    read(body).unwrap_err().public.errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
}

#[test]
fn a_body_becomes_typed_members_in_model_order() {
    let set = read(
        r#"{"count": 9007199254740992, "data": { "a" : [ 1, "b c" ] }, "total": "12.5", "buyer_id": 794.0, "state": "cart",
                "tags": ["a\u0062"], "lines": [{"quantity": 8e1, "price": null}]}"#,
    );
    let line = Row([Value::Int(80), Value::Null].into());
    let expected = vec![
        (FieldId(2), Value::Int(794)),
        (FieldId(3), Value::Enum(1)),
        (FieldId(4), Value::Decimal(fourfold_model::Decimal { unscaled: 1250, scale: 2 })),
        (FieldId(5), Value::List([Value::text("ab")].into())),
        (FieldId(6), Value::Owned([line].into())),
        (FieldId(7), Value::Json(r#"{"a":[1,"b c"]}"#.into())),
        (FieldId(9), Value::Int(9_007_199_254_740_992)),
    ];
    assert_eq!(set.unwrap(), expected);
}

#[test]
fn every_wrong_member_is_named_at_once() {
    let body = r#"{"buyer_id": "794", "buyer": 1, "totl": 1, "total": 12.5, "state": "crat", "lines": [{"quantity": false}], "tags": [null],
            "revision": 1, "paid": true, "a/b": 1, "data": 1, "data": 2, "count": 9007199254740993}"#;
    let expected = [
        ("/buyer_id", "expected a whole number, found a string"),
        ("/buyer", "`buyer` is written as `buyer_id`, the key of the row it leads to"),
        ("/totl", "unknown member `totl` of `Order`; did you mean `total`?"),
        ("/total", "expected a decimal as a string, such as \"0.00\", found a number"),
        ("/state", "`crat` is not a value of `OrderState`; did you mean `cart`?"),
        ("/lines/0/quantity", "expected a whole number, found a boolean"),
        ("/tags/0", "an element of a list cannot be null"),
        ("/revision", "`revision` is kept by the server; say which one you mean by If-Match or if_revision"),
        ("/paid", "`paid` is read-only; actions alone change it"),
        ("/a~1b", "unknown member `a/b` of `Order`"),
        ("/data", "`data` is given twice"),
        ("/count", "`9007199254740993` is above 2^53, where JSON numbers lose digits; send it as the string \"9007199254740993\""),
    ];
    assert_eq!(refusals(body), expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
}

#[test]
fn broken_texts_are_refused_whole() {
    for body in ["", "[]", "{", "{\"id\":}", "{\"data\":\"\\ud800\"}", "null", "{\"tags\":{}}", "{\"lines\":[1]}"] {
        assert_eq!(read(body).unwrap_err().code, crate::ErrorCode::InvalidArgument, "{body}");
    }
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(64), "]".repeat(64));
    assert_eq!(read(&deep).unwrap_err().code, crate::ErrorCode::LimitExceeded);
    assert!(read_entity(&model(), EntityId(0), b"{\"tags\":[\"\xff\"]}", &Limits::default()).is_err());
}

#[test]
fn proto_json_takes_its_own_enum_names_too() {
    let (model, limits) = (model(), Limits::default());
    for (text, dialect, fits) in [
        (r#""ORDER_STATE_CART""#, Dialect::Proto, true),
        (r#""cart""#, Dialect::Proto, true),
        ("1", Dialect::Proto, true),
        ("2", Dialect::Proto, false),
        ("1", Dialect::Plain, false),
        (r#""ORDER_STATE_CART""#, Dialect::Plain, false),
    ] {
        let mut reader = Reader::new(&model, &limits, dialect);
        assert_eq!(reader.value(ty(Base::Enum(EnumId(0))), text, "").is_some(), fits, "{text}");
    }
}
