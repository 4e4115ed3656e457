//! The one place of the server that reads clocks.

use flota_model::units::{Moment, Now, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Reads both clocks.
pub(crate) fn now() -> Now {
    Now {
        moment: Moment(micros(clock_gettime(ClockId::Boottime))),
        wall: Timestamp(micros(clock_gettime(ClockId::Realtime))),
    }
}

/// A clock before its own zero (a wall clock set before 1970) reads as zero.
fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}
