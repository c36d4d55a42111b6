//! Rows and `changed` payloads come back from their bytes, and hostile bytes never panic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use bytes::Bytes;
use fourfold_model::{Base, Decimal, EntityId, EnumId, Field, FieldId, Lock, Model, OwnedId, Row, Value};
use fourfold_op::wire::{decode_changed, decode_row, decode_set, encode_changed, encode_row};
use proptest::prelude::*;

const BASES: [Base; 13] = [
    Base::String,
    Base::Boolean,
    Base::Int,
    Base::BigInt,
    Base::Float,
    Base::Decimal { precision: 12, scale: 2 },
    Base::DateTime,
    Base::Date,
    Base::Uuid,
    Base::Bytes,
    Base::Json,
    Base::Enum(EnumId(0)),
    Base::Owned(OwnedId(0)),
];

/// One field of each type, then a list of each, called by their numbers from `first`.
fn every_type(first: usize, owned: bool) -> String {
    let bases = || BASES.into_iter().filter(move |base| owned || !matches!(base, Base::Owned(_)));
    let single = bases().map(|base| format!("{}{}", name(base), if matches!(base, Base::Owned(_)) { "[]" } else { "?" }));
    let lists = bases().filter(|base| !matches!(base, Base::Owned(_) | Base::Json)).map(|base| format!("{}[]", name(base)));
    single.chain(lists).zip(first..).map(|(ty, number)| format!("  f{number} {ty}\n")).collect()
}

fn name(base: Base) -> String {
    match base {
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        Base::Enum(_) => "State".to_owned(),
        Base::Owned(_) => "Line".to_owned(),
        other => format!("{other:?}"),
    }
}

fn model() -> Model {
    let (line, thing) = (every_type(1, false), every_type(3, true));
    let text =
        format!("package shop.v1\nenum State {{ cart paid }}\nowned Line {{\n{line}}}\nentity Thing {{\n  id Uuid @key\n{thing}}}\n");
    fourfold_model::load(&text, &Lock::default()).unwrap().model
}

fn scalar(base: Base) -> BoxedStrategy<Value> {
    match base {
        Base::String => "[^\\x00]{0,30}".prop_map(Value::text).boxed(),
        Base::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Base::Int => any::<i32>().prop_map(|v| Value::Int(v.into())).boxed(),
        Base::BigInt => any::<i64>().prop_map(Value::Int).boxed(),
        Base::Float => (-1e300f64..1e300).prop_map(Value::Float).boxed(),
        Base::Decimal { scale, .. } => {
            (-999_999_999_999i64..=999_999_999_999).prop_map(move |unscaled| Value::Decimal(Decimal { unscaled, scale })).boxed()
        }
        Base::DateTime => (-62_135_596_800_000_000i64..253_402_300_800_000_000).prop_map(Value::DateTime).boxed(),
        Base::Date => (-719_162i32..=2_932_896).prop_map(Value::Date).boxed(),
        Base::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        Base::Bytes => any::<Vec<u8>>().prop_map(|v| Value::Bytes(Bytes::from(v))).boxed(),
        Base::Json => json(4).prop_map(|text| Value::Json(text.into())).boxed(),
        Base::Enum(_) => (1..=2i32).prop_map(Value::Enum).boxed(),
        Base::Owned(_) => unreachable!("an owned type stands in a list"),
    }
}

fn json(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        "[a-z ]{0,200}".prop_map(|s| format!("{s:?}"))
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let list = prop::collection::vec(json(depth - 1), 0..4).prop_map(|items| format!("[{}]", items.join(",")));
    let members = prop::collection::btree_map("[a-z]{1,5}", json(depth - 1), 0..4);
    let object =
        members.prop_map(|members| format!("{{{}}}", members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect::<Vec<_>>().join(",")));
    prop_oneof![leaf, list, object].boxed()
}

fn row(model: Arc<Model>, fields: Vec<Field>) -> BoxedStrategy<Row> {
    let values: Vec<BoxedStrategy<Value>> = fields.iter().map(|field| value(&model, field)).collect();
    values.prop_map(|values| Row(values.into())).boxed()
}

fn value(model: &Arc<Model>, field: &Field) -> BoxedStrategy<Value> {
    match field.ty.base {
        Base::Owned(id) => {
            let element = row(model.clone(), model.owned(id).fields.clone());
            prop::collection::vec(element, 0..3).prop_map(|rows| Value::Owned(rows.into())).boxed()
        }
        base if field.ty.list => prop::collection::vec(scalar(base), 0..20).prop_map(|values| Value::List(values.into())).boxed(),
        base => prop_oneof![1 => Just(Value::Null), 4 => scalar(base)].boxed(),
    }
}

