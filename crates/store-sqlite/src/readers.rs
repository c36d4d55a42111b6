//! Connections that read: a slot for each thread, and some for what takes long.
//!
//! We are the only writer, so a reader keeps its snapshot until the count of commits has moved: most reads begin no transaction.
//! An idle reader lets go, so that the write-ahead log can start over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::connection::{last_position, open_reader};

/// Virtual machine steps between two looks at the clock.
const STEPS: std::ffi::c_int = 1_000;
/// How long a read may hold a thread that serves: so many looks, and so long. Steps are counted because the clock also runs while the
/// thread waits for a processor, and a read that begins anew elsewhere for that has cost twice.
const INLINE_LOOKS: u64 = 40;
const INLINE: Duration = Duration::from_millis(2);

/// How long a read may run.
#[derive(Default)]
pub struct Gate {
    /// Nanoseconds after [`Gate::base`]; 0: no end, 1: [`INLINE`] from the first look on.
    until: AtomicU64,
    /// Looks that are left; 0: any number.
    looks: AtomicU64,
    /// Nobody waits any more.
    pub left: AtomicBool,
}

impl Gate {
    fn base() -> Instant {
        static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BASE.get_or_init(Instant::now)
    }

    fn nanos(at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(Gate::base()).as_nanos()).unwrap_or(u64::MAX).max(2)
    }

    /// Lets a read run for [`INLINE_LOOKS`], and for [`INLINE`] from the first of them on.
    pub fn inline(&self) {
        self.until.store(1, Ordering::Relaxed);
        self.looks.store(INLINE_LOOKS, Ordering::Relaxed);
        self.left.store(false, Ordering::Relaxed);
    }

    /// Lets a read run until a moment.
    pub fn until(&self, at: Option<Instant>) {
        self.until.store(at.map_or(0, Gate::nanos), Ordering::Relaxed);
        self.looks.store(0, Ordering::Relaxed);
        self.left.store(false, Ordering::Relaxed);
    }

    fn closed(&self) -> bool {
        let looks = self.looks.load(Ordering::Relaxed);
        if looks == 1 {
            return true;
        }
        self.looks.store(looks.saturating_sub(1), Ordering::Relaxed);
        match self.until.load(Ordering::Relaxed) {
            0 => self.left.load(Ordering::Relaxed),
            1 => {
                self.until.store(Gate::nanos(Instant::now() + INLINE), Ordering::Relaxed);
                false
            }
            until => self.left.load(Ordering::Relaxed) || Gate::nanos(Instant::now()) > until,
        }
    }
}

/// A connection that reads.
pub struct Reader {
    pub connection: Connection,
    pub gate: Arc<Gate>,
    /// The count of commits at its snapshot; `None` without one.
    seen: Option<u64>,
    /// The last position in its snapshot.
    pub position: u64,
    used: bool,
}

impl Reader {
    fn open(path: &Path) -> rusqlite::Result<Reader> {
        let mut connection = open_reader(path)?;
        let gate = Arc::new(Gate::default());
        let watched = gate.clone();
        connection.progress_handler(STEPS, Some(move || watched.closed()))?;
        Ok(Reader { connection, gate, seen: None, position: 0, used: false })
    }

    /// A snapshot that has every commit counted so far.
    pub fn renew(&mut self, commits: u64) -> rusqlite::Result<()> {
        self.used = true;
        if self.seen == Some(commits) {
            return Ok(());
        }
        self.let_go()?;
        self.connection.prepare_cached("BEGIN")?.raw_execute()?;
        self.seen = Some(commits);
        self.position = match last_position(&self.connection) {
            Ok(position) => position,
            Err(error) => {
                self.let_go()?;
                return Err(error);
            }
        };
        Ok(())
    }

    /// Ends the snapshot.
    pub fn let_go(&mut self) -> rusqlite::Result<()> {
        if self.seen.take().is_some() && !self.connection.is_autocommit() {
            self.connection.prepare_cached("COMMIT")?.raw_execute()?;
        }
        Ok(())
    }
}

/// All of a store's readers.
pub struct Readers {
    path: PathBuf,
    /// For reads on the threads that serve.
    quick: Box<[Mutex<Option<Reader>>]>,
    /// For reads on threads that may block.
    heavy: Box<[Mutex<Option<Reader>>]>,
    next: AtomicUsize,
}

impl Readers {
    /// No connection is opened before it is used.
    pub fn new(path: PathBuf) -> Readers {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let slots = |count: usize| (0..count).map(|_| Mutex::new(None)).collect();
        Readers { path, quick: slots(cores * 2), heavy: slots(cores * 2), next: AtomicUsize::new(0) }
    }

    /// This thread's reader, or another that is free.
    pub fn quick(&self) -> rusqlite::Result<Lent<'_>> {
        thread_local! { static SLOT: usize = { static COUNT: AtomicUsize = AtomicUsize::new(0); COUNT.fetch_add(1, Ordering::Relaxed) } }
        self.lend(&self.quick, SLOT.with(|slot| *slot))
    }

    /// A reader for a thread that may block.
    pub fn heavy(&self) -> rusqlite::Result<Lent<'_>> {
        self.lend(&self.heavy, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// How many reads may block at once.
    pub fn heavy_count(&self) -> usize {
        self.heavy.len()
    }

    fn lend<'a>(&'a self, slots: &'a [Mutex<Option<Reader>>], start: usize) -> rusqlite::Result<Lent<'a>> {
        let count = slots.len().max(1);
        for offset in 0..count {
            let Some(guard) = slots.get((start + offset) % count).and_then(Mutex::try_lock) else { continue };
            return self.filled(guard).map(Lent::Slot);
        }
        Ok(Lent::Own(Box::new(Reader::open(&self.path)?)))
    }

    fn filled<'a>(&self, mut guard: MutexGuard<'a, Option<Reader>>) -> rusqlite::Result<parking_lot::MappedMutexGuard<'a, Reader>> {
        let opened = match guard.take() {
            Some(reader) => reader,
            None => Reader::open(&self.path)?,
        };
        Ok(MutexGuard::map(guard, |slot| slot.insert(opened)))
    }

    /// Readers that nobody used since the last call let go of their snapshots.
    pub fn rest(&self) {
        for slot in self.quick.iter().chain(&self.heavy) {
            if let Some(mut guard) = slot.try_lock()
                && let Some(reader) = guard.as_mut()
                && !std::mem::replace(&mut reader.used, false)
            {
                // A reader that cannot end its snapshot is of no more use.
                if reader.let_go().is_err() {
                    *guard = None;
                }
            }
        }
    }

    /// Closes every connection that is not in use.
    pub fn close(&self) {
        self.quick.iter().chain(&self.heavy).for_each(|slot| *slot.lock() = None);
    }
}

/// A reader on loan.
pub enum Lent<'a> {
    /// Of a slot.
    Slot(parking_lot::MappedMutexGuard<'a, Reader>),
    /// When all slots are taken.
    Own(Box<Reader>),
}

impl std::ops::Deref for Lent<'_> {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        match self {
            Lent::Slot(reader) => reader,
            Lent::Own(reader) => reader,
        }
    }
}

impl std::ops::DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Reader {
        match self {
            Lent::Slot(reader) => reader,
            Lent::Own(reader) => reader,
        }
    }
}
