//! Stores: where rows, events and side records are kept.
//!
//! [`Store`] is the seam that every store stands behind; [`memory`] is the reference, `conformance` the suite that all pass.
//! A store takes plans, and only `plan` can make one. It knows no protocol.

pub mod bus;
mod bytes;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod fault;
pub mod log;
pub mod memory;
pub mod outcome;
pub mod record;
pub mod size;
pub mod sql;
pub mod store;

pub use bus::{Bus, MemoryBus};
pub use outcome::{decode_outcome, encode_outcome};
pub use store::*;
