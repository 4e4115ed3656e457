//! Services: jobs whose replicas stay up.
//!
//! A *service* has a name and a wanted number of replicas. What runs is a job of kind `service`, its
//! current *revision*: each task is a replica, each attempt of it has many *runs* (PROTOCOL 17),
//! which its agent restarts without the server. An update, and a restart of all, makes another
//! revision and moves the replicas over to it, a few at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    change::RevisionRecord,
    execution::Execution,
    ids::{AttemptId, JobId, NodeId, TaskIndex},
    outcome::Outcome,
    replica::{LastLines, ProbeFailure},
    revision::ServiceVersion,
    sample::Unkillable,
    units::Timestamp,
    waiting::RoomOfRevision,
};

/// Most replicas of a service. The tasks of the job of a service are always `0..REPLICAS_MAX`: those
/// that are not wanted are cancelled before they begin, so that a service is scaled without a new
/// revision.
pub const REPLICAS_MAX: u32 = 10_000;
/// Most probes of a service.
pub const PROBES_MAX: usize = 16;
/// Most services that one depends on.
pub const DEPENDENCIES_MAX: usize = 64;

/// Most revisions of which a [`ServiceDetail`] says which room there is: each costs a look at all
/// nodes.
pub const ROOMS_MAX: usize = 4;

/// Most revisions that a service remembers: specs that differ, each up to the limit of a spec.
pub const REVISIONS_MAX: usize = 10;

/// What makes a job a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// How many replicas it has when it is made; 1..=[`REPLICAS_MAX`]. A scale changes the number
    /// without a change of the spec.
    pub replicas: u32,
    /// When a replica runs again after its run has ended.
    pub restart: RestartSettings,
    /// How its health is found out; at most [`PROBES_MAX`].
    pub probes: Vec<ProbeSpec>,
    /// The first signal of a stop (`man 7 signal`), 1..=64; `None` for SIGTERM. SIGKILL follows
    /// after the grace of the job.
    pub stop_signal: Option<u8>,
    /// How a new revision replaces this one.
    pub update: UpdateSettings,
    /// What must be there before a replica is granted; at most [`DEPENDENCIES_MAX`].
    pub dependencies: Vec<Dependency>,
    /// How replicas are spread over nodes; where they may be at all is in the constraints of the
    /// job.
    pub placement: Placement,
}

/// When a service runs again after its run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RestartPolicy {
    /// It does not.
    Never,
    /// After a failure only.
    #[default]
    OnFailure,
    /// After every end. Where a person had stopped it, it starts again when a machine that had a
    /// replica of it is booted (but not with a new agent on the same boot: an upgrade starts nothing).
    Always,
    /// After every end. Where a person had stopped it, only a person starts it.
    UnlessStopped,
}

impl Purpose {
    /// The word used in specs, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        }
    }
}

impl RestartPolicy {
    /// The word used in specs, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

/// Policy and delays of restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartSettings {
    /// The policy.
    pub policy: RestartPolicy,
    /// Exit codes that are no failure; 0 by default.
    pub success_codes: BTreeSet<u8>,
    /// Longest delay after the first failure; doubles for each further one.
    pub backoff: Duration,
    /// Upper bound of the longest delay.
    pub backoff_max: Duration,
    /// After a run of at least this length, earlier failures are forgotten.
    pub stable_after: Duration,
    /// As many failures within the window are a crash loop; at most 100.
    pub loop_failures: u32,
    /// See `loop_failures`.
    pub loop_window: Duration,
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::default(),
            success_codes: BTreeSet::from([0]),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_mins(5),
            stable_after: Duration::from_mins(1),
            loop_failures: 5,
            loop_window: Duration::from_mins(10),
        }
    }
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A run that fails it is stopped and restarted.
    Liveness,
    /// A run that fails it gets no requests and does not count as up.
    Readiness,
}

/// When to probe, and what the results mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSettings {
    /// What it is for.
    pub purpose: Purpose,
    /// From the start of the run to the first probe.
    pub start_delay: Duration,
    /// From the end of a probe to the next one.
    pub interval: Duration,
    /// A probe without a result for this long has failed.
    pub timeout: Duration,
    /// As many successes in a row make it healthy; at least 1.
    pub success_threshold: u32,
    /// As many failures in a row make it unhealthy; at least 1.
    pub failure_threshold: u32,
}

impl ProbeSettings {
    /// The defaults for that purpose.
    pub fn of(purpose: Purpose) -> Self {
        Self {
            purpose,
            start_delay: Duration::ZERO,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        }
    }
}

/// One probe of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// When, and what the results mean.
    pub settings: ProbeSettings,
    /// What is done.
    pub check: Check,
}

