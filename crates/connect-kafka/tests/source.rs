//! The source against librdkafka's own mock cluster: groups, brokers that are away, places that are gone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_connect::{Begin, ConnectorState, KeyFrom, Mode, OpenedSource, Reading, SourcePace, SourceSettings, Sources};
use fourfold_connect_kafka::{KafkaSource, KafkaSourceSettings, Security, Tls};
use fourfold_engine::{Engine, Move};
use fourfold_model::{EntityId, Lock};
use fourfold_op::{Claims, Context, Deadline, Limits, Principal, RequestId};
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Store};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};

const TOPIC: &str = "orders";
const LETTERS: &str = "dead";
const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const MODEL: &str = r#"
package shop.v1

entity Order {
  id     Int @key
  number Int
  @@allow(read, create, update, delete, true)
}
"#;

struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
    engine: Arc<Engine>,
}

impl World {
    async fn new() -> World {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        cluster.create_topic(LETTERS, 1, 1).unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        let store = Arc::new(MemoryStore::new());
        let loaded = fourfold_model::load(MODEL, &Lock::default());
        let model = Arc::new(loaded.map_err(|errors| format!("{errors:?}")).unwrap().model);
        let migration = store.migration(&model).await.unwrap();
        store.migrate(&model, migration).await.unwrap();
        let store: Arc<dyn Store> = store;
        World { cluster, producer, engine: Engine::new(store, model, 1, Limits::default()) }
    }

    /// Numbered rows of ten keys, dealt to the partitions by key.
    async fn produce(&self, numbers: std::ops::Range<i64>) {
        for number in numbers {
            let key = number % 10;
            self.send((key % i64::from(PARTITIONS)) as i32, &key.to_string(), &format!("{{\"id\":{key},\"number\":{number}}}")).await;
        }
    }

