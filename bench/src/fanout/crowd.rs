//! Subscribers that only count: what they are told is looked through as bytes, not decoded.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::client_async;

use super::Kind;
use super::publisher::{MARK, STAMP_DIGITS, say};
use crate::Failure;
use crate::server::Server;

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Of so many subscribers one times its deliveries.
const TIMED_EVERY: usize = 20;
const LATE: Duration = Duration::from_secs(20);

/// The subscribers of one run.
pub struct Crowd {
    shared: Arc<Shared>,
    /// How many they are.
    pub subscribers: u64,
}

/// What they count together.
struct Shared {
    begun: Instant,
    received: AtomicU64,
    moved: Notify,
    /// µs from saying to being told, of those who are timed.
    times: std::sync::Mutex<Vec<u32>>,
    lost: AtomicU64,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

impl Crowd {
    /// Subscribes them all.
    pub async fn gather(server: &Server, kind: Kind, subscribers: usize) -> Result<Crowd, Failure> {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            received: AtomicU64::new(0),
            moved: Notify::new(),
            times: std::sync::Mutex::default(),
            lost: AtomicU64::new(0),
        });
        for number in 0..subscribers {
            let stream = TcpStream::connect(&server.authority).await?;
            stream.set_nodelay(true)?;
            let (mut socket, _) = client_async(format!("ws://{}/connection/websocket", server.authority), stream).await?;
            match kind {
                Kind::Bare => drop(say(&mut socket, "subscribe".to_owned()).await?),
                Kind::Ours => {
                    say(&mut socket, format!("{{\"id\":1,\"connect\":{{\"token\":\"{}\"}}}}", server.token)).await?;
                    say(&mut socket, "{\"id\":2,\"subscribe\":{\"channel\":\"board:public\"}}".to_owned()).await?;
                }
            }
            let shared = shared.clone();
            tokio::spawn(async move {
                let ended = read(socket.into_inner(), &shared, number % TIMED_EVERY == 0).await;
                shared.lost.fetch_add(1, Ordering::Relaxed);
                shared.moved.notify_one();
                ended
            });
        }
        Ok(Crowd { shared, subscribers: subscribers as u64 })
    }

    /// Nanoseconds since the crowd came together: the stamp of a message.
    pub fn now_ns(&self) -> u64 {
        self.shared.begun.elapsed().as_nanos() as u64
    }

    /// Deliveries so far.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Waits until so many came.
    pub async fn wait_for(&self, deliveries: u64) -> Result<(), Failure> {
        let all = async {
            while self.received() < deliveries {
                self.shared.moved.notified().await;
                if self.shared.lost.load(Ordering::Relaxed) > 0 {
                    return Err("the server ended a subscriber".into());
                }
            }
            Ok(())
        };
        let late = || format!("{} of {deliveries} deliveries came", self.received());
        tokio::time::timeout(LATE, all).await.map_err(|_| late())?
    }

    /// The 99th percentile of the time to a delivery, in ms.
    pub fn p99_ms(&self) -> f64 {
        let Ok(mut times) = self.shared.times.lock() else { return f64::NAN };
        times.sort_unstable();
        times.get(times.len() * 99 / 100).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }
}

/// Counts the marks in what comes; a mark and its stamp may come in two reads.
async fn read(stream: TcpStream, shared: &Shared, is_timed: bool) -> std::io::Result<()> {
    let finder = Finder::new(MARK);
    let mut rest: Vec<u8> = Vec::new();
    loop {
        stream.readable().await?;
        let done = BUFFER.with_borrow_mut(|buffer| {
            buffer[..rest.len()].copy_from_slice(&rest);
            let read = match stream.try_read(&mut buffer[rest.len()..]) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = &buffer[..rest.len() + read];
            let kept = count(&finder, bytes, shared, is_timed);
            rest = bytes[kept..].to_vec();
            Ok(())
        });
        done?;
    }
}

/// From where on the bytes are to be looked through again.
fn count(finder: &Finder<'_>, bytes: &[u8], shared: &Shared, is_timed: bool) -> usize {
    let (mut found, mut from) = (0, 0);
    while let Some(at) = finder.find(&bytes[from..]) {
        let stamp = from + at + MARK.len();
        let Some(digits) = bytes.get(stamp..stamp + STAMP_DIGITS) else {
            from += at;
            break;
        };
        if is_timed {
            time(shared, digits);
        }
        found += 1;
        from = stamp + STAMP_DIGITS;
    }
    if found > 0 {
        shared.received.fetch_add(found, Ordering::Relaxed);
        shared.moved.notify_one();
    }
    from.max(bytes.len().saturating_sub(MARK.len() + STAMP_DIGITS))
}

fn time(shared: &Shared, digits: &[u8]) {
    let said = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    let micros = (shared.begun.elapsed().as_nanos() as u64).saturating_sub(said) / 1_000;
    if let Ok(mut times) = shared.times.lock() {
        times.push(u32::try_from(micros).unwrap_or(u32::MAX));
    }
}
