//! The load: a fixed number of callers, each asking again as soon as it is answered, until the time is up.

pub mod counted;
pub mod grpc;
pub mod http1;
pub mod ws;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Failure;

/// What the callers share.
#[derive(Default)]
pub struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    next: AtomicU64,
    /// Bytes on the wire, both ways.
    pub bytes: Arc<AtomicU64>,
}

impl Shared {
    /// The number of the next request; `None` when the time is up.
    pub fn next(&self) -> Option<u64> {
        (!self.stop.load(Ordering::Relaxed)).then(|| self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Bytes on the wire so far.
    pub fn bytes_seen(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// One more answer.
    pub fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was seen in the measured time.
#[derive(Clone, Copy)]
pub struct Seen {
    pub answered: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub cpu_micros: f64,
}

impl Seen {
    /// CPU time of the server for a request, in µs.
    pub fn cpu_per_request(&self) -> f64 {
        self.cpu_micros / self.answered.max(1) as f64
    }
}

/// Starts `callers` of them, warms up, and looks at the counters and the server's CPU clock at both ends of `time`.
pub async fn run<F>(
    callers: usize,
    time: Duration,
    cpu: impl Fn() -> Result<f64, Failure>,
    call: impl Fn(Arc<Shared>) -> F,
) -> Result<Seen, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let shared = Arc::new(Shared::default());
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(call(shared.clone()))).collect();
    tokio::time::sleep(time / 4).await;
    let look = || Ok::<_, Failure>((shared.answered.load(Ordering::Relaxed), shared.bytes.load(Ordering::Relaxed), cpu()?, Instant::now()));
    let start = look()?;
    tokio::time::sleep(time).await;
    let end = look()?;
    shared.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(10), task).await.map_err(|_| "a caller was never answered")???;
    }
    Ok(Seen { answered: end.0 - start.0, bytes: end.1 - start.1, seconds: (end.3 - start.3).as_secs_f64(), cpu_micros: end.2 - start.2 })
}
