//! `[[source]]`: what brings rows in, one section each.

use std::time::Duration;

use fourfold_connect::{Begin, KeyFrom, Mode, SourcePace};
use serde_json::{Map, Value as Json};

use super::kafka::{Cluster, SECURITY, cluster};
use super::section::{self, BACKOFF, CLAIMS, NAME, SectionTexts};
use super::setting::{Kind, Setting, setting};

/// Every setting of a source, in the order in which they are shown. From `brokers` on they are those of Kafka.
pub const SOURCE_SETTINGS: &[Setting] = &[
    NAME,
    setting("kind", "", Kind::OneOf(&["kafka"]), "", "what it reads"),
    setting("entity", "", Kind::Text, "", "the entity that it feeds, as the model names it"),
    setting(
        "mode",
        "upsert",
        Kind::OneOf(&["create", "update", "upsert", "merge", "delete"]),
        "",
        "what a message does: its value is a new row, what changes, the whole row, what changes or a new row, or names a row that goes",
    ),
    setting(
        "key",
        "value",
        Kind::OneOf(&["value", "message"]),
        "",
        "where the row's key stands: in the value, or as text in the key of the message; of a message without a value always there",
    ),
    setting("key_prefix", "", Kind::Text, "", "what stands before it in the key of the message, such as `Order/`"),
    CLAIMS,
    setting(
        "begin",
        "first",
        Kind::OneOf(&["first", "now"]),
        "",
        "where it begins the first time: with the oldest message that the topic has, or with what comes",
    ),
    setting("batch_rows_max", "500", Kind::Number, "messages", "messages of one commit"),
    setting("batch_bytes_max", "1MiB", Kind::Size, "", "the keys and values of those; one message may be more"),
    BACKOFF[0],
    BACKOFF[1],
    setting("brokers", "", Kind::List, "", "the addresses to begin with, `HOST:PORT`"),
    setting("topic", "", Kind::Text, "", "the topic that it reads; how far it came is kept for each of its partitions"),
    setting("group", "", Kind::Text, "", "the consumer group whose members share the partitions; unset: `fourfold.NAME`"),
    setting(
        "dead_letter_topic",
        "",
        Kind::Text,
        "",
        "where messages go that are refused for good; unset: the source waits at the first of them",
    ),
    setting("message_bytes_max", "1MiB", Kind::Size, "", "the largest dead letter; a larger one goes without its value"),
    setting("deliver_timeout", "30s", Kind::Duration, "", "how long the brokers may take to confirm a dead letter"),
    setting(
        "session_timeout",
        "10s",
        Kind::Duration,
        "",
        "after how long without a sign of life the group gives the partitions of a node to others",
    ),
    SECURITY[0],
    SECURITY[1],
    SECURITY[2],
    SECURITY[3],
    SECURITY[4],
    SECURITY[5],
    SECURITY[6],
];

/// A source, typed.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// The entity that it feeds.
    pub entity: String,
    /// What a message does.
    pub mode: Mode,
    /// Where the row's key stands.
    pub key: KeyFrom,
    /// What stands before it in the key of the message.
    pub key_prefix: String,
    /// Who it is.
    pub claims: Map<String, Json>,
    /// Where it begins the first time.
    pub begin: Begin,
    /// How fast it goes.
    pub pace: SourcePace,
    /// What it reads.
    pub origin: SourceOrigin,
}

/// What a source reads.
#[derive(Clone, Debug)]
pub enum SourceOrigin {
    /// A topic of a Kafka cluster.
    Kafka(KafkaSourceConfig),
}

impl SourceOrigin {
    /// The kind's name.
    pub fn kind(&self) -> &'static str {
        match self {
            SourceOrigin::Kafka(_) => "kafka",
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        match self {
            SourceOrigin::Kafka(kafka) => &kafka.topic,
        }
    }
}

/// Settings of a Kafka cluster, and of what is read from it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is described in SOURCE_SETTINGS, under its own name")]
pub struct KafkaSourceConfig {
    pub cluster: Cluster,
    pub topic: String,
    pub group: String,
    pub dead_letter_topic: Option<String>,
    pub message_bytes_max: usize,
    pub deliver_timeout: Duration,
    pub session_timeout: Duration,
}

/// Types the sections; their texts are valid one by one already.
pub(super) fn typed(texts: &super::Texts, errors: &mut Vec<String>) -> Vec<SourceConfig> {
    section::typed(&texts.sources, "sources", |source| one(texts, source), errors)
}

fn one(texts: &super::Texts, source: &SectionTexts) -> Result<SourceConfig, String> {
    let name = source.name("source")?;
    let needs = |what: &str| Err(format!("the source `{name}` needs {what}"));
    let origin = match source.of("kind") {
        "kafka" => SourceOrigin::Kafka(kafka(texts, source, &name)?),
        _ => return needs("a `kind`: `kafka`"),
    };
    let entity = source.of("entity").to_owned();
    if entity.is_empty() {
        return needs("an `entity` of the model");
    }
    Ok(SourceConfig {
        entity,
        mode: mode(source.of("mode")),
        key: if source.of("key") == "message" { KeyFrom::Message } else { KeyFrom::Value },
        key_prefix: source.of("key_prefix").to_owned(),
        claims: source.claims(),
        begin: source.begin(),
        pace: SourcePace {
            batch_rows_max: source.count("batch_rows_max"),
            batch_bytes_max: source.bytes("batch_bytes_max").max(1),
            backoff_min: source.time("backoff_min"),
            backoff_max: source.time("backoff_max"),
            ..SourcePace::default()
        },
        origin,
        name,
    })
}

fn mode(text: &str) -> Mode {
    match text {
        "create" => Mode::Create,
        "update" => Mode::Update,
        "merge" => Mode::Merge,
        "delete" => Mode::Delete,
        _ => Mode::Upsert,
    }
}

fn kafka(texts: &super::Texts, source: &SectionTexts, name: &str) -> Result<KafkaSourceConfig, String> {
    let topic = source.of("topic").to_owned();
    let kafka = KafkaSourceConfig {
        cluster: cluster(&texts.folder, source, &format!("the source `{name}`"))?,
        group: source.optional("group").unwrap_or_else(|| format!("fourfold.{name}")),
        dead_letter_topic: source.optional("dead_letter_topic"),
        message_bytes_max: source.bytes("message_bytes_max"),
        deliver_timeout: source.time("deliver_timeout"),
        session_timeout: source.time("session_timeout"),
        topic,
    };
    match &kafka {
        _ if kafka.topic.is_empty() => Err(format!("the source `{name}` needs a `topic`")),
        // It would read its own letters, without end.
        _ if kafka.dead_letter_topic.as_ref() == Some(&kafka.topic) => {
            Err(format!("the source `{name}`: its `dead_letter_topic` is the `topic` that it reads; name another"))
        }
        _ => Ok(kafka),
    }
}
