//! The Kafka sink and the Kafka source, by librdkafka.
//!
//! The sink sends CloudEvents to topics.
//!
//! The producer is idempotent, keeps order within a partition, and never skips a message that failed (`settings.rs` says by which options).
//! The first failure of a batch ends its producer: what is queued is thrown away, and what was not confirmed is sent again by a new one.
//! So no event of a key arrives for the first time before an earlier one of the same key. Read `sink.rs` first.
//!
//! The source reads a topic as a member of a group, and keeps its places in the store: `source.rs`.

mod grave;
mod letter;
mod record;
mod settings;
mod sink;
mod source;

pub use settings::{KafkaSettings, KafkaSourceSettings, Sasl, Security, Tls};
pub use sink::KafkaSink;
pub use source::KafkaSource;
