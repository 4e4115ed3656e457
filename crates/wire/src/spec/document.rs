//! What a submission may hold, as types that are never made: their JSON Schema is the documentation
//! of `POST /api/v1/jobs`. Reading is done by hand (`read`), so that all faults are found at once and
//! each says where it is; a test holds the two together.
//!
//! A schema cannot say everything: sums of lengths, an order of two numbers and the parameters of a
//! kernel are checked by the server alone.

use std::collections::BTreeMap;

use flota_model::{
    parameters::COLUMNS_MAX,
    rules::CAUSES_MAX,
    spec::{ARGUMENTS_MAX, RETRIES_MAX},
};
use schemars::{JsonSchema, Schema, json_schema};

pub use self::execution::{SpecBound, SpecExecution, SpecLimits, SpecUser};
use super::check::{CPUS_MAX, ENTRIES_MAX, MEMORY_MAX};

mod execution;
pub mod service;

/// `[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}`
const NAME: &str = "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$";
/// Braces only around placeholders, or doubled. Which placeholders there are depends on `parameters`.
const TEMPLATE: &str = r"^([^{}]|\{\{|\}\}|\{[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}\})*$";
/// An absolute path with placeholders.
const PATH: &str = r"^/([^{}]|\{\{|\}\}|\{[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}\})*$";
const HASH: &str = "^[0-9a-fA-F]{64}$";
const SPAN: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(d|h|m|s|ms)?\s*$";
const SIZE: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(TiB|GiB|MiB|KiB|TB|GB|MB|kB|B)?\s*$";
const RANGE: &str = r"^\s*\+?[0-9]+\s*-\s*\+?[0-9]+\s*$";
/// A cause of a retry.
const CAUSE: &str =
    r"^(exit:[0-9]{1,3}(-[0-9]{1,3})?|signal:[A-Za-z0-9]+|timeout|oom|not_started|failed|lost)$";
const INSTANT: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
const MAX_FAILS: &str = r"^[0-9]{1,10}%?$";
/// Ten years.
const SECONDS_MAX: f64 = 315_360_000.0;

/// A job to be run: one of `program` and `kernel`, for each index of `tasks`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_of_work()))]
pub struct Submission {
    /// 1 to 63 letters, digits, dots, underscores and hyphens, first a letter or digit.
    #[schemars(regex(pattern = NAME))]
    pub name: String,
    /// Which indexes there are; if not given `0-0`, and with `parameters` from 1 on.
    pub tasks: Option<SpecTasks>,
    /// What differs between the tasks besides their index. Texts of the program and the kernel name a
    /// parameter in braces.
    pub parameters: Option<SpecParameters>,
    /// What runs on a node.
    pub program: Option<SpecProgram>,
    /// A function that is built into the agents, instead of a program.
    pub kernel: Option<SpecKernel>,
    /// 1 runs before 2, 2 before 3; 2 if not given.
    #[schemars(range(min = 1, max = 3))]
    pub priority: Option<u8>,
    /// What a task needs while it runs.
    pub resources: Option<SpecResources>,
    /// Where it may run.
    pub constraints: Option<SpecConstraints>,
    /// What happens after a failure.
    pub retry: Option<SpecRetry>,
    /// How long an attempt may run; no limit if not given.
    pub timeout: Option<SpecSpan>,
    /// Between the stop signal and the kill; 10 s if not given.
    pub grace: Option<SpecSpan>,
    /// What happens to a task whose node is not heard any more; `keep` if not given.
    pub on_disconnect: Option<SpecOnDisconnect>,
    /// How long the job may take as a whole, from its acceptance or its last retry; no limit if not
    /// given.
    pub job_timeout: Option<SpecSpan>,
    /// What has not started by then is not started, and what runs is stopped.
    pub deadline: Option<SpecInstant>,
    /// The job is cancelled once more of its tasks have failed.
    pub max_fails: Option<SpecMaxFails>,
    /// Whether it waits to be resumed before anything of it starts.
    pub paused: Option<bool>,
    /// Makes it a service, with replicas instead of tasks.
    pub service: Option<service::SpecService>,
}

