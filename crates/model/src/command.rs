//! What the edges ask of the fleet and what it answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    change::JobRecord,
    containment::Containment,
    control::{Pause, Retried, RetryTicket, RetryWhich, StoredJob},
    frame::{Offer, OutputFault, OutputPart},
    ids::{AttemptId, Authority, JobId, NodeId, RequestId, TaskIndex},
    local::{LocalRefusal, LocalReply},
    note::{NoteKind, NoteRecord},
    outcome::StreamName,
    parameters::Rows,
    process::{Answer, AskFault, ProcessTarget, Question},
    resources::Resources,
    revision::{Applied, Expected, ServiceVersion},
    sample::{NodeSample, Unkillable},
    service::{ServiceDetail, ServiceView},
    spec::SealedSpec,
    state::{Counts, JobPhase, NodePhase},
    units::Timestamp,
};

/// Who asks. Today one local administrator; users, groups and tokens later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// `local` for the administrator of the machine.
    pub name: String,
}

/// Changes something. Every command is authorised before it reaches the fleet and audited by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Accept a job.
    Submit {
        /// What to run.
        spec: SealedSpec,
        /// The rows that its spec names.
        rows: Option<Rows>,
        /// Makes the submission safe to repeat; 1..=128 bytes.
        idempotency_key: Option<String>,
    },
    /// Stop a job: its waiting tasks at once, its granted ones when their agents confirm.
    Cancel {
        /// Which.
        job: JobId,
        /// Why; at most [`crate::control::REASON_LENGTH_MAX`] bytes.
        reason: Option<String>,
    },
    /// Have tasks that ended without success wait again. Answered by [`Reply::Retried`].
    Retry {
        /// Of which job.
        job: JobId,
        /// Which tasks.
        which: RetryWhich,
        /// What the store has of the job, where it is finished.
        stored: Option<Box<StoredJob>>,
    },
    /// Start nothing more of a job; what runs goes on. Answered by [`Reply::Job`].
    PauseJob {
        /// Which.
        job: JobId,
        /// Why; at most [`crate::control::REASON_LENGTH_MAX`] bytes.
        reason: Option<String>,
    },
    /// Go on with a job. Answered by [`Reply::Job`].
    ResumeJob {
        /// Which.
        job: JobId,
    },
    /// Start no more batch work at all; what runs, and services, go on. Answered by
    /// [`Reply::Held`].
    PauseQueue {
        /// Why; at most [`crate::control::REASON_LENGTH_MAX`] bytes.
        reason: Option<String>,
    },
    /// Go on with batch work. Answered by [`Reply::Held`].
    ResumeQueue,
    /// Go on after the store was found to be older than the fleet (PROTOCOL 4): the epoch is raised
    /// above all that the agents have seen, and attempts that the store does not know are stopped.
    Recover,
    /// Send a signal to a process of a node.
    SignalProcess {
        /// Which.
        target: ProcessTarget,
        /// 1..=64.
        signal: u8,
    },
    /// End a process of a node with its descendants.
    StopProcess {
        /// Which.
        target: ProcessTarget,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
    },
    /// Make, update, scale or start a service, whatever it takes to have it as its spec says.
    /// Answered by [`Reply::Applied`].
    ApplyService {
        /// Has a service; its name is that of the service.
        spec: SealedSpec,
        /// Refused where it is in another state.
        expected: Expected,
        /// How many replicas an update takes at a time; else as the spec says.
        at_a_time: Option<u32>,
    },
    /// Change the number of replicas. Answered by [`Reply::Service`].
    ScaleService {
        /// Which.
        name: String,
        /// 0..=[`crate::service::REPLICAS_MAX`].
        replicas: u32,
    },
    /// Replace all replicas by new ones of the same spec, as an update does. Answered by
    /// [`Reply::Service`].
    RestartService {
        /// Which.
        name: String,
        /// How many at a time; else as the spec says.
        at_a_time: Option<u32>,
    },
    /// Update to a spec that the service had. Answered by [`Reply::Service`].
    RollBackService {
        /// Which.
        name: String,
        /// The revision; the one before the current one if not given.
        to: Option<JobId>,
        /// How many at a time; else as the spec says.
        at_a_time: Option<u32>,
    },
    /// Stop all replicas. Answered by [`Reply::Service`], with the phase `Stopping` until the agents
    /// have confirmed.
    StopService {
        /// Which.
        name: String,
    },
    /// Start a service that was stopped. Answered by [`Reply::Service`].
    StartService {
        /// Which.
        name: String,
    },
    /// Write a note, and submit the jobs that come of it in the same transaction. Answered by
    /// [`Reply::Noted`].
    WriteNote {
        /// What it is for.
        kind: NoteKind,
        /// Its name.
        name: String,
        /// The revision that it must have: 0 where it must not be there, `None` where that does not
        /// matter.
        expected: Option<u64>,
        /// Its bytes, opaque to the fleet.
        bytes: Arc<[u8]>,
        /// All are accepted, or none and the note is not written.
        jobs: Vec<(SealedSpec, Option<Rows>)>,
    },
    /// Remove a note. Answered by [`Reply::Noted`] with its last revision.
    RemoveNote {
        /// What it was for.
        kind: NoteKind,
        /// Its name.
        name: String,
    },
    /// Forget a service that is stopped. Answered by [`Reply::Service`], as it was.
    RemoveService {
        /// Which.
        name: String,
    },
    /// Cancel the jobs of the principal of which nothing has been granted yet. Answered by
    /// [`Reply::Cleared`].
    ClearQueue,
}