/// What a probe does, on the node of the replica. `{index}`, `{job}` and `{attempt}` are replaced in
/// hosts, paths and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// `GET` of a path; a status of 200..=399 is a success. Redirects are not followed.
    Http {
        /// Name or address; the `Host` of the request too. `127.0.0.1` where a spec does not say.
        host: String,
        /// 1..=65535.
        port: u16,
        /// Begins with `/`.
        path: String,
    },
    /// A connection; its success is all that is asked for.
    Tcp {
        /// Name or address.
        host: String,
        /// 1..=65535.
        port: u16,
    },
    /// A program with the environment, the working directory and the user of the service; its exit
    /// with 0 is a success.
    Exec {
        /// Program and arguments; not empty.
        argv: Vec<String>,
    },
}

/// A check with all placeholders replaced, as the performer of the agent gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandedCheck {
    /// See [`Check::Http`].
    Http {
        /// Name or address.
        host: String,
        /// 1..=65535.
        port: u16,
        /// Begins with `/`.
        path: String,
    },
    /// See [`Check::Tcp`].
    Tcp {
        /// Name or address.
        host: String,
        /// 1..=65535.
        port: u16,
    },
    /// See [`Check::Exec`].
    Exec {
        /// Program and arguments.
        argv: Vec<String>,
        /// The whole environment.
        environment: Vec<(String, String)>,
        /// Absolute path.
        working_directory: String,
        /// As whom, and with which settings: those of the service, but for limits of its tree.
        execution: Box<Execution>,
    },
}

/// What a probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// An HTTP response; 200..=399 is a success.
    Http {
        /// Its status code.
        status: u16,
    },
    /// A TCP connection was made.
    Connected,
    /// A program ended; 0 is a success.
    Exited {
        /// Its exit code.
        code: u8,
    },
    /// No answer, a refused connection, a signal.
    Failed,
}

/// A probe that was asked for; its result is given back with it, so that a late one is not taken
/// for that of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeNumber(pub u64);

/// How a new revision replaces the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateSettings {
    /// How many replicas are replaced at a time; at least 1.
    pub parallel: u32,
    /// What happens when a replica of the new revision does not come up in time.
    pub on_failure: OnUpdateFailure,
    /// How long a replica may take to be ready (without a readiness probe: to have run for
    /// `stable`).
    pub deadline: Duration,
    /// How long a replica without a readiness probe must have run to count as up.
    pub stable: Duration,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            parallel: 1,
            on_failure: OnUpdateFailure::Stop,
            deadline: Duration::from_mins(5),
            stable: Duration::from_secs(5),
        }
    }
}

/// What happens when a new revision does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum OnUpdateFailure {
    /// The update stops where it is; a person decides.
    #[default]
    Stop,
    /// The replicas that were replaced go back to the last revision that all of them had, as many at a
    /// time as an update takes.
    RollBack,
}

impl OnUpdateFailure {
    /// The word used in specs, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::RollBack => "roll-back",
        }
    }
}

/// Another service that must be there first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Its name.
    pub service: String,
    /// What must be true of it.
    pub condition: Condition,
}

/// What must be true of a service for those that depend on it to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Condition {
    /// Every wanted replica runs.
    #[default]
    Started,
    /// Every wanted replica is ready (without a readiness probe: runs).
    Healthy,
    /// Every replica has ended with success and runs no more.
    Completed,
}

impl Condition {
    /// The word used in specs, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Completed => "completed",
        }
    }
}

/// How replicas are spread over the nodes that the constraints allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Placement {
    /// To the node with the fewest replicas of the service, of these the one with most room.
    #[default]
    Spread,
    /// Never two on one node. Replicas beyond the number of nodes wait.
    OnePerNode,
}

impl Placement {
    /// The word used in specs, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::OnePerNode => "one-per-node",
        }
    }
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReplicaState {
    /// It waits for a node, or for what the service depends on.
    Waiting,
    /// It is granted to a node; its program does not run yet.
    Starting,
    /// Its program runs, and is not known to be ready.
    Running,
    /// Its program runs, and every readiness probe succeeds. Without one: it runs.
    Ready,
    /// Its run ended; the next one begins after a delay.
    BackingOff,
    /// As `BackingOff`, after many failures in a short time: a person should look.
    CrashLoop,
    /// It is being stopped.
    Stopping,
    /// It ended, and its policy asks for no further run.
    Finished,
    /// It is not wanted, and nothing of it runs.
    Stopped,
}

