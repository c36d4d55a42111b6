//! The Kafka sink: CloudEvents to topics, by librdkafka.
//!
//! The producer is idempotent, keeps order within a partition, and never skips a message that failed (`settings.rs` says by which options).
//! The first failure of a batch ends its producer: what is queued is thrown away, and what was not confirmed is sent again by a new one.
//! So no event of a key arrives for the first time before an earlier one of the same key. Read `sink.rs` first.

mod letter;
mod record;
mod settings;
mod sink;

pub use settings::{KafkaSettings, Sasl, Security, Tls};
pub use sink::KafkaSink;
