//! `[[sink]]`: what carries events out, one section each.

use std::time::Duration;

use fourfold_connect::{Begin, Pace};
use serde_json::{Map, Value as Json};

use super::kafka::{Cluster, SECURITY, cluster};
use super::section::{self, BACKOFF, CLAIMS, NAME, SectionTexts};
use super::setting::{Kind, Setting, list, setting};

/// Every setting of a sink, in the order in which they are shown. From `brokers` on they are those of Kafka.
pub const SINK_SETTINGS: &[Setting] = &[
    NAME,
    setting("kind", "", Kind::OneOf(&["kafka"]), "", "what it delivers to"),
    setting("entities", "", Kind::List, "", "the entities that it is told of, as the model names them; unset: all that can be watched"),
    setting(
        "filter",
        "",
        Kind::Text,
        "",
        "which rows, as a condition in the model's language on the row's own fields; it must fit each of the entities",
    ),
    CLAIMS,
    setting(
        "begin",
        "first",
        Kind::OneOf(&["first", "now"]),
        "",
        "where it begins the first time: with the oldest event that the log has, or with what comes",
    ),
    setting(
        "batch_events_max",
        "1000",
        Kind::Number,
        "events",
        "events that are delivered at once; commits are read whole, so it may be more",
    ),
    setting("batch_bytes_max", "1MiB", Kind::Size, "", "the payloads of those, likewise"),
    BACKOFF[0],
    BACKOFF[1],
    setting("save_every", "1s", Kind::Duration, "", "how long what was delivered may be unsaved; that much comes again after a crash"),
    setting("brokers", "", Kind::List, "", "the addresses to begin with, `HOST:PORT`"),
    setting("topic", "", Kind::Text, "", "the topic of all its events; unset: one for each entity, such as `shop.order`"),
    setting(
        "dead_letter_topic",
        "",
        Kind::Text,
        "",
        "where events go that their topic refuses for good; unset: the sink waits at the first of them",
    ),
    setting("compression", "lz4", Kind::OneOf(&["none", "lz4", "snappy"]), "", "how batches are compressed"),
    setting("linger", "5ms", Kind::Duration, "", "how long a batch may wait to be filled"),
    setting("message_bytes_max", "1MiB", Kind::Size, "", "the largest event that is sent; a larger one is a dead letter"),
    setting(
        "deliver_timeout",
        "30s",
        Kind::Duration,
        "",
        "how long the brokers may take to confirm; then the producer is made anew, and what is not confirmed is sent again",
    ),
    SECURITY[0],
    SECURITY[1],
    SECURITY[2],
    SECURITY[3],
    SECURITY[4],
    SECURITY[5],
    SECURITY[6],
];

/// A sink, typed.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// Its name.
    pub name: String,
    /// The entities; empty: all that can be watched.
    pub entities: Vec<String>,
    /// Which rows.
    pub filter: Option<String>,
    /// Who it is.
    pub claims: Map<String, Json>,
    /// Where it begins the first time.
    pub begin: Begin,
    /// How fast it goes.
    pub pace: Pace,
    /// What it delivers to.
    pub target: SinkTarget,
}

/// What a sink delivers to.
#[derive(Clone, Debug)]
pub enum SinkTarget {
    /// A Kafka cluster.
    Kafka(KafkaConfig),
}

impl SinkTarget {
    /// The kind's name.
    pub fn kind(&self) -> &'static str {
        match self {
            SinkTarget::Kafka(_) => "kafka",
        }
    }
}

/// Settings of a Kafka cluster, and of what is sent to it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is described in SINK_SETTINGS, under its own name")]
pub struct KafkaConfig {
    pub cluster: Cluster,
    pub topic: Option<String>,
    pub dead_letter_topic: Option<String>,
    pub compression: String,
    pub linger: Duration,
    pub message_bytes_max: usize,
    pub deliver_timeout: Duration,
}

/// Types the sections; their texts are valid one by one already.
pub(super) fn typed(texts: &super::Texts, errors: &mut Vec<String>) -> Vec<SinkConfig> {
    section::typed(&texts.sinks, "sinks", |sink| one(texts, sink), errors)
}

fn one(texts: &super::Texts, sink: &SectionTexts) -> Result<SinkConfig, String> {
    let name = sink.name("sink")?;
    let target = match sink.of("kind") {
        "kafka" => SinkTarget::Kafka(kafka(texts, sink, &name)?),
        _ => return Err(format!("the sink `{name}` needs a `kind`: `kafka`")),
    };
    Ok(SinkConfig {
        name,
        entities: list(sink.of("entities")),
        filter: sink.optional("filter"),
        claims: sink.claims(),
        begin: sink.begin(),
        pace: Pace {
            batch_events_max: sink.count("batch_events_max"),
            batch_bytes_max: sink.bytes("batch_bytes_max").max(1),
            backoff_min: sink.time("backoff_min"),
            backoff_max: sink.time("backoff_max"),
            save_every: sink.time("save_every"),
            ..Pace::default()
        },
        target,
    })
}

fn kafka(texts: &super::Texts, sink: &SectionTexts, name: &str) -> Result<KafkaConfig, String> {
    Ok(KafkaConfig {
        cluster: cluster(&texts.folder, sink, &format!("the sink `{name}`"))?,
        topic: sink.optional("topic"),
        dead_letter_topic: sink.optional("dead_letter_topic"),
        compression: sink.of("compression").to_owned(),
        linger: sink.time("linger"),
        message_bytes_max: sink.bytes("message_bytes_max"),
        deliver_timeout: sink.time("deliver_timeout"),
    })
}
