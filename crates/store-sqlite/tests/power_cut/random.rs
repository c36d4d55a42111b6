//! Numbers from a seed that is printed, so that a run can be had again.

/// A stream of numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    /// From `POWER_CUT_SEED`, or the clock; printed either way.
    pub fn seeded(test: &str) -> Random {
        let given = std::env::var("POWER_CUT_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = given.unwrap_or_else(clock);
        println!("{test}: POWER_CUT_SEED={seed}");
        Random(seed)
    }

    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// One that nobody draws from.
    pub fn still() -> Random {
        Random(0)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One of two.
    pub fn coin(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}
