//! Estimates π by the share of random points of a square that lie in its inscribed circle.

use crate::{fault::KernelFault, stop::Stop};

/// Samples between two looks at the flag: some 0.2 ms.
const SAMPLES_PER_LOOK: u64 = 1 << 16;

/// How many of `n` points lie inside; the same for the same `seed` on every machine.
pub(super) fn inside(n: u64, seed: u64, stop: &Stop) -> Result<u64, KernelFault> {
    let mut random = SplitMix { state: seed };
    let (mut left, mut inside) = (n, 0);
    while left > 0 {
        if stop.raised() {
            return Err(KernelFault::Stopped);
        }
        let samples = left.min(SAMPLES_PER_LOOK);
        inside += (0..samples)
            .map(|_| u64::from(random.point_inside()))
            .sum::<u64>();
        left -= samples;
    }
    Ok(inside)
}

/// 4 × the share of the points inside.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(super) fn estimate(inside: u64, n: u64) -> f64 {
    4.0 * inside as f64 / n as f64
}

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
struct SplitMix {
    state: u64,
}

impl SplitMix {
    fn point_inside(&mut self) -> bool {
        let (x, y) = (self.unit(), self.unit());
        x * x + y * y <= 1.0
    }

    /// From 0 to below 1, in steps of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
