//! What people and rules did with a job that runs: held it back, or ended it before its time.

use crate::{ids::JobId, spec::TaskRange, state::TaskState, units::Timestamp};

/// Longest reason that a person may give, in bytes.
pub const REASON_LENGTH_MAX: usize = 500;
/// Most ranges of tasks that a retry may name.
pub const RETRY_RANGES_MAX: usize = 1_000;

/// What was done with a job. Nothing, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobControl {
    /// Nothing more of it starts until it is resumed.
    pub paused: Option<Box<Pause>>,
    /// Why it is cancelled, or was.
    pub ending: Option<Box<Ending>>,
    /// When tasks of it were last set back to waiting: the time of the job runs from then on.
    pub again_at: Option<Timestamp>,
}

/// Who holds something back, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// At most [`REASON_LENGTH_MAX`] bytes.
    pub reason: Option<String>,
}

/// Why a job is cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What ended it.
    pub cause: EndCause,
    /// Who asked for it; who submitted the job where it was a rule of its own.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// As the person gave it; at most [`REASON_LENGTH_MAX`] bytes.
    pub reason: Option<String>,
}

/// What ends a job before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndCause {
    /// A person cancelled it.
    Person,
    /// It took longer than its `job_timeout`.
    Timeout,
    /// Its `deadline` came.
    Deadline,
    /// More of its tasks failed than its `max_fails` allows.
    MaxFails,
}

impl EndCause {
    /// All of them. Their places are durable: new ones go to the end.
    pub const ALL: [Self; 4] = [Self::Person, Self::Timeout, Self::Deadline, Self::MaxFails];

    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Timeout => "job_timeout",
            Self::Deadline => "deadline",
            Self::MaxFails => "max_fails",
        }
    }
}

/// Which tasks of a job are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryWhich {
    /// Those in one of these states: each is one of [`RETRIED_STATES`].
    pub states: Vec<TaskState>,
    /// Only of these ranges; of all tasks where empty. At most [`RETRY_RANGES_MAX`].
    pub tasks: Vec<TaskRange>,
}

/// Tasks in these states may be tried again: they ended without success.
pub const RETRIED_STATES: [TaskState; 4] = [
    TaskState::Failed,
    TaskState::Dead,
    TaskState::Unknown,
    TaskState::Cancelled,
];

/// What the store has of a finished job, which the fleet has forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJob {
    /// The job.
    pub record: crate::change::JobRecord,
    /// All chunks of its states that were ever written, each with its number.
    pub chunks: Vec<(u32, Vec<u8>)>,
    /// From before it was read, as answered by `Query::RetryTicket`.
    pub ticket: RetryTicket,
}

/// Counts the finished jobs that were taken up again in this start of the server: a job that was
/// taken up after this ticket was drawn may have changed since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RetryTicket(pub u64);

/// What came of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// Of which job.
    pub job: JobId,
    /// Tasks that wait again.
    pub tasks: u32,
    /// Tasks that were left as they are, because a node may still hold an attempt of them: it is
    /// asked to let go.
    pub left: u32,
}
