//! Engines on nodes over one database: what is said in channels beside the log reaches all of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_engine::channel::nodes::NODE_LEASE;
use fourfold_engine::channel::{Join, Publishing};
use fourfold_engine::{ChannelSubscription, Closing, Engine, Told};
use fourfold_model::{FieldId, Lock, SharedModel, Value};
use fourfold_op::{Claims, Context, Deadline, Limits, Principal, RequestId};
use fourfold_store::{Maintain, Store};
use fourfold_store_postgres::{PostgresStore, testing};

/// What nobody waits for longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(60);

const MODEL: &str = r#"
package chat.v1

channel board(name: String) {
  @join(true)
  @publish(true)
  @history(100, 60s)
  presence { nick String }
  signal waving
}
"#;

struct Node {
    engine: Arc<Engine>,
    store: Arc<PostgresStore>,
    model: SharedModel,
}

impl Node {
    async fn new(url: &str) -> Node {
        let model = Arc::new(fourfold_model::load(MODEL, &Lock::default()).map_err(|errors| format!("{errors:?}")).unwrap().model);
        let store = PostgresStore::open_with(url, 4).await.unwrap();
        let migration = store.migration(&model).await.unwrap();
        store.migrate(&model, migration).await.unwrap();
        let served: Arc<dyn Store> = store.clone();
        Node { engine: Engine::new(served, model.clone(), 1, Limits::default()), store, model }
    }

    fn channel<'n>(&'n self, context: &'n Context) -> fourfold_engine::Channel<'n> {
        self.engine.channel(context, self.model.channel_by_name("board").unwrap(), Value::text("b")).unwrap()
    }

    async fn join(&self, nick: &str) -> ChannelSubscription {
        let presence = Some(vec![(FieldId(0), Value::text(nick))]);
        let join = Join { client: nick.into(), after: None, presence, notices: true, expires_at_us: None };
        self.channel(&anyone()).subscribe(&join).await.unwrap()
    }

    async fn publish(&self, data: &str) {
        self.channel(&anyone()).publish(&"writer".into(), Publishing::Free(data.into())).await.unwrap();
    }

    async fn present(&self) -> Vec<String> {
        let present = self.channel(&anyone()).presence().await.unwrap();
        present.iter().map(|present| present.client.id.to_string()).collect()
    }

    async fn until_present(&self, expected: &[&str]) {
        let begun = Instant::now();
        while self.present().await != expected {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.present().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn anyone() -> Context {
    let principal = Principal { issuer: "".into(), subject: "".into(), claims: Claims::default() };
    Context { principal: Arc::new(principal), deadline: Deadline(None), idempotency: None, request: RequestId("case".into()) }
}

async fn told(subscription: &mut ChannelSubscription) -> String {
    let told = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("something is told");
    match told.unwrap() {
        Told::Publication(publication) => publication.data.to_string(),
        Told::Signal(signal) => format!("{} of {}", signal.name, signal.by.id),
        Told::Joined(present) => format!("joined {}", present.client.id),
        Told::Left(present) => format!("left {}", present.client.id),
        Told::Row(row) => panic!("{row:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_signals_and_publications_of_any_length_cross_nodes() {
    let Some(server) = testing::server() else { return };
    let url = server.database();
    let (one, two) = (Node::new(&url).await, Node::new(&url).await);
    let mut hers = one.join("a").await;
    assert_eq!(told(&mut hers).await, "joined a");
    two.until_present(&["a"]).await;
    let his = two.join("b").await;
    assert_eq!(told(&mut hers).await, "joined b");
    two.channel(&anyone()).signal("b", "waving").unwrap();
    assert_eq!(told(&mut hers).await, "waving of b");
    // Beyond what one NOTIFY carries, with characters that PostgreSQL's texts cannot hold.
    for length in [1, 7_999, 8_000, 60_000] {
        let data = format!("\"{}\"", "ä\u{1}".repeat(length / 3));
        two.publish(&data).await;
        assert_eq!(told(&mut hers).await, data);
    }
    for number in 0..500 {
        two.publish(&number.to_string()).await;
    }
    for number in 0..500 {
        assert_eq!(told(&mut hers).await, number.to_string(), "in order, once");
    }
    drop(his);
    assert_eq!(told(&mut hers).await, "left b");
    one.until_present(&["a"]).await;
    // One that ends in order takes leave, and what it said last is heard.
    let _again = two.join("c").await;
    assert_eq!(told(&mut hers).await, "joined c");
    let begun = Instant::now();
    two.engine.close_watches(Closing::Drain);
    two.store.close().await;
    assert_eq!(told(&mut hers).await, "left c");
    assert!(begun.elapsed() < NODE_LEASE / 2);
}

#[test]
fn who_was_present_by_a_node_that_was_killed_is_gone_when_its_lease_ends() {
    let Some(server) = testing::server() else { return };
    let url = server.database();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ours, theirs) = (runtime(), runtime());
    let one = ours.block_on(Node::new(&url));
    let mut hers = ours.block_on(one.join("a"));
    let killed = theirs.block_on(async {
        let two = Node::new(&url).await;
        let his = two.join("b").await;
        two.until_present(&["a", "b"]).await;
        (two, his)
    });
    ours.block_on(async {
        assert_eq!((told(&mut hers).await, told(&mut hers).await), ("joined a".into(), "joined b".into()));
    });
    // Nothing of it runs any more, and nothing is said at the end.
    std::mem::forget(killed);
    theirs.shutdown_background();
    let begun = Instant::now();
    ours.block_on(async {
        assert_eq!(told(&mut hers).await, "left b");
        one.until_present(&["a"]).await;
    });
    assert!(begun.elapsed() < NODE_LEASE + Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_is_made_anew_and_what_was_said_meanwhile_arrives() {
    let Some(server) = testing::server() else { return };
    let url = server.database();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let (one, two) = (Node::new(&url).await, Node::new(&url).await);
    let mut hers = one.join("a").await;
    assert_eq!(told(&mut hers).await, "joined a");
    two.until_present(&["a"]).await;
    for round in 0..3 {
        two.publish(&format!("\"before {round}\"")).await;
        assert_eq!(told(&mut hers).await, format!("\"before {round}\""));
        // Both sessions of the bus: one may miss what the other says, and then begins anew.
        server.execute(
            &name,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE '%pg_notify(%piece%' AND pid <> pg_backend_pid()",
        );
        two.publish(&format!("\"after {round}\"")).await;
        loop {
            match tokio::time::timeout(PATIENCE, hers.next()).await.expect("it is told, or begins anew") {
                Ok(Told::Publication(publication)) => {
                    assert_eq!(&*publication.data, format!("\"after {round}\""));
                    break;
                }
                Ok(_) => {}
                // It missed something, and was told so.
                Err(_) => {
                    hers = one.join("a").await;
                    assert_eq!(told(&mut hers).await, "joined a");
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_database_that_is_away_is_bounded() {
    let Some(server) = testing::server() else { return };
    let store = PostgresStore::open_with(&server.database(), 1).await.unwrap();
    let bus = store.bus().unwrap();
    store.close().await;
    let text = "x".repeat(1 << 20);
    let refused = (0..5).find_map(|_| bus.send(text.clone()).err()).unwrap();
    assert_eq!(refused.code.name(), "overloaded");
    assert_eq!(bus.send(format!("{text}x")).unwrap_err().code.name(), "limit_exceeded");
}
