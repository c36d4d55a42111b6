//! The publications that a channel without a stream keeps: so many, so long, in so many bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::said::{Client, Publication};

/// What a publication costs in memory beside its data, in bytes, roughly.
const PUBLICATION_BYTES: usize = 160;

/// What is kept, and how far the channel has come.
#[derive(Debug)]
pub(super) struct History {
    kept: VecDeque<(Instant, Arc<Publication>)>,
    bytes: usize,
    offset: u64,
    count_max: usize,
    age_max: Duration,
    /// When a subscriber last left.
    used: Instant,
}

impl History {
    /// An empty one: of so many publications, and seconds, as `@history` says; without it nothing is kept.
    pub fn new(declared: Option<(u32, u64)>) -> History {
        let (count_max, age_max) = declared.map_or((0, 0), |(count, age)| (count as usize, age));
        History { kept: VecDeque::new(), bytes: 0, offset: 0, count_max, age_max: Duration::from_secs(age_max), used: Instant::now() }
    }

    /// The offset of the newest publication; 0 before the first.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a publication its place, and keeps it where there is room; `room` is how many bytes may be kept beside those that are.
    pub fn push(&mut self, data: Arc<str>, by: Client, bytes_max: usize, room: usize) -> Arc<Publication> {
        self.offset += 1;
        let publication = Arc::new(Publication::new(self.offset, data, by));
        self.drop_old();
        let bytes = bytes_of(&publication);
        let most = bytes_max.min(self.bytes.saturating_add(room));
        while self.kept.len() >= self.count_max.max(1) || (self.bytes + bytes > most && !self.kept.is_empty()) {
            self.drop_oldest();
        }
        if self.count_max > 0 && bytes <= most {
            self.bytes += bytes;
            self.kept.push_back((Instant::now(), publication.clone()));
        }
        publication
    }

    /// Everything after an offset, of what [`History::drop_old`] left; `None` where that is not known any more, or is of the future.
    pub fn after(&self, offset: u64) -> Option<Vec<Arc<Publication>>> {
        let floor = self.floor();
        (floor..=self.offset).contains(&offset).then(|| self.all().filter(|kept| kept.offset > offset).cloned().collect())
    }

    /// What is kept, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Publication>> {
        self.kept.iter().map(|(_, publication)| publication)
    }

    /// Lets go what is older than may be kept.
    pub fn drop_old(&mut self) {
        let now = Instant::now();
        while self.kept.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.age_max) {
            self.drop_oldest();
        }
    }

    /// Notes that a subscriber leaves: it may come back.
    pub fn touch(&mut self) {
        self.used = Instant::now();
    }

    /// Whether it is as long ago as publications are kept that anybody left.
    pub fn is_over(&self) -> bool {
        self.used.elapsed() >= self.age_max
    }

    /// Lets go of all that is kept.
    #[cfg(feature = "nodes")]
    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn floor(&self) -> u64 {
        self.kept.front().map_or(self.offset, |(_, oldest)| oldest.offset - 1)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, publication)) = self.kept.pop_front() {
            self.bytes -= bytes_of(&publication);
        }
    }
}

fn bytes_of(publication: &Publication) -> usize {
    PUBLICATION_BYTES + publication.data.len()
}