fn one_of_work() -> serde_json::Value {
    let with = |name: &str| serde_json::json!({"required": [name], "properties": {name: {"type": "object"}}});
    serde_json::json!([with("program"), with("kernel")])
}

/// A sweep or rows.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecParameters {
    /// One task for each combination of values, the last axis changing fastest.
    Sweep(#[schemars(length(min = 1, max = COLUMNS_MAX))] Vec<SpecAxis>),
    /// One task for each row.
    Rows(SpecRows),
}

/// A name with the values that it takes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecAxis {
    /// What templates call it; not `index`, `job` or `attempt`.
    #[schemars(regex(pattern = NAME))]
    pub name: String,
    /// In this order.
    #[schemars(length(min = 1))]
    pub values: Vec<SpecValue>,
}

/// A text, or what has one.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecValue {
    /// As it is.
    Text(String),
    /// As decimal.
    Number(f64),
    /// `true` or `false`.
    Truth(bool),
}

/// Rows of values.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecRows {
    /// What templates call the values of a row; not `index`, `job` or `attempt`.
    #[schemars(length(min = 1, max = COLUMNS_MAX), inner(regex(pattern = NAME)))]
    pub columns: Vec<String>,
    /// Written out, or the hash of what was sent behind the job.
    pub rows: SpecRowList,
    /// How many; not needed where they are written out.
    #[schemars(range(min = 1))]
    pub count: Option<u32>,
}

/// The rows themselves, or what tells them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecRowList {
    /// The SHA-256 of their bytes, in each of which a NUL ends each value.
    Hash(#[schemars(regex(pattern = HASH))] String),
    /// One list for each task; where there is one column also one value.
    List(#[schemars(length(min = 1))] Vec<SpecRow>),
}

/// The values of a task.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecRow {
    /// One for each column.
    List(Vec<SpecValue>),
    /// Of the one column.
    One(SpecValue),
}

/// First and last index, at most ten million of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecTasks {
    /// `FIRST-LAST`.
    Text(#[schemars(regex(pattern = RANGE))] String),
    /// As two numbers.
    Numbers(SpecRange),
}

/// First and last index.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecRange {
    /// The first.
    pub first: u32,
    /// The last; not below the first.
    pub last: u32,
}

/// A program. In its texts `{index}`, `{job}`, `{attempt}` and parameters are filled in, `{{` and `}}` are braces.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecProgram {
    /// The program and its arguments; no shell interprets them.
    #[schemars(length(min = 1, max = ARGUMENTS_MAX), inner(regex(pattern = TEMPLATE)))]
    #[schemars(extend("prefixItems" = [{"minLength": 1}]))]
    pub argv: Vec<String>,
    /// Variables beside those that the agent passes on.
    #[schemars(extend("additionalProperties" = template(), "propertyNames" = {"pattern": "^[^=]+$"}))]
    pub environment: Option<BTreeMap<String, String>>,
    /// Absolute.
    #[schemars(regex(pattern = PATH))]
    pub working_directory: Option<String>,
    /// A file on the node, absolute; nothing if not given.
    #[schemars(regex(pattern = PATH))]
    pub stdin: Option<String>,
    /// Where its output goes; `captured` if not given.
    pub logs: Option<SpecLogs>,
    /// As whom and within which limits.
    #[schemars(flatten)]
    pub execution: SpecExecution,
}

/// The words.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecLogs {
    /// One file for each stream, up to a limit; for work that ends.
    Captured,
    /// Segments that are rotated and removed by size and age; for what runs for long.
    Rotated,
}

/// A built-in function; `GET /api/v1/kernels` lists them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecKernel {
    /// Its name.
    #[schemars(regex(pattern = NAME))]
    pub name: String,
    /// By name. Placeholders are filled in as in the arguments of a program.
    #[schemars(extend("propertyNames" = {"pattern": NAME}, "maxProperties" = ENTRIES_MAX))]
    pub parameters: Option<BTreeMap<String, SpecScalar>>,
}

