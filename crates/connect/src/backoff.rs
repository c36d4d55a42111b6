//! How long to wait after a failure: twice as long each time, within bounds, and never all at the same moment.

use std::time::Duration;

/// The waits after failures in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits between these bounds.
    pub fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max: max.max(min), failures: 0 }
    }

    /// It went well: the next failure waits shortest.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure: between the half and the whole of what is doubled each time, up to the longest.
    pub fn after_failure(&mut self) -> Duration {
        self.wait(random_below_one())
    }

    fn wait(&mut self, chance: f64) -> Duration {
        let doubled = self.min.saturating_mul(2_u32.saturating_pow(self.failures.min(20)));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.max);
        (whole / 2 + (whole / 2).mul_f64(chance)).max(self.min.min(whole) / 2)
    }
}

/// Of 53 random bits.
fn random_below_one() -> f64 {
    (uuid::Uuid::new_v4().as_u128() >> 75) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds_and_begin_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        let waits: Vec<(Duration, Duration)> = (0..6).map(|_| (backoff.clone().wait(0.0), backoff.wait(1.0))).collect();
        let expected = [(50, 100), (100, 200), (200, 400), (400, 800), (500, 1_000), (500, 1_000)];
        assert_eq!(waits, expected.map(|(least, most)| (ms(least), ms(most))));
        backoff.reset();
        assert_eq!(backoff.wait(1.0), ms(100));
        for _ in 0..100 {
            assert!(backoff.after_failure() <= ms(1_000));
        }
    }

    #[test]
    fn chances_differ_and_are_below_one() {
        let chances: Vec<f64> = (0..100).map(|_| random_below_one()).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        assert!(chances.iter().any(|chance| *chance > 0.5) && chances.iter().any(|chance| *chance < 0.5));
    }
}
