//! Sinks: what carries the events of the log to other systems.
//!
//! A sink is a principal with rules of its own. It reads the log through the engine, hands what it may see to its target ([`Sink`]) in the form of
//! CloudEvents, and saves how far it came beside the rows. At least once, in order for each key; what a target has not taken stays in the log,
//! so a bad one delays nobody. This crate knows no protocol: a target is a crate of its own, or a test.
//!
//! Read [`sink`] first, then `run.rs`, which is the loop.

pub mod backoff;
pub mod event;
mod observe;
mod run;
pub mod settings;
pub mod sink;
pub mod sinks;
pub mod status;

pub use event::{Delivery, Form};
pub use settings::{Begin, Pace, SinkSettings};
pub use sink::{DeadLetter, Later, Sink, SinkError};
pub use sinks::{Opened, Sinks};
pub use status::{SinkFigures, SinkState};