impl Command {
    /// The word used by authorisation, audit and API.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "job.submit",
            Self::Cancel { .. } => "job.cancel",
            Self::Retry { .. } => "job.retry",
            Self::PauseJob { .. } => "job.pause",
            Self::ResumeJob { .. } => "job.resume",
            Self::PauseQueue { .. } => "queue.pause",
            Self::ResumeQueue => "queue.resume",
            Self::Recover => "fleet.recover",
            Self::SignalProcess { .. } => "process.signal",
            Self::StopProcess { .. } => "process.stop",
            Self::ApplyService { .. } => "service.apply",
            Self::ScaleService { .. } => "service.scale",
            Self::RestartService { .. } => "service.restart",
            Self::RollBackService { .. } => "service.roll-back",
            Self::StopService { .. } => "service.stop",
            Self::StartService { .. } => "service.start",
            Self::RemoveService { .. } => "service.remove",
            Self::ClearQueue => "queue.clear",
            Self::WriteNote {
                kind: NoteKind::Template,
                ..
            } => "template.save",
            Self::WriteNote {
                kind: NoteKind::Watch,
                ..
            } => "watch.write",
            Self::RemoveNote {
                kind: NoteKind::Template,
                ..
            } => "template.remove",
            Self::RemoveNote {
                kind: NoteKind::Watch,
                ..
            } => "watch.remove",
        }
    }
}

/// Reads live state. What a store can answer is not asked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// All nodes, by number.
    Nodes,
    /// The fleet as a whole.
    Fleet,
    /// A part of an output that is on a node.
    Output {
        /// Where it is.
        node: NodeId,
        /// Of which attempt.
        attempt: AttemptId,
        /// Which stream.
        stream: StreamName,
        /// From which byte on.
        offset: u64,
        /// At most this many bytes.
        length: u32,
    },
    /// Something that only a node knows. What changes something there is a command.
    Ask {
        /// Whom.
        node: NodeId,
        /// What.
        question: Question,
    },
    /// All services, by name.
    Services,
    /// One service with its replicas.
    Service {
        /// Its name.
        name: String,
    },
    /// What the jobs of a principal have in the queue.
    QueueOf {
        /// Who submitted them.
        principal: String,
    },
    /// The attempts of a job that were killed and are still there, as far as their nodes have said.
    Unkillable {
        /// Which job.
        job: JobId,
    },
    /// All notes of a kind, by name.
    Notes(NoteKind),
    /// Batch work that waits, as a whole. Answered by [`Reply::Held`].
    Queue,
    /// What a finished job must be read after, to be taken up again. Answered by
    /// [`Reply::RetryTicket`].
    RetryTicket,
    /// Tells a node what came of an order of one of its clients. Changes nothing durable.
    TellNode {
        /// Whom.
        node: NodeId,
        /// Which order.
        order: RequestId,
        /// What came of it.
        answer: Result<LocalReply, LocalRefusal>,
    },
}

/// A command or a query with the address of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To be repeated in the reply.
    pub id: RequestId,
    /// Who asks.
    pub principal: Principal,
    /// What.
    pub ask: Ask,
}

/// A command or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Changes something.
    Command(Command),
    /// Reads something.
    Query(Query),
}

