//! The vector variant on several threads.

use std::sync::{Mutex, PoisonError};

use super::Julia;
use crate::{fault::KernelFault, simd, stop::Stop};

/// Rows that a thread takes at once: few, because rows through the middle cost many times more.
const ROWS_PER_BAND: usize = 4;

/// Fills `counts` of the whole tile.
pub(super) fn count(
    julia: &Julia,
    counts: &mut [u32],
    threads: usize,
    stop: &Stop,
) -> Result<(), KernelFault> {
    let bands = counts
        .chunks_mut(ROWS_PER_BAND * julia.view.tile_width())
        .enumerate();
    let bands = Mutex::new(bands);
    let work = || {
        loop {
            let band = bands.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, counts)) = band else {
                return Ok(());
            };
            julia.rows(index * ROWS_PER_BAND, counts, simd::count, stop)?;
        }
    };
    std::thread::scope(|scope| {
        // The calling thread works too; where no further thread can be had it works alone.
        let helpers: Vec<_> = (1..threads)
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let own = work();
        helpers
            .into_iter()
            .map(|helper| helper.join().expect("counting does not panic"))
            .fold(own, Result::and)
    })
}
