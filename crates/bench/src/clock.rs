//! The two clocks, and random numbers.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Now on `CLOCK_BOOTTIME`: for durations.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::try_from(time).expect("the time since the boot is not negative")
}

/// Now on the wall clock, in seconds since 1970, as the API has it.
pub(super) fn wall() -> f64 {
    let time = clock_gettime(ClockId::Realtime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

/// Of a non-empty list, as `share` of 1: the nearest rank.
pub(super) fn rank<T: Copy + PartialOrd>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|left, right| {
        left.partial_cmp(right)
            .expect("measured values are comparable")
    });
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted[index]
}

/// Numbers that look random (Knuth's MMIX constants).
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `most`, which is not 0.
    pub(super) fn below(&mut self, most: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(most)).expect("it is below a u32")
    }
}
