//! Connectors: sinks, which carry the events of the log to other systems, and sources, which bring rows in.
//!
//! A sink is a principal with rules of its own. It reads the log through the engine, hands what it may see to its target ([`Sink`]) in the form of
//! CloudEvents, and saves how far it came beside the rows. At least once, in order for each key; what a target has not taken stays in the log,
//! so a bad one delays nobody. A source is one too: it takes the messages of a topic ([`Source`]) as writes, exactly once, for how far it was
//! read is moved in the commit of the rows. This crate knows no protocol: a target is a crate of its own, or a test.
//!
//! Read [`sink`] first, then `run.rs`, which is the loop; for sources [`source`], then `intake.rs`.

pub mod backoff;
pub mod event;
mod health;
mod intake;
pub mod message;
mod observe;
mod run;
pub mod settings;
pub mod sink;
pub mod sinks;
pub mod source;
mod source_status;
pub mod sources;
pub mod status;

pub use event::{Delivery, Form};
pub use health::ConnectorState;
pub use message::{KeyFrom, Mode, Reading};
pub use settings::{Begin, Pace, SinkSettings, SourcePace, SourceSettings};
pub use sink::{DeadLetter, Later, Sink, SinkError};
pub use sinks::{Opened, Sinks};
pub use source::{Arrival, BuryError, DeadMessage, Ends, From, Message, Source, SourceBudget, SourceError};
pub use source_status::SourceFigures;
pub use sources::{OpenedSource, Sources};
pub use status::SinkFigures;
