//! What a step came to.

/// Counts, and the names of what failed or was skipped.
#[derive(Default)]
pub struct Tally {
    pub passed: usize,
    pub failures: Vec<String>,
    pub skips: Vec<String>,
}

impl Tally {
    /// One check that held.
    pub fn pass() -> Tally {
        Tally { passed: 1, ..Tally::default() }
    }

    /// One check that did not.
    pub fn fail(why: impl Into<String>) -> Tally {
        Tally { failures: vec![why.into()], ..Tally::default() }
    }

    /// One check that could not be run here: a failure in CI, where everything must be.
    pub fn skip(why: impl Into<String>) -> Tally {
        let why = why.into();
        if std::env::var_os("CI").is_some_and(|value| value == "true") {
            return Tally::fail(format!("{why} (a skip is a failure when CI=true)"));
        }
        Tally { skips: vec![why], ..Tally::default() }
    }

    /// A pass, or a failure that says what did not go well.
    pub fn of(ok: bool, why: &str) -> Tally {
        if ok { Tally::pass() } else { Tally::fail(why) }
    }

    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }

    pub fn ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// `N passed, N failed, N skipped`.
    pub fn line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skips.len())
    }
}
