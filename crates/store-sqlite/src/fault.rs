//! Faults that the tests of durability must find, chosen by the environment.

fn planted(name: &str) -> bool {
    std::env::var("FOURFOLD_PLANTED_FAULT").is_ok_and(|fault| fault == name)
}

/// Answers callers before the commit.
pub fn acknowledge_before_commit() -> bool {
    planted("acknowledge-before-commit")
}

/// A commit's frames are in the kernel within microseconds: a killed process would lose nothing but for this pause.
pub fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// Lets the disk keep what it likes.
pub fn synchronous_off() -> bool {
    planted("synchronous-off")
}
