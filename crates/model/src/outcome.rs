//! How an attempt ended. Never guessed.

use crate::{
    ids::{AttemptId, JobId, SpecHash, TaskIndex},
    units::Timestamp,
};

/// Output of an attempt up to this many bytes a stream travels inside the report (PROTOCOL 15).
pub const INLINE_OUTPUT_MAX: usize = 16 * 1024;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel returned.
    Completed,
    /// The program exited by itself; success when 0. Range 0..=255.
    Exited {
        /// As given to `exit`.
        code: u8,
    },
    /// A signal that we did not send ended the program.
    Signalled {
        /// Signal number (`man 7 signal`).
        signal: u8,
    },
    /// The kernel's out-of-memory killer ended it.
    OutOfMemory,
    /// It ran longer than the spec allows and was stopped.
    TimedOut,
    /// It was stopped, or never started, because a person asked for it.
    Cancelled,
    /// The program could not be started.
    NotStarted {
        /// Which step failed.
        stage: StartStage,
        /// `errno` of that step (`man 3 errno`).
        errno: i32,
    },
    /// The kernel failed or panicked.
    Failed {
        /// Why; at most 1 KiB.
        message: String,
    },
    /// Its node did not come back in time.
    Lost,
    /// It may have run or not; nobody can know.
    Unknown,
}

impl Outcome {
    /// Whether the task is done.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Completed | Self::Exited { code: 0 })
    }

    /// The word used in SQL, API and UI.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Exited { .. } => "exited",
            Self::Signalled { .. } => "signalled",
            Self::OutOfMemory => "out_of_memory",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::NotStarted { .. } => "not_started",
            Self::Failed { .. } => "failed",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

/// The step of a start that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartStage {
    /// Making the new process (`clone`).
    Spawn,
    /// Opening the file for stdin.
    OpenStdin,
    /// Opening the files for the output.
    OpenOutput,
    /// Entering the working directory.
    ChangeDirectory,
    /// Setting limits, priorities and the like.
    Prepare,
    /// Executing the program (`execve`).
    Execute,
    /// Finding and becoming the user and group.
    Identity,
    /// Enforcing the limits of the program with all its descendants.
    Contain,
    /// The node's policy forbids it; `errno` is the number of the rule (`crate::policy::Rule`).
    Policy,
}

impl StartStage {
    /// All stages. Their places are durable: new ones go to the end.
    pub const ALL: [Self; 9] = [
        Self::Spawn,
        Self::OpenStdin,
        Self::OpenOutput,
        Self::ChangeDirectory,
        Self::Prepare,
        Self::Execute,
        Self::Identity,
        Self::Contain,
        Self::Policy,
    ];

    /// The word used in SQL, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::OpenStdin => "open_stdin",
            Self::OpenOutput => "open_output",
            Self::ChangeDirectory => "change_directory",
            Self::Prepare => "prepare",
            Self::Execute => "execute",
            Self::Identity => "identity",
            Self::Contain => "contain",
            Self::Policy => "policy",
        }
    }
}

/// What an attempt used, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in user mode, microseconds.
    pub user_micros: u64,
    /// Processor time in kernel mode, microseconds.
    pub system_micros: u64,
    /// Highest resident memory in bytes, of a program in a control group all that the group had at
    /// once; `None` where it was not measured.
    pub memory_bytes_max: Option<u64>,
}

/// One output of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stream {
    /// Nothing was written.
    #[default]
    Empty,
    /// All of it; at most [`INLINE_OUTPUT_MAX`] bytes.
    Inline(Vec<u8>),
    /// In a file on the node where it ran.
    OnNode {
        /// Bytes in the file.
        length: u64,
        /// Whether the file stopped at the limit of the node while the program wrote on.
        truncated: bool,
    },
}

/// What an attempt left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Standard output of a program.
    pub stdout: Stream,
    /// Standard error of a program.
    pub stderr: Stream,
    /// What a kernel returned.
    pub result: Stream,
}

/// Names one stream of an [`Output`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The value of a kernel.
    Result,
}

impl StreamName {
    /// The word used in API, CLI and file names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Result => "result",
        }
    }
}

/// An agent's account of one attempt that ended. Durable at the agent before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which execution.
    pub attempt: AttemptId,
    /// Of which job; checked by the server.
    pub job: JobId,
    /// Of which task; checked by the server.
    pub task: TaskIndex,
    /// Of which spec; checked by the server.
    pub spec_hash: SpecHash,
    /// How it ended.
    pub outcome: Outcome,
    /// When the program or kernel started; `None` when it never did, or nobody knows.
    pub started_at: Option<Timestamp>,
    /// When it ended, or when that was found out.
    pub ended_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// What it left; `None` when nothing (the common case costs no memory).
    pub output: Option<Box<Output>>,
}
