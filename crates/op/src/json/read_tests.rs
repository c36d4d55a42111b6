//! What bodies become, and how they are refused.

use super::*;
use fourfold_model::EnumId;

fn model() -> Model {
    let text = r#"
        package shop.v1
        enum OrderState { cart }
        owned Line { quantity Int? price Decimal(6,2)? }
        entity Buyer { id Int @key }
        entity Order {
          id    Uuid          @key
          buyer Buyer?
          state OrderState?
          total Decimal(6,2)?
          tags  String[]
          lines Line[]
          data  Json?
          paid  Boolean?      @readonly
          count BigInt?
        }"#;
    fourfold_model::load(text, &fourfold_model::Lock::default()).unwrap().model
}

const ORDER: EntityId = EntityId(1);

fn read(body: &str) -> Result<Vec<(FieldId, Value)>, Error> {
    read_entity(&model(), ORDER, body.as_bytes(), &Limits::default())
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
    assert!(read_entity(&model(), ORDER, b"{\"tags\":[\"\xff\"]}", &Limits::default()).is_err());
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
        assert_eq!(reader.value(Type { base: Base::Enum(EnumId(0)), nullable: true, list: false }, text, "").is_some(), fits, "{text}");
    }
}
