//! A disk with a cache that forgets: it replays a journal, and tells what a power cut leaves.
//!
//! What a file's last ended sync covers is kept. Of what came after, any part may be there: none, all, what came first, or any sectors of
//! any writes. Names (made, changed, gone) are taken as durable at once and in order: that is the harder case for files that are
//! renamed without a sync, and journalling file systems write a new name with the first sync of its file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::journal::Record;
use crate::random::Random;

/// What is kept of unsynced writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None.
    Nothing,
    /// All: as after `kill -9`.
    Everything,
    /// Those before a moment.
    First,
    /// Sectors of this size, by chance; a write may be torn between two.
    Sectors(usize),
}

/// Files by their names.
pub type Image = BTreeMap<PathBuf, Vec<u8>>;

/// The disk.
#[derive(Default)]
pub struct Disk {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    open: HashMap<i32, usize>,
    records: usize,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    /// Unsynced changes with their record's number.
    pending: Vec<(usize, Change)>,
}

enum Change {
    Write(usize, Bytes),
    Size(usize),
}

impl Disk {
    /// A disk that holds an image, durably.
    pub fn holding(image: Image) -> Disk {
        let (names, contents): (Vec<_>, Vec<_>) = image.into_iter().unzip();
        let files = contents.into_iter().map(|durable| File { durable, pending: Vec::new() }).collect();
        Disk { files, names: names.into_iter().zip(0..).collect(), ..Disk::default() }
    }

    /// The next record.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Open { fd, path, truncates } => self.opened(*fd, path, *truncates),
            Record::Close { fd } => {
                self.open.remove(fd);
            }
            Record::Write { fd, at, bytes } => self.change(*fd, Change::Write(*at, bytes.clone())),
            Record::Size { fd, size } => self.change(*fd, Change::Size(*size)),
            Record::Sync { fd, through } => self.files[self.open[fd]].sync(*through),
            Record::Rename { from, to } => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), file);
            }
            Record::Unlink { path } => {
                self.names.remove(path);
            }
        }
        self.records += 1;
    }

    fn opened(&mut self, fd: i32, path: &Path, truncates: bool) {
        let file = *self.names.entry(path.to_owned()).or_insert_with(|| {
            self.files.push(File::default());
            self.files.len() - 1
        });
        self.open.insert(fd, file);
        if truncates {
            self.change(fd, Change::Size(0));
        }
    }

    fn change(&mut self, fd: i32, change: Change) {
        let record = self.records;
        self.files[self.open[&fd]].pending.push((record, change));
    }

    /// What a power cut now leaves; never SQLite's -shm file, which is no file of the disk but shared memory.
    pub fn cut(&self, kept: Kept, random: &mut Random) -> Image {
        let oldest = self.files.iter().filter_map(|file| file.pending.first()).map(|(record, _)| *record).min().unwrap_or(self.records);
        let end = if kept == Kept::First { oldest + random.below(self.records - oldest + 1) } else { self.records };
        let files = self.names.iter().filter(|(path, _)| !path.to_string_lossy().ends_with("-shm"));
        files.map(|(path, file)| (path.clone(), self.files[*file].left((kept, end), random))).collect()
    }

    /// All that was written to one file, synced or not.
    pub fn whole(&self, path: &Path) -> Vec<u8> {
        self.names.get(path).map_or(Vec::new(), |file| self.files[*file].left((Kept::Everything, self.records), &mut Random::still()))
    }
}

impl File {
    fn sync(&mut self, through: usize) {
        let covered = self.pending.iter().take_while(|(record, _)| *record < through).count();
        for (_, change) in self.pending.drain(..covered) {
            change.onto(&mut self.durable);
        }
    }

    fn left(&self, (kept, end): (Kept, usize), random: &mut Random) -> Vec<u8> {
        let mut content = self.durable.clone();
        for (_, change) in self.pending.iter().take_while(|(record, _)| *record < end) {
            match kept {
                Kept::Nothing => {}
                Kept::Everything | Kept::First => change.onto(&mut content),
                Kept::Sectors(bytes) => change.torn(&mut content, bytes, random),
            }
        }
        content
    }
}

impl Change {
    fn onto(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write(at, bytes) => write(content, *at, bytes),
            Change::Size(size) => content.resize(*size, 0),
        }
    }

    /// Half of the changes come by whole or not at all, half by sectors.
    fn torn(&self, content: &mut Vec<u8>, sector: usize, random: &mut Random) {
        match self {
            Change::Write(at, bytes) if random.coin() => {
                for (from, part) in sectors(*at, bytes, sector) {
                    if random.coin() {
                        write(content, from, part);
                    }
                }
            }
            whole if random.coin() => whole.onto(content),
            _ => {}
        }
    }
}

/// The parts of a write, cut at the sectors' borders.
fn sectors(at: usize, bytes: &[u8], sector: usize) -> Vec<(usize, &[u8])> {
    let (mut parts, mut from, mut rest) = (Vec::new(), at, bytes);
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(sector - from % sector));
        parts.push((from, part));
        (from, rest) = (from + part.len(), after);
    }
    parts
}

/// Beyond the end there are zeros, as on a disk.
fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}
