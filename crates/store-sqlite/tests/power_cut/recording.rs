//! A process under the shim, and what it left.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;

use crate::disk::{Disk, Image};
use crate::journal::{self, Record};
use crate::random::Random;

/// The child's folder, in its environment.
pub const CHILD: &str = "POWER_CUT_CHILD";
/// Whether the child prunes, in its environment.
pub const CHILD_PRUNES: &str = "POWER_CUT_CHILD_PRUNES";
/// The child's seed.
pub const CHILD_SEED: &str = "POWER_CUT_CHILD_SEED";

/// Where a test's files are; gone at its end.
pub struct Place(PathBuf, PathBuf);

impl Place {
    /// A folder with the compiled shim.
    pub fn new(name: &str) -> Place {
        // SQLite resolves links before it opens, and the shim compares beginnings of paths.
        let base = std::env::temp_dir().canonicalize().unwrap();
        let name = format!("fourfold-power-cut-{name}-{}", std::process::id());
        // What is rebuilt is only read back: where memory serves as a disk, syncs cost nothing.
        let memory = Path::new("/dev/shm");
        let rebuilt = if memory.is_dir() { memory.join(&name) } else { base.join(&name).join("rebuilt") };
        let place = Place(base.join(name), rebuilt);
        std::fs::create_dir_all(place.data()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_cut/shim.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(place.shim()).arg(source).status();
        assert!(compiled.expect("a C compiler `cc`, which the tests need").success());
        place
    }

    /// The store's folder.
    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// What was acknowledged.
    pub fn acks(&self) -> PathBuf {
        self.root().join("acks")
    }

    /// What the shim watches.
    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// Where folders are rebuilt.
    pub fn rebuilt(&self) -> PathBuf {
        self.1.clone()
    }

    fn shim(&self) -> PathBuf {
        self.0.join("shim.so")
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// A test of this binary as a process of its own, under the shim.
    pub fn child(&self, test: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture"]).stdout(Stdio::null());
        command.env(CHILD, self.root()).env("LD_PRELOAD", self.shim());
        command.env("POWER_CUT_ROOT", self.root()).env("POWER_CUT_JOURNAL", self.journal());
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = (std::fs::remove_dir_all(&self.0), std::fs::remove_dir_all(&self.1));
    }
}

/// What is wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Nothing.
    Nothing,
    /// The disk says that it has synced, and has not.
    LostSyncs,
    /// Nothing, and the log is pruned meanwhile.
    Pruning,
    /// The store asks for no syncs.
    #[cfg(feature = "planted-faults")]
    SynchronousOff,
}

/// What happened, from an image on.
pub struct Recording {
    /// What was there before.
    pub before: Image,
    /// What was asked of the disk.
    pub records: Vec<Record>,
}

impl Recording {
    /// The load over an image, ended by the shim at a record of its journal.
    pub fn of(place: &Place, before: Image, records: usize, planted: Planted, random: &mut Random) -> Recording {
        let mut child = place.child("writes_until_the_shim_ends_it");
        child.env(CHILD_SEED, random.next().to_string()).env("POWER_CUT_RECORDS", records.to_string());
        child.env(CHILD_PRUNES, u8::from(planted == Planted::Pruning).to_string());
        child.env("POWER_CUT_LOSES_SYNCS", u8::from(planted == Planted::LostSyncs).to_string());
        #[cfg(feature = "planted-faults")]
        if planted == Planted::SynchronousOff {
            child.env("FOURFOLD_PLANTED_FAULT", "synchronous-off");
        }
        Recording::by(place, before, child)
    }

    /// What a child does over an image until the shim ends it; one that ends by itself has panicked.
    pub fn by(place: &Place, before: Image, mut child: Command) -> Recording {
        write(&before, &place.root(), &place.root());
        std::fs::create_dir_all(place.data()).unwrap();
        let _ = std::fs::remove_file(place.journal());
        let ended = child.status().unwrap();
        assert_eq!(ended.code(), None, "the child ended by itself: {ended}");
        let records = journal::parse(Bytes::from(std::fs::read(place.journal()).unwrap()));
        let recording = Recording { before, records };
        recording.assert_complete(place);
        recording
    }

    /// Replayed as a whole it is the folder, byte by byte: the shim has missed nothing.
    fn assert_complete(&self, place: &Place) {
        let mut disk = Disk::holding(self.before.clone());
        self.records.iter().for_each(|record| disk.apply(record));
        let replayed = disk.cut(crate::disk::Kept::Everything, &mut Random::still());
        assert_eq!(replayed.keys().collect::<Vec<_>>(), read(&place.root()).keys().collect::<Vec<_>>(), "the names");
        for (path, content) in read(&place.root()) {
            assert!(replayed[&path] == content, "the journal does not give `{}` as it is", path.display());
        }
    }
}

/// The files of a folder and of those in it, as a disk has them.
fn read(folder: &Path) -> Image {
    let mut image = Image::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            image.append(&mut read(&path));
        } else if !path.to_string_lossy().ends_with("-shm") {
            image.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    image
}

/// Puts those files of an image that are below `from` into a folder.
pub fn write(image: &Image, from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for (path, content) in image {
        if let Ok(name) = path.strip_prefix(from) {
            let path = to.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}
