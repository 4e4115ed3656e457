//! The clocks of this machine.

use std::time::{SystemTime, UNIX_EPOCH};

use flota_model::units::{Moment, Now, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Clock ticks of `/proc` a second: `USER_HZ`, fixed at 100 for all programs on all machines that
/// we support (`man 7 time`).
const TICKS_PER_SECOND: u64 = 100;

/// `CLOCK_BOOTTIME`, the only clock for durations (PROTOCOL 9).
pub(crate) fn moment() -> Moment {
    Moment(micros(clock_gettime(ClockId::Boottime)))
}

/// The wall clock, for display. Asked through the C library, where a test can stand in between.
pub(crate) fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Both.
pub(crate) fn now() -> Now {
    Now {
        moment: moment(),
        wall: wall(),
    }
}

/// The clock tick of a moment, as field 22 of `/proc/PID/stat` counts them.
pub(crate) fn tick(moment: Moment) -> u64 {
    moment.0 / (1_000_000 / TICKS_PER_SECOND)
}

fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1000)
}
