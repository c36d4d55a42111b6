//! What an operator sees: `/metrics`, `/admin/log`, `/admin/feed`, `/admin/sinks` and `/admin/sources`, on a listener of their own.

mod connectors;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fourfold_connect::{SinkFigures, SourceFigures};
use fourfold_engine::FeedFigures;
use fourfold_store::Head;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::json;
use tokio::net::TcpListener;

use crate::body::{Body, empty, full};
use connectors::{SinkMetrics, SourceMetrics};

/// What is counted of each request. An entity may be a label, a key or a principal never.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Which API.
    pub api: &'static str,
    /// Which operation.
    pub operation: &'static str,
    /// The error's code, or `ok`.
    pub code: &'static str,
}

/// The label of how long an answer took.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
    operation: &'static str,
}

/// The server's metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<ApiLabels, Histogram, fn() -> Histogram>,
    known: RwLock<Vec<(RequestLabels, Counter, Histogram)>>,
    connections: Gauge<u64, AtomicU64>,
    log_head: Gauge<u64, AtomicU64>,
    log_floor: Gauge<u64, AtomicU64>,
    watches: Gauge<u64, AtomicU64>,
    feed_lag: Gauge<u64, AtomicU64>,
    sinks: SinkMetrics,
    sources: SourceMetrics,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("fourfold");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        let (connections, log_head, log_floor) = (Gauge::default(), Gauge::default(), Gauge::default());
        let (watches, feed_lag) = (Gauge::default(), Gauge::default());
        registry.register("requests", "Requests answered", requests.clone());
        registry.register_with_unit("request", "Time until the head of the answer", Unit::Seconds, seconds.clone());
        registry.register("connections", "Connections open now", connections.clone());
        registry.register("log_head_position", "The last event's position", log_head.clone());
        registry.register("log_floor_position", "Cursors below this are too old", log_floor.clone());
        registry.register("watch_count", "Watches now", watches.clone());
        registry.register("feed_lag_positions", "Events committed and not yet handed on to watches", feed_lag.clone());
        let sinks = SinkMetrics::default();
        sinks.register(&mut registry);
        let sources = SourceMetrics::default();
        sources.register(&mut registry);
        Arc::new(Metrics {
            known: RwLock::default(),
            registry,
            requests,
            seconds,
            connections,
            log_head,
            log_floor,
            watches,
            feed_lag,
            sinks,
            sources,
        })
    }

    /// Counts one request.
    pub fn request(&self, labels: RequestLabels, seconds: f64) {
        // The labels are a closed list of constants, so the counters of most requests are soon found without hashing.
        if let Some((_, requests, times)) = self.known.read().iter().find(|(known, ..)| *known == labels) {
            times.observe(seconds);
            requests.inc();
            return;
        }
        let (requests, times) = self.learn(labels);
        times.observe(seconds);
        requests.inc();
    }

    fn learn(&self, labels: RequestLabels) -> (Counter, Histogram) {
        let api = ApiLabels { api: labels.api, operation: labels.operation };
        let requests = self.requests.get_or_create_owned(&labels);
        let times = self.seconds.get_or_create_owned(&api);
        self.known.write().push((labels, requests.clone(), times.clone()));
        (requests, times)
    }

    /// Notes the state of the server, before it is shown.
    pub fn note(&self, Seen { connections, log, feed, sinks, sources }: &Seen) {
        let put = |gauge: &Gauge<u64, AtomicU64>, value| gauge.inner().store(value, Ordering::Relaxed);
        put(&self.connections, *connections as u64);
        put(&self.log_head, log.position);
        put(&self.log_floor, log.floor);
        put(&self.watches, feed.watch_count as u64);
        put(&self.feed_lag, feed.feed_lag_positions);
        self.sinks.note(log.position, sinks);
        self.sources.note(sources);
    }

    /// All of them, in the text form of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// From 50 µs to 10 s.
fn buckets() -> Histogram {
    Histogram::new([0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0])
}

/// The state of a server, when it was asked for.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Connections open now.
    pub connections: usize,
    /// The ends of the log.
    pub log: Head,
    /// What there is to see of the feed.
    pub feed: FeedFigures,
    /// The sinks.
    pub sinks: Vec<SinkFigures>,
    /// The sources.
    pub sources: Vec<SourceFigures>,
}

impl Seen {
    fn log_json(&self) -> String {
        let Head { epoch, position, floor } = &self.log;
        json!({"epoch": *epoch.0, "position": position, "floor": floor}).to_string()
    }

    fn feed_json(&self) -> String {
        let FeedFigures { watch_count, feed_lag_positions, feed_ring_bytes, judged_total, tailers_total } = self.feed;
        let dispatched = self.log.position.saturating_sub(feed_lag_positions);
        json!({
            "watch_count": watch_count, "dispatched_position": dispatched, "lag_positions": feed_lag_positions,
            "ring_bytes": feed_ring_bytes, "judged_total": judged_total, "tailers_total": tailers_total,
        })
        .to_string()
    }
}

