//! What makes a job a service, as its JSON Schema.

use flota_model::service::{DEPENDENCIES_MAX, PROBES_MAX, REPLICAS_MAX};
use schemars::JsonSchema;

use super::{NAME, PATH, SpecSpan, TEMPLATE};

/// Makes the job a service: its replicas are kept running.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecService {
    /// 1 if not given.
    #[schemars(range(min = 1, max = REPLICAS_MAX))]
    pub replicas: Option<u32>,
    /// When a replica that ended runs again.
    pub restart: Option<SpecRestart>,
    /// How it is found out whether a replica is well.
    #[schemars(length(max = PROBES_MAX))]
    pub probes: Option<Vec<SpecProbe>>,
    /// The number of the first signal of a stop; 15 (SIGTERM) if not given.
    #[schemars(range(min = 1, max = 64))]
    pub stop_signal: Option<u8>,
    /// How a new spec replaces the one before.
    pub update: Option<SpecUpdate>,
    /// Services that must be there before a replica begins.
    #[schemars(length(max = DEPENDENCIES_MAX))]
    pub dependencies: Option<Vec<SpecDependency>>,
    /// `spread` if not given.
    pub placement: Option<SpecPlacement>,
}

/// When a replica that ended runs again, and after how long.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecRestart {
    /// `on-failure` if not given.
    pub policy: Option<SpecPolicy>,
    /// Exit codes that are no failure; 0 if not given.
    pub success_codes: Option<Vec<u8>>,
    /// The longest wait after the first failure, doubled each time; 1 s if not given.
    pub backoff: Option<SpecSpan>,
    /// The most that it grows to; 5 min if not given.
    pub backoff_max: Option<SpecSpan>,
    /// After a run of this length earlier failures are forgotten; 1 min if not given.
    pub stable_after: Option<SpecSpan>,
    /// As many failures within `loop_window` are a crash loop; 5 if not given.
    #[schemars(range(min = 1, max = 100))]
    pub loop_failures: Option<u32>,
    /// 10 min if not given.
    pub loop_window: Option<SpecSpan>,
}

/// After which ends a replica runs again.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SpecPolicy {
    /// After none.
    Never,
    /// After a failure.
    OnFailure,
    /// After each.
    Always,
    /// After each, but not after a boot where it was being stopped.
    UnlessStopped,
}

/// One of `http`, `tcp` and `exec`, again and again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_of_check()))]
pub struct SpecProbe {
    /// What it decides.
    pub purpose: SpecPurpose,
    /// A request; an answer of 200 to 399 is a success.
    pub http: Option<SpecHttp>,
    /// A connection.
    pub tcp: Option<SpecTcp>,
    /// A program; its exit with 0 is a success.
    pub exec: Option<SpecExec>,
    /// From the start of the program to the first probe; 0 if not given.
    pub start_delay: Option<SpecSpan>,
    /// Between two probes; 10 s if not given.
    pub interval: Option<SpecSpan>,
    /// What takes longer has failed; 1 s if not given.
    pub timeout: Option<SpecSpan>,
    /// As many successes in a row make it well; 1 if not given.
    #[schemars(range(min = 1))]
    pub success_threshold: Option<u32>,
    /// As many failures in a row make it unwell; 3 if not given.
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<u32>,
}

fn one_of_check() -> serde_json::Value {
    let with = |name: &str| serde_json::json!({"required": [name], "properties": {name: {"type": "object"}}});
    serde_json::json!([with("http"), with("tcp"), with("exec")])
}

/// What a probe decides.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecPurpose {
    /// A replica that fails it is stopped and run again.
    Liveness,
    /// A replica that fails it does not count as up.
    Readiness,
}

/// `GET http://HOST:PORT/PATH`, from the node of the replica.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecHttp {
    /// `127.0.0.1` if not given.
    #[schemars(regex(pattern = TEMPLATE))]
    pub host: Option<String>,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// `/` if not given.
    #[schemars(regex(pattern = PATH))]
    pub path: Option<String>,
}

/// A connection from the node of the replica.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecTcp {
    /// `127.0.0.1` if not given.
    #[schemars(regex(pattern = TEMPLATE))]
    pub host: Option<String>,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// A program on the node of the replica, with the environment of the service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecExec {
    /// The program and its arguments.
    #[schemars(length(min = 1), inner(regex(pattern = TEMPLATE)))]
    pub argv: Vec<String>,
}

/// How a new spec replaces the one before.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecUpdate {
    /// How many replicas at a time; 1 if not given.
    #[schemars(range(min = 1))]
    pub parallel: Option<u32>,
    /// When a new replica does not come up; `stop` if not given.
    pub on_failure: Option<SpecUpdateFailure>,
    /// How long a new replica may take; 5 min if not given.
    pub deadline: Option<SpecSpan>,
    /// How long a replica without a readiness probe must run to count as up; 5 s if not given.
    pub stable: Option<SpecSpan>,
}

/// When a new replica does not come up.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SpecUpdateFailure {
    /// The update stops there.
    Stop,
    /// What was replaced goes back.
    RollBack,
}

/// A service that must be there first.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecDependency {
    /// Its name: it must be started.
    Name(#[schemars(regex(pattern = NAME))] String),
    /// Name and condition.
    Condition(SpecConditional),
}

/// A service and what must be true of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecConditional {
    /// Its name.
    #[schemars(regex(pattern = NAME))]
    pub service: String,
    /// `started` if not given.
    pub condition: Option<SpecCondition>,
}

/// What must be true of a service.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecCondition {
    /// All its replicas run.
    Started,
    /// All its replicas are ready.
    Healthy,
    /// All its replicas have ended with success.
    Completed,
}

/// How replicas are spread over nodes.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SpecPlacement {
    /// To the node with the fewest of them.
    Spread,
    /// Never two on one node.
    OnePerNode,
}
