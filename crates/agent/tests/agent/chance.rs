//! Chance that a seed repeats.

use std::time::Duration;

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// Numbers that a seed repeats (Knuth's MMIX constants).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// Kills come at random times, not at events: waits up to that many milliseconds.
    pub(crate) fn pause(&mut self, most: u64) {
        std::thread::park_timeout(Duration::from_micros(self.below(most * 1_000)));
    }
}
