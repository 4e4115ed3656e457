//! What makes a job a service.

use std::collections::BTreeMap;

use flota_model::{
    service::{DEPENDENCIES_MAX, PROBES_MAX, REPLICAS_MAX},
    spec::ARGUMENTS_MAX,
};
use schemars::JsonSchema;

use super::{NAME, SpecSpan, TEMPLATE};
use crate::spec::check::{HOST_LENGTH_MAX, LOOP_FAILURES_MAX, THRESHOLD_MAX};

/// `HOST:PORT/PATH` with all but the port left out at will.
const ADDRESS_AND_PATH: &str = r"^(http://)?[!-.0-~]*:[0-9]{1,5}(/[!-~]*)?$";
const ADDRESS: &str = r"^[!-.0-~]*:[0-9]{1,5}$";
const HOST: &str = r"^[!-.0-~]+$";
const URL_PATH: &str = r"^/[!-~]*$";

/// Replicas that stay up.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecService {
    /// How many run at a time; 1 if not given.
    #[schemars(range(min = 1, max = REPLICAS_MAX))]
    pub replicas: Option<u32>,
    /// How they are spread over the nodes; `spread` if not given.
    pub placement: Option<SpecPlacement>,
    /// When a replica runs again after its program has ended; `on-failure` if not given.
    pub restart: Option<SpecRestart>,
    /// How its health is found out.
    #[schemars(length(max = PROBES_MAX))]
    pub probes: Option<Vec<SpecProbe>>,
    /// A probe more, for readiness: a replica that fails it is not ready.
    pub readiness: Option<SpecProbeOfPurpose>,
    /// A probe more, for liveness: a replica that fails it is stopped and runs again.
    pub liveness: Option<SpecProbeOfPurpose>,
    /// The first signal of a stop, by name or number; SIGTERM if not given.
    pub stop_signal: Option<SpecSignal>,
    /// How a change replaces the replicas.
    pub update: Option<SpecUpdate>,
    /// Services that must be there before its replicas start.
    pub dependencies: Option<SpecDependencies>,
}

/// Where replicas go, of the nodes that the constraints allow.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SpecPlacement {
    /// To the node with the fewest of them.
    Spread,
    /// Never two on one node.
    OnePerNode,
}

/// A policy alone, or with its delays.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecRestart {
    /// With all delays as they are if not given.
    Policy(SpecRestartPolicy),
    /// With delays.
    Settings(SpecRestartSettings),
}

/// After which ends of its program a replica runs again.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SpecRestartPolicy {
    /// After none.
    Never,
    /// After a failure.
    OnFailure,
    /// After each, and after a boot of the machine.
    Always,
    /// After each.
    UnlessStopped,
}

/// When a replica runs again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecRestartSettings {
    /// After which ends; `on-failure` if not given.
    pub policy: Option<SpecRestartPolicy>,
    /// Exit codes that are no failure; 0 if not given.
    pub success_codes: Option<Vec<u8>>,
    /// Longest delay after a first failure, doubled each time; 1 s if not given.
    pub backoff: Option<SpecSpan>,
    /// The most that it grows to; 5 min if not given.
    pub backoff_max: Option<SpecSpan>,
    /// A run of this length makes the failures before it forgotten; 1 min if not given.
    pub stable_after: Option<SpecSpan>,
    /// As many failures within the window are a crash loop; 5 if not given.
    #[schemars(range(min = 1, max = LOOP_FAILURES_MAX))]
    pub loop_failures: Option<u32>,
    /// The window; 10 min if not given.
    pub loop_window: Option<SpecSpan>,
}

/// One probe.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_of_ways()))]
pub struct SpecProbe {
    /// What it is for.
    pub purpose: SpecPurpose,
    /// `GET`; a status of 200 to 399 is a success.
    pub http: Option<SpecHttp>,
    /// A connection that is made is a success.
    pub tcp: Option<SpecTcp>,
    /// A program beside the replica; exit code 0 is a success.
    pub exec: Option<SpecExec>,
    /// From the start of a run to the first probe; none if not given.
    pub start_delay: Option<SpecSpan>,
    /// From one probe to the next; 10 s if not given, at least 100 ms.
    pub interval: Option<SpecSpan>,
    /// Without an answer for so long it has failed; 1 s if not given.
    pub timeout: Option<SpecSpan>,
    /// Successes in a row that make it healthy; 1 if not given.
    #[schemars(range(min = 1, max = THRESHOLD_MAX))]
    pub success_threshold: Option<u32>,
    /// Failures in a row that make it unhealthy; 3 if not given.
    #[schemars(range(min = 1, max = THRESHOLD_MAX))]
    pub failure_threshold: Option<u32>,
}

