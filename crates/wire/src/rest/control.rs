//! What people and rules do with jobs, as JSON: cancels with a reason, pauses, retries, failures.

use flota_model::{command::QueueView, control as model, ids::NodeId, outcome::Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Attempt,
    convert::{Details, seconds},
};

/// Why a job is cancelled, or was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// `person`, `job_timeout`, `deadline` or `max_fails`.
    pub cause: String,
    /// Who asked for it; who submitted the job where it was a rule of its own.
    pub by: String,
    /// When.
    pub at: f64,
    /// As the person gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who holds something back, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: f64,
    /// As the person gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<&model::Ending> for Ending {
    fn from(ending: &model::Ending) -> Self {
        Self {
            cause: ending.cause.word().to_owned(),
            by: ending.by.clone(),
            at: seconds(ending.at),
            reason: ending.reason.clone(),
        }
    }
}

impl From<&model::Pause> for Pause {
    fn from(pause: &model::Pause) -> Self {
        Self {
            by: pause.by.clone(),
            at: seconds(pause.at),
            reason: pause.reason.clone(),
        }
    }
}

/// `GET /api/v1/queue`, and the answer of its `pause` and `resume`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// Who holds back all batch work, if somebody does.
    pub paused: Option<Pause>,
    /// Tasks of batch jobs that wait, or are between two attempts.
    pub waiting: u64,
    /// Tasks that are granted.
    pub granted: u64,
    /// Jobs that are paused.
    pub jobs_paused: u64,
}

impl From<&QueueView> for Queue {
    fn from(view: &QueueView) -> Self {
        Self {
            paused: view.paused.as_ref().map(Pause::from),
            waiting: view.waiting,
            granted: view.granted,
            jobs_paused: view.jobs_paused,
        }
    }
}

/// Answer of `POST /api/v1/jobs/{job}/retry`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retried {
    /// The job's number.
    pub job: u64,
    /// Tasks that wait again.
    pub tasks: u32,
    /// Tasks that were left as they are, because a node may still hold an attempt of them. It is asked
    /// to let go: try again in a moment.
    pub left: u32,
}

impl From<model::Retried> for Retried {
    fn from(retried: model::Retried) -> Self {
        Self {
            job: retried.job.0,
            tasks: retried.tasks,
            left: retried.left,
        }
    }
}

/// `GET /api/v1/jobs/{job}/failures`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failures {
    /// The largest first, at most 100.
    pub groups: Vec<FailureGroup>,
    /// Whether there are more groups.
    pub more: bool,
}

/// Tasks of a job that failed for one reason on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureGroup {
    /// The word of their outcome.
    pub outcome: String,
    /// Exit code, where they exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Signal, where one ended them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
    /// Which step of the start failed, where they were not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// `errno` of that step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Why the kernel failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where: the node's number.
    pub node: u32,
    /// How many.
    pub tasks: u64,
    /// The lowest of them.
    pub task: u32,
    /// The attempt that decided it, `EPOCH-SALT-SEQUENCE`.
    pub attempt: String,
}

impl FailureGroup {
    /// Of `tasks` tasks, for example `task` with its attempt.
    pub fn of(outcome: &Outcome, node: NodeId, tasks: u64, (task, attempt): (u32, String)) -> Self {
        let details = Details::of(outcome);
        Self {
            outcome: outcome.word().to_owned(),
            exit_code: details.exit_code,
            signal: details.signal,
            stage: details.stage,
            errno: details.errno,
            message: details.message,
            node: node.0,
            tasks,
            task,
            attempt,
        }
    }
}

/// `GET /api/v1/dead`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadTasks {
    /// The newest jobs first, each by index.
    pub tasks: Vec<DeadTask>,
    /// Give both as `job` and `after` for the next page; null on the last one.
    pub next: Option<DeadCursor>,
}

/// Where a list of dead tasks goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadCursor {
    /// In this job.
    pub job: u64,
    /// Behind this task.
    pub after: u32,
}

/// A task that ended without success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadTask {
    /// Of which job.
    pub job: u64,
    /// The name of that job.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its state word.
    pub state: String,
    /// Its ended attempts.
    pub attempts: u32,
    /// The one that decided it: why it is where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Attempt>,
}
