//! The one table of settings.

use super::sink::SINK_SETTINGS;

/// What a setting's text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// A host and a port.
    Address,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// `10s`, `250ms`, `5m`, `7d`.
    Duration,
    /// `512MiB`, `10GiB`.
    Size,
    /// Texts; in the environment and in flags with commas between them.
    List,
    /// Names and values.
    Table,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.key`.
    pub name: &'static str,
    /// What it is when nobody says otherwise; empty: unset.
    pub default: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// The unit of a number.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, kind: Kind, unit: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, kind, unit, meaning }
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    setting("server.listen", "127.0.0.1:8080", Kind::Address, "", "the address of the four APIs; port 0 takes a free one"),
    setting("server.admin_listen", "127.0.0.1:9090", Kind::Address, "", "the address of `/metrics`; `off` serves none"),
    setting(
        "server.tls_cert_file",
        "",
        Kind::Path,
        "",
        "a PEM file with the certificate chain; with `tls_key_file` the APIs are served encrypted",
    ),
    setting("server.tls_key_file", "", Kind::Path, "", "a PEM file with the certificate's private key"),
    setting("server.behind_proxy", "false", Kind::Boolean, "", "a proxy in front encrypts, counts connections and sets `X-Request-Id`"),
    setting("server.origins", "", Kind::List, "", "web pages that may call: exact origins such as `https://app.example`, or `*`"),
    setting("server.drain_timeout", "20s", Kind::Duration, "", "how long requests in flight may take when the server ends"),
    setting("server.threads", "0", Kind::Number, "threads", "threads that serve; 0: one for each processor"),
    setting("store.url", "", Kind::Text, "", "`sqlite:FILE`, `postgres://…` or `memory:`; unset: `data.db` in the data folder"),
    setting("store.data", ".fourfold", Kind::Path, "", "the data folder"),
    setting("auth.issuer", "", Kind::Text, "", "the `iss` that tokens must have"),
    setting("auth.audience", "", Kind::Text, "", "the `aud` that tokens must name"),
    setting("auth.hs256_secret_file", "", Kind::Path, "", "a file with the secret that tokens are signed with (HS256, at least 32 bytes)"),
    setting("auth.public_key_file", "", Kind::Path, "", "a PEM file with the public key that tokens are checked with (RS256)"),
    setting("auth.algorithms", "", Kind::List, "", "the algorithms accepted; unset: the one that the key is for"),
    setting("auth.leeway", "30s", Kind::Duration, "", "by how much clocks may differ"),
    setting("auth.required_claims", "exp,iss,aud", Kind::List, "", "claims that a token must have, of `exp iss aud sub nbf`"),
    setting("auth.anonymous", "true", Kind::Boolean, "", "whether a request without a token is served, under the rules for nobody"),
    setting("dev.seed", "", Kind::Text, "", "`sqlite:FILE`: rows to load into an empty store at the first `fourfold dev`"),
    setting(
        "contracts.visibility",
        "public",
        Kind::OneOf(&["public", "authenticated", "off"]),
        "",
        "who may read contracts, reflection and introspection",
    ),
    setting("events.retention_age", "7d", Kind::Duration, "", "events older than this leave the log; 0s: none for its age"),
    setting("events.retention_size", "10GiB", Kind::Size, "", "how large the log may grow before its oldest events leave it; 0B: any size"),
    setting("events.prune_slice_events_max", "5000", Kind::Number, "events", "events that leave the log in one transaction"),
    setting("log.format", "text", Kind::OneOf(&["text", "json", "off"]), "", "one line a request, for people or for machines"),
    setting("limits.connections_max", "10000", Kind::Number, "connections", "connections in all; 0: any number"),
    setting("limits.connections_per_address_max", "256", Kind::Number, "connections", "connections of one address; 0: any number"),
    setting("limits.first_byte_timeout", "10s", Kind::Duration, "", "how long the first byte of a connection may take"),
    setting("limits.head_timeout", "10s", Kind::Duration, "", "how long the head of a request may take, in all"),
    setting("limits.idle_timeout", "60s", Kind::Duration, "", "how long a connection may be idle between requests"),
    setting("limits.request_timeout", "30s", Kind::Duration, "", "how long a request may take, unless it asks for less"),
    setting("limits.header_fields_max", "64", Kind::Number, "fields", "header fields of a request"),
    setting("limits.header_bytes_max", "16384", Kind::Number, "bytes", "all header fields of a request"),
    setting("limits.uri_bytes_max", "8192", Kind::Number, "bytes", "the target of a request"),
    setting("limits.body_bytes_max", "1048576", Kind::Number, "bytes", "the body of a request, streams apart"),
    setting("limits.body_grace", "10s", Kind::Duration, "", "how long a body may be slower than `body_bytes_per_second_min`"),
    setting("limits.body_bytes_per_second_min", "1024", Kind::Number, "bytes a second", "how slow a body may be"),
    setting("limits.h2_streams_max", "100", Kind::Number, "streams", "requests at once on one HTTP/2 connection"),
    setting("limits.page_size_default", "50", Kind::Number, "rows", "a page where none is asked for"),
    setting("limits.page_size_max", "1000", Kind::Number, "rows", "the largest page; more is taken as this"),
    setting("limits.filter_terms_max", "20", Kind::Number, "terms", "comparisons of a client's filter"),
    setting("limits.expression_nodes_max", "100", Kind::Number, "nodes", "nodes of a client's expression"),
    setting("limits.graphql_bytes_max", "15000", Kind::Number, "bytes", "a GraphQL document"),
    setting("limits.graphql_tokens_max", "1000", Kind::Number, "tokens", "a GraphQL document"),
    setting("limits.graphql_depth_max", "8", Kind::Number, "levels", "fields within fields of a GraphQL document"),
    setting("limits.graphql_aliases_max", "30", Kind::Number, "aliases", "a GraphQL document"),
    setting("limits.graphql_root_fields_max", "50", Kind::Number, "fields", "root fields of a GraphQL operation"),
    setting("limits.graphql_socket_operations_max", "100", Kind::Number, "operations", "operations at once on one GraphQL WebSocket"),
    setting("limits.graphql_init_ms", "10000", Kind::Number, "ms", "how long a GraphQL WebSocket may take to send its `connection_init`"),
    setting("limits.websocket_message_bytes_max", "524288", Kind::Number, "bytes", "a WebSocket message"),
    setting("limits.websocket_out_bytes_max", "1048576", Kind::Number, "bytes", "bytes waiting to be written to one WebSocket"),
    setting("limits.websocket_subscriptions_max", "128", Kind::Number, "subscriptions", "channels that one WebSocket is subscribed to"),
    setting("limits.grpc_message_bytes_max", "4194304", Kind::Number, "bytes", "a gRPC message, in and out"),
    setting("limits.watches_max", "100000", Kind::Number, "watches", "watches at once, of all callers"),
    setting("limits.watch_queue_deliveries_max", "1024", Kind::Number, "deliveries", "deliveries that wait for one watch's reader"),
    setting("limits.watch_queue_bytes_max", "1048576", Kind::Number, "bytes", "bytes of the events that wait for one watch's reader"),
    setting("limits.watch_initial_rows_max", "10000", Kind::Number, "rows", "rows with which a watch begins"),
    setting("limits.watch_initial_bytes_max", "8388608", Kind::Number, "bytes", "the rows with which a watch begins"),
    setting("limits.watch_membership_keys_max", "10000", Kind::Number, "keys", "memberships of a caller whose rights a watch follows"),
    setting(
        "limits.watch_bookmark_every",
        "15s",
        Kind::Duration,
        "",
        "how long a watch that asks for bookmarks may be silent while the log moves, and a watch over gRPC at all",
    ),
    setting("limits.feed_ring_bytes_max", "8388608", Kind::Number, "bytes", "the newest events that are kept in memory for watches"),
    setting("limits.channels_max", "100000", Kind::Number, "channels", "declared channels of which something is in memory"),
    setting("limits.channel_subscribers_max", "10000", Kind::Number, "subscribers", "subscribers of one declared channel"),
    setting("limits.channel_presence_max", "1000", Kind::Number, "subscribers", "subscribers of one channel that tell of themselves"),
    setting("limits.channel_presence_bytes_max", "4096", Kind::Number, "bytes", "what one subscriber tells of itself"),
    setting(
        "limits.channel_history_bytes_max",
        "1048576",
        Kind::Number,
        "bytes",
        "free publications that one channel keeps; the oldest go first",
    ),
    setting(
        "limits.channels_history_bytes_max",
        "67108864",
        Kind::Number,
        "bytes",
        "free publications that all channels keep; one that finds no room is told and not kept",
    ),
    setting(
        "limits.channel_history_items_max",
        "1000",
        Kind::Number,
        "publications",
        "one answer of a channel's history; more is taken as this",
    ),
    setting(
        "limits.channel_history_events_max",
        "10000",
        Kind::Number,
        "events",
        "events of the log that one look into a stream's history goes over",
    ),
    setting("limits.channel_signals_per_second_max", "5", Kind::Number, "signals a second", "signals of one subscriber"),
];

