//! What one subscriber was told, over all its connections.

use std::collections::BTreeMap;

use super::{Asked, Change, Place, Transport};

/// From one list of the rows to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chapter {
    /// Of which moment the rows are.
    pub at: Place,
    /// The rows with which it began.
    pub rows: Vec<Change>,
    /// What was told from there on, joined over connections.
    pub changes: Vec<Change>,
    /// Those over which they were told; the first told of the rows.
    pub connections: Vec<Connection>,
    /// Whether it ended with a reset.
    pub reset: bool,
}

/// Where a connection began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    /// How many changes had been told before.
    pub told: usize,
    /// From which position it went on.
    pub after: u64,
    /// The moment at which it began.
    pub began: Began,
}

/// The moment at which a connection began, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Began {
    /// That of the rows with which it began.
    WithRows,
    /// Behind this position, which was committed before.
    Since(u64),
}

/// A subscriber's diary.
#[derive(Clone, Debug)]
pub struct Diary {
    /// By which API.
    pub transport: Transport,
    /// What was asked.
    pub asked: Asked,
    pub(crate) chapters: Vec<Chapter>,
    /// Why connections ended, and how often.
    pub ends: BTreeMap<String, usize>,
}

impl Diary {
    pub(crate) fn new(transport: Transport, asked: Asked) -> Diary {
        Diary { transport, asked, chapters: Vec::new(), ends: BTreeMap::new() }
    }

    /// Changes that were told.
    pub fn changes(&self) -> usize {
        self.chapters.iter().map(|chapter| chapter.changes.len()).sum()
    }

    /// Resets that were told.
    pub fn resets(&self) -> usize {
        self.chapters.iter().filter(|chapter| chapter.reset).count()
    }

    /// Lists that showed what the log had not numbered yet.
    pub fn beyond(&self) -> usize {
        self.chapters.iter().filter(|chapter| chapter.at.is_beyond()).count()
    }

    /// How often it was told that it read too slowly.
    pub fn slow(&self) -> usize {
        let slow = ["unavailable", "closed 1013", "closed 3008"];
        self.ends.iter().filter(|(why, _)| slow.iter().any(|slow| why.starts_with(slow))).map(|(_, count)| count).sum()
    }

    /// Connections that ended before the watch did.
    pub fn reconnections(&self) -> usize {
        self.ends.values().sum()
    }
}

/// What is done to the changes of a diary.
pub type Tampering = fn(&mut Vec<Change>);

/// What must be found in a diary that is otherwise right, each in the middle of it: a gap, a repeat, two out of order, a row told otherwise, one
/// that was another's.
pub const TAMPERINGS: [(&str, Tampering); 5] = [
    ("a gap", |changes| {
        changes.remove(changes.len() / 2);
    }),
    ("a repeat", |changes| {
        let middle = changes.len() / 2;
        changes.insert(middle, changes[middle].clone());
    }),
    ("out of order", |changes| {
        let middle = changes.len() / 2;
        changes.swap(middle, middle + 1);
    }),
    ("told otherwise", |changes| {
        let middle = changes.len() / 2;
        changes[middle].revision = changes[middle].revision.map_or(Some(1), |revision| Some(revision + 1));
    }),
    ("no right", |changes| {
        let middle = changes.len() / 2;
        let hidden = Change { position: changes[middle].position - 1, key: "hidden".to_owned(), ..changes[middle].clone() };
        changes.insert(middle, hidden);
    }),
];

impl Diary {
    /// The same with its longest chapter changed so.
    pub fn tampered(&self, tampering: Tampering) -> Diary {
        let mut diary = self.clone();
        let longest = diary.chapters.iter_mut().max_by_key(|chapter| chapter.changes.len());
        longest.into_iter().for_each(|chapter| tampering(&mut chapter.changes));
        diary
    }
}
