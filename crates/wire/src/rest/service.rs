//! Services.

use std::collections::BTreeMap;

use flota_model::{
    outcome::Outcome,
    service::{Dependency, ReplicaView, RunEnd, ServiceDetail, ServiceView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    convert::{Details, seconds},
    sample::Unkillable,
    waiting::Room,
};
use crate::spec::{changed_fields, to_value};

/// A service of `GET /api/v1/services`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `running`, `updating`, `update-failed`, `rolling-back`, `stopping` or `stopped`.
    pub phase: String,
    /// Its current revision: the number of a job.
    pub job: u64,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// Replicas by state word; states without one are left out.
    pub states: BTreeMap<String, u32>,
    /// How often the programs of its replicas were started again since those were placed.
    pub restarts: u64,
    /// What it waits for before its replicas start.
    pub waits_for: Vec<WaitsFor>,
    /// Replicas that the running update has moved to the new revision.
    pub updated: Option<u32>,
    /// Its state: another one after each change, and never the same again. For `If-Match`.
    #[serde(default)]
    pub version: String,
    /// Who applied it last.
    pub principal: String,
    /// When it was changed last by somebody.
    pub changed_at: f64,
}

/// A service that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitsFor {
    /// Its name.
    pub service: String,
    /// `started`, `healthy` or `completed`.
    pub condition: String,
}

/// `GET /api/v1/services`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Services {
    /// By name.
    pub services: Vec<Service>,
}

/// `GET /api/v1/services/{service}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceWhole {
    /// The service.
    pub service: Service,
    /// Its spec as applied last (normal form).
    pub spec: serde_json::Value,
    /// By number, then revision: those that are wanted, and others that have not stopped yet.
    pub replicas: Vec<Replica>,
    /// Which room there is for the replicas that wait for it, by revision; at most 4 of them.
    #[serde(default)]
    pub rooms: Vec<RoomOfRevision>,
}

/// Which room there is for the replicas of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomOfRevision {
    /// Of which revision: the number of a job.
    pub job: u64,
    /// The room.
    #[serde(flatten)]
    pub room: Room,
}

/// `GET /api/v1/services/{service}/revisions`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revisions {
    /// The newest first; at most 10.
    pub revisions: Vec<Revision>,
}

/// A spec that a service has, or had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// The last revision with this spec: the number of a job.
    pub job: u64,
    /// Whether it is the one that the service has now.
    pub current: bool,
    /// Who applied it, or went back to it.
    pub principal: String,
    /// When.
    pub at: f64,
    /// `applied` or `rolled-back`.
    pub cause: String,
    /// Fields that differ from the revision before it: the first 32 of them, in their order.
    pub changed: Vec<String>,
    /// Fields that differ beyond those.
    pub changed_more: u32,
    /// The spec (normal form).
    pub spec: serde_json::Value,
}

impl From<&ServiceDetail> for Revisions {
    fn from(detail: &ServiceDetail) -> Self {
        let mut revisions: Vec<Revision> = Vec::new();
        for known in &detail.revisions {
            let spec = to_value(&known.spec.spec);
            let before = revisions.last().map(|before| &before.spec);
            let mut changed = before.map_or_else(Vec::new, |before| changed_fields(before, &spec));
            let more = changed.len().saturating_sub(CHANGED_MAX);
            changed.truncate(CHANGED_MAX);
            revisions.push(Revision {
                job: known.job.0,
                current: known.spec.hash == detail.spec.hash,
                principal: known.principal.clone(),
                at: seconds(known.at),
                cause: known.cause.word().to_owned(),
                changed,
                changed_more: u32::try_from(more).unwrap_or(u32::MAX),
                spec,
            });
        }
        revisions.reverse();
        Self { revisions }
    }
}

/// Most fields that are named as changed.
const CHANGED_MAX: usize = 32;

/// Data of an event `service` of `GET /api/v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceEvent {
    /// Its name.
    pub service: String,
    /// `created`, `updated`, `scaled`, `restarted`, `rolled-back`, `update-done`, `update-failed`,
    /// `went-back`, `stopped`, `started` or `removed`.
    pub news: String,
    /// Its current revision: the number of a job.
    pub job: u64,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// When.
    pub at: f64,
}

/// Data of an event `replica` of `GET /api/v1/events`. After a start of the server, what agents hold
/// is told again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaEvent {
    /// The name of its service.
    pub service: String,
    /// Its number, from 0.
    pub replica: u32,
    /// Of which revision: the number of a job.
    pub job: u64,
    /// Where: the node's number.
    pub node: u32,
    /// Which run of its program, from 1; 0 where nobody knows.
    pub run: u32,
    /// `started`, `ready`, `not-ready`, `ended` or `crash-loop`.
    pub news: String,
    /// The word of the outcome, where a run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Exit code, where it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Signal, where one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
    /// When the server heard of it.
    pub at: f64,
}

