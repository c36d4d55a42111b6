//! What callers and the engine say to each other: operations, rows, outcomes, events, errors, limits.
//!
//! Pure: no I/O, no clock. It knows the model, and no store and no protocol. Read [`operation`] first.

pub mod context;
pub mod cursor;
pub mod error;
pub mod event;
pub mod json;
pub mod lift;
pub mod limits;
pub mod operation;
pub mod outcome;
pub mod params;
pub mod render;
pub mod sse;
pub mod watch;
pub mod wire;

pub use context::{Authenticate, Authenticated, Claims, Context, Deadline, IdempotencyKey, Principal, RequestId};
pub use cursor::{Cursor, Epoch, Position};
pub use error::{Error, ErrorCode, FieldError, LimitHit, Private, Public};
pub use event::{Change, Event};
pub use fourfold_model::{Row, SmolStr, Value};
pub use limits::Limits;
pub use operation::*;
pub use outcome::*;
pub use watch::{Start, Watch, WatchChange};
