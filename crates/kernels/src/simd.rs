//! Several points of a Julia set at once, in the widest vectors of the processor.
//!
//! The body is plain code over arrays that the compiler vectorises; it is compiled once for each
//! level, and the level is chosen when it runs. No operation is fused, so all levels agree bit for
//! bit with one another and with the scalar variant. The only `unsafe` of the crate is the call of
//! a function that is compiled for features which were found to be there.

#[cfg(test)]
mod tests;

use crate::{fault::KernelFault, julia::Line, stop::Stop};

/// Points in flight: enough independent chains to hide the latency of multiply and add, few enough to
/// stay in the 16 registers of AVX2. Measured with AVX2, ns a step: 8 lanes 0.91, 12 0.77, 16 0.92,
/// 32 from 0.86 to 1.18; 12 would leave half a vector of AVX-512 empty. Scalar code needs 3.1.
const LANES: usize = 16;
/// Steps between two looks whether any point is still inside (4: 0.87 ns a step, 8: 0.92).
const STEPS_PER_LOOK: u32 = 4;

/// Sets of instructions that the body is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What every processor of the architecture has.
    Baseline,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The levels of this processor, the best one first.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let levels = [
            (avx512, Self::Avx512),
            (is_x86_feature_detected!("avx2"), Self::Avx2),
            (true, Self::Baseline),
        ];
        levels
            .into_iter()
            .filter_map(|(there, level)| there.then_some(level))
    }

    /// The levels of this processor, the best one first.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Baseline)
    }

    /// Runs the body compiled for this level, which must be one of [`Self::available`].
    #[cfg_attr(
        target_arch = "x86_64",
        expect(
            unsafe_code,
            reason = "functions with target features can be called in no other way"
        )
    )]
    fn block(self, block: &Block, iterations: u32, stop: &Stop) -> Option<[u32; LANES]> {
        debug_assert!(
            Self::available().any(|level| level == self),
            "{self:?} is not available"
        );
        match self {
            Self::Baseline => body(block, iterations, stop),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `available` found AVX2 on this processor.
            Self::Avx2 => unsafe { body_avx2(block, iterations, stop) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `available` found AVX-512 F, DQ and VL on this processor.
            Self::Avx512 => unsafe { body_avx512(block, iterations, stop) },
        }
    }
}

/// Finds the counts of a row at the best level.
pub(crate) fn count(
    line: &Line<'_>,
    iterations: u32,
    stop: &Stop,
    counts: &mut [u32],
) -> Result<(), KernelFault> {
    let best = Level::available().next().unwrap_or(Level::Baseline);
    count_at(best, line, iterations, stop, counts)
}

fn count_at(
    level: Level,
    line: &Line<'_>,
    iterations: u32,
    stop: &Stop,
    counts: &mut [u32],
) -> Result<(), KernelFault> {
    for (points, counts) in line.re.chunks(LANES).zip(counts.chunks_mut(LANES)) {
        let block = Block::new(points, line);
        let found = level
            .block(&block, iterations, stop)
            .ok_or(KernelFault::Stopped)?;
        counts.copy_from_slice(&found[..counts.len()]);
    }
    Ok(())
}

/// Up to [`LANES`] neighbouring points of a row.
struct Block {
    /// A lane beyond the end of the row has left from the beginning.
    re: [f64; LANES],
    im: f64,
    c_re: f64,
    c_im: f64,
}

/// The real part of a point that left. It compares with nothing and stays what it is, so that such a
/// point never counts again, also where a large c would bring it back. A mask of its own per lane
/// costs twice the time, because the registers do not hold it.
const LEFT: f64 = f64::NAN;

impl Block {
    fn new(points: &[f64], line: &Line<'_>) -> Self {
        let mut re = [LEFT; LANES];
        re[..points.len()].copy_from_slice(points);
        Self {
            re,
            im: line.im,
            c_re: line.c_re,
            c_im: line.c_im,
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn body_avx2(block: &Block, iterations: u32, stop: &Stop) -> Option<[u32; LANES]> {
    body(block, iterations, stop)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn body_avx512(block: &Block, iterations: u32, stop: &Stop) -> Option<[u32; LANES]> {
    body(block, iterations, stop)
}

/// The counts of a block; `None` once the flag is raised.
#[expect(
    clippy::inline_always,
    reason = "it must be compiled with the features of its caller"
)]
#[inline(always)]
fn body(block: &Block, iterations: u32, stop: &Stop) -> Option<[u32; LANES]> {
    let (mut re, mut im, mut counts) = (block.re, [block.im; LANES], [0_u64; LANES]);
    let mut left = iterations;
    while left > 0 && re.iter().any(|re| !re.is_nan()) {
        if stop.raised() {
            return None;
        }
        let steps = left.min(STEPS_PER_LOOK);
        for _ in 0..steps {
            for lane in 0..LANES {
                let (re_squared, im_squared) = (re[lane] * re[lane], im[lane] * im[lane]);
                let inside = re_squared + im_squared <= 4.0;
                counts[lane] += u64::from(inside);
                im[lane] = (re[lane] + re[lane]) * im[lane] + block.c_im;
                let next = re_squared - im_squared + block.c_re;
                re[lane] = if inside { next } else { LEFT };
            }
        }
        left -= steps;
    }
    Some(counts.map(narrowed))
}

/// Counted in 64 bits only because the comparison of two doubles gives 64.
fn narrowed(count: u64) -> u32 {
    u32::try_from(count).expect("no more than the iterations")
}
