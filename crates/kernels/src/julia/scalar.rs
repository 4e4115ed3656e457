//! One point after the other: the definition that the other variants are compared with.

use super::Line;
use crate::{fault::KernelFault, stop::Stop};

/// Steps of one point between two looks at the flag: some 15 µs.
const STEPS_PER_LOOK: u32 = 4096;

/// Finds the counts of a row.
pub(super) fn count(
    line: &Line<'_>,
    iterations: u32,
    stop: &Stop,
    counts: &mut [u32],
) -> Result<(), KernelFault> {
    for (re, count) in line.re.iter().zip(counts) {
        *count = point(*re, line, iterations, stop)?;
    }
    Ok(())
}

fn point(re: f64, line: &Line<'_>, iterations: u32, stop: &Stop) -> Result<u32, KernelFault> {
    let (mut re, mut im, mut count) = (re, line.im, 0);
    while count < iterations {
        if stop.raised() {
            return Err(KernelFault::Stopped);
        }
        let next_look = count.saturating_add(STEPS_PER_LOOK).min(iterations);
        while count < next_look {
            let (re_squared, im_squared) = (re * re, im * im);
            if re_squared + im_squared > 4.0 {
                return Ok(count);
            }
            im = (re + re) * im + line.c_im;
            re = re_squared - im_squared + line.c_re;
            count += 1;
        }
    }
    Ok(count)
}