/// A probe whose place says what it is for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_of_ways()))]
pub struct SpecProbeOfPurpose {
    /// `GET`; a status of 200 to 399 is a success.
    pub http: Option<SpecHttp>,
    /// A connection that is made is a success.
    pub tcp: Option<SpecTcp>,
    /// A program beside the replica; exit code 0 is a success.
    pub exec: Option<SpecExec>,
    /// From the start of a run to the first probe; none if not given.
    pub start_delay: Option<SpecSpan>,
    /// From one probe to the next; 10 s if not given, at least 100 ms.
    pub interval: Option<SpecSpan>,
    /// Without an answer for so long it has failed; 1 s if not given.
    pub timeout: Option<SpecSpan>,
    /// Successes in a row that make it healthy; 1 if not given.
    #[schemars(range(min = 1, max = THRESHOLD_MAX))]
    pub success_threshold: Option<u32>,
    /// Failures in a row that make it unhealthy; 3 if not given.
    #[schemars(range(min = 1, max = THRESHOLD_MAX))]
    pub failure_threshold: Option<u32>,
}

fn one_of_ways() -> serde_json::Value {
    let way = |name: &str| serde_json::json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}});
    serde_json::json!([way("http"), way("tcp"), way("exec")])
}

/// What a probe is for.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecPurpose {
    /// Whether a replica counts as up.
    Readiness,
    /// Whether it may go on.
    Liveness,
}

/// Where to ask, on the node of the replica.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecHttp {
    /// E.g. `:8080/ready`.
    Text(#[schemars(regex(pattern = ADDRESS_AND_PATH))] String),
    /// By parts.
    Parts(SpecHttpParts),
}

/// Where to ask by HTTP.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecHttpParts {
    /// A name or address of the node; 127.0.0.1 if not given.
    #[schemars(length(max = HOST_LENGTH_MAX), regex(pattern = HOST))]
    pub host: Option<String>,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// `/` if not given.
    #[schemars(regex(pattern = URL_PATH))]
    pub path: Option<String>,
}

/// Where to connect, on the node of the replica.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecTcp {
    /// E.g. `:5432`.
    Text(#[schemars(regex(pattern = ADDRESS))] String),
    /// A port of 127.0.0.1.
    Port(#[schemars(range(min = 1))] u16),
    /// By parts.
    Parts(SpecTcpParts),
}

/// Where to connect.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecTcpParts {
    /// A name or address of the node; 127.0.0.1 if not given.
    #[schemars(length(max = HOST_LENGTH_MAX), regex(pattern = HOST))]
    pub host: Option<String>,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// A program with its arguments.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecExec {
    /// As a list.
    List(
        #[schemars(length(min = 1, max = ARGUMENTS_MAX), inner(regex(pattern = TEMPLATE)))]
        Vec<String>,
    ),
    /// As the program of a job.
    Table(SpecExecTable),
}

/// A program with its arguments.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecExecTable {
    /// The program and its arguments.
    #[schemars(length(min = 1, max = ARGUMENTS_MAX), inner(regex(pattern = TEMPLATE)))]
    pub argv: Vec<String>,
}

/// A signal.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecSignal {
    /// E.g. `INT` or `SIGINT`.
    Name(#[schemars(regex(pattern = "^[A-Za-z0-9]{1,9}$"))] String),
    /// 1 to 64.
    Number(#[schemars(range(min = 1, max = 64))] u8),
}

/// How a change replaces the replicas.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecUpdate {
    /// How many at a time; 1 if not given.
    #[schemars(range(min = 1, max = REPLICAS_MAX))]
    pub parallel: Option<u32>,
    /// What happens when a new replica does not come up in time; `stop` if not given.
    pub on_failure: Option<SpecUpdateFailure>,
    /// How long a new replica may take to be ready; 5 min if not given.
    pub deadline: Option<SpecSpan>,
    /// How long one without a readiness probe must run to count as ready; 5 s if not given.
    pub stable: Option<SpecSpan>,
}

/// What happens after a failure.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum SpecUpdateFailure {
    /// The rest stays as it was.
    Stop,
    /// All go back.
    RollBack,
}

/// Names, or names with what must be true of each.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecDependencies {
    /// One by one.
    List(#[schemars(length(max = DEPENDENCIES_MAX))] Vec<SpecDependency>),
    /// Each as it says.
    Conditions(
        #[schemars(extend("propertyNames" = {"pattern": NAME}, "maxProperties" = DEPENDENCIES_MAX))]
         BTreeMap<String, SpecCondition>,
    ),
}

/// A service that must be there first.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecDependency {
    /// It must be started.
    Name(#[schemars(regex(pattern = NAME))] String),
    /// With a condition.
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

/// What must be true of a service before another one starts.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SpecCondition {
    /// Every replica runs.
    Started,
    /// Every replica is ready.
    Healthy,
    /// Every replica has ended with success.
    Completed,
}