/// A text, or what has one.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecScalar {
    /// As it is.
    Text(#[schemars(regex(pattern = TEMPLATE))] String),
    /// As decimal.
    Number(f64),
    /// `true` or `false`.
    Truth(bool),
}

/// Resources of one task.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecResources {
    /// Cores, with at most three decimals; if not given 1, for a service 0.001.
    #[schemars(range(min = 0.001, max = CPUS_MAX))]
    pub cpus: Option<f64>,
    /// Nothing if not given.
    pub memory: Option<SpecSize>,
    /// Of what the administrator counts, e.g. licences.
    #[schemars(extend(
        "additionalProperties" = {"type": "integer", "minimum": 1, "maximum": u32::MAX},
        "propertyNames" = {"pattern": NAME},
        "maxProperties" = ENTRIES_MAX
    ))]
    pub counters: Option<BTreeMap<String, u32>>,
}

/// Where tasks may run.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecConstraints {
    /// On the node of this name alone.
    #[schemars(regex(pattern = NAME))]
    pub node: Option<String>,
    /// On nodes that have all of these.
    #[schemars(extend(
        "additionalProperties" = {"type": "string", "maxLength": 63},
        "propertyNames" = {"pattern": NAME},
        "maxProperties" = ENTRIES_MAX
    ))]
    pub labels: Option<BTreeMap<String, String>>,
}

/// `never`, or how often.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecRetry {
    /// Not even where nobody knows whether it ran.
    Word(SpecNever),
    /// After failures.
    Limited(SpecRetries),
}

/// The word.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecNever {
    /// A task is started at most once.
    Never,
}

/// How often and when.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecRetries {
    /// After the first attempt; 0 if not given.
    #[schemars(range(max = RETRIES_MAX))]
    pub retries: Option<u16>,
    /// Before the first repetition, doubled each time; 1 s if not given.
    pub backoff: Option<SpecSpan>,
    /// The most that it grows to; 1 min if not given.
    pub backoff_max: Option<SpecSpan>,
    /// Only failures of these causes are repeated; all if not given.
    #[schemars(length(max = CAUSES_MAX), inner(regex(pattern = CAUSE)))]
    pub on: Option<Vec<String>>,
    /// Failures of these causes are not repeated. With `lost` not even attempts that were lost with
    /// their nodes are.
    #[schemars(length(max = CAUSES_MAX), inner(regex(pattern = CAUSE)))]
    pub not_on: Option<Vec<String>>,
}

/// An instant.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecInstant {
    /// RFC 3339, e.g. `2027-01-01T03:00:00Z`.
    Text(#[schemars(regex(pattern = INSTANT))] String),
    /// Seconds since 1970.
    Seconds(u32),
}

/// How many tasks may fail.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecMaxFails {
    /// So many.
    Tasks(u32),
    /// So many of a hundred, e.g. `5%`.
    Percent(#[schemars(regex(pattern = MAX_FAILS))] String),
}

/// `stop`, `keep`, or how long to keep.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecOnDisconnect {
    /// Without a duration.
    Word(SpecDisconnectWord),
    /// With one.
    Keep(SpecKeep),
}

/// The words.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecDisconnectWord {
    /// The node itself stops it before it is replaced.
    Stop,
    /// It goes on, and is replaced after 10 min.
    Keep,
}

/// How long.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecKeep {
    /// Silence after which a task is replaced.
    pub keep: SpecSpan,
}

/// A duration of at most ten years.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecSpan {
    /// E.g. `10ms`, `1.5s`, `2m`, `1h`, `7d`.
    Text(#[schemars(regex(pattern = SPAN))] String),
    /// Seconds.
    Seconds(#[schemars(range(min = 0, max = SECONDS_MAX))] f64),
}

/// An amount of memory of at most 1 PiB.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecSize {
    /// E.g. `512MiB`, `2GB`.
    Text(#[schemars(regex(pattern = SIZE))] String),
    /// Bytes.
    Bytes(#[schemars(range(max = MEMORY_MAX))] u64),
}

fn template() -> Schema {
    json_schema!({"type": "string", "pattern": TEMPLATE})
}
