//! The bus: carries what is not kept between the processes over one store, such as who is present in a channel.
//!
//! Nothing of it is in the log, and nothing is promised but this: what one sender sent comes in its order, maybe twice, maybe not. Who must know
//! whether something is missing numbers what it sends. [`MemoryBus`] joins engines of one process; a store over a network has its own
//! ([`Store::bus`](crate::Store::bus)).

use std::sync::Arc;

use fourfold_op::Error;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Texts that wait for one who hears; what comes beyond is not heard.
pub const HEARD_MAX: usize = 4_096;
/// The longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Carries texts to all who hear.
pub trait Bus: Send + Sync {
    /// Hands a text on to all who hear, the sender too. It never waits.
    ///
    /// # Errors
    /// `overloaded` where too much waits to be sent; `limit_exceeded` beyond [`TEXT_BYTES_MAX`].
    fn send(&self, text: String) -> Result<(), Error>;

    /// What is sent from now on, by whomever.
    fn hear(&self) -> mpsc::Receiver<Arc<str>>;
}

/// Those who hear in one process.
#[derive(Default)]
pub struct Hearers(Mutex<Vec<mpsc::Sender<Arc<str>>>>);

impl Hearers {
    /// One more.
    pub fn add(&self) -> mpsc::Receiver<Arc<str>> {
        let (sender, receiver) = mpsc::channel(HEARD_MAX);
        self.0.lock().push(sender);
        receiver
    }

    /// Tells all of them; one that has no room is not told.
    pub fn tell(&self, text: &Arc<str>) {
        self.0.lock().retain(|hearer| !matches!(hearer.try_send(text.clone()), Err(mpsc::error::TrySendError::Closed(_))));
    }
}

/// The bus of one process.
#[derive(Default)]
pub struct MemoryBus {
    hearers: Hearers,
}

impl MemoryBus {
    /// One that nobody hears yet.
    pub fn new() -> Arc<MemoryBus> {
        Arc::default()
    }
}

impl Bus for MemoryBus {
    fn send(&self, text: String) -> Result<(), Error> {
        check(&text)?;
        self.hearers.tell(&text.into());
        Ok(())
    }

    fn hear(&self) -> mpsc::Receiver<Arc<str>> {
        self.hearers.add()
    }
}

/// Whether a text is short enough.
///
/// # Errors
/// `limit_exceeded`.
pub fn check(text: &str) -> Result<(), Error> {
    if text.len() > TEXT_BYTES_MAX { Err(Error::limit("bus_text_bytes_max", TEXT_BYTES_MAX, "bytes")) } else { Ok(()) }
}