/// Serves operators until `stop` is done; `look` is called before each answer.
pub async fn serve<F, R>(listener: TcpListener, metrics: Arc<Metrics>, look: F, stop: impl Future<Output = ()>)
where
    F: Fn() -> R + Clone + Send + 'static,
    R: Future<Output = Seen> + Send + 'static,
{
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let (metrics, look) = (Arc::clone(&metrics), look.clone());
        let service = service_fn(move |request| {
            let (metrics, look) = (Arc::clone(&metrics), look.clone());
            async move { Ok::<_, Infallible>(answer(&request, &metrics, look).await) }
        });
        tokio::spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new());
            // An operator that goes away has no answer to miss.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn answer<R: Future<Output = Seen>>(request: &Request<Incoming>, metrics: &Metrics, look: impl Fn() -> R) -> Response<Body> {
    let mut answer = Response::new(empty());
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/admin/log" | "/admin/feed" | "/admin/sinks" | "/admin/sources") {
        *answer.status_mut() = StatusCode::NOT_FOUND;
        return answer;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return answer;
    }
    let seen = look().await;
    let (kind, text) = match path {
        "/admin/log" => ("application/json", seen.log_json()),
        "/admin/feed" => ("application/json", seen.feed_json()),
        "/admin/sinks" => ("application/json", connectors::sinks_json(seen.log.position, &seen.sinks)),
        "/admin/sources" => ("application/json", connectors::sources_json(&seen.sources)),
        _ => {
            metrics.note(&seen);
            (OPEN_METRICS, metrics.text())
        }
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    *answer.body_mut() = full(text);
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use fourfold_connect::ConnectorState;

    fn sink() -> SinkFigures {
        SinkFigures {
            name: "orders".into(),
            kind: "kafka".into(),
            state: ConnectorState::BackingOff,
            watermark: 7,
            delivered_total: 5,
            dead_letters_total: 1,
            failures_total: 3,
            last_error: Some("away".to_owned()),
        }
    }

    fn source() -> SourceFigures {
        SourceFigures {
            name: "in".into(),
            kind: "kafka".into(),
            state: ConnectorState::Running,
            lag_messages: 6,
            taken_total: 8,
            dead_letters_total: 2,
            failures_total: 4,
            last_error: None,
        }
    }

    #[test]
    fn metrics_have_the_names_of_the_documentation() {
        let metrics = Metrics::new();
        metrics.request(RequestLabels { api: "rest", operation: "get", code: "ok" }, 0.000_2);
        let log = Head { epoch: fourfold_op::Epoch("e".into()), position: 9, floor: 1 };
        let feed = FeedFigures { watch_count: 4, feed_lag_positions: 5, ..FeedFigures::default() };
        let seen = Seen { connections: 3, log, feed, sinks: vec![sink()], sources: vec![source()] };
        metrics.note(&seen);
        assert_eq!(seen.log_json(), r#"{"epoch":"e","floor":1,"position":9}"#);
        let text = metrics.text();
        for line in [
            "fourfold_requests_total{api=\"rest\",operation=\"get\",code=\"ok\"} 1",
            "fourfold_request_seconds_count{api=\"rest\",operation=\"get\"} 1",
            "fourfold_connections 3",
            "fourfold_log_head_position 9",
            "fourfold_log_floor_position 1",
            "fourfold_watch_count 4",
            "fourfold_feed_lag_positions 5",
            "fourfold_sink_lag_positions{sink=\"orders\"} 2",
            "fourfold_sink_running{sink=\"orders\"} 0",
            "fourfold_sink_delivered_total{sink=\"orders\"} 5",
            "fourfold_sink_dead_letters_total{sink=\"orders\"} 1",
            "fourfold_sink_failures_total{sink=\"orders\"} 3",
            "fourfold_source_lag_messages{source=\"in\"} 6",
            "fourfold_source_running{source=\"in\"} 1",
            "fourfold_source_taken_total{source=\"in\"} 8",
            "fourfold_source_dead_letters_total{source=\"in\"} 2",
            "fourfold_source_failures_total{source=\"in\"} 4",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[tokio::test]
    async fn operators_are_told_of_the_log_and_the_feed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let look = || async {
            let log = Head { epoch: fourfold_op::Epoch("k3f9".into()), position: 9, floor: 1 };
            let feed = FeedFigures { watch_count: 2, feed_lag_positions: 4, feed_ring_bytes: 70, judged_total: 8, tailers_total: 1 };
            Seen { connections: 3, log, feed, sinks: vec![sink()], sources: vec![source()] }
        };
        tokio::spawn(serve(listener, Metrics::new(), look, std::future::pending()));
        let ask = async |line: &str| {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        for (line, status, body) in [
            ("GET /admin/log", "200", r#"{"epoch":"k3f9","floor":1,"position":9}"#),
            (
                "GET /admin/feed",
                "200",
                r#"{"dispatched_position":5,"judged_total":8,"lag_positions":4,"ring_bytes":70,"tailers_total":1,"watch_count":2}"#,
            ),
            (
                "GET /admin/sinks",
                "200",
                r#"[{"dead_letters_total":1,"delivered_total":5,"failures_total":3,"kind":"kafka","lag_positions":2,"last_error":"away","name":"orders","state":"backing_off","watermark":7}]"#,
            ),
            (
                "GET /admin/sources",
                "200",
                r#"[{"dead_letters_total":2,"failures_total":4,"kind":"kafka","lag_messages":6,"last_error":null,"name":"in","state":"running","taken_total":8}]"#,
            ),
            ("GET /metrics", "200", "# EOF\n"),
            ("POST /admin/log", "405", ""),
            ("GET /admin/none", "404", ""),
        ] {
            let answer = ask(line).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with(body), "{line}: {answer}");
        }
    }
}