    async fn send(&self, partition: i32, key: &str, value: &str) {
        let headers = OwnedHeaders::new().insert(rdkafka::message::Header { key: "trace", value: Some("t1") });
        let record = FutureRecord::to(TOPIC).partition(partition).key(key).payload(value).headers(headers);
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    fn source(&self, dead_letter_topic: Option<&str>) -> Sources {
        let kafka = KafkaSource::open(KafkaSourceSettings {
            brokers: vec![self.cluster.bootstrap_servers()],
            topic: TOPIC.into(),
            group: "fourfold".into(),
            dead_letter_topic: dead_letter_topic.map(str::to_owned),
            message_bytes_max: 1_000,
            deliver_timeout: Duration::from_secs(30),
            session_timeout: Duration::from_secs(6),
            security: Security { protocol: "plaintext".into(), tls: Tls::default(), sasl: None },
        });
        let settings = SourceSettings {
            name: "in".into(),
            kind: "kafka".into(),
            topic: TOPIC.into(),
            reading: Reading { entity: EntityId(0), mode: Mode::Upsert, key: KeyFrom::Value, key_prefix: String::new() },
            principal: context().principal,
            begin: Begin::First,
            pace: SourcePace { backoff_max: Duration::from_millis(500), ..SourcePace::default() },
        };
        Sources::start(&self.engine, vec![OpenedSource { settings, source: Box::new(kafka.unwrap()) }])
    }

    async fn changes(&self) -> u64 {
        self.engine.log_ends().await.last.after
    }

    async fn taken(&self, changes: u64) {
        let begun = Instant::now();
        while self.changes().await < changes {
            assert!(begun.elapsed() < PATIENCE, "{} changes of {changes}", self.changes().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.changes().await, changes);
    }

    async fn place(&self, partition: i32) -> u64 {
        self.engine.place(&format!("in/{TOPIC}/{partition}")).await.unwrap().map_or(0, |place| place.next)
    }
}

fn context() -> Context {
    let principal = Arc::new(Principal { issuer: "source".into(), subject: "in".into(), claims: Claims::default() });
    Context { principal, deadline: Deadline(None), idempotency: None, request: RequestId("test".into()) }
}

async fn until(sources: &Sources, what: &str, holds: impl Fn(&fourfold_connect::SourceFigures) -> bool) {
    let begun = Instant::now();
    while !holds(&sources.figures()[0]) {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}: {:?}", sources.figures()[0]);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_feeds_an_entity_and_a_new_process_goes_on_where_the_rows_say() {
    let world = World::new().await;
    world.produce(0..200).await;
    let sources = world.source(None);
    world.taken(200).await;
    until(&sources, "it runs with nothing to do", |seen| {
        (seen.state, seen.lag_messages, seen.failures_total) == (ConnectorState::Running, 0, 0)
    })
    .await;
    sources.stop().await;
    world.produce(200..300).await;
    let sources = world.source(None);
    world.taken(300).await;
    assert_eq!(sources.figures()[0].taken_total, 100, "nothing comes again");
    sources.stop().await;
    assert_eq!(world.place(0).await + world.place(1).await + world.place(2).await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_group_share_the_partitions_and_each_message_counts_once() {
    let world = World::new().await;
    let first = world.source(None);
    world.produce(0..100).await;
    world.taken(100).await;
    let second = world.source(None);
    world.produce(100..400).await;
    world.taken(400).await;
    // The second one takes over what the first had.
    first.stop().await;
    world.produce(400..500).await;
    world.taken(500).await;
    second.stop().await;
    assert_eq!(first.figures()[0].taken_total + second.figures()[0].taken_total, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_waited_for() {
    let world = World::new().await;
    let sources = world.source(None);
    world.produce(0..50).await;
    world.taken(50).await;
    world.cluster.broker_down(-1).unwrap();
    until(&sources, "it says that it waits", |seen| seen.failures_total > 0).await;
    world.cluster.broker_up(-1).unwrap();
    world.produce(50..100).await;
    world.taken(100).await;
    until(&sources, "it runs again", |seen| seen.state == ConnectorState::Running).await;
    sources.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_refused_lies_in_the_dead_letters_with_where_and_why() {
    let world = World::new().await;
    world.produce(0..10).await;
    world.send(1, "k", "no json").await;
    world.send(1, "large", &format!("{{\"pad\":\"{}\"}}", "x".repeat(2_000))).await;
    world.produce(10..20).await;
    let sources = world.source(Some(LETTERS));
    world.taken(20).await;
    until(&sources, "both are buried", |seen| seen.dead_letters_total == 2).await;
    sources.stop().await;
    let letters = read_letters(&world);
    let (key, value, headers) = &letters[0];
    assert_eq!((key.as_str(), value.as_deref()), ("k", Some("no json")));
    let offset = headers["fourfold_offset"].clone();
    for (name, expected) in [
        ("trace", "t1"),
        ("fourfold_source", "in"),
        ("fourfold_code", "invalid_argument"),
        ("fourfold_topic", TOPIC),
        ("fourfold_partition", "1"),
        ("fourfold_offset", offset.as_str()),
    ] {
        assert_eq!(headers[name], expected, "{name}");
    }
    assert!(headers["fourfold_reason"].contains("not valid JSON"), "{headers:?}");
    let (key, value, headers) = &letters[1];
    assert_eq!((key.as_str(), value, headers["fourfold_value_bytes"].as_str()), ("large", &None, "2010"));
    assert!(headers["fourfold_reason"].contains("pad"), "{headers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_the_topic_does_not_have_is_lost_and_nothing_is_skipped() {
    let world = World::new().await;
    world.produce(0..50).await;
    let stream = format!("in/{TOPIC}/1");
    world.engine.take_in(&context(), &[], &[Move { stream: &stream, last: None, next: 5_000 }]).await.unwrap();
    let sources = world.source(None);
    until(&sources, "it is lost", |seen| seen.state == ConnectorState::Lost).await;
    assert!(sources.figures()[0].last_error.as_ref().unwrap().contains("no longer has, or never had"));
    sources.stop().await;
    assert_eq!(world.place(1).await, 5_000);
}

type Letter = (String, Option<String>, HashMap<String, String>);

fn read_letters(world: &World) -> Vec<Letter> {
    let servers = world.cluster.bootstrap_servers();
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", servers).set("group.id", "test").create().unwrap();
    let (_, high) = consumer.fetch_watermarks(LETTERS, 0, PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(LETTERS, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut letters, begun) = (Vec::new(), Instant::now());
    while letters.len() < high as usize {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for letters");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let headers = message.headers().unwrap().iter().map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect();
        letters.push((text(message.key().unwrap()), message.payload().map(text), headers));
    }
    letters
}
