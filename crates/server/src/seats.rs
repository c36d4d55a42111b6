//! Who is connected: seats are counted, in all and by address, and one clock gives up on those that are too slow.
//!
//! A timer for each connection would cost each request a trip through the timer wheel. Instead a connection notes until when
//! it may be silent, and one task looks at all of them four times a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use fourfold_op::Error;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// How many may be connected.
#[derive(Clone, Copy, Debug)]
pub struct SeatLimits {
    /// Connections in all; 0: any number.
    pub connections_max: usize,
    /// Connections of one address; 0: any number.
    pub connections_per_address_max: usize,
    /// How long a request's head may take.
    pub head_timeout: Duration,
    /// How long a connection may be idle between requests, and how long a reader may take nothing.
    pub idle_timeout: Duration,
}

impl Default for SeatLimits {
    fn default() -> SeatLimits {
        SeatLimits {
            connections_max: 10_000,
            connections_per_address_max: 256,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// How often the clock looks.
const TICK: Duration = Duration::from_millis(250);

/// All connections of one listener.
#[derive(Debug)]
pub struct Seats {
    limits: SeatLimits,
    started: Instant,
    now_ms: AtomicU64,
    next: AtomicU64,
    draining: AtomicBool,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    seats: HashMap<u64, Arc<Link>>,
    addresses: HashMap<IpAddr, usize>,
}

/// Which limit a connection met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `connections_max`.
    All,
    /// `connections_per_address_max`.
    Address,
}

impl Seats {
    /// An empty room, and the task that watches its clock for as long as anyone holds it.
    pub fn open(limits: SeatLimits) -> Arc<Seats> {
        let seats = Arc::new(Seats {
            limits,
            started: Instant::now(),
            now_ms: AtomicU64::new(0),
            next: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            taken: Mutex::default(),
        });
        tokio::spawn(watch_clock(Arc::downgrade(&seats)));
        seats
    }

    /// A seat for one connection.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Seat, Full> {
        let mut taken = self.taken.lock();
        let (max, own_max) = (self.limits.connections_max, self.limits.connections_per_address_max);
        if max > 0 && taken.seats.len() >= max {
            return Err(Full::All);
        }
        let own = taken.addresses.entry(address).or_default();
        if own_max > 0 && *own >= own_max {
            return Err(Full::Address);
        }
        *own += 1;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(Link::new(Arc::clone(self)));
        taken.seats.insert(id, Arc::clone(&link));
        Ok(Seat { id, address, link })
    }

    /// How many are connected.
    pub fn count(&self) -> usize {
        self.taken.lock().seats.len()
    }

    /// Tells every connection to finish what it has begun and end.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.taken.lock().seats.values().for_each(|link| link.waker.wake());
    }

    /// Ends every connection now.
    pub fn expel(&self) {
        self.taken.lock().seats.values().for_each(|link| link.give_up());
    }

    fn tick(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.now_ms.store(now, Ordering::Relaxed);
        self.taken.lock().seats.values().filter(|link| link.is_late(now)).for_each(|link| link.give_up());
    }
}

async fn watch_clock(seats: Weak<Seats>) {
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match seats.upgrade() {
            Some(seats) => seats.tick(),
            None => return,
        }
    }
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub struct Seat {
    id: u64,
    address: IpAddr,
    link: Arc<Link>,
}

impl Seat {
    /// What the connection's parts tell each other.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.link.seats.taken.lock();
        taken.seats.remove(&self.id);
        if let Some(own) = taken.addresses.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.addresses.remove(&self.address);
            }
        }
    }
}

/// What the parts of one connection tell each other: until when it may be silent, and why it was refused.
#[derive(Debug)]
pub struct Link {
    seats: Arc<Seats>,
    /// When it is given up, on the room's clock; 0: not at all.
    deadline_ms: AtomicU64,
    /// Whether a head has begun.
    in_head: AtomicBool,
    /// Requests that are being answered.
    busy: AtomicU32,
    given_up: AtomicBool,
    waker: AtomicWaker,
    refusal: OnceLock<Error>,
}

impl Link {
    fn new(seats: Arc<Seats>) -> Link {
        let link = Link {
            seats,
            deadline_ms: AtomicU64::new(0),
            in_head: AtomicBool::new(false),
            busy: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            refusal: OnceLock::new(),
        };
        link.arm(link.seats.limits.head_timeout);
        link
    }

    /// The connection is another protocol's now, which has its own clocks.
    pub fn unwatched(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// The first bytes of a head are here, the rest is not.
    pub fn head_began(&self) {
        if !self.in_head.swap(true, Ordering::Relaxed) {
            self.arm(self.seats.limits.head_timeout);
        }
    }

    /// A request is being answered.
    pub fn answering(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.in_head.store(false, Ordering::Relaxed);
    }

    /// It was answered, as far as the connection's buffers go.
    pub fn answered(&self) {
        self.arm(self.seats.limits.idle_timeout);
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// The other side takes what is written.
    pub fn progressed(&self) {
        if !self.in_head.load(Ordering::Relaxed) {
            self.arm(self.seats.limits.idle_timeout);
        }
    }

    /// Remembers why the request being read is refused.
    pub fn refuse(&self, error: Error) {
        let _ = self.refusal.set(error);
    }

    /// Why the last request of this connection is refused.
    pub fn refusal(&self) -> Option<&Error> {
        self.refusal.get()
    }

    /// Whether the connection was given up; the caller is woken when that or draining changes.
    pub(crate) fn poll_given_up(&self, cx: &std::task::Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.given_up.load(Ordering::Relaxed)
    }

    /// Nobody is to be woken any more: a waker holds the memory of its whole task, and this place outlives that of an upgraded connection.
    pub(crate) fn untended(&self) {
        drop(self.waker.take());
    }

    /// Whether the server is ending.
    pub(crate) fn is_draining(&self) -> bool {
        self.seats.draining.load(Ordering::Relaxed)
    }

    fn arm(&self, after: Duration) {
        let until = self.seats.now_ms.load(Ordering::Relaxed) + after.as_millis() as u64;
        self.deadline_ms.store(until, Ordering::Relaxed);
    }

    fn is_late(&self, now_ms: u64) -> bool {
        let deadline = self.deadline_ms.load(Ordering::Relaxed);
        self.busy.load(Ordering::Relaxed) == 0 && deadline != 0 && deadline < now_ms
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn room(limits: SeatLimits) -> Arc<Seats> {
        Seats::open(limits)
    }

    #[tokio::test]
    async fn seats_are_counted_in_all_and_by_address() {
        let seats = room(SeatLimits { connections_max: 3, connections_per_address_max: 2, ..SeatLimits::default() });
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = seats.take(one).unwrap();
        let _second = seats.take(one).unwrap();
        assert_eq!(seats.take(one).err(), Some(Full::Address));
        let _third = seats.take(two).unwrap();
        assert_eq!(seats.take(two).err(), Some(Full::All));
        drop(first);
        assert!(seats.take(one).is_ok());
    }

    #[tokio::test]
    async fn a_silent_connection_is_late_and_a_busy_one_is_not() {
        let seats = room(SeatLimits::default());
        let seat = seats.take([127, 0, 0, 1].into()).unwrap();
        assert!(!seat.link().is_late(10_000));
        assert!(seat.link().is_late(10_001));
        seat.link().answering();
        assert!(!seat.link().is_late(1_000_000));
        seat.link().answered();
        assert!(!seat.link().is_late(60_000));
        assert!(seat.link().is_late(61_000));
    }
}
