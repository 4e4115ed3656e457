//! The one place of the server that reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use flota_model::units::{Moment, Now, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Reads both clocks.
pub(crate) fn now() -> Now {
    Now {
        moment: Moment(micros(clock_gettime(ClockId::Boottime))),
        wall: wall(),
    }
}

/// Asked through the C library, where a test can stand in between. A wall clock set before 1970 reads as
/// zero.
fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}
