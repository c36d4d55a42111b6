//! Publications and rows at a steady pace, and those who read them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{EVERY_SECOND, TEXT_BYTES, healthy};
use crate::Failure;
use crate::events::crowd::Crowd;
use crate::events::publisher::{Kind, Publisher};
use crate::events::writer::Writer;
use crate::events::{BOARD, NOTES};
use crate::server::Server;

const PERIOD: Duration = Duration::from_millis(1_000 / EVERY_SECOND);

/// Who says what to whom.
pub struct Flow {
    publisher: Publisher,
    publications: Crowd,
    writer: Writer,
    rows: Crowd,
    text: String,
    /// Rows that were there, and rows written since.
    first: u64,
    written: u64,
}

impl Flow {
    /// Those who read have subscribed; nothing is said yet.
    pub async fn begin(server: &Server, readers: usize, first: u64) -> Result<Flow, Failure> {
        let text = "x".repeat(TEXT_BYTES);
        Ok(Flow {
            publications: healthy(server, BOARD, readers / 2).await?,
            rows: healthy(server, NOTES, readers - readers / 2).await?,
            publisher: Publisher::connect(server, Kind::Ours, &text).await?,
            writer: Writer::connect(server).await?,
            text,
            first,
            written: 0,
        })
    }

    /// Flows until something has come to its end, and everything was delivered to those who read.
    pub async fn until<T>(&mut self, end: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let stop = AtomicBool::new(false);
        let ending = async {
            let ended = end.await;
            stop.store(true, Ordering::Relaxed);
            ended
        };
        let publishing = async {
            let mut clock = clock(Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                clock.tick().await;
                self.publisher.publish(self.publications.now_ns()).await?;
            }
            self.publications.wait_for(self.publisher.published() * self.publications.subscribers).await
        };
        let writing = async {
            // Between two publications.
            let mut clock = clock(PERIOD / 2);
            while !stop.load(Ordering::Relaxed) {
                clock.tick().await;
                self.writer.create(self.first + self.written, self.rows.now_ns(), &self.text).await?;
                self.written += 1;
            }
            self.rows.wait_for(self.written * self.rows.subscribers).await
        };
        let (ended, published, written) = tokio::join!(ending, publishing, writing);
        published?;
        written?;
        ended
    }

    /// The 99th percentile of the time to a delivery, of a publication and of a row, since this was last asked.
    pub fn p99_ms(&self) -> [f64; 2] {
        [self.publications.p99_ms(), self.rows.p99_ms()]
    }

    /// All leave; how many rows there are.
    pub async fn end(self) -> Result<u64, Failure> {
        self.publisher.leave().await?;
        Ok(self.first + self.written)
    }
}

fn clock(after: Duration) -> Interval {
    let mut clock = interval_at(Instant::now() + after, PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}