/// Answer to a request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The job is durable.
    Submitted {
        /// Its number.
        job: JobId,
        /// Whether an earlier submission with the same key made it.
        existing: bool,
    },
    /// The cancel is durable.
    Cancelling {
        /// Which job.
        job: JobId,
        /// Its phase now: `Finished` when nothing of it was granted.
        phase: JobPhase,
    },
    /// The job after a command.
    Job(Box<JobRecord>),
    /// Batch work that waits, as a whole.
    Held(QueueView),
    /// The retry is durable.
    Retried(Retried),
    /// Answer to [`Query::RetryTicket`].
    RetryTicket(RetryTicket),
    /// The fleet goes on under a new epoch.
    Recovered(Authority),
    /// Answer to [`Query::Nodes`].
    Nodes(Vec<NodeView>),
    /// Answer to [`Query::Fleet`].
    Fleet(FleetView),
    /// Answer to [`Query::Output`].
    Output(Result<OutputPart, OutputFault>),
    /// Answer to [`Query::Ask`] and to commands about processes.
    Answer(Result<Answer, AskFault>),
    /// A service was applied.
    Applied {
        /// What that changed.
        applied: Applied,
        /// The service after it.
        service: Box<ServiceView>,
    },
    /// The service after a command.
    Service(Box<ServiceView>),
    /// Answer to [`Query::Services`].
    Services(Vec<ServiceView>),
    /// Answer to [`Query::Service`]; `None` where there is none of that name.
    ServiceDetail(Option<Box<ServiceDetail>>),
    /// The queue was cleared.
    Cleared {
        /// How many tasks were cancelled.
        tasks: u64,
    },
    /// Answer to [`Query::QueueOf`]: tasks of live batch jobs by state.
    Queue(Counts),
    /// Answer to [`Query::Unkillable`], by node.
    Unkillable(Vec<UnkillableView>),
    /// A note was written or removed.
    Noted {
        /// Its revision.
        revision: u64,
        /// The jobs that came of it, in order.
        jobs: Vec<JobId>,
    },
    /// Answer to [`Query::Notes`].
    Notes(Vec<NoteRecord>),
    /// Answer to [`Query::TellNode`]: it is on its way, or nobody waits for it any more.
    Told,
}

/// An attempt that was killed and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnkillableView {
    /// Where.
    pub node: NodeId,
    /// Of which task.
    pub task: TaskIndex,
    /// What its node says.
    pub unkillable: Unkillable,
}

/// A node as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub phase: NodePhase,
    /// When it was last heard; `None` if not since the server's start and not recorded before.
    pub last_heard_at: Option<Timestamp>,
    /// When it joined.
    pub joined_at: Timestamp,
    /// The version of its agent; empty until it is heard after the server's start.
    pub version: String,
    /// All that its machine lends to Flota.
    pub capacity: Resources,
    /// What the attempts that it may run at once ask for.
    pub reserved: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Attempts granted to it and not settled.
    pub granted: u32,
    /// Attempts that ran at its last heartbeat.
    pub running: u32,
    /// Attempts it holds that the store does not know (PROTOCOL 4).
    pub unclaimed: u32,
    /// How it contains programs; `None` until it is heard after the server's start.
    pub containment: Option<Containment>,
    /// What it runs, and where else it listens; nothing until it is heard after the server's start.
    pub offer: Offer,
    /// The last sample of its machine since the server's start.
    pub sample: Option<Sampled>,
}

/// A sample, and how old it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Since it arrived, by the server's clock of durations: the clocks of nodes may be wrong.
    pub age: Duration,
    /// What the node said.
    pub sample: Box<NodeSample>,
}

/// Batch work that waits, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// Who holds it back, if somebody does.
    pub paused: Option<Pause>,
    /// Tasks that wait or are between two attempts, of batch jobs.
    pub waiting: u64,
    /// Tasks that are granted.
    pub granted: u64,
    /// Jobs that are paused.
    pub jobs_paused: u64,
}

/// The fleet as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetView {
    /// The start of the server.
    pub authority: Authority,
    /// Jobs that are not finished.
    pub jobs_live: u64,
    /// Those of them that are being cancelled.
    pub jobs_cancelling: u64,
    /// Their tasks by state.
    pub tasks: Counts,
    /// `Some` when the store is older than the fleet: the highest authority that an agent obeyed.
    pub store_behind: Option<Authority>,
    /// Placement waits for agents that were connected before the server's start.
    pub waiting_for_nodes: u32,
}

