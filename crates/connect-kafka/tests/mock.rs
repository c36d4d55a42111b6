//! The sink against librdkafka's own mock cluster: brokers that are away, and that refuse.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fourfold_connect::event::EntityName;
use fourfold_connect::{DeadLetter, Delivery, Sink, SinkError};
use fourfold_connect_kafka::{KafkaSettings, KafkaSink, Security, Tls};
use fourfold_op::Position;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

const TOPIC: &str = "shop.order";
const LETTERS: &str = "shop.dead";
const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
    cluster.create_topic(LETTERS, 1, 1).unwrap();
    cluster
}

fn sink(cluster: &Cluster, deliver_timeout: Duration) -> KafkaSink {
    KafkaSink::open(KafkaSettings {
        brokers: vec![cluster.bootstrap_servers()],
        topic: None,
        dead_letter_topic: Some(LETTERS.into()),
        compression: "lz4".into(),
        linger: Duration::from_millis(5),
        message_bytes_max: 10_000,
        deliver_timeout,
        security: Security { protocol: "plaintext".into(), tls: Tls::default(), sasl: None },
    })
    .unwrap()
}

/// Events 1 to `count` of ten keys; every seventh is of a row that left.
fn batch(count: u64) -> Vec<Delivery> {
    let entity = Arc::new(EntityName { name: "Order".into(), topic: TOPIC.into() });
    let one = |number: u64| Delivery {
        position: Position(NonZeroU64::new(number).unwrap()),
        entity: Arc::clone(&entity),
        key: (number % 10).to_string(),
        id: format!("k3f9.{number}"),
        kind: "shop.v1.Order.updated".into(),
        source: "/shop.v1".into(),
        time: "2026-11-22T00:00:00.000000Z".into(),
        body: (!number.is_multiple_of(7)).then(|| Bytes::from(format!("{{\"specversion\":\"1.0\",\"sequence\":\"{number}\"}}"))),
    };
    (1..=count).map(one).collect()
}

struct Read {
    key: String,
    number: u64,
    value: Option<Vec<u8>>,
    headers: HashMap<String, String>,
}

/// Everything that a topic holds, each partition in its order.
fn read(cluster: &Cluster, topic: &str, partitions: i32) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "test")
        .set("enable.partition.eof", "false")
        .create()
        .unwrap();
    let mut read = Vec::new();
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(30)).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(low)).unwrap();
        consumer.assign(&list).unwrap();
        let (mut next, begun) = (low, Instant::now());
        while next < high {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {topic} {partition} {next}");
            // It also returns where it has nothing but something else has happened.
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.unwrap();
            next = message.offset() + 1;
            read.push(one(&message));
        }
    }
    read
}

