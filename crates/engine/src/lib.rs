//! The engine: executes operations against a store, under the model's rules.
//!
//! It knows no protocol and no concrete store. Every request takes the same way: an operation is prepared (or found prepared),
//! bound to its caller and values, read or committed, and comes back as an [`Outcome`](fourfold_op::Outcome). Read [`execute`]
//! first, then [`idempotent`](mod@idempotent) and [`ingest`](mod@ingest); the rows of sources come by `intake`. Who watches is told of commits by the [`feed`], who
//! subscribes to a channel that the model declares by [`channel`].
//!
//! Actions are later work: `action/` will stand beside these files.

pub mod channel;
mod checkpoint;
mod engine;
pub mod execute;
pub mod feed;
pub mod idempotent;
pub mod ingest;
mod intake;
pub mod observe;
mod prepared;
mod refusal;
pub mod timing;

pub use channel::{Channel, ChannelEnd, ChannelSubscription, Told};
pub use checkpoint::Checkpoint;
pub use engine::Engine;
pub use feed::{
    Closing, Delivery, EncodingKey, End, FeedFigures, Initial, Interest, LogEnd, LogEnds, LogReader, LogTold, Rights, Stretch, Subscription,
};
pub use ingest::IngestRow;
pub use intake::{IntakeError, IntakeRow, Move, Place};
pub use prepared::Prepared;
pub use timing::{Executed, Timing};
