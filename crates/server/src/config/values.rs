//! The settings as values.

use std::path::PathBuf;
use std::time::Duration;

use fourfold_op::Limits;

use super::Texts;
use super::setting::{self, duration, size};
use super::sink::{self, SinkConfig};
use super::source::{self, SourceConfig};
use crate::auth::AuthSettings;
use crate::body::BodyLimits;
use crate::listen::EdgeLimits;
use crate::retain::LogRetention;
use crate::seats::SeatLimits;
use crate::wire::HeadLimits;

/// All settings, typed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the four APIs are served.
    pub listen: String,
    /// Where `/metrics` is served; `None`: nowhere.
    pub admin_listen: Option<String>,
    /// The certificate chain and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether a proxy stands in front.
    pub behind_proxy: bool,
    /// Exact origins that may call, or `*`.
    pub origins: Vec<String>,
    /// How long requests in flight may take at the end.
    pub drain_timeout: Duration,
    /// Threads that serve; 0: one for each processor.
    pub threads: usize,
    /// Where rows are kept.
    pub store: StoreUrl,
    /// The data folder.
    pub data: PathBuf,
    /// Which tokens are trusted.
    pub auth: AuthSettings,
    /// The rows of the first `dev`.
    pub seed: Option<PathBuf>,
    /// Who may read contracts.
    pub visibility: Visibility,
    /// How requests are logged.
    pub log: LogFormat,
    /// Limits of the listener.
    pub edge: EdgeLimits,
    /// Limits of a request's body.
    pub body: BodyLimits,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Limits of operations.
    pub limits: Limits,
    /// How much of the log is kept.
    pub events: LogRetention,
    /// What carries events out.
    pub sinks: Vec<SinkConfig>,
    /// What brings rows in.
    pub sources: Vec<SourceConfig>,
    /// What is configured and not served by this version, by name.
    pub unserved: Vec<String>,
}

/// Where rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(DatabaseUrl),
    /// In memory, until the server ends.
    Memory,
}

/// The URL of a database, which may hold a password: it is not shown. It may lead through a pooler, and has another then.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    direct: Option<String>,
}

impl DatabaseUrl {
    /// The whole URL, for who connects.
    pub fn secret(&self) -> &str {
        &self.url
    }

    /// The whole URL that leads to the server itself, where this one leads through a pooler.
    pub fn direct_secret(&self) -> Option<&str> {
        self.direct.as_deref()
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl")
    }
}

/// Who may read contracts, reflection and introspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Anyone.
    Public,
    /// Callers with a token.
    Authenticated,
    /// Nobody.
    Off,
}

/// How requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// Not at all.
    Off,
}

impl Config {
    /// The settings as values; their texts are valid one by one already.
    ///
    /// # Errors
    /// Settings that do not go together, all of them.
    pub fn new(texts: &Texts) -> Result<Config, super::ConfigError> {
        let mut errors = Vec::new();
        let tls = match (texts.path("server.tls_cert_file"), texts.path("server.tls_key_file")) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                errors.push("`server.tls_cert_file` and `server.tls_key_file` are set together or not at all".to_owned());
                None
            }
        };
        let data = texts.path("store.data").unwrap_or_else(|| texts.folder.join(".fourfold"));
        let store = store_url(texts, &data).unwrap_or_else(|error| {
            errors.push(error);
            StoreUrl::Memory
        });
        let seed = seed(texts).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let sinks = sink::typed(texts, &mut errors);
        let sources = source::typed(texts, &mut errors);
        if !errors.is_empty() {
            return Err(super::ConfigError(errors));
        }
        Ok(Config {
            listen: texts.text("server.listen").0.to_owned(),
            admin_listen: Some(texts.text("server.admin_listen").0.to_owned()).filter(|address| address != "off"),
            tls,
            behind_proxy: boolean(texts, "server.behind_proxy"),
            origins: list(texts, "server.origins"),
            drain_timeout: time(texts, "server.drain_timeout"),
            threads: number(texts, "server.threads"),
            store,
            data,
            auth: auth(texts),
            seed,
            visibility: match texts.text("contracts.visibility").0 {
                "authenticated" => Visibility::Authenticated,
                "off" => Visibility::Off,
                _ => Visibility::Public,
            },
            log: match texts.text("log.format").0 {
                "json" => LogFormat::Json,
                "off" => LogFormat::Off,
                _ => LogFormat::Text,
            },
            edge: edge(texts),
            body: BodyLimits {
                bytes_max: Some(number(texts, "limits.body_bytes_max") as u64),
                grace: Some(time(texts, "limits.body_grace")),
                bytes_per_second_min: number(texts, "limits.body_bytes_per_second_min") as u64,
            },
            request_timeout: time(texts, "limits.request_timeout"),
            limits: limits(texts),
            events: LogRetention {
                age: Some(time(texts, "events.retention_age")).filter(|age| !age.is_zero()),
                bytes: size(texts.text("events.retention_size").0).filter(|bytes| *bytes > 0),
                slice_events_max: (number(texts, "events.prune_slice_events_max") as u64).max(1),
            },
            sinks,
            sources,
            unserved: texts.unserved.clone(),
        })
    }
}

