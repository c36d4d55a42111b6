//! The seam: what brings the messages of a source in.

use bytes::Bytes;

use crate::sink::Later;

/// What reads a topic outside, in partitions of numbered messages.
///
/// It is called from one task, one call after the other. How far it was read is not its business: it is told where to begin, and told anew
/// whenever that is not where it stands.
pub trait Source: Send {
    /// What comes next: messages of the partitions that were begun, each partition's in order; or which partitions are ours from now on. It
    /// waits until there is something, and can be cancelled at any time without losing anything.
    ///
    /// # Errors
    /// [`SourceError::Temporary`], after which it is asked again; [`SourceError::Lost`].
    fn next(&mut self, budget: SourceBudget) -> Later<'_, Result<Arrival, SourceError>>;

    /// Begins at these places, which are all that is ours: what was read beyond is forgotten. Answers the number with which each partition
    /// begins that was to begin [`From::Now`].
    ///
    /// # Errors
    /// [`SourceError::Temporary`].
    fn begin<'a>(&'a mut self, places: &'a [(i32, From)]) -> Later<'a, Result<Vec<(i32, u64)>, SourceError>>;

    /// Puts a message that was refused for good where somebody will find it, with why. It may come there twice.
    ///
    /// # Errors
    /// [`BuryError`].
    fn bury<'a>(&'a mut self, letter: DeadMessage<'a>) -> Later<'a, Result<(), BuryError>>;

    /// Where each partition begins and ends, as far as it is known.
    fn ends(&self) -> Vec<Ends>;

    /// Whether it is known to reach what it reads.
    fn reaches(&self) -> bool;
}

/// How much is handed out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceBudget {
    /// Messages.
    pub messages_max: usize,
    /// Bytes of their keys and values; one message may be more.
    pub bytes_max: usize,
}

/// What comes of a source.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// These partitions are ours, and no others, from now on; they wait for [`Source::begin`].
    Assigned(Vec<i32>),
    /// Messages.
    Messages(Vec<Message>),
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Of which partition.
    pub partition: i32,
    /// Its number there.
    pub offset: u64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None`: what the key names is gone.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With this message.
    Offset(u64),
    /// With the first that is there.
    First,
    /// With what comes from now on.
    Now,
}

/// The ends of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Which.
    pub partition: i32,
    /// The number of the first message that is there.
    pub first: u64,
    /// The number that the next message will have.
    pub next: u64,
}

/// A message that is refused for good.
#[derive(Clone, Copy, Debug)]
pub struct DeadMessage<'a> {
    /// The source's name.
    pub source: &'a str,
    /// What was refused.
    pub message: &'a Message,
    /// The error's code: `invalid_argument`.
    pub code: &'a str,
    /// Why, with the places of the value that are wrong.
    pub why: &'a str,
}

/// Why nothing came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// It may later: it cannot be reached, or refuses for a reason that somebody can mend.
    Temporary(String),
    /// What was to be read next is no longer there.
    Lost(String),
}

/// Why a message was not buried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuryError {
    /// It may be later.
    Temporary(String),
    /// There is no place for it; the source waits.
    Nowhere(String),
}
