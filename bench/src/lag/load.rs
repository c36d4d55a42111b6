//! The writes: as fast as they are answered, or so many a second whatever the answers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::WINDOW;
use crate::Failure;
use crate::events::crowd::Crowd;
use crate::events::writer::Writer;
use crate::server::Server;

const TEXT: &str = "what is told to all who watch";
/// Connections that write at a steady pace: enough that an answer is there before a connection's next write is due.
const STEADY: usize = 256;

/// One write, in ns since the crowd began.
#[derive(Clone, Copy)]
pub struct Written {
    pub number: u64,
    pub sent_ns: u64,
    pub answered_ns: u64,
}

/// Writes to one server, all of which the crowd is told.
pub struct Load<'a> {
    server: &'a Server,
    crowd: &'a Crowd,
    /// How many writes were made: the greatest key.
    written: u64,
}

impl<'a> Load<'a> {
    /// To a server that has no rows.
    pub fn new(server: &'a Server, crowd: &'a Crowd) -> Load<'a> {
        Load { server, crowd, written: 0 }
    }

    /// Writes for a time, each connection as soon as it is answered, while the deliveries keep up; how many a second came to all.
    pub async fn as_fast_as_it_can(&mut self, callers: usize, time: Duration) -> Result<f64, Failure> {
        let room = Arc::new(Semaphore::new(if self.crowd.subscribers > 0 { WINDOW as usize } else { Semaphore::MAX_PERMITS }));
        let (next, stop) = (Arc::new(AtomicU64::new(self.written + 1)), Arc::new(AtomicBool::new(false)));
        let mut writing = JoinSet::new();
        for _ in 0..callers {
            let (mut writer, room, next, stop) = (Writer::connect(self.server).await?, room.clone(), next.clone(), stop.clone());
            writing.spawn(async move {
                while let Ok(permit) = room.acquire().await {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    permit.forget();
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    writer.create(number, number, TEXT).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        let start = Instant::now();
        tokio::select! {
            ended = self.make_room(&room) => ended?,
            () = sleep_until(start + time) => {}
        }
        stop.store(true, Ordering::Relaxed);
        room.close();
        while let Some(ended) = writing.join_next().await {
            ended??;
        }
        let written = next.load(Ordering::Relaxed) - 1 - self.written;
        self.written += written;
        self.all_delivered().await?;
        Ok(written as f64 / start.elapsed().as_secs_f64())
    }

    /// Lets another write begin for each that has come to all.
    async fn make_room(&self, room: &Semaphore) -> Result<(), Failure> {
        let subscribers = self.crowd.subscribers;
        if subscribers == 0 {
            return std::future::pending().await;
        }
        let mut delivered = self.written;
        loop {
            self.crowd.wait_for((delivered + 1) * subscribers).await?;
            let now = self.crowd.received() / subscribers;
            room.add_permits((now - delivered) as usize);
            delivered = now;
        }
    }

    /// Writes so many a second for a time, without waiting for answers; all of them.
    pub async fn every_second(&mut self, rate: f64, time: Duration) -> Result<Vec<Written>, Failure> {
        let count = (rate * time.as_secs_f64()) as u64;
        let mut writers = Vec::new();
        for _ in 0..STEADY {
            writers.push(Writer::connect(self.server).await?);
        }
        let (start, began_ns) = (Instant::now(), self.crowd.now_ns());
        let now_ns = move || began_ns + start.elapsed().as_nanos() as u64;
        let (first, mut writing) = (self.written + 1, JoinSet::new());
        for (at, mut writer) in writers.into_iter().enumerate() {
            writing.spawn(async move {
                let mut written = Vec::new();
                for place in (at as u64..count).step_by(STEADY) {
                    sleep_until(start + Duration::from_secs_f64(place as f64 / rate)).await;
                    let (number, sent_ns) = (first + place, now_ns());
                    writer.create(number, number, TEXT).await?;
                    written.push(Written { number, sent_ns, answered_ns: now_ns() });
                }
                Ok::<_, Failure>(written)
            });
        }
        let mut all = Vec::new();
        while let Some(written) = writing.join_next().await {
            all.extend(written??);
        }
        self.written += count;
        self.all_delivered().await?;
        Ok(all)
    }

    async fn all_delivered(&self) -> Result<(), Failure> {
        self.crowd.wait_for(self.written * self.crowd.subscribers).await
    }
}
