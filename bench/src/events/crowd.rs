//! Subscribers that only count: what they are told is looked through as bytes, not decoded.

use std::cell::RefCell;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::mark::Marks;
use super::percentile;
use crate::Failure;

/// Bytes read at once.
const READ: usize = 64 << 10;
/// The server waits 10 s for the answer to a ping.
const PONG_EVERY: Duration = Duration::from_secs(4);
const LATE: Duration = Duration::from_secs(20);

/// Subscribers that are told the same, or parts of the same; dropping it ends them.
pub struct Crowd {
    shared: Arc<Shared>,
    /// How many they are.
    pub subscribers: u64,
    listening: JoinSet<()>,
}

/// What they count together.
struct Shared {
    begun: Instant,
    received: AtomicU64,
    moved: Notify,
    heard: Mutex<Vec<Heard>>,
    lost: Mutex<Option<String>>,
}

/// One delivery, as a timed subscriber had it.
#[derive(Clone, Copy)]
pub struct Heard {
    /// The number in its mark.
    pub number: u64,
    /// When it came, in ns since the crowd began.
    pub at_ns: u64,
}

/// What one subscriber listens with.
pub struct Ear {
    shared: Arc<Shared>,
    marks: Marks,
    is_timed: bool,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

impl Default for Crowd {
    fn default() -> Crowd {
        let shared = Shared {
            begun: Instant::now(),
            received: AtomicU64::new(0),
            moved: Notify::new(),
            heard: Mutex::default(),
            lost: Mutex::default(),
        };
        Crowd { shared: Arc::new(shared), subscribers: 0, listening: JoinSet::new() }
    }
}

impl Crowd {
    /// One more subscriber, which listens until the server ends it: that is a failure of whoever waits.
    pub fn add<F>(&mut self, is_timed: bool, listen: impl FnOnce(Ear) -> F)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.subscribers += 1;
        let listening = listen(Ear { shared: self.shared.clone(), marks: Marks::default(), is_timed });
        let shared = self.shared.clone();
        self.listening.spawn(async move {
            let why = listening.await.err().map_or_else(|| "it ended".to_owned(), |failure| failure.to_string());
            shared.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
            shared.moved.notify_one();
        });
    }

    /// One more over a socket that has subscribed.
    pub fn add_socket(&mut self, is_timed: bool, stream: TcpStream) {
        let stream = Arc::new(stream);
        self.listening.spawn(answer_pings(stream.clone()));
        self.add(is_timed, |ear| read(stream, ear));
    }

    /// ns since the crowd began: the mark of what is said now.
    pub fn now_ns(&self) -> u64 {
        self.shared.begun.elapsed().as_nanos() as u64
    }

    /// Deliveries so far.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Waits until so many came. Only one may wait.
    pub async fn wait_for(&self, deliveries: u64) -> Result<(), Failure> {
        let all = async {
            while self.received() < deliveries {
                self.shared.moved.notified().await;
                if let Some(why) = self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    return Err(format!("the server ended a subscriber: {why}").into());
                }
            }
            Ok(())
        };
        let late = || format!("{} of {deliveries} deliveries came", self.received());
        tokio::time::timeout(LATE, all).await.map_err(|_| late())?
    }

    /// What the timed ones had since this was last asked.
    pub fn take_heard(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The 99th percentile of the time to a delivery, in ms, where the numbers of marks are the time of their saying; of what came since
    /// it was last asked.
    pub fn p99_ms(&self) -> f64 {
        let mut times: Vec<u64> = self.take_heard().iter().map(|heard| heard.at_ns.saturating_sub(heard.number)).collect();
        percentile(&mut times, 99).map_or(f64::NAN, |ns| ns as f64 / 1e6)
    }
}

impl Ear {
    /// Counts the marks in what came.
    pub fn hear(&mut self, bytes: &[u8]) {
        let (shared, is_timed) = (&self.shared, self.is_timed);
        let at_ns = shared.begun.elapsed().as_nanos() as u64;
        let mut found = 0;
        self.marks.look(bytes, &mut |number| {
            found += 1;
            if is_timed {
                shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(Heard { number, at_ns });
            }
        });
        if found > 0 {
            shared.received.fetch_add(found, Ordering::Relaxed);
            shared.moved.notify_one();
        }
    }
}

/// Pings are not looked for: an answer goes out often enough to come in time.
async fn answer_pings(stream: Arc<TcpStream>) {
    // A text frame of `{}`, masked with zeroes (RFC 6455 §5).
    const PONG: [u8; 8] = [0x81, 0x82, 0, 0, 0, 0, b'{', b'}'];
    loop {
        tokio::time::sleep(PONG_EVERY).await;
        if !matches!(stream.try_write(&PONG), Ok(8)) {
            return;
        }
    }
}

/// Listens to a stream of bytes until it ends.
async fn read(stream: Arc<TcpStream>, mut ear: Ear) -> Result<(), Failure> {
    loop {
        stream.readable().await?;
        let read = BUFFER.with_borrow_mut(|buffer| match stream.try_read(buffer) {
            Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                ear.hear(&buffer[..read]);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        });
        read?;
    }
}
