//! The kernel `sleep`: occupies its slot and uses no processor.

use std::time::Duration;

use crate::{fault::KernelFault, parameters::Parameters, stop::Stop};

/// A week: longer waits are a schedule, not a task.
const MILLISECONDS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;

pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Duration, KernelFault> {
    parameters
        .number("milliseconds", 0..=MILLISECONDS_MAX)
        .map(Duration::from_millis)
}

pub(crate) fn sleep(span: Duration, stop: &Stop) -> Result<Vec<u8>, KernelFault> {
    if stop.wait(span) {
        Err(KernelFault::Stopped)
    } else {
        Ok(Vec::new())
    }
}
