//! Faults that the tests of durability must find, chosen by the environment.

fn planted(name: &str) -> bool {
    std::env::var("FOURFOLD_PLANTED_FAULT").is_ok_and(|fault| fault == name)
}

/// Answers callers before the commit.
pub fn acknowledge_before_commit() -> bool {
    planted("acknowledge-before-commit")
}

/// Lets the disk keep what it likes.
pub fn synchronous_off() -> bool {
    planted("synchronous-off")
}