fn auth(texts: &Texts) -> AuthSettings {
    let text = |name| Some(texts.text(name).0.to_owned()).filter(|text| !text.is_empty());
    AuthSettings {
        issuer: text("auth.issuer"),
        audience: text("auth.audience"),
        hs256_secret_file: texts.path("auth.hs256_secret_file"),
        public_key_file: texts.path("auth.public_key_file"),
        algorithms: list(texts, "auth.algorithms"),
        leeway_s: time(texts, "auth.leeway").as_secs(),
        required_claims: list(texts, "auth.required_claims"),
        anonymous: boolean(texts, "auth.anonymous"),
    }
}

fn edge(texts: &Texts) -> EdgeLimits {
    EdgeLimits {
        seats: SeatLimits {
            connections_max: number(texts, "limits.connections_max"),
            connections_per_address_max: number(texts, "limits.connections_per_address_max"),
            head_timeout: time(texts, "limits.head_timeout"),
            idle_timeout: time(texts, "limits.idle_timeout"),
        },
        head: HeadLimits {
            uri_bytes_max: number(texts, "limits.uri_bytes_max"),
            header_bytes_max: number(texts, "limits.header_bytes_max"),
            header_fields_max: number(texts, "limits.header_fields_max"),
        },
        first_byte_timeout: time(texts, "limits.first_byte_timeout"),
        h2_streams_max: number(texts, "limits.h2_streams_max") as u32,
    }
}

fn limits(texts: &Texts) -> Limits {
    let of = |name| number(texts, name);
    Limits {
        page_size_default: of("limits.page_size_default") as u32,
        page_size_max: of("limits.page_size_max") as u32,
        filter_terms_max: of("limits.filter_terms_max"),
        expression_nodes_max: of("limits.expression_nodes_max"),
        graphql_bytes_max: of("limits.graphql_bytes_max"),
        graphql_tokens_max: of("limits.graphql_tokens_max"),
        graphql_depth_max: of("limits.graphql_depth_max"),
        graphql_aliases_max: of("limits.graphql_aliases_max"),
        graphql_root_fields_max: of("limits.graphql_root_fields_max"),
        graphql_socket_operations_max: of("limits.graphql_socket_operations_max"),
        graphql_init_ms: of("limits.graphql_init_ms") as u64,
        websocket_message_bytes_max: of("limits.websocket_message_bytes_max"),
        websocket_out_bytes_max: of("limits.websocket_out_bytes_max"),
        websocket_subscriptions_max: of("limits.websocket_subscriptions_max"),
        grpc_message_bytes_max: of("limits.grpc_message_bytes_max"),
        feed_ring_bytes_max: of("limits.feed_ring_bytes_max"),
        watches_max: of("limits.watches_max"),
        watch_queue_deliveries_max: of("limits.watch_queue_deliveries_max"),
        watch_queue_bytes_max: of("limits.watch_queue_bytes_max"),
        watch_initial_rows_max: of("limits.watch_initial_rows_max") as u32,
        watch_initial_bytes_max: of("limits.watch_initial_bytes_max"),
        watch_membership_keys_max: of("limits.watch_membership_keys_max") as u32,
        watch_bookmark_ms: u64::try_from(time(texts, "limits.watch_bookmark_every").as_millis()).unwrap_or(u64::MAX),
        channels_max: of("limits.channels_max"),
        channel_subscribers_max: of("limits.channel_subscribers_max"),
        channel_presence_max: of("limits.channel_presence_max"),
        channel_presence_bytes_max: of("limits.channel_presence_bytes_max"),
        channel_history_bytes_max: of("limits.channel_history_bytes_max"),
        channels_history_bytes_max: of("limits.channels_history_bytes_max"),
        channel_history_items_max: of("limits.channel_history_items_max"),
        channel_history_events_max: of("limits.channel_history_events_max") as u64,
        channel_signals_per_second_max: u32::try_from(of("limits.channel_signals_per_second_max")).unwrap_or(u32::MAX),
        ..Limits::default()
    }
}

