//! A page in the order of its keys is read through an index that has them in it: no more rows than the page has are looked at, and none is sorted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use fourfold_model::expr::Compare;
use fourfold_model::{Base, Expr, KEY, Value};
use fourfold_op::{Limits, List, Operand, Operation, OrderBy, Select, SelectKind};
use fourfold_plan::{Plan, prepare};
use fourfold_store::Maintain;
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{ITEM, column, compare, item, literal, model};
use fourfold_store::conformance::world::admin;
use fourfold_store::sql::{Dialect, fetch};
use fourfold_store_postgres::{PostgresStore, testing};

/// The text of a list in the order of its keys.
fn text(filter: Option<Expr>, descending: bool) -> String {
    let list =
        List { filter, order: vec![OrderBy { hops: Vec::new(), field: KEY, descending }], size: Some(Operand(0)), ..List::default() };
    let select = Select { entity: ITEM, kind: SelectKind::List(list), fields: vec![KEY], nested: Vec::new() };
    let prepared = prepare(&model(), 1, &Operation::Read(vec![select]), &Limits::default()).unwrap();
    let Ok(Plan::Read(plans)) = prepared.bind(&admin(), &[Value::Int(20)]) else { panic!("no plan of a read") };
    fetch(Dialect::Postgres, &model(), plans[0].fetch()).rows.text
}

#[tokio::test]
async fn a_list_in_the_order_of_its_keys_sorts_nothing() {
    let Some(server) = testing::server() else { return };
    let url = server.database();
    let store: Arc<dyn Maintain> = PostgresStore::open_with(&url, 2).await.unwrap();
    let world = World::new(store).await;
    for number in 1..=3 {
        world.item(number, "an item", Vec::new()).await;
    }
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // So few rows would be read whole, and sorted.
    client.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan").await.unwrap();
    let owned = || compare(Compare::Equal, column(item::OWNER, Base::Uuid), literal(Value::Uuid([1; 16]), Base::Uuid));
    for (filter, values, index, descending) in [
        (None, "20", "key:", false),
        (None, "20", "key:", true),
        (Some(owned()), "'01010101-0101-0101-0101-010101010101', 20", "index:", false),
        (Some(owned()), "'01010101-0101-0101-0101-010101010101', 20", "index:", true),
    ] {
        let text = text(filter, descending);
        let prepared = format!("DEALLOCATE ALL; PREPARE page AS {text}");
        client.batch_execute(&prepared).await.unwrap();
        let lines = client.query_typed(&format!("EXPLAIN EXECUTE page({values})"), &[]).await.unwrap();
        let plan: Vec<String> = lines.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().all(|line| !line.contains("Sort")), "{text}\n{plan:#?}");
        assert!(plan.iter().any(|line| line.contains(index)), "{text}\n{plan:#?}");
    }
}
