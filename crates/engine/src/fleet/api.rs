//! What goes into the fleet and what comes out of it.

use std::time::Duration;

use flota_model::{
    change::Change,
    command::{Refusal, Reply, Request},
    frame::{Down, Up},
    ids::{Authority, BootId, ConnectionId, EventId, JobId, NodeId, RequestId, TaskIndex},
    local::LocalOrder,
    news::{ReplicaNews, ServiceNews},
    outcome::Outcome,
    parameters::ROWS_LENGTH_ALL_MAX,
    state::{JobPhase, NodePhase},
    units::{Now, Timestamp},
};

use crate::sabotage::Sabotage;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody asks; answered by exactly one [`Effect::Reply`].
    Request(Request),
    /// A frame arrived on a connection of the link.
    Frame {
        /// Which connection.
        connection: ConnectionId,
        /// The frame.
        frame: Up,
    },
    /// A connection of the link is gone.
    Disconnected {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Time has passed. The shell sends one at least every second and at [`Fleet::deadline`].
    ///
    /// [`Fleet::deadline`]: super::Fleet::deadline
    Tick,
}

/// Something to do once the turn's changes, and all earlier ones, are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answers a request.
    Reply {
        /// Which request.
        request: RequestId,
        /// The answer.
        reply: Result<Reply, Refusal>,
    },
    /// Sends a frame.
    Send {
        /// On which connection.
        connection: ConnectionId,
        /// The frame.
        frame: Down,
    },
    /// Closes a connection after what was sent on it.
    Close {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Has somebody authorise and carry out what a client of a node wants; what came of it comes
    /// back as [`Query::TellNode`](flota_model::command::Query::TellNode).
    LocalOrder {
        /// Of which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// To be repeated.
        request: RequestId,
        /// What.
        order: LocalOrder,
    },
    /// Tells watchers.
    Publish {
        /// Its place in the order of all events, also across restarts.
        id: EventId,
        /// What happened.
        event: FleetEvent,
    },
}

/// Something that watchers are told. Derived from durable changes, never durable itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// A job was accepted or went on to another phase.
    Job {
        /// Which.
        job: JobId,
        /// Its phase.
        phase: JobPhase,
        /// When.
        at: Timestamp,
    },
    /// Something happened to a service.
    Service {
        /// Its name.
        service: String,
        /// What.
        news: ServiceNews,
        /// Its current revision.
        job: JobId,
        /// How many replicas are wanted.
        replicas: u32,
        /// When.
        at: Timestamp,
    },
    /// Something happened to a replica. Agents say what they hold again after each start of the
    /// server, so that this is told again, too.
    Replica {
        /// The name of its service.
        service: String,
        /// Which.
        replica: TaskIndex,
        /// Of which revision.
        job: JobId,
        /// Where.
        node: NodeId,
        /// In which run; 0 where nobody knows.
        run: u32,
        /// What.
        news: ReplicaNews,
        /// How the run ended, where one did.
        outcome: Option<Outcome>,
        /// When the server heard of it.
        at: Timestamp,
    },
    /// A node went on to another phase.
    Node {
        /// Which.
        node: NodeId,
        /// Its phase.
        phase: NodePhase,
        /// When.
        at: Timestamp,
    },
}

/// What one call of `handle` decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// To be committed in one transaction; often empty.
    pub changes: Vec<Change>,
    /// To be performed, in order, after that commit and all earlier ones.
    pub effects: Vec<Effect>,
}

/// What a fleet is opened with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Random; the salt of all attempts of this start.
    pub salt: u64,
    /// Random; for jitter.
    pub seed: u64,
    /// The boot of the server's machine.
    pub boot: BootId,
    /// The time.
    pub now: Now,
    /// The limits.
    pub settings: Settings,
}

/// Durations and limits of a fleet.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From an agent's sending of a heartbeat to the end of its lease.
    pub lease: Duration,
    /// Added by the server: covers 1 % of clock drift and the way of a frame.
    pub lease_margin: Duration,
    /// Lost attempts after which a task is set aside (PROTOCOL 30).
    pub losses_max: u16,
    /// Most nodes that have joined.
    pub nodes_max: u32,
    /// Most live jobs.
    pub jobs_max: u64,
    /// Most tasks of live jobs.
    pub tasks_max: u64,
    /// Most bytes of rows of live jobs.
    pub rows_max: u64,
    /// How long an idempotency key is kept.
    pub key_retention: Duration,
    /// For the simulator only.
    pub sabotage: Sabotage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            lease_margin: Duration::from_millis(1_500),
            losses_max: 3,
            nodes_max: 10_000,
            jobs_max: 1_000_000,
            tasks_max: 100_000_000,
            rows_max: ROWS_LENGTH_ALL_MAX,
            key_retention: Duration::from_hours(24 * 7),
            sabotage: Sabotage::default(),
        }
    }
}

/// Why a snapshot cannot be loaded: the store is damaged, or written by something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFault {
    /// What does not fit, e.g. `chunk 3 of job 7 is damaged`.
    pub what: String,
}

/// The authority that a fleet speaks for, with the salt of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mandate {
    /// Term and epoch.
    pub authority: Authority,
    /// Salt of the attempts of this epoch.
    pub salt: u64,
}
