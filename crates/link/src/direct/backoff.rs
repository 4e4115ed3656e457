//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Ceiling of the first wait.
const CEILING_MIN: Duration = Duration::from_millis(100);
/// Ceiling of all later waits: a server that comes back has its agents within the lease of 15 s.
const CEILING_MAX: Duration = Duration::from_secs(5);

/// Full jitter: anywhere between nothing and a ceiling that doubles, so that ten thousand agents of
/// a server that comes back do not arrive at once.
#[derive(Debug)]
pub(super) struct Backoff {
    state: u64,
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            ceiling: CEILING_MIN,
        }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.ceiling.mul_f64(self.fraction());
        self.ceiling = (self.ceiling * 2).min(CEILING_MAX);
        wait
    }

    /// Begins anew, after a connection that worked.
    pub(super) fn reset(&mut self) {
        self.ceiling = CEILING_MIN;
    }

    /// In 0..1, from `SplitMix64` (Steele et al. 2014).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from(mixed >> 32).expect("32 bits are left");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_spread_below_a_ceiling_that_doubles_up_to_five_seconds() {
        let mut longest = [Duration::ZERO; 8];
        let mut shortest = [Duration::MAX; 8];
        for seed in 0..1_000 {
            let mut backoff = Backoff::new(seed);
            for step in 0..8 {
                let wait = backoff.wait();
                longest[step] = longest[step].max(wait);
                shortest[step] = shortest[step].min(wait);
            }
        }
        let ceilings = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis);
        for (step, ceiling) in ceilings.into_iter().enumerate() {
            assert!(longest[step] < ceiling && longest[step] > ceiling.mul_f64(0.98));
            assert!(shortest[step] < ceiling.mul_f64(0.02));
        }
    }

    #[test]
    fn a_connection_that_worked_begins_anew() {
        let mut backoff = Backoff::new(1);
        for _ in 0..20 {
            backoff.wait();
        }
        backoff.reset();
        assert!(backoff.wait() < CEILING_MIN);
    }
}
