//! The journal that `shim.c` writes, read.

use std::path::PathBuf;

use bytes::{Buf, Bytes};

const HEADER_BYTES: usize = 24;

/// What a process asked, in the order in which it took effect.
#[derive(Clone, Debug)]
pub enum Record {
    /// A file was opened, or made.
    Open { fd: i32, path: PathBuf, truncates: bool },
    /// A descriptor's end.
    Close { fd: i32 },
    /// Bytes at an offset.
    Write { fd: i32, at: usize, bytes: Bytes },
    /// A file has this size.
    Size { fd: i32, size: usize },
    /// A sync ended well: of this file, records before `through` are on the disk.
    Sync { fd: i32, through: usize },
    /// A file has another name.
    Rename { from: PathBuf, to: PathBuf },
    /// A name is gone.
    Unlink { path: PathBuf },
}

/// All records. The process ended at a record's end, so there is no half one.
pub fn parse(mut journal: Bytes) -> Vec<Record> {
    let mut records = Vec::new();
    while journal.len() >= HEADER_BYTES {
        let (kind, fd) = (journal.get_u32_ne(), journal.get_i32_ne());
        let (at, length) = (journal.get_u64_ne() as usize, journal.get_u64_ne() as usize);
        records.push(record(kind, fd, at, journal.split_to(length)));
    }
    assert!(journal.is_empty(), "the journal ends within a record");
    records
}

fn record(kind: u32, fd: i32, at: usize, bytes: Bytes) -> Record {
    match kind {
        1 => Record::Open { fd, path: path(&bytes), truncates: at == 1 },
        2 => Record::Close { fd },
        3 => Record::Write { fd, at, bytes },
        4 => Record::Size { fd, size: at },
        5 => Record::Sync { fd, through: at },
        6 => {
            let zero = bytes.iter().position(|byte| *byte == 0).unwrap();
            Record::Rename { from: path(&bytes[..zero]), to: path(&bytes[zero + 1..]) }
        }
        7 => Record::Unlink { path: path(&bytes) },
        other => panic!("a record of kind {other}"),
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::str::from_utf8(bytes).unwrap())
}
