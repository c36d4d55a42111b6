//! What survives a power cut, on a disk that keeps no more than was synced, and any part of the rest.
//!
//! A process writes through the real store under `shim.c`, which journals its writes and syncs, and its acknowledgements among them. At
//! points of that journal, chosen by chance, the folder is made as a disk would have it then, opened and held against what was
//! acknowledged by then. `POWER_CUT_ROUNDS` and `POWER_CUT_POINTS` make it longer; `POWER_CUT_SEED` chooses the same points again,
//! of a recording that threads make anew. With `--features planted-faults` SQLite's own `synchronous=OFF` is found out as well.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod disk;
mod failing;
mod journal;
mod ledger;
mod load;
mod random;
mod recording;

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::path::PathBuf;

use disk::{Disk, Image, Kept};
use ledger::{Ledger, findings};
use random::Random;
use recording::{CHILD, CHILD_PRUNES, CHILD_SEED, Place, Planted, Recording};

/// Records of a journal after which the child is ended.
const RECORDS: usize = 6_000;
const VARIANTS: [Kept; 5] = [Kept::Everything, Kept::Nothing, Kept::First, Kept::Sectors(512), Kept::Sectors(4_096)];

/// What cutting came to.
#[derive(Default)]
struct Tally {
    points: usize,
    folders: usize,
    acknowledged: usize,
    /// Folders in which something was wrong, by what was kept.
    red: Vec<(Kept, Vec<String>)>,
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let lost: usize = self.red.iter().map(|(_, found)| lost(found)).sum();
        let Tally { points, folders, acknowledged, red } = self;
        write!(f, "{points} points, {folders} folders, {acknowledged} acknowledged by the last; {} folders red, {lost} losses", red.len())
    }
}

/// Whether the shim works here; a skip is told.
fn can_cut() -> bool {
    if !cfg!(target_os = "linux") {
        println!("skip: the shim is for Linux");
    }
    cfg!(target_os = "linux")
}

fn count(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The process that is recorded: not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_the_shim_ends_it() {
    let Ok(root) = std::env::var(CHILD) else { return };
    let root = PathBuf::from(root);
    let seed = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    let prunes = std::env::var(CHILD_PRUNES).is_ok_and(|text| text == "1");
    load::run(&root.join("data"), &root.join("acks"), seed, prunes).await;
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_by_a_power_cut() {
    if can_cut() {
        nothing_is_lost(Planted::Nothing, "power cut").await;
    }
}

/// What is to be kept is there, what is gone is said to be gone, and no reader is told of what lies beyond a hole.
#[tokio::test]
async fn pruning_under_power_cuts_takes_nothing_that_is_to_be_kept() {
    if can_cut() {
        let floor = nothing_is_lost(Planted::Pruning, "pruning").await;
        assert!(floor > 0, "nothing was pruned");
    }
}

/// Cuts rounds of a load at points of chance; how far the log was pruned by the last.
async fn nothing_is_lost(planted: Planted, name: &str) -> u64 {
    let (place, mut random) = (Place::new(&name.replace(' ', "-")), Random::seeded(name));
    let (mut image, mut ledger, mut tally) = (Image::new(), Ledger::default(), Tally::default());
    for _ in 0..count("POWER_CUT_ROUNDS", 2) {
        let records = RECORDS / 2 + random.below(RECORDS);
        let recording = Recording::of(&place, image, records, planted, &mut random);
        // The next round begins from one of this round's cuts, so that recovery is cut too.
        (image, ledger) = cut(&place, &recording, &ledger, &mut tally, &mut random).await;
    }
    println!("{name}: {tally}");
    assert!(tally.red.is_empty(), "{:#?}", tally.red.first());
    assert!(tally.acknowledged > 100, "only {} writes were acknowledged", tally.acknowledged);
    ledger.floor
}

/// A check that could not fail would be none: to the disk this is `synchronous=OFF`.
#[tokio::test]
async fn a_disk_that_loses_syncs_is_found_out() {
    if can_cut() {
        found_out(Planted::LostSyncs, "lost syncs").await;
    }
}

/// The same with SQLite's own setting, in a build that has the fault.
#[cfg(feature = "planted-faults")]
#[tokio::test]
async fn synchronous_off_is_found_out() {
    if can_cut() {
        found_out(Planted::SynchronousOff, "synchronous off").await;
    }
}

async fn found_out(planted: Planted, name: &str) {
    let (place, mut random) = (Place::new(&name.replace(' ', "-")), Random::seeded(name));
    let mut tally = Tally::default();
    let recording = Recording::of(&place, Image::new(), RECORDS / 2, planted, &mut random);
    cut(&place, &recording, &Ledger::default(), &mut tally, &mut random).await;
    println!("{name}: {tally}");
    let red = |wanted: Kept| tally.red.iter().filter(|(kept, found)| *kept == wanted && lost(found) > 0).count();
    assert!(red(Kept::Nothing) > 0, "acknowledged writes that were never synced are not missed");
    assert_eq!(red(Kept::Everything), 0, "what was written is there as long as the disk has power");
}

/// How many acknowledged versions some findings miss.
fn lost(found: &[String]) -> usize {
    found.iter().filter(|finding| finding.ends_with(ledger::LOST)).count()
}

/// Cuts a recording at points of chance; gives one folder that it left, and what was acknowledged by then.
async fn cut(place: &Place, recording: &Recording, before: &Ledger, tally: &mut Tally, random: &mut Random) -> (Image, Ledger) {
    let mut disk = Disk::holding(recording.before.clone());
    let points = points(recording.records.len(), random);
    let mut last = (recording.before.clone(), before.clone());
    for (record, number) in recording.records.iter().zip(1..) {
        disk.apply(record);
        if points.contains(&number) {
            let mut ledger = before.clone();
            ledger.add(&String::from_utf8(disk.whole(&place.acks())).unwrap());
            let image = check(place, &disk, &ledger, tally, random).await;
            last = (image, ledger);
        }
    }
    // The next process begins its own.
    last.0.remove(&place.acks());
    last
}

/// Holds each variant of a cut against what was acknowledged, and gives the last. Where little is unsynced, some come to the same.
async fn check(place: &Place, disk: &Disk, ledger: &Ledger, tally: &mut Tally, random: &mut Random) -> Image {
    let mut images: Vec<Image> = Vec::new();
    for kept in VARIANTS {
        let image = disk.cut(kept, random);
        if images.contains(&image) {
            continue;
        }
        recording::write(&image, &place.data(), &place.rebuilt());
        images.push(image);
        let found = findings(place.rebuilt(), ledger.clone()).await;
        tally.folders += 1;
        if !found.is_empty() {
            tally.red.push((kept, found));
        }
    }
    (tally.points, tally.acknowledged) = (tally.points + 1, ledger.acks.len());
    images.pop().unwrap()
}

/// Half of them anywhere, half among the first records, where files are made and recovered.
fn points(records: usize, random: &mut Random) -> BTreeSet<usize> {
    let wanted = count("POWER_CUT_POINTS", 12);
    (0..wanted).map(|point| 1 + random.below(if point % 2 == 0 { records } else { records / 20 })).collect()
}
