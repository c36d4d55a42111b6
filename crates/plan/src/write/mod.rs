//! Writes: what a store is to lock, ask, settle and append.
//!
//! [`WritePlan::settle`] is where everything about a write is decided (`settle`): a row is drafted (`draft`, `serve`), the rules judge it
//! (`rules`), and what comes of it is a [`Settled`] or a refusal (`refuse`).

mod draft;
mod plan;
mod probe;
mod refuse;
mod rules;
mod serve;
mod settle;
mod settled;
mod settling;
mod step;

pub use plan::WritePlan;
pub use probe::Probe;
pub use settled::{Before, Moment, Reference, Settled, Settling, StepHead};
pub(crate) use step::Step;