fn one(message: &impl Message) -> Read {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let headers: HashMap<_, _> = message.headers().unwrap().iter().map(|header| (header.key.to_owned(), text(header.value))).collect();
    Read {
        key: text(message.key()),
        number: headers["ce_sequence"].parse().unwrap(),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}

/// Everything is there, and nothing of a key comes for the first time after something later of it.
fn complete_and_in_order(read: &[Read], count: u64, but: &[u64]) {
    let mut first = HashMap::<&str, Vec<u64>>::new();
    for one in read {
        let seen = first.entry(&one.key).or_default();
        if !seen.contains(&one.number) {
            seen.push(one.number);
        }
    }
    for (key, numbers) in &first {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
    let mut all: Vec<u64> = first.into_values().flatten().collect();
    all.sort_unstable();
    let expected: Vec<u64> = (1..=count).filter(|number| !but.contains(number)).collect();
    assert_eq!(all, expected);
}

fn position(number: u64) -> Position {
    Position(NonZeroU64::new(number).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_confirmed_whole_with_its_attributes_as_headers() {
    let cluster = cluster();
    let mut sink = sink(&cluster, Duration::from_secs(30));
    assert_eq!(sink.deliver(&batch(500)).await, Ok(position(500)));
    let read = read(&cluster, TOPIC, PARTITIONS);
    assert_eq!(read.len(), 500);
    complete_and_in_order(&read, 500, &[]);
    let of = |number: u64| read.iter().find(|one| one.number == number).unwrap();
    assert_eq!((of(7).key.as_str(), &of(7).value), ("Order/7", &None), "a row that left has no value");
    assert!(!of(7).headers.contains_key("content-type"));
    assert_eq!(of(8).value.as_deref(), Some(br#"{"specversion":"1.0","sequence":"8"}"#.as_slice()));
    for (name, value) in [
        ("content-type", "application/cloudevents+json; charset=UTF-8"),
        ("ce_specversion", "1.0"),
        ("ce_id", "k3f9.8"),
        ("ce_source", "/shop.v1"),
        ("ce_type", "shop.v1.Order.updated"),
        ("ce_subject", "8"),
        ("ce_time", "2026-11-22T00:00:00.000000Z"),
    ] {
        assert_eq!(of(8).headers.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told_in_time_and_what_was_not_confirmed_is_sent_again() {
    let cluster = cluster();
    let mut sink = sink(&cluster, Duration::from_secs(2));
    assert_eq!(sink.deliver(&batch(100)).await, Ok(position(100)));
    cluster.broker_down(-1).unwrap();
    let all = batch(300);
    let away = sink.deliver(&all[100..]).await;
    let Err(SinkError::Temporary { delivered: None, why }) = away else { panic!("{away:?}") };
    assert!(why.starts_with("the brokers did not confirm within 2 s"), "{why}");
    cluster.broker_up(-1).unwrap();
    assert_eq!(sink.deliver(&all[100..]).await, Ok(position(300)));
    complete_and_in_order(&read(&cluster, TOPIC, PARTITIONS), 300, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass_are_retried_without_a_change_of_order() {
    let cluster = cluster();
    let mut sink = sink(&cluster, Duration::from_secs(30));
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as TOO_FEW, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as MOVED,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as LATE,
    };
    cluster.request_errors(RDKafkaApiKey::Produce, &[TOO_FEW, MOVED, LATE, TOO_FEW]);
    // More than one request of each partition is under way at once.
    assert_eq!(sink.deliver(&batch(4_000)).await, Ok(position(4_000)));
    complete_and_in_order(&read(&cluster, TOPIC, PARTITIONS), 4_000, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_refuses_for_good_does_not_let_later_events_overtake_it() {
    let cluster = cluster();
    let mut sink = sink(&cluster, Duration::from_secs(30));
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    // The first request fails with all that is in it, though none of it is bad: alone, each goes.
    assert_eq!(sink.deliver(&batch(40)).await, Ok(position(40)));
    complete_and_in_order(&read(&cluster, TOPIC, PARTITIONS), 40, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_is_named_and_goes_to_the_dead_letters() {
    let cluster = cluster();
    let mut sink = sink(&cluster, Duration::from_secs(30));
    let mut all = batch(30);
    let bad = 12;
    all[bad].body = Some(Bytes::from(format!("{{\"pad\":\"{}\"}}", "x".repeat(20_000))));
    let refused = sink.deliver(&all).await;
    let Err(SinkError::ForGood { delivered, position: refused, why }) = refused else { panic!("{refused:?}") };
    assert_eq!((delivered, refused), (Some(position(12)), position(13)));
    assert_eq!(sink.bury(DeadLetter { sink: "orders", delivery: &all[bad], why: &why }).await, Ok(()));
    assert_eq!(sink.deliver(&all[bad + 1..]).await, Ok(position(30)));
    complete_and_in_order(&read(&cluster, TOPIC, PARTITIONS), 30, &[13]);
    let letters = read(&cluster, LETTERS, 1);
    let [letter] = letters.as_slice() else { panic!("{} letters", letters.len()) };
    let value: serde_json::Value = serde_json::from_slice(letter.value.as_deref().unwrap()).unwrap();
    assert_eq!((letter.key.as_str(), &value["id"], &value["event_bytes"]), ("Order/3", &"k3f9.13".into(), &20_010.into()));
    assert_eq!((letter.headers["fourfold_sink"].as_str(), letter.headers["fourfold_reason"].as_str()), ("orders", why.as_str()));
    // One that fits is there whole.
    assert_eq!(sink.bury(DeadLetter { sink: "orders", delivery: &all[0], why: "odd" }).await, Ok(()));
    let letters = read(&cluster, LETTERS, 1);
    let value: serde_json::Value = serde_json::from_slice(letters[1].value.as_deref().unwrap()).unwrap();
    assert_eq!((&value["event"]["sequence"], &value["reason"]), (&"1".into(), &"odd".into()));
}