fn any_row() -> BoxedStrategy<Row> {
    let model = Arc::new(model());
    let fields = model.entity(EntityId(0)).fields.clone();
    row(model, fields)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_comes_back_from_its_bytes(row in any_row()) {
        let model = model();
        let entity = model.entity(EntityId(0));
        let mut bytes = Vec::new();
        encode_row(&model, entity, &row, &mut bytes);
        prop_assert_eq!(&decode_row(&model, entity, &bytes).unwrap(), &row);
        let set = decode_set(&model, &entity.fields, &bytes).unwrap();
        for (id, value) in &set {
            prop_assert_eq!(value, row.value(*id));
        }
        let empty = |value: &Value| matches!(value, Value::List(v) if v.is_empty()) || matches!(value, Value::Owned(v) if v.is_empty());
        prop_assert_eq!(set.len(), row.0.iter().filter(|value| !value.is_null() && !empty(value)).count());
    }

    #[test]
    fn changed_fields_come_back_with_their_old_values(row in any_row(), picked in prop::collection::btree_set(0u16..27, 0..27)) {
        let model = model();
        let entity = model.entity(EntityId(0));
        let fields: Vec<FieldId> = picked.into_iter().filter(|index| usize::from(*index) < entity.fields.len()).map(FieldId).collect();
        let mut bytes = Vec::new();
        encode_changed(&model, entity, &fields, &row, &mut bytes);
        let changed = decode_changed(&model, entity, &bytes).unwrap();
        for (id, _) in entity.field_ids() {
            let expected = if fields.contains(&id) { row.value(id) } else { &Value::Null };
            prop_assert_eq!(changed.old.value(id), expected);
        }
        prop_assert_eq!(changed.fields, fields);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let model = model();
        let entity = model.entity(EntityId(0));
        let _ = decode_row(&model, entity, &bytes);
        let _ = decode_changed(&model, entity, &bytes);
        let _ = decode_set(&model, &entity.fields, &bytes);
    }

    #[test]
    fn broken_rows_never_panic(row in any_row(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let model = model();
        let entity = model.entity(EntityId(0));
        let mut bytes = Vec::new();
        encode_row(&model, entity, &row, &mut bytes);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        let _ = decode_row(&model, entity, &bytes);
        let _ = decode_set(&model, &entity.fields, &bytes);
    }
}

#[test]
fn a_number_of_a_removed_field_is_passed_over() {
    let model = model();
    let entity = model.entity(EntityId(0));
    let mut bytes = Vec::new();
    fourfold_op::wire::bytes::put_bytes(&mut bytes, 500, b"gone");
    fourfold_op::wire::bytes::put_number(&mut bytes, 501, 7);
    fourfold_op::wire::bytes::put_number(&mut bytes, 2, 9);
    assert_eq!(decode_row(&model, entity, &bytes).unwrap().revision(), 9);
}

#[test]
fn what_a_client_sends_is_checked_and_the_field_is_named() {
    let model = model();
    let entity = model.entity(EntityId(0));
    let number = |base: Base| entity.fields.iter().find(|field| field.ty.base == base && field.number > 2).unwrap().number;
    let refused = |base: Base, write: &dyn Fn(&mut Vec<u8>, u32)| {
        let mut bytes = Vec::new();
        write(&mut bytes, number(base));
        decode_set(&model, &entity.fields, &bytes).unwrap_err()
    };
    use fourfold_op::wire::bytes::{put_bytes, put_nested, put_number};
    assert_eq!(refused(Base::Uuid, &|out, n| put_bytes(out, n, b"x")).pointer, "/f11");
    assert_eq!(refused(Base::Enum(EnumId(0)), &|out, n| put_number(out, n, 3)).detail, "`3` is no value of `State`");
    assert!(refused(Base::String, &|out, n| put_bytes(out, n, b"a\0b")).detail.contains("NUL"));
    assert!(refused(Base::String, &|out, n| put_bytes(out, n, b"\xff")).detail.contains("UTF-8"));
    assert!(refused(Base::DateTime, &|out, n| put_nested(out, n, |out| put_number(out, 2, 1))).detail.contains("microseconds"));
    assert!(refused(Base::Decimal { precision: 12, scale: 2 }, &|out, n| put_bytes(out, n, b"1.234")).detail.contains("`1.234`"));
    assert!(refused(Base::Int, &|out, n| put_bytes(out, n, b"1")).detail.contains("type"));
    let in_line = refused(Base::Owned(OwnedId(0)), &|out, n| {
        put_nested(out, n, |_| {});
        put_nested(out, n, |out| put_bytes(out, 8, b"2026-02-30"));
    });
    assert_eq!(in_line.pointer, "/f15/1/f8");
}