impl ReplicaEvent {
    /// With how a run ended.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Option<&Outcome>) -> Self {
        let details = outcome.map(Details::of);
        self.outcome = outcome.map(|outcome| outcome.word().to_owned());
        self.exit_code = details.as_ref().and_then(|details| details.exit_code);
        self.signal = details.as_ref().and_then(|details| details.signal);
        self
    }
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replica {
    /// Its number, from 0.
    pub index: u32,
    /// Of which revision: the number of a job.
    pub job: u64,
    /// `waiting`, `starting`, `running`, `ready`, `backing-off`, `crash-loop`, `stopping`,
    /// `finished` or `stopped`.
    pub state: String,
    /// For what, where it is `waiting`: `dependencies`, `other-revision`, `delay` or `room`.
    #[serde(default)]
    pub waiting_for: Option<String>,
    /// Since when, by the clock of its node.
    pub since: Option<f64>,
    /// Where it is: the node's number.
    pub node: Option<u32>,
    /// Its attempt, `EPOCH-SALT-SEQUENCE`.
    pub attempt: Option<String>,
    /// Which run of its program this is, from 1; 0 before the first.
    pub run: u32,
    /// Runs after the first one.
    pub restarts: u32,
    /// How the run before ended.
    pub last: Option<Run>,
    /// Why it is not well: the probe that failed last and has not succeeded since.
    #[serde(default)]
    pub failure: Option<ProbeFailure>,
    /// In a crash loop: what its last run wrote.
    #[serde(default)]
    pub lines: Option<LastLines>,
    /// What is left of it though it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unkillable: Option<Unkillable>,
    /// Whether its node has not been heard for a while, so that this is old.
    pub stale: bool,
}

/// A probe that fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeFailure {
    /// Which, by position in the `probes` of the spec.
    pub probe: u32,
    /// `readiness` or `liveness`.
    pub purpose: String,
    /// Why, e.g. `HTTP 503`.
    pub detail: String,
    /// Since when for this reason, by the clock of its node.
    pub since: f64,
}

/// What a run wrote last: at most 50 lines and 8 KiB of each stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastLines {
    /// Which run.
    pub run: u32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Which, from 1.
    pub number: u32,
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
    /// Whether it was stopped because a liveness probe failed.
    pub unhealthy: bool,
    /// When.
    pub ended_at: f64,
}

/// Answer of `PUT /api/v1/services/{service}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// `created`, `updated`, `scaled`, `started` or `unchanged`.
    pub applied: String,
    /// The service after it.
    pub service: Service,
}

impl From<&ServiceView> for Service {
    fn from(view: &ServiceView) -> Self {
        let states = view.states.iter();
        Self {
            name: view.name.clone(),
            phase: view.phase.word().to_owned(),
            job: view.job.0,
            replicas: view.replicas,
            states: states
                .map(|(state, count)| (state.word().to_owned(), *count))
                .collect(),
            restarts: view.restarts,
            waits_for: view.waits_for.iter().map(WaitsFor::from).collect(),
            updated: view.updated,
            version: view.version.to_string(),
            principal: view.principal.clone(),
            changed_at: seconds(view.changed_at),
        }
    }
}

impl From<&Dependency> for WaitsFor {
    fn from(dependency: &Dependency) -> Self {
        Self {
            service: dependency.service.clone(),
            condition: dependency.condition.word().to_owned(),
        }
    }
}

impl From<&ServiceDetail> for ServiceWhole {
    fn from(detail: &ServiceDetail) -> Self {
        Self {
            service: Service::from(&detail.service),
            spec: to_value(&detail.spec.spec),
            replicas: detail.replicas.iter().map(Replica::from).collect(),
            rooms: detail
                .rooms
                .iter()
                .map(|one| RoomOfRevision {
                    job: one.job.0,
                    room: Room::from(&one.room),
                })
                .collect(),
        }
    }
}

impl From<&ReplicaView> for Replica {
    fn from(view: &ReplicaView) -> Self {
        Self {
            index: view.replica.0,
            job: view.job.0,
            state: view.state.word().to_owned(),
            waiting_for: view.waiting_for.map(|what| what.word().to_owned()),
            since: view.since.map(seconds),
            node: view.node.map(|node| node.0),
            attempt: view.attempt.map(|attempt| attempt.to_string()),
            run: view.run,
            restarts: view.restarts,
            last: view.last.as_ref().map(Run::from),
            failure: view.failure.as_ref().map(|failure| ProbeFailure {
                probe: failure.probe,
                purpose: failure.purpose.word().to_owned(),
                detail: failure.detail.clone(),
                since: seconds(failure.since),
            }),
            lines: view.lines.as_ref().map(|lines| LastLines {
                run: lines.run,
                stdout: lines.stdout.clone(),
                stderr: lines.stderr.clone(),
            }),
            unkillable: view
                .unkillable
                .as_ref()
                .and_then(|unkillable| Some(Unkillable::of(view.replica, view.node?, unkillable))),
            stale: view.stale,
        }
    }
}

impl From<&RunEnd> for Run {
    fn from(end: &RunEnd) -> Self {
        let details = Details::of(&end.outcome);
        Self {
            number: end.run,
            outcome: end.outcome.word().to_owned(),
            exit_code: details.exit_code,
            signal: details.signal,
            stage: details.stage,
            errno: details.errno,
            unhealthy: end.unhealthy,
            ended_at: seconds(end.ended_at),
        }
    }
}
