//! `[[sink]]`: what carries events out, one section each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fourfold_connect::{Begin, Pace};
use serde_json::{Map, Value as Json};

use super::setting::{Kind, Setting, duration, list, setting, size};

/// Every setting of a sink, in the order in which they are shown. From `brokers` on they are those of Kafka.
pub const SINK_SETTINGS: &[Setting] = &[
    setting(
        "name",
        "",
        Kind::Text,
        "",
        "its name, in metrics and messages; how far it came is kept under it, so a new name begins anew; lower case, digits, `_` and `-`",
    ),
    setting("kind", "", Kind::OneOf(&["kafka"]), "", "what it delivers to"),
    setting("entities", "", Kind::List, "", "the entities that it is told of, as the model names them; unset: all that can be watched"),
    setting(
        "filter",
        "",
        Kind::Text,
        "",
        "which rows, as a condition in the model's language on the row's own fields; it must fit each of the entities",
    ),
    setting(
        "claims",
        "",
        Kind::Table,
        "",
        "who it is: the claims that a token would have, as a table; the rules of the model are applied to them",
    ),
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
    setting(
        "backoff_min",
        "100ms",
        Kind::Duration,
        "",
        "the first wait after a failure; each that follows is twice as long, and by chance up to half shorter",
    ),
    setting("backoff_max", "30s", Kind::Duration, "", "the longest wait after a failure"),
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
    setting(
        "security_protocol",
        "plaintext",
        Kind::OneOf(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        "",
        "how brokers are spoken to; `ssl` and `sasl_ssl` need a build with `--features kafka-ssl`",
    ),
    setting(
        "sasl_mechanism",
        "PLAIN",
        Kind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "",
        "how it says who it is, with `sasl_…`; SCRAM needs a build with `--features kafka-ssl`",
    ),
    setting("sasl_username", "", Kind::Text, "", "the name"),
    setting("sasl_password_file", "", Kind::Path, "", "a file with the password"),
    setting("tls_ca_file", "", Kind::Path, "", "a PEM file with the authorities that sign for the brokers; unset: the system's"),
    setting("tls_cert_file", "", Kind::Path, "", "a PEM file with a certificate of our own"),
    setting("tls_key_file", "", Kind::Path, "", "a PEM file with its private key"),
];

/// The texts of one `[[sink]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTexts {
    /// By key; what is absent has its default.
    pub given: BTreeMap<&'static str, String>,
}

impl SinkTexts {
    /// A setting's text, and whether the file has it.
    pub fn text(&self, name: &str) -> (&str, bool) {
        match self.given.get(name) {
            Some(text) => (text, true),
            None => (SINK_SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default), false),
        }
    }
}

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
    pub brokers: Vec<String>,
    pub topic: Option<String>,
    pub dead_letter_topic: Option<String>,
    pub compression: String,
    pub linger: Duration,
    pub message_bytes_max: usize,
    pub deliver_timeout: Duration,
    pub security_protocol: String,
    pub sasl_mechanism: String,
    pub sasl_username: Option<String>,
    pub sasl_password_file: Option<PathBuf>,
    pub tls_ca_file: Option<PathBuf>,
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
}

/// Types the sections; their texts are valid one by one already.
pub(super) fn typed(texts: &super::Texts, errors: &mut Vec<String>) -> Vec<SinkConfig> {
    let mut sinks: Vec<SinkConfig> = Vec::new();
    for sink in &texts.sinks {
        match one(texts, sink) {
            Ok(sink) if sinks.iter().any(|other| other.name == sink.name) => {
                errors.push(format!("two sinks are called `{}`; each has a name of its own", sink.name));
            }
            Ok(sink) => sinks.push(sink),
            Err(error) => errors.push(error),
        }
    }
    sinks
}

fn one(texts: &super::Texts, sink: &SinkTexts) -> Result<SinkConfig, String> {
    let of = |name| sink.text(name).0;
    let optional = |name| Some(of(name).to_owned()).filter(|text| !text.is_empty());
    let name = of("name").to_owned();
    let fits = (1..=48).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    if !fits {
        return Err(format!("a `[[sink]]` needs a `name` of 1 to 48 lower-case letters, digits, `_` and `-`, not `{name}`"));
    }
    let target = match of("kind") {
        "kafka" => SinkTarget::Kafka(kafka(texts, sink)),
        _ => return Err(format!("the sink `{name}` needs a `kind`: `kafka`")),
    };
    let SinkTarget::Kafka(settings) = &target;
    if settings.brokers.is_empty() {
        return Err(format!("the sink `{name}` needs `brokers`, such as `[\"127.0.0.1:9092\"]`"));
    }
    if settings.security_protocol.starts_with("sasl") && (settings.sasl_username.is_none() || settings.sasl_password_file.is_none()) {
        return Err(format!(
            "the sink `{name}` speaks `{}`, which needs `sasl_username` and `sasl_password_file`",
            settings.security_protocol
        ));
    }
    if settings.tls_cert_file.is_some() != settings.tls_key_file.is_some() {
        return Err(format!("the sink `{name}`: `tls_cert_file` and `tls_key_file` are set together or not at all"));
    }
    Ok(SinkConfig {
        name,
        entities: list(of("entities")),
        filter: optional("filter"),
        claims: serde_json::from_str(of("claims")).unwrap_or_default(),
        begin: if of("begin") == "now" { Begin::Now } else { Begin::First },
        pace: Pace {
            batch_events_max: of("batch_events_max").parse::<usize>().unwrap_or_default().max(1),
            batch_bytes_max: bytes(of("batch_bytes_max")).max(1),
            backoff_min: time(of("backoff_min")),
            backoff_max: time(of("backoff_max")),
            save_every: time(of("save_every")),
            ..Pace::default()
        },
        target,
    })
}

fn kafka(texts: &super::Texts, sink: &SinkTexts) -> KafkaConfig {
    let of = |name| sink.text(name).0;
    let optional = |name| Some(of(name).to_owned()).filter(|text| !text.is_empty());
    let path = |name| Some(of(name)).filter(|text| !text.is_empty()).map(|file| texts.folder.join(file));
    KafkaConfig {
        brokers: list(of("brokers")),
        topic: optional("topic"),
        dead_letter_topic: optional("dead_letter_topic"),
        compression: of("compression").to_owned(),
        linger: time(of("linger")),
        message_bytes_max: bytes(of("message_bytes_max")),
        deliver_timeout: time(of("deliver_timeout")),
        security_protocol: of("security_protocol").to_owned(),
        sasl_mechanism: of("sasl_mechanism").to_owned(),
        sasl_username: optional("sasl_username"),
        sasl_password_file: path("sasl_password_file"),
        tls_ca_file: path("tls_ca_file"),
        tls_cert_file: path("tls_cert_file"),
        tls_key_file: path("tls_key_file"),
    }
}

fn time(text: &str) -> Duration {
    duration(text).unwrap_or_default()
}

fn bytes(text: &str) -> usize {
    size(text).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default()
}
