//! What ends a job as a whole before its tasks do, and what holds it back.

use std::time::Duration;

use crate::{outcome::Outcome, units::Timestamp};

/// Most causes that a retry may name, each way.
pub const CAUSES_MAX: usize = 64;

/// Rules of a job as a whole. None, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobRules {
    /// It is accepted, and nothing of it starts before it is resumed.
    pub paused: bool,
    /// Failed attempts are repeated only for these causes; for any where empty.
    pub retry_on: Vec<RetryCause>,
    /// They are not repeated for these, whatever `retry_on` says.
    pub retry_not_on: Vec<RetryCause>,
    /// From its acceptance, or its last retry, to its end.
    pub timeout: Option<Duration>,
    /// What has not started by then is not started, and what runs is stopped.
    pub deadline: Option<Timestamp>,
    /// It is cancelled once more of its tasks have failed.
    pub max_fails: Option<MaxFails>,
}

/// How many tasks of a job may fail before it is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxFails {
    /// So many.
    Tasks(u32),
    /// So many of a hundred, 0..=100.
    Percent(u8),
}

impl MaxFails {
    /// Whether `failed` of `total` tasks are too many.
    pub fn is_exceeded(self, failed: u64, total: u64) -> bool {
        match self {
            Self::Tasks(most) => failed > u64::from(most),
            Self::Percent(most) => failed * 100 > total * u64::from(most),
        }
    }
}

/// Why an attempt did not succeed, as retries name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryCause {
    /// An exit code in a range; not 0.
    Exit {
        /// The lowest.
        first: u8,
        /// The highest; not below `first`.
        last: u8,
    },
    /// A signal that we did not send.
    Signal(u8),
    /// It ran longer than its time-out.
    Timeout,
    /// It was killed for want of memory.
    OutOfMemory,
    /// The program could not be started.
    NotStarted,
    /// The kernel failed.
    Failed,
    /// Its node did not come back in time.
    Lost,
}

impl RetryCause {
    /// Whether an attempt that ended so ended for this cause.
    pub fn covers(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Exit { first, last }, Outcome::Exited { code }) => (first..=last).contains(code),
            (Self::Signal(wanted), Outcome::Signalled { signal }) => wanted == *signal,
            (Self::Timeout, Outcome::TimedOut)
            | (Self::OutOfMemory, Outcome::OutOfMemory)
            | (Self::NotStarted, Outcome::NotStarted { .. })
            | (Self::Failed, Outcome::Failed { .. })
            | (Self::Lost, Outcome::Lost) => true,
            (
                Self::Exit { .. }
                | Self::Signal(_)
                | Self::Timeout
                | Self::OutOfMemory
                | Self::NotStarted
                | Self::Failed
                | Self::Lost,
                _,
            ) => false,
        }
    }
}

impl JobRules {
    /// Whether an attempt that failed so may be repeated, as far as the causes go.
    pub fn retries(&self, outcome: &Outcome) -> bool {
        let names = |causes: &[RetryCause]| causes.iter().any(|cause| cause.covers(outcome));
        (self.retry_on.is_empty() || names(&self.retry_on)) && !names(&self.retry_not_on)
    }

    /// Whether an attempt that was lost may be replaced: unless the job says no.
    pub fn replaces_lost(&self) -> bool {
        !self.retry_not_on.contains(&RetryCause::Lost)
    }
}
