//! The two clocks: one for durations, one for people.

use std::time::Duration;

use flota_model::units::{Moment, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now on `CLOCK_BOOTTIME`.
pub(crate) fn moment() -> Moment {
    Moment(micros(clock_gettime(ClockId::Boottime)))
}

/// Now on the wall clock.
pub(crate) fn wall() -> Timestamp {
    Timestamp(micros(clock_gettime(ClockId::Realtime)))
}

/// Negative only before 1970, where 0 does no harm: it is for display.
fn micros(time: Timespec) -> u64 {
    let (seconds, nanoseconds) = (time.tv_sec.max(0), time.tv_nsec.max(0));
    let span = Duration::new(
        seconds.unsigned_abs(),
        u32::try_from(nanoseconds).unwrap_or(0),
    );
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
