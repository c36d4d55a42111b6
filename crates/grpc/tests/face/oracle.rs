//! Our reader and writer of rows agree with another implementation of protobuf, and no bytes make the face panic.

use std::sync::Arc;

use fourfold_model::{Base, Decimal, EntityId, Field, Model, Row, Value};
use fourfold_op::wire::{decode_row, encode_row};
use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::DescriptorPool;

use super::shop;

fn value(base: Base) -> BoxedStrategy<Value> {
    match base {
        Base::String => "[^\\x00]{0,200}".prop_map(Value::text).boxed(),
        Base::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Base::Int => any::<i32>().prop_map(|number| Value::Int(number.into())).boxed(),
        Base::BigInt => any::<i64>().prop_map(Value::Int).boxed(),
        Base::Float => (-1e300f64..1e300).prop_map(Value::Float).boxed(),
        Base::Decimal { scale, .. } => {
            (-999_999_999_999i64..=999_999_999_999).prop_map(move |unscaled| Value::Decimal(Decimal { unscaled, scale })).boxed()
        }
        Base::DateTime => (-62_135_596_800_000_000i64..253_402_300_800_000_000).prop_map(Value::DateTime).boxed(),
        Base::Date => (-719_162i32..=2_932_896).prop_map(Value::Date).boxed(),
        Base::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        Base::Bytes => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        // One member an object: a protobuf map has no order that another implementation would keep.
        Base::Json => prop_oneof![Just("null"), Just("[1,2.5,[],\"x\"]"), Just("{\"a\":{\"b\":false}}")]
            .prop_map(|text| Value::Json(text.into()))
            .boxed(),
        Base::Enum(_) => (1..=2i32).prop_map(Value::Enum).boxed(),
        Base::Owned(_) => Just(Value::Null).boxed(),
    }
}

fn row(model: Arc<Model>, fields: &[Field]) -> BoxedStrategy<Row> {
    let slots: Vec<BoxedStrategy<Value>> = fields.iter().map(|field| slot(&model, field)).collect();
    slots.prop_map(|values| Row(values.into())).boxed()
}

fn slot(model: &Arc<Model>, field: &Field) -> BoxedStrategy<Value> {
    match field.ty.base {
        Base::Owned(id) => {
            let element = row(model.clone(), &model.owned(id).fields);
            prop::collection::vec(element, 0..4).prop_map(|rows| Value::Owned(rows.into())).boxed()
        }
        base if field.ty.list => prop::collection::vec(value(base), 0..6).prop_map(|values| Value::List(values.into())).boxed(),
        base => prop_oneof![1 => Just(Value::Null), 4 => value(base)].boxed(),
    }
}

fn album() -> BoxedStrategy<Row> {
    let model = Arc::new(shop::model());
    let fields = model.entity(EntityId(1)).fields.clone();
    row(model, &fields)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_implementation_reads_what_we_write_and_writes_what_we_read(row in album()) {
        let model = shop::model();
        let pool = DescriptorPool::decode(fourfold_grpc::descriptor_set(&model).as_slice()).unwrap();
        let entity = model.entity(EntityId(1));
        let mut ours = Vec::new();
        encode_row(&model, entity, &row, &mut ours);
        let theirs = shop::decode(pool.get_message_by_name("shop.v1.Album").unwrap(), &ours);
        for field in &entity.fields {
            let by_name = theirs.has_field_by_name(&field.name);
            let slot = entity.field_by_name(&field.name).unwrap();
            let empty = match row.value(slot) {
                Value::Null => true,
                Value::List(items) => items.is_empty(),
                Value::Owned(rows) => rows.is_empty(),
                _ => false,
            };
            prop_assert_eq!(by_name, !empty, "{}", field.name);
        }
        prop_assert_eq!(decode_row(&model, entity, &theirs.encode_to_vec()).unwrap(), row);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_makes_the_face_panic(
        message in prop_oneof![any::<Vec<u8>>(), album_request()],
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut message = message;
        if !message.is_empty() {
            let at = cut.index(message.len());
            message[at] = byte;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shop = shop::shop().await;
            for method in ["GetAlbum", "ListAlbums", "AggregateAlbums", "CreateAlbum", "UpdateAlbum", "UpsertAlbum", "DeleteAlbum", "BatchGetAlbums", "IngestAlbums"] {
                let _ = shop.raw(&format!("AlbumService/{method}"), shop::envelope(&message)).await;
                let request = http::Request::post(format!("/shop.v1.AlbumService/{method}")).header("content-type", "application/json");
                let _ = shop.http(request.body(shop::body(message.clone())).unwrap()).await;
            }
            let watch = http::Request::post("/shop.v1.AlbumService/WatchAlbums").header("content-type", "application/grpc");
            let _ = shop.grpc.serve(shop::context(), watch.body(shop::body(shop::envelope(&message))).unwrap()).await;
            let _ = shop.raw("BatchService/Batch", shop::envelope(&message)).await;
            let _ = shop.raw("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", shop::envelope(&message)).await;
        });
    }
}

fn album_request() -> BoxedStrategy<Vec<u8>> {
    let request = |row: Row| {
        let model = shop::model();
        let mut out = Vec::new();
        fourfold_op::wire::bytes::put_nested(&mut out, 1, |out| encode_row(&model, model.entity(EntityId(1)), &row, out));
        out
    };
    album().prop_map(request).boxed()
}