fn store_url(texts: &Texts, data: &std::path::Path) -> Result<StoreUrl, String> {
    let (url, source) = texts.text("store.url");
    let direct = direct_url(texts)?;
    match url.split_once(':') {
        Some((kind, _)) if direct.is_some() && !is_postgres(kind) => {
            Err(format!("`store.direct_url` is for a `store.url` that leads through a pooler of PostgreSQL, not for a `{kind}:` URL"))
        }
        None if direct.is_some() => {
            Err("`store.direct_url` is for a `store.url` that leads through a pooler of PostgreSQL; it has none".to_owned())
        }
        _ if url.is_empty() => Ok(StoreUrl::Sqlite(data.join("data.db"))),
        Some(("memory", "")) => Ok(StoreUrl::Memory),
        Some(("sqlite", file)) if !file.is_empty() => Ok(StoreUrl::Sqlite(located(texts, file, &source))),
        Some((kind, _)) if is_postgres(kind) => Ok(StoreUrl::Postgres(DatabaseUrl { url: url.to_owned(), direct })),
        Some((kind @ "mongodb", _)) => Err(format!(
            "`store.url` is a `{kind}:` URL, which this version does not serve yet; `sqlite:FILE` and `postgres://…` are served"
        )),
        // Only its kind is told: a URL may hold a password.
        Some((kind, _)) => Err(format!("`store.url` must be `sqlite:FILE`, `postgres://…` or `memory:`, not a `{kind}:` URL")),
        None => Err("`store.url` must be `sqlite:FILE`, `postgres://…` or `memory:`".to_owned()),
    }
}

fn is_postgres(kind: &str) -> bool {
    matches!(kind, "postgres" | "postgresql")
}

fn direct_url(texts: &Texts) -> Result<Option<String>, String> {
    match texts.text("store.direct_url").0 {
        "" => Ok(None),
        url if url.split_once(':').is_some_and(|(kind, _)| is_postgres(kind)) => Ok(Some(url.to_owned())),
        _ => Err("`store.direct_url` must be the `postgres://…` of the server itself".to_owned()),
    }
}

fn seed(texts: &Texts) -> Result<Option<PathBuf>, String> {
    let (url, source) = texts.text("dev.seed");
    match url.split_once(':') {
        _ if url.is_empty() => Ok(None),
        Some(("sqlite", file)) if !file.is_empty() => Ok(Some(located(texts, file, &source))),
        _ => Err(format!("`dev.seed` must be `sqlite:FILE`, not `{url}`")),
    }
}

fn located(texts: &Texts, file: &str, source: &super::Source) -> PathBuf {
    match source {
        super::Source::Flag(_) => PathBuf::from(file),
        _ => texts.folder.join(file),
    }
}

fn boolean(texts: &Texts, name: &str) -> bool {
    texts.text(name).0 == "true"
}

fn number(texts: &Texts, name: &str) -> usize {
    texts.text(name).0.parse().unwrap_or_default()
}

fn time(texts: &Texts, name: &str) -> Duration {
    duration(texts.text(name).0).unwrap_or_default()
}

fn list(texts: &Texts, name: &str) -> Vec<String> {
    setting::list(texts.text(name).0)
}