/// Why a command was refused. The caller can cause each of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No such job.
    JobNotFound(JobId),
    /// The job is finished already.
    JobFinished(JobId),
    /// The deadline of the job is over.
    DeadlinePassed,
    /// The job is being cancelled: it must be finished first.
    JobCancelling(JobId),
    /// What was read of the finished job is not how it is now: read it again.
    JobChanged(JobId),
    /// The key was used with another spec before.
    KeyReused {
        /// The job that it made.
        job: JobId,
    },
    /// More live jobs than allowed.
    TooManyJobs {
        /// The limit.
        limit: u64,
    },
    /// More live tasks than allowed.
    TooManyTasks {
        /// The limit.
        limit: u64,
    },
    /// More bytes of rows of live jobs than allowed.
    TooManyRows {
        /// The limit, in bytes.
        limit: u64,
    },
    /// There is no such note.
    NoteNotFound {
        /// What it was to be for.
        kind: NoteKind,
        /// Its name.
        name: String,
    },
    /// The note is not the one that was expected: there already, or written by somebody else.
    NoteChanged {
        /// What it is for.
        kind: NoteKind,
        /// Its name.
        name: String,
    },
    /// More notes, or longer ones, than allowed.
    TooManyNotes {
        /// What they are for.
        kind: NoteKind,
    },
    /// No node of that name has ever joined, so the job could never run.
    NodeUnknown(String),
    /// The store is older than the fleet; recover first.
    StoreBehind,
    /// The store is not behind: there is nothing to recover.
    NothingToRecover,
    /// No service of that name.
    ServiceNotFound(String),
    /// The spec of a service came as a batch job, or the other way round.
    ServiceKind,
    /// It is stopped: start it first.
    ServiceStopped(String),
    /// It is not stopped: stop it first.
    ServiceRunning(String),
    /// It would depend on itself: each depends on the next, the last on the first.
    ServiceCycle(Vec<String>),
    /// It is in another state than was expected.
    ServiceChanged {
        /// Which.
        name: String,
        /// Its state; `None` where there is none of that name.
        version: Option<ServiceVersion>,
    },
    /// It remembers no such revision, or none before the current one.
    RevisionNotFound {
        /// Which service.
        name: String,
        /// Which revision.
        revision: Option<JobId>,
    },
    /// More replicas than a service may have.
    TooManyReplicas {
        /// The limit.
        limit: u32,
    },
}

impl Refusal {
    /// The stable code, `E-NOUN-REASON`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::JobNotFound(_) => "E-JOB-NOTFOUND",
            Self::JobFinished(_) => "E-JOB-FINISHED",
            Self::DeadlinePassed => "E-DEADLINE-PASSED",
            Self::JobCancelling(_) => "E-JOB-CANCELLING",
            Self::JobChanged(_) => "E-JOB-CHANGED",
            Self::KeyReused { .. } => "E-KEY-REUSED",
            Self::TooManyJobs { .. } => "E-JOB-LIMIT",
            Self::TooManyTasks { .. } => "E-TASK-LIMIT",
            Self::TooManyRows { .. } => "E-ROWS-LIMIT",
            Self::NoteNotFound { .. } => "E-NOTE-NOTFOUND",
            Self::NoteChanged { .. } => "E-NOTE-CHANGED",
            Self::TooManyNotes { .. } => "E-NOTE-LIMIT",
            Self::NodeUnknown(_) => "E-NODE-NOTFOUND",
            Self::StoreBehind => "E-STORE-BEHIND",
            Self::NothingToRecover => "E-STORE-CURRENT",
            Self::ServiceNotFound(_) => "E-SERVICE-NOTFOUND",
            Self::ServiceKind => "E-SERVICE-KIND",
            Self::ServiceStopped(_) => "E-SERVICE-STOPPED",
            Self::ServiceRunning(_) => "E-SERVICE-RUNNING",
            Self::ServiceCycle(_) => "E-SERVICE-CYCLE",
            Self::ServiceChanged { .. } => "E-SERVICE-CHANGED",
            Self::RevisionNotFound { .. } => "E-REVISION-NOTFOUND",
            Self::TooManyReplicas { .. } => "E-SERVICE-LIMIT",
        }
    }
}
