//! Exit codes of the binary. They are stable: scripts branch on them.

use crate::catalogue::Language;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well; an empty list too.
    Ok,
    /// It failed.
    Failed,
    /// The command line, the settings or the job are wrong.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Not authenticated, or not allowed.
    Forbidden,
    /// Some task of the job waited for did not succeed.
    JobFailed,
    /// Refused by the present state.
    Refused,
    /// The server does not answer.
    Unreachable,
    /// The wait was over before the job.
    WaitTimeout,
    /// Some of what was asked for is missing: nodes did not answer.
    Partial,
    /// As the program did whose task was followed to its end.
    Program(u8),
    /// A bug of ours (`EX_SOFTWARE`, `man 3 sysexits`).
    Bug,
    /// Ctrl-C: 128 + SIGINT, as shells count.
    Interrupted,
}

impl Exit {
    /// All that are our own, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Forbidden,
        Self::JobFailed,
        Self::Refused,
        Self::Unreachable,
        Self::WaitTimeout,
        Self::Partial,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The code for the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Forbidden => 4,
            Self::JobFailed => 5,
            Self::Refused => 6,
            Self::Unreachable => 7,
            Self::WaitTimeout => 8,
            Self::Partial => 9,
            Self::Program(code) => code,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }

    /// What a refusal with that HTTP status means.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 | 411 | 413 | 415 | 422 => Self::Usage,
            401 | 403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 | 412 | 423 | 429 | 503 | 507 => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// What it means, for `flota help exit-codes`.
    pub(crate) fn meaning(self, language: Language) -> String {
        match self {
            Self::Ok => language.exit_ok(),
            Self::Failed => language.exit_failed(),
            Self::Usage => language.exit_usage(),
            Self::NotFound => language.exit_not_found(),
            Self::Forbidden => language.exit_forbidden(),
            Self::JobFailed => language.exit_job_failed(),
            Self::Refused => language.exit_refused(),
            Self::Unreachable => language.exit_unreachable(),
            Self::WaitTimeout => language.exit_wait_timeout(),
            Self::Partial => language.exit_partial(),
            Self::Program(_) => language.exit_program(),
            Self::Bug => language.exit_bug(),
            Self::Interrupted => language.exit_interrupted(),
        }
    }
}
