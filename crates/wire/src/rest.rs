//! The JSON of REST v1. Times are Unix seconds as floats; sizes are bytes; enums are their words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod control;
pub mod convert;
pub mod inspect;
pub mod page;
pub mod process;
pub mod sample;
pub mod sections;
pub mod service;
pub mod waiting;
pub mod watch;

/// `GET /api/v1/fleet`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// The version of the server's binary.
    pub version: String,
    /// Counts the starts of the server on this store.
    pub epoch: u32,
    /// The term of the leader.
    pub term: u64,
    /// Jobs that are not finished.
    pub jobs_live: u64,
    /// Their tasks by state word.
    pub tasks: BTreeMap<String, u32>,
    /// Whether the store is older than the fleet, so that nothing is placed until `recover`.
    pub store_behind: bool,
    /// Agents that placement still waits for after a start of the server.
    pub waiting_for_nodes: u32,
}

/// One node of `GET /api/v1/nodes`, and `GET /api/v1/nodes/{name or number}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `up`, `away` or `lost`.
    pub phase: String,
    /// When it was last heard.
    pub last_heard_at: Option<f64>,
    /// When it joined.
    pub joined_at: f64,
    /// The version of its agent; empty when it has not been heard since the server's start.
    pub version: String,
    /// All that its machine lends to Flota.
    pub capacity: Resources,
    /// What its attempts may use at once.
    pub reserved: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Attempts granted and not settled.
    pub granted: u32,
    /// Attempts that ran at its last heartbeat.
    pub running: u32,
    /// Attempts that the store does not know.
    pub unclaimed: u32,
    /// How it contains programs; null when it has not been heard since the server's start.
    #[serde(default)]
    pub containment: Option<Containment>,
    /// It runs nothing but these kernels; null where it runs everything.
    #[serde(default)]
    pub only_kernels: Option<Vec<String>>,
    /// Where clients of older systems reach it, by what is spoken there.
    #[serde(default)]
    pub listeners: BTreeMap<String, String>,
    /// What its machine did last, and how long ago; null until it is heard after the server's start.
    #[serde(default)]
    pub sample: Option<sample::Sample>,
}

/// What a node can enforce around a program with all its descendants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Containment {
    /// `unified`, `hybrid` or `v1` (control groups), or `none`.
    pub mode: String,
    /// The limits that it enforces, as specs name them.
    pub enforced: Vec<String>,
    /// The limits that it cannot enforce: a program with one of them does not start there, unless
    /// best effort will do.
    pub missing: Vec<String>,
}

/// An amount of resources.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Cores; thousandths are kept.
    pub cpus: f64,
    /// Bytes.
    pub memory: u64,
    /// Named counters.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
}

/// `GET /api/v1/nodes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// By number.
    pub nodes: Vec<Node>,
}

/// Answer of `POST /api/v1/jobs` (201, or 200 when the key made it before)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// The job's number.
    pub job: u64,
    /// Whether an earlier submission with the same `Idempotency-Key` made it.
    pub existing: bool,
}

/// Answer of `POST /api/v1/jobs/{job}/cancel` (202)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelling {
    /// The job's number.
    pub job: u64,
    /// `cancelling`, or `finished` when nothing of it was granted.
    pub phase: String,
}

/// A job of `GET /api/v1/jobs`, and `GET /api/v1/jobs/{job}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Who submitted it.
    pub principal: String,
    /// `batch`, or `service` for a revision of a service, whose tasks are replicas: those that nobody
    /// wants are cancelled.
    pub kind: String,
    /// `active`, `cancelling` or `finished`.
    pub phase: String,
    /// Lower runs earlier.
    pub priority: u8,
    /// First index of its tasks.
    pub first: u32,
    /// Last index of its tasks.
    pub last: u32,
    /// Its tasks by state word; states without a task are left out.
    pub tasks: BTreeMap<String, u32>,
    /// When it was accepted.
    pub submitted_at: f64,
    /// When it finished.
    pub finished_at: Option<f64>,
    /// Who holds it back: nothing more of it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<control::Pause>,
    /// Why it is cancelled, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<control::Ending>,
    /// The spec as submitted (normal form); only in `GET /api/v1/jobs/{job}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<serde_json::Value>,
    /// Attempts that were killed and are still there; only in `GET /api/v1/jobs/{job}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unkillable: Vec<sample::Unkillable>,
}

