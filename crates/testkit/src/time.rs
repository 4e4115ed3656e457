//! True time, and what the clocks of each machine make of it.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use flota_model::units::{Moment, Now, Timestamp};

#[cfg(test)]
mod tests;

/// True time in microseconds since the start of the simulation. No engine ever sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    /// Microseconds from `earlier` to here; 0 if it is later.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Time {
    type Output = Self;

    fn add(self, micros: u64) -> Self {
        Self(self.0 + micros)
    }
}

impl Sub<u64> for Time {
    type Output = Self;

    fn sub(self, micros: u64) -> Self {
        Self(self.0.saturating_sub(micros))
    }
}

/// Takes the planned tick that is due. A tick that was planned for later, before an earlier one took
/// its place, means nothing: it would plan the next one beside the others, and they would multiply.
pub(crate) fn is_due(tick_at: &mut Option<Time>, now: Time) -> bool {
    tick_at.take_if(|planned| *planned <= now).is_some()
}

/// Microseconds of a duration.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Largest deviation of the rate of a clock, in millionths: the 1 % of PROTOCOL 9.
pub(crate) const DRIFT_MAX: u64 = 10_000;

/// Where every wall clock starts, before its error: some day of 2026.
pub(crate) const WALL_START: u64 = 1_790_000_000_000_000;

/// The two clocks of one machine: `CLOCK_BOOTTIME`, which also counts while the machine is
/// suspended, and a wall clock that may jump.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    booted: Time,
    /// Millionths of true time that one microsecond of this clock takes: 1,000,000 ± `DRIFT_MAX`.
    rate: u64,
    wall_error: i64,
}

impl Clock {
    /// A clock of a machine that boots at `booted`.
    pub(crate) fn booted(booted: Time, rate: u64, wall_error: i64) -> Self {
        assert!(
            rate.abs_diff(1_000_000) <= DRIFT_MAX,
            "a rate outside PROTOCOL 9"
        );
        Self {
            booted,
            rate,
            wall_error,
        }
    }

    /// The machine boots again.
    pub(crate) fn reboot(&mut self, at: Time) {
        self.booted = at;
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn jump(&mut self, micros: i64) {
        self.wall_error = self.wall_error.saturating_add(micros);
    }

    /// `CLOCK_BOOTTIME` at a true time; not 0 at the boot, so that no moment is 0.
    pub(crate) fn moment(&self, at: Time) -> Moment {
        let passed = u128::from(at.since(self.booted)) * u128::from(self.rate) / 1_000_000;
        Moment(1_000_000 + u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Both clocks at a true time.
    pub(crate) fn now(&self, at: Time) -> Now {
        let wall = (WALL_START + at.0).saturating_add_signed(self.wall_error);
        Now {
            moment: self.moment(at),
            wall: Timestamp(wall),
        }
    }

    /// The first true time at which this clock has reached `moment`.
    pub(crate) fn time_of(&self, moment: Moment) -> Time {
        let passed = u128::from(moment.0.saturating_sub(1_000_000)) * 1_000_000;
        let rate = u128::from(self.rate);
        let micros = passed.div_ceil(rate);
        let mut time = self.booted + u64::try_from(micros).unwrap_or(u64::MAX / 4);
        while self.moment(time) < moment && time.0 < u64::MAX / 4 {
            time = time + 1;
        }
        time
    }
}
