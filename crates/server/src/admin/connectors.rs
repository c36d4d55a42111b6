//! What an operator sees of sinks and sources.

use std::sync::atomic::{AtomicU64, Ordering};

use fourfold_connect::{ConnectorState, SinkFigures, SourceFigures};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::json;

/// Which sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

/// The metrics of sinks: set, from what each tells of itself.
#[derive(Default)]
pub(super) struct SinkMetrics {
    lag: Family<SinkLabels, Gauge<u64, AtomicU64>>,
    running: Family<SinkLabels, Gauge<u64, AtomicU64>>,
    delivered: Family<SinkLabels, Counter>,
    dead_letters: Family<SinkLabels, Counter>,
    failures: Family<SinkLabels, Counter>,
}

impl SinkMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("sink_lag_positions", "Events committed and not yet delivered by a sink", self.lag.clone());
        registry.register(
            "sink_running",
            "Whether a sink delivers: 0 while it waits after a failure, is blocked, or is lost",
            self.running.clone(),
        );
        registry.register("sink_delivered", "Events that a sink's target confirmed", self.delivered.clone());
        registry.register("sink_dead_letters", "Events that a sink's target refused for good", self.dead_letters.clone());
        registry.register("sink_failures", "Times that a sink waited to try again", self.failures.clone());
    }

    pub fn note(&self, head: u64, sinks: &[SinkFigures]) {
        // A reload may have taken one away.
        self.lag.clear();
        self.running.clear();
        for sink in sinks {
            let labels = SinkLabels { sink: sink.name.to_string() };
            let put = |gauge: &Gauge<u64, AtomicU64>, value| gauge.inner().store(value, Ordering::Relaxed);
            put(&self.lag.get_or_create_owned(&labels), head.saturating_sub(sink.watermark));
            put(&self.running.get_or_create_owned(&labels), u64::from(sink.state == ConnectorState::Running));
            for (counter, total) in [
                (&self.delivered, sink.delivered_total),
                (&self.dead_letters, sink.dead_letters_total),
                (&self.failures, sink.failures_total),
            ] {
                counter.get_or_create_owned(&labels).inner().store(total, Ordering::Relaxed);
            }
        }
    }
}

/// Which source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

/// The metrics of sources, likewise.
#[derive(Default)]
pub(super) struct SourceMetrics {
    lag: Family<SourceLabels, Gauge<u64, AtomicU64>>,
    running: Family<SourceLabels, Gauge<u64, AtomicU64>>,
    taken: Family<SourceLabels, Counter>,
    dead_letters: Family<SourceLabels, Counter>,
    failures: Family<SourceLabels, Counter>,
}

impl SourceMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("source_lag_messages", "Messages that are there and not taken in by a source", self.lag.clone());
        registry.register(
            "source_running",
            "Whether a source takes messages in: 0 while it waits after a failure, is blocked, or is lost",
            self.running.clone(),
        );
        registry.register("source_taken", "Messages whose rows were committed", self.taken.clone());
        registry.register("source_dead_letters", "Messages that were refused for good", self.dead_letters.clone());
        registry.register("source_failures", "Times that a source waited to try again", self.failures.clone());
    }

    pub fn note(&self, sources: &[SourceFigures]) {
        self.lag.clear();
        self.running.clear();
        for source in sources {
            let labels = SourceLabels { source: source.name.to_string() };
            let put = |gauge: &Gauge<u64, AtomicU64>, value| gauge.inner().store(value, Ordering::Relaxed);
            put(&self.lag.get_or_create_owned(&labels), source.lag_messages);
            put(&self.running.get_or_create_owned(&labels), u64::from(source.state == ConnectorState::Running));
            for (counter, total) in [
                (&self.taken, source.taken_total),
                (&self.dead_letters, source.dead_letters_total),
                (&self.failures, source.failures_total),
            ] {
                counter.get_or_create_owned(&labels).inner().store(total, Ordering::Relaxed);
            }
        }
    }
}

/// The sinks, as `/admin/sinks` tells them; `head` is the log's last position.
pub(super) fn sinks_json(head: u64, sinks: &[SinkFigures]) -> String {
    let one = |sink: &SinkFigures| {
        json!({
            "name": *sink.name, "kind": *sink.kind, "state": sink.state.name(), "watermark": sink.watermark,
            "lag_positions": head.saturating_sub(sink.watermark), "delivered_total": sink.delivered_total,
            "dead_letters_total": sink.dead_letters_total, "failures_total": sink.failures_total, "last_error": sink.last_error,
        })
    };
    json!(sinks.iter().map(one).collect::<Vec<_>>()).to_string()
}

/// The sources, as `/admin/sources` tells them.
pub(super) fn sources_json(sources: &[SourceFigures]) -> String {
    let one = |source: &SourceFigures| {
        json!({
            "name": *source.name, "kind": *source.kind, "state": source.state.name(), "lag_messages": source.lag_messages,
            "taken_total": source.taken_total, "dead_letters_total": source.dead_letters_total,
            "failures_total": source.failures_total, "last_error": source.last_error,
        })
    };
    json!(sources.iter().map(one).collect::<Vec<_>>()).to_string()
}