/// The page of the documentation that lists all settings.
pub fn markdown() -> String {
    let mut page = String::from(PAGE);
    let mut section = "";
    for setting in SETTINGS {
        let (of, key) = setting.name.split_once('.').unwrap_or(("", setting.name));
        if of != section {
            section = of;
            page.push_str(&format!("\n## `[{of}]`\n{HEAD}"));
        }
        line(&mut page, key, setting);
    }
    page.push_str(&format!("\n## `[[sink]]`\n{SINKS}{HEAD}"));
    for setting in SINK_SETTINGS {
        line(&mut page, setting.name, setting);
    }
    page
}

fn line(page: &mut String, key: &str, setting: &Setting) {
    let default = if setting.default.is_empty() { "–".to_owned() } else { format!("`{}`", setting.default) };
    let meaning = match setting.kind {
        Kind::OneOf(choices) => format!("{}: {}", setting.meaning, choices.map_join()),
        _ => setting.meaning.to_owned(),
    };
    page.push_str(&format!("| `{key}` | {default} | {} | {meaning} |\n", setting.unit));
}

const HEAD: &str = "\n| key | default | unit | meaning |\n|---|---|---|---|\n";
const SINKS: &str = "
One for each sink: see [connectors](connectors.md). Neither the environment nor a flag overrides these.
";

const PAGE: &str = "# Settings

`fourfold.toml` lies beside the model. The environment overrides it (`FOURFOLD_SERVER_LISTEN` for `server.listen`), and flags override
both. A relative path in the file or the environment starts from the file's folder, one in a flag from where the command runs. An unknown
key is an error. Secrets are never written here: a setting whose name ends in `_file` names the file that holds one.

`fourfold config` prints every setting with its value and where that comes from. This page is made by `fourfold config --markdown`.
";

trait MapJoin {
    fn map_join(&self) -> String;
}

impl MapJoin for &[&str] {
    fn map_join(&self) -> String {
        self.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
    }
}
