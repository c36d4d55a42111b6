//! Plans: an operation, a model and a principal become what a store is to do.
//!
//! The only crate that knows rules. Reads get them in [`Prepared::bind`], writes in [`WritePlan::settle`]. A plan's fields are
//! private, so nothing but this crate makes one, and a store takes nothing else. Pure: no I/O, no clock.
//! Read [`read`] and [`write`](mod@write) first.

pub mod admit;
mod coerce;
mod compile;
pub mod eval;
mod fetch;
pub mod node;
pub mod prepare;
pub mod read;
mod select;
mod shape;
pub mod token;
pub mod watch;
pub mod write;

pub use admit::{Admission, Admitted};
pub use eval::{Scan, Truth, eval};
pub use node::{Level, Node, Set};
pub use prepare::{Plan, Prepared, prepare, prepare_for};
pub use read::{Child, Fetch, FetchKind, GroupFetch, Link, OrderKey, PageFetch, ReadPlan, ReadShape};
pub use shape::Writer;
pub use watch::{Hidden, Images, Place, PreparedWatch, Verdict, WatchPlan, watch};
pub use write::{Before, Moment, Probe, Reference, Settled, Settling, StepHead, WritePlan};
