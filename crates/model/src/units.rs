//! Quantities with their units in the type.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// A point on the `CLOCK_BOOTTIME` of one machine, in microseconds since its boot.
///
/// Durations and leases use this clock only (PROTOCOL 9). Moments of two machines, or of two boots,
/// must never be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// Wall-clock time in microseconds since the Unix epoch. For display only, never for durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

/// Both clocks, read together by a shell and handed to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Now {
    /// For durations.
    pub moment: Moment,
    /// For display.
    pub wall: Timestamp,
}

/// Processor time that may be used at once, in thousandths of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cpus(pub u32);

impl Cpus {
    /// `count` whole cores.
    pub const fn whole(count: u32) -> Self {
        Self(count * 1000)
    }
}

/// Written as a decimal number of cores without needless zeros: `1`, `0.5`, `2.125`.
impl fmt::Display for Cpus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1000, self.0 % 1000);
        if thousandths == 0 {
            return write!(formatter, "{whole}");
        }
        let digits = format!("{thousandths:03}");
        write!(formatter, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// An amount of memory or disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);