impl ReplicaState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Ready,
        Self::BackingOff,
        Self::CrashLoop,
        Self::Stopping,
        Self::Finished,
        Self::Stopped,
    ];

    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::BackingOff => "backing-off",
            Self::CrashLoop => "crash-loop",
            Self::Stopping => "stopping",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// How the last run of a replica ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Which run, from 1.
    pub run: u32,
    /// How; exact, or `Unknown` where nobody saw it.
    pub outcome: Outcome,
    /// Whether it was stopped because a liveness probe failed.
    pub unhealthy: bool,
    /// When.
    pub ended_at: Timestamp,
}

/// What an agent says of a replica that it holds. The latest one wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Which run it is in, or was in last; from 1.
    pub run: u32,
    /// `Starting`, `Running`, `Ready`, `BackingOff`, `CrashLoop` or `Stopping`.
    pub state: ReplicaState,
    /// Since when, by the clock of the node.
    pub since: Timestamp,
    /// Runs that were started after the first one.
    pub restarts: u32,
    /// How the last run ended, if one has.
    pub last: Option<RunEnd>,
    /// The probe that failed last and has not succeeded since.
    pub failure: Option<ProbeFailure>,
    /// In a crash loop: what the last run wrote, if anything.
    pub lines: Option<LastLines>,
}

/// What a replica in the state `Waiting` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitingFor {
    /// The services that it depends on.
    Dependencies,
    /// The one of its number of another revision, which has not stopped yet.
    OtherRevision,
    /// The end of a delay after an attempt that failed.
    Delay,
    /// A node that has room for it.
    Room,
}

impl WaitingFor {
    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dependencies => "dependencies",
            Self::OtherRevision => "other-revision",
            Self::Delay => "delay",
            Self::Room => "room",
        }
    }
}

/// A replica as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Which.
    pub replica: TaskIndex,
    /// Of which revision.
    pub job: JobId,
    /// What it does.
    pub state: ReplicaState,
    /// For what, where it is `Waiting`.
    pub waiting_for: Option<WaitingFor>,
    /// Since when, where known.
    pub since: Option<Timestamp>,
    /// Where it is, once granted.
    pub node: Option<NodeId>,
    /// Its attempt, once granted.
    pub attempt: Option<AttemptId>,
    /// Which run it is in, or was in last; 0 before the first.
    pub run: u32,
    /// Runs of this attempt that were started after the first one.
    pub restarts: u32,
    /// How its last run ended, if its node has said so since the server's start.
    pub last: Option<RunEnd>,
    /// The probe that failed last and has not succeeded since.
    pub failure: Option<ProbeFailure>,
    /// In a crash loop: what the last run wrote.
    pub lines: Option<LastLines>,
    /// What is left of it though it was killed.
    pub unkillable: Option<Unkillable>,
    /// Whether its node has not been heard for a lease: what is said here is old.
    pub stale: bool,
}

/// What a service does as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServicePhase {
    /// Its replicas are to stay up.
    Running,
    /// A new revision is replacing the one before.
    Updating,
    /// A new revision did not come up, and the update stopped there.
    UpdateFailed,
    /// A new revision did not come up; its replicas go back to the one before.
    RollingBack,
    /// A person has stopped it; something of it still runs.
    Stopping,
    /// A person has stopped it, and nothing of it runs.
    Stopped,
}

impl ServicePhase {
    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Updating => "updating",
            Self::UpdateFailed => "update-failed",
            Self::RollingBack => "rolling-back",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// A service as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// What it does.
    pub phase: ServicePhase,
    /// Its current revision: the last one, even when it is stopped.
    pub job: JobId,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How many of them are in each state; those with none are left out.
    pub states: BTreeMap<ReplicaState, u32>,
    /// Restarts of the attempts that it has now.
    pub restarts: u64,
    /// Dependencies that hold it back now.
    pub waits_for: Vec<Dependency>,
    /// Replicas that the running update has moved to the new revision.
    pub updated: Option<u32>,
    /// Its state, for one who changes only what they have seen.
    pub version: ServiceVersion,
    /// Who applied it last.
    pub principal: String,
    /// When it was changed last: applied, scaled, restarted, stopped or started.
    pub changed_at: Timestamp,
}

/// A service with its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDetail {
    /// The service.
    pub service: ServiceView,
    /// Its sealed spec, as applied last.
    pub spec: crate::spec::SealedSpec,
    /// Wanted ones, and others that have not stopped yet; by replica, then revision.
    pub replicas: Vec<ReplicaView>,
    /// Which room there is for those that wait for it, by revision; at most [`ROOMS_MAX`], the
    /// newest.
    pub rooms: Vec<RoomOfRevision>,
    /// The specs that it had, oldest first; at most [`REVISIONS_MAX`].
    pub revisions: Vec<RevisionRecord>,
}
