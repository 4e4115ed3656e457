//! What a user submits. Never changed after acceptance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    execution::Execution,
    ids::{SpecHash, TaskIndex},
    parameters::Parameters,
    resources::Resources,
    rules::JobRules,
    service::Service,
    state::JobKind,
};

/// Most tasks of one job.
pub const TASKS_PER_JOB_MAX: u32 = 10_000_000;
/// Longest sealed spec, in bytes.
pub const SPEC_LENGTH_MAX: usize = 1 << 20;
/// Longest name of a job, node, label, counter or kernel, in bytes.
pub const NAME_LENGTH_MAX: usize = 63;
/// Most arguments of a program.
pub const ARGUMENTS_MAX: usize = 16_384;
/// Most retries of a task.
pub const RETRIES_MAX: u16 = 1_000;

/// A job: a template and the range of its tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// For people; not unique. `[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}`.
    pub name: String,
    /// The indexes of its tasks.
    pub tasks: TaskRange,
    /// What differs between its tasks besides the index.
    pub parameters: Option<Parameters>,
    /// What each task runs.
    pub work: Work,
    /// Order in the queue.
    pub priority: Priority,
    /// What each task needs while it runs.
    pub resources: Resources,
    /// Where its tasks may run.
    pub constraints: Constraints,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// Longest run of one attempt.
    pub timeout: Option<Duration>,
    /// From the stop signal to the kill.
    pub grace: Duration,
    /// What happens to running attempts while their node cannot reach the server.
    pub on_disconnect: OnDisconnect,
    /// What ends or holds back the job as a whole.
    pub rules: Box<JobRules>,
    /// Makes it a service: its tasks are replicas that stay up. `None` for a batch job, whose tasks
    /// end.
    pub service: Option<Box<Service>>,
}

impl JobSpec {
    /// What the job is for.
    pub fn kind(&self) -> JobKind {
        if self.service.is_some() {
            JobKind::Service
        } else {
            JobKind::Batch
        }
    }
}

/// `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRange {
    /// The lowest index.
    pub first: TaskIndex,
    /// The highest index; not below `first`.
    pub last: TaskIndex,
}

impl TaskRange {
    /// Number of tasks; at least 1 in a valid range.
    pub fn count(self) -> u32 {
        (self.last.0 - self.first.0).saturating_add(1)
    }

    /// Whether `task` is one of them.
    pub fn contains(self, task: TaskIndex) -> bool {
        (self.first..=self.last).contains(&task)
    }
}

/// A program or a built-in function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A program of the node's file system.
    Program(Program),
    /// A function of the agent's worker pool.
    Kernel(KernelCall),
}

/// What to execute. Never a shell string.
///
/// `{index}`, `{job}`, `{attempt}` and the names of parameters are replaced in the arguments, the values
/// of the environment, the working directory and the path of stdin; `{{` and `}}` stand for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// The program (looked up in PATH when it has no slash) and its arguments; not empty.
    pub argv: Vec<String>,
    /// Added to the clean environment (PATH, HOME, USER, LOGNAME, LANG, `FLOTA_*`).
    pub environment: BTreeMap<String, String>,
    /// Absolute path; `/` when absent.
    pub working_directory: Option<String>,
    /// Path of a file on the node to read as stdin; `/dev/null` when absent.
    pub stdin: Option<String>,
    /// Where stdout and stderr go.
    pub logs: LogKind,
    /// As whom and within which limits.
    pub execution: Box<Execution>,
}

/// Where the output of a program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogKind {
    /// Into one file for each stream, cut at a limit; small ones travel with the report.
    #[default]
    Captured,
    /// Into segments on the node that are rotated and removed by size and age.
    Rotated,
}

impl LogKind {
    /// The word used in specs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Rotated => "rotated",
        }
    }
}

/// A built-in function and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelCall {
    /// `noop`, `sleep`, …
    pub name: String,
    /// By name. `{index}`, `{job}`, `{attempt}` and the names of the job's parameters are replaced in the
    /// values.
    pub parameters: BTreeMap<String, String>,
}

/// Lower runs earlier: 1 high, 2 medium (default), 3 low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u8);

impl Priority {
    /// Before all others.
    pub const HIGH: Self = Self(1);
    /// The default.
    pub const MEDIUM: Self = Self(2);
    /// After all others.
    pub const LOW: Self = Self(3);
}

/// Conditions on a node; all must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Constraints {
    /// Only on the node of this name.
    pub node: Option<String>,
    /// Only on nodes that carry these labels with these values.
    pub labels: BTreeMap<String, String>,
}

/// What happens after an attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// Started at most once; an attempt whose fate cannot be known ends as `unknown`.
    Never,
    /// Failed attempts are repeated; lost ones are always repeated (up to the poison limit).
    Limited {
        /// How many failed attempts are followed by another one; 0 by default.
        retries: u16,
        /// Before the first retry; doubles for each further one. Full jitter is applied.
        backoff: Duration,
        /// Upper bound of the back-off.
        backoff_max: Duration,
    },
}

impl Default for Retry {
    fn default() -> Self {
        Self::Limited {
            retries: 0,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_mins(1),
        }
    }
}

/// What happens to a running attempt whose node cannot reach the server (PROTOCOL 10, 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It goes on; it is replaced `lost_after` after the end of the lease.
    Keep {
        /// From the end of the lease to the replacement.
        lost_after: Duration,
    },
    /// The keeper kills it before the server's lease ends.
    Stop,
}

impl Default for OnDisconnect {
    fn default() -> Self {
        Self::Keep {
            lost_after: Duration::from_mins(10),
        }
    }
}

/// A spec with the bytes that are stored and sent, and their hash. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSpec {
    /// The meaning of the bytes.
    pub spec: Arc<JobSpec>,
    /// As encoded by `flota_wire::spec`.
    pub blob: Arc<[u8]>,
    /// Of `blob`.
    pub hash: SpecHash,
}