/// `GET /api/v1/jobs?limit=50&before=JOB&phase=WORD&kind=WORD`, newest first
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Jobs {
    /// At most `limit`.
    pub jobs: Vec<Job>,
    /// Give it as `before` for the next page; null on the last one.
    pub next: Option<u64>,
}

/// A task of `GET /api/v1/jobs/{job}/tasks`, and `GET /api/v1/jobs/{job}/tasks/{index}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Its index.
    pub index: u32,
    /// Its state word.
    pub state: String,
    /// Its ended attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// `EPOCH-SALT-SEQUENCE`.
    pub id: String,
    /// Where it ran: the node's number.
    pub node: u32,
    /// The word of its outcome.
    pub outcome: String,
    /// Exit code, where it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Signal, where one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
    /// Which step of the start failed, where it was not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// `errno` of that step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Why the kernel failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it decided the task.
    pub counted: bool,
    /// When it was granted.
    pub granted_at: f64,
    /// When it started, where known.
    pub started_at: Option<f64>,
    /// When it ended.
    pub ended_at: f64,
    /// Processor seconds in user mode.
    pub user_seconds: f64,
    /// Processor seconds in kernel mode.
    pub system_seconds: f64,
    /// Highest resident memory, where measured.
    pub memory_bytes_max: Option<u64>,
    /// Bytes of each output that it left (`stdout`, `stderr`, `result`); empty ones are left out.
    pub outputs: BTreeMap<String, u64>,
    /// Those of them that stopped at a limit, so that their end is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
}

/// `GET /api/v1/jobs/{job}/tasks?limit=100&after=INDEX&state=WORD`, by index
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tasks {
    /// At most `limit`.
    pub tasks: Vec<Task>,
    /// Give it as `after` for the next page; null on the last one.
    pub next: Option<u32>,
}

/// An error, `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `/docs/errors/CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// `E-NOUN-REASON`; stable.
    pub code: String,
    /// What exactly, with the values at fault.
    pub detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Every fault of a spec or of settings, with its field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// One fault of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Path of the field, e.g. `program.argv[0]`.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do about it, where that is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Answer of `POST /api/v1/fleet/recover`: what the fleet goes on under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovered {
    /// Counts the starts of the server on this store.
    pub epoch: u32,
    /// The term of the leader.
    pub term: u64,
}

/// `GET /api/v1/kernels`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kernels {
    /// Names of the functions that are built into the agents.
    pub kernels: Vec<String>,
}

/// Data of an event `job` of `GET /api/v1/events`: a job was accepted or went on to another phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEvent {
    /// The job's number.
    pub job: u64,
    /// `active`, `cancelling` or `finished`.
    pub phase: String,
    /// When.
    pub at: f64,
}

/// Data of an event `node`: a node went on to another phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeEvent {
    /// The node's number.
    pub node: u32,
    /// `up`, `away` or `lost`.
    pub phase: String,
    /// When.
    pub at: f64,
}

/// Data of an event `progress`: how far a job is, at most once a second and job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressEvent {
    /// The job's number.
    pub job: u64,
    /// `active`, `cancelling` or `finished`.
    pub phase: String,
    /// Its tasks by state word; states without a task are left out.
    pub tasks: BTreeMap<String, u32>,
}

/// Data of an event `resync`: events were missed, so read again what is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResyncEvent {
    /// Why they cannot be told any more, for people.
    pub reason: String,
}
