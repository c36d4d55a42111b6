//! Connections that several readers use at once, each with one statement that needs no transaction: what they send waits in line on the session
//! instead of for a connection. Under load the server then finds the next statement there when it has answered one, and need not be woken for each.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use crate::connect::Connections;
use crate::error::Fail;
use crate::lent::Lent;
use crate::pooled::Pooled;

/// Of how many connections of a pool one may be shared.
const ONE_OF: usize = 4;
/// Readers that use one connection at once; whoever comes then has one of its own.
const READERS_MAX: usize = 32;

/// The connections of a pool that are shared now; one that nobody uses is the pool's again.
pub struct Shared {
    /// Each is locked while its connection is made.
    places: Box<[Mutex<Weak<Session>>]>,
    next: AtomicUsize,
}

/// A connection with its readers.
struct Session {
    lent: Lent,
    /// A reader went away before its answer came, so something may hold up what is sent now.
    left: AtomicBool,
}

/// One reader's part of a connection.
pub struct Share {
    session: Arc<Session>,
    answered: bool,
}

impl Shared {
    /// For a pool. Of one that leads to a pooler none is shared: there a connection is a session only within a transaction.
    pub fn of(pool: &Connections) -> Shared {
        let places = if pool.target.is_pooler() { 0 } else { pool.most() / ONE_OF };
        Shared { places: (0..places).map(|_| Mutex::default()).collect(), next: AtomicUsize::new(0) }
    }

    /// A part of one of them; `None` where none is to be shared now.
    pub async fn join(&self, pool: &Connections) -> Result<Option<Share>, Fail> {
        let Some(turn) = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.places.len()) else { return Ok(None) };
        let Some(place) = self.places.get(turn) else { return Ok(None) };
        let (mut place, made_now) = match place.try_lock() {
            Ok(place) => (place, false),
            Err(_) => (place.lock().await, true),
        };
        if let Some(session) = place.upgrade().filter(|session| session.is_sound()) {
            return Ok((Arc::strong_count(&session) <= READERS_MAX).then(|| Share::of(session)));
        }
        if made_now {
            // It was waited for, and could not be made.
            return Ok(None);
        }
        let lent = Lent::take(pool).await?;
        // One limit on time for all its readers: the session's own. It is set before others come.
        let client = lent.client()?;
        if let Some(limit) = client.limit(None) {
            client.batch_execute(&limit).await?;
        }
        let session = Arc::new(Session { lent, left: AtomicBool::new(false) });
        *place = Arc::downgrade(&session);
        Ok(Some(Share::of(session)))
    }
}

impl Session {
    fn is_sound(&self) -> bool {
        let is_open = self.lent.client().is_ok_and(|client| !client.is_closed());
        is_open && !self.left.load(Ordering::Acquire)
    }
}

impl Drop for Session {
    /// After its last reader. Where one has left, what it asked for is cancelled and the connection ended.
    fn drop(&mut self) {
        if !*self.left.get_mut() {
            self.lent.give_back();
        }
    }
}

impl Share {
    fn of(session: Arc<Session>) -> Share {
        Share { session, answered: false }
    }

    /// The connection, for one statement without a transaction, and without a limit on its time.
    ///
    /// # Errors
    /// As [`Lent::client`].
    pub fn client(&self) -> Result<&Pooled, Fail> {
        self.session.lent.client()
    }

    /// Gives it back: the statement's answer is here.
    pub fn done(mut self) {
        self.answered = true;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.answered {
            self.session.left.store(true, Ordering::Release);
        }
    }
}
