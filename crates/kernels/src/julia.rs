//! The kernel `julia`: draws the filled Julia set of z² + c as a picture.
//!
//! A pixel's count is how often z² + c was applied while |z|² ≤ 4, at most `iterations`. All variants
//! use the same operations in the same order, without fused multiply-add, so the counts do not depend
//! on the variant or on the processor (`docs/decisions/0008-bit-identical-kernels.md`).

mod parallel;
mod picture;
mod scalar;
#[cfg(test)]
mod tests;
mod view;

use std::num::NonZero;

pub(crate) use view::{Line, View};

use crate::{fault::KernelFault, parameters::Parameters, simd, stop::Stop};

/// Most iterations of a point; more shows no further detail in double precision.
const ITERATIONS_MAX: u32 = 1_000_000;
/// Most threads of the variant `parallel`.
const THREADS_MAX: usize = 256;

/// A call of `julia` with valid parameters.
pub(crate) struct Julia {
    view: View,
    iterations: u32,
    variant: Variant,
}

/// How the counts are found; never what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// One point after the other.
    Scalar,
    /// Several points at once, as wide as the processor allows.
    Vector,
    /// As `Vector`, on several threads.
    Parallel { threads: usize },
}

impl Julia {
    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Self, KernelFault> {
        let view = View::parse(parameters)?;
        Self::of(view, parameters)
    }

    /// As the slaves of an older cluster can draw it too: the whole of the usual window.
    pub(crate) fn parse_plain(parameters: &mut Parameters<'_>) -> Result<Self, KernelFault> {
        let view = View::parse_whole(parameters)?;
        Self::of(view, parameters)
    }

    fn of(view: View, parameters: &mut Parameters<'_>) -> Result<Self, KernelFault> {
        let iterations = parameters.number_or("iterations", 1..=ITERATIONS_MAX, 256)?;
        let threads = parameters.number_or("threads", 1..=THREADS_MAX, processors())?;
        let variant = match parameters.choice_or("variant", &["scalar", "vector", "parallel"], 1)? {
            0 => Variant::Scalar,
            1 => Variant::Vector,
            _ => Variant::Parallel { threads },
        };
        Ok(Self {
            view,
            iterations,
            variant,
        })
    }

    /// Returns a PNG whose text chunk `flota-sum` is the sum of the counts in decimal.
    pub(crate) fn run(&self, stop: &Stop) -> Result<Vec<u8>, KernelFault> {
        let counts = self.counts(stop)?;
        picture::encode(&counts, self.iterations, self.view.tile_width(), stop)
    }

    /// The counts of all pixels of the tile, row by row.
    fn counts(&self, stop: &Stop) -> Result<Vec<u32>, KernelFault> {
        let mut counts = vec![0; self.view.tile_width() * self.view.tile_height()];
        match self.variant {
            Variant::Scalar => self.rows(0, &mut counts, scalar::count, stop)?,
            Variant::Vector => self.rows(0, &mut counts, simd::count, stop)?,
            Variant::Parallel { threads } => parallel::count(self, &mut counts, threads, stop)?,
        }
        Ok(counts)
    }

    /// Fills `counts`, whole rows of the tile from `first_row` on.
    fn rows(
        &self,
        first_row: usize,
        counts: &mut [u32],
        count: CountLine,
        stop: &Stop,
    ) -> Result<(), KernelFault> {
        for (index, row) in counts.chunks_exact_mut(self.view.tile_width()).enumerate() {
            count(
                &self.view.line(first_row + index),
                self.iterations,
                stop,
                row,
            )?;
        }
        Ok(())
    }
}

/// Finds the counts of one row: its points, the iterations, the flag, the counts.
type CountLine = fn(&Line<'_>, u32, &Stop, &mut [u32]) -> Result<(), KernelFault>;

fn processors() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(THREADS_MAX)
}
