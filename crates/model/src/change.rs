//! What the fleet asks its store to make durable, and what it gets back at a start.

use std::collections::BTreeMap;

use crate::{
    control::{JobControl, Pause},
    ids::{
        AttemptId, AttemptRange, Authority, BatchNumber, BootId, GrantId, JobId, NodeId, Nonce,
        SessionNumber, SpecHash, TaskIndex,
    },
    note::{NoteKind, NoteRecord},
    outcome::{Outcome, Output, Usage},
    parameters::Rows,
    resources::Resources,
    revision::{RevisionCause, ServiceVersion},
    spec::{SealedSpec, TaskRange},
    state::{Counts, JobPhase, TaskState},
    units::{Moment, Timestamp},
};

/// All changes of one engine step (or several), to be committed in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// From 1 without gaps; stored in the transaction, so that a commit whose answer was lost is
    /// looked up and never assumed (PROTOCOL 19).
    pub number: BatchNumber,
    /// Checked against the stored one in the transaction (PROTOCOL 20).
    pub authority: Authority,
    /// In order.
    pub changes: Vec<Change>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A server has started: the authority row takes this value. The only change that may raise it.
    AuthorityTaken {
        /// The new authority.
        authority: Authority,
        /// The salt of its attempts.
        salt: u64,
        /// When.
        at: Timestamp,
        /// Whether a person told the fleet to go on: clears the mark of a restored store.
        recovered: bool,
    },
    /// A job was accepted.
    JobAdded(Box<JobRecord>),
    /// A job went on. At most one per job and batch.
    JobProgressed {
        /// Which.
        job: JobId,
        /// Its phase.
        phase: JobPhase,
        /// Its tasks by state.
        counts: Counts,
        /// When it finished.
        finished_at: Option<Timestamp>,
    },
    /// A job was held back, let go, or ended by something else than its tasks. At most one per job and
    /// batch.
    JobControlled {
        /// Which.
        job: JobId,
        /// What was done with it.
        control: JobControl,
    },
    /// All batch work is held back, or goes on again.
    QueueControlled(Option<Pause>),
    /// Tasks that had ended wait again: what counted of them is history only.
    TasksRetried {
        /// Of which job.
        job: JobId,
        /// Which; at least one.
        tasks: TaskRange,
    },
    /// States of 65,536 tasks (fewer in the last chunk). At most one per chunk and batch.
    ChunkWritten {
        /// Of which job.
        job: JobId,
        /// Which: tasks `first + 65,536 × number` onward.
        number: u32,
        /// As encoded by `flota_engine::fleet::chunk`; opaque to the store.
        bytes: Vec<u8>,
    },
    /// A task that has had an attempt without reaching a terminal state; `None` once it has.
    TaskHistoryWritten {
        /// Of which job.
        job: JobId,
        /// Which task.
        task: TaskIndex,
        /// What happened to it so far.
        history: Option<TaskHistory>,
    },
    /// A grant was made.
    GrantAdded(GrantRecord),
    /// Some attempts of a grant were settled. At most one per grant and batch.
    GrantWritten {
        /// Which.
        grant: GrantId,
        /// One bit per attempt, lowest bit of the first byte first: set while not settled.
        unsettled: Vec<u8>,
        /// One bit per attempt: set where the attempt is suspect (PROTOCOL 11) or `unknown`.
        suspect: Vec<u8>,
    },
    /// All attempts of a grant are settled.
    GrantRemoved(GrantId),
    /// An attempt ended. The first record of an attempt stays; a repeat changes nothing.
    AttemptEnded(Box<AttemptRecord>),
    /// An outcome that had been `unknown` was superseded by the attempt's real one (PROTOCOL 7):
    /// replaces the record of the same attempt.
    AttemptCorrected(Box<AttemptRecord>),
    /// A node joined or changed. At most one per node and batch.
    NodeWritten(Box<NodeRecord>),
    /// A key was used.
    KeyAdded {
        /// By whom, and the key itself.
        key: IdempotencyKey,
        /// What it made.
        made: KeyRecord,
    },
    /// A key is older than the retention.
    KeyRemoved(IdempotencyKey),
    /// A service was applied, or went on. At most one per service and batch.
    ServiceWritten(Box<ServiceRecord>),
    /// A service was removed.
    ServiceRemoved(String),
    /// A spec that a service has, or had. At most one per service, revision and batch.
    RevisionWritten {
        /// Of which service.
        service: String,
        /// What it was.
        revision: Box<RevisionRecord>,
    },
    /// A spec that a service had is forgotten, or has another revision now.
    RevisionRemoved {
        /// Of which service.
        service: String,
        /// Which.
        job: JobId,
    },
    /// A note was written.
    NoteWritten(Box<NoteRecord>),
    /// A note was removed.
    NoteRemoved {
        /// What it was for.
        kind: NoteKind,
        /// Its name.
        name: String,
    },
    /// A command was carried out or refused.
    Audited(AuditRecord),
    /// The next numbers to give out. At most one per batch.
    CountersWritten(Counters),
}

/// A job as accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its number.
    pub job: JobId,
    /// What it runs.
    pub spec: SealedSpec,
    /// The rows of its tasks, where its spec has some.
    pub rows: Option<Rows>,
    /// Who submitted it.
    pub principal: String,
    /// When.
    pub submitted_at: Timestamp,
    /// Its phase.
    pub phase: JobPhase,
    /// Its tasks by state.
    pub counts: Counts,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// What was done with it.
    pub control: JobControl,
}

impl JobRecord {
    /// Its tasks by state, as people understand them: the job of a service has room for more replicas
    /// than are wanted, and those were not cancelled by anybody.
    pub fn counts_of_wanted(&self) -> Counts {
        let mut counts = self.counts;
        if self.spec.spec.service.is_some() {
            counts.0[TaskState::Cancelled as usize] = 0;
        }
        counts
    }
}

/// A service: what is wanted, and which jobs are its revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Its name.
    pub name: String,
    /// As applied last.
    pub spec: SealedSpec,
    /// Who applied it last.
    pub principal: String,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// Its current revision: the last one, even when it is stopped.
    pub job: JobId,
    /// The update that is under way.
    pub update: Option<UpdateRecord>,
    /// Whether a person has stopped it.
    pub stopped: bool,
    /// Of one that a person has stopped and whose policy is `always`: when it starts again.
    pub revival: Revival,
    /// Whether all replicas of the current revision have ended with success.
    pub completed: bool,
    /// When it was changed last by a person.
    pub changed_at: Timestamp,
    /// Another one after each change.
    pub version: ServiceVersion,
}

/// A spec that a service has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRecord {
    /// The last revision with this spec.
    pub job: JobId,
    /// The spec.
    pub spec: SealedSpec,
    /// Who applied it, or went back to it.
    pub principal: String,
    /// When.
    pub at: Timestamp,
    /// Which of the two.
    pub cause: RevisionCause,
}

/// What starts a service again that a person has stopped (`always`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revival {
    /// Nodes that had a replica of it when it was stopped, ascending: a boot of one starts it.
    pub nodes: Vec<NodeId>,
    /// One of them was booted: it starts as soon as the stop is over.
    pub due: bool,
}

/// An update that is under way, or the way back from one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRecord {
    /// The last revision that all replicas had: where a roll-back leads.
    pub from: JobId,
    /// Its spec.
    pub spec: SealedSpec,
    /// Replicas that other revisions still have, ascending; all others are those of the current
    /// one. Several revisions where an update began before the one before it was done.
    pub left: Vec<Left>,
    /// It leads back to `from`, which is the current revision again.
    pub goes_back: bool,
    /// The new revision did not come up, and the update stopped there.
    pub halted: bool,
    /// How many replicas it takes at a time, where that was asked for; else as the spec says.
    pub parallel: Option<u32>,
}

/// Replicas in a row that an update has not moved yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// The first of them.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
    /// The revision that has them.
    pub job: JobId,
}

impl Left {
    /// The replicas.
    pub fn range(&self) -> std::ops::Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }
}

impl UpdateRecord {
    /// How many replicas are to be moved.
    pub fn left_count(&self) -> u32 {
        let counts = self.left.iter().map(|left| left.count);
        counts.fold(0, u32::saturating_add)
    }
}

/// What happened to a task so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TaskHistory {
    /// Attempts that failed.
    pub failures: u16,
    /// Attempts that were lost and count against the task (PROTOCOL 30).
    pub losses: u16,
    /// An attempt was lost together with others: the next one runs alone on its node, so that it is
    /// known which of them is to blame.
    pub apart: bool,
}

/// A contiguous range of attempts granted to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Its number.
    pub grant: GrantId,
    /// Of which job.
    pub job: JobId,
    /// The first task.
    pub first_task: TaskIndex,
    /// The attempts.
    pub attempts: AttemptRange,
    /// To whom.
    pub node: NodeId,
    /// The boot of the node's machine at the grant (PROTOCOL 7).
    pub boot: BootId,
    /// The node's journal at the grant (PROTOCOL 7).
    pub journal: Nonce,
    /// When.
    pub granted_at: Timestamp,
    /// See [`Change::GrantWritten`].
    pub unsettled: Vec<u8>,
    /// See [`Change::GrantWritten`].
    pub suspect: Vec<u8>,
}

/// An attempt that ended: one row for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Which.
    pub attempt: AttemptId,
    /// Of which job.
    pub job: JobId,
    /// Of which task.
    pub task: TaskIndex,
    /// Where.
    pub node: NodeId,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether this outcome decided the task. At most one attempt of a task counts.
    pub counted: bool,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it started, where known.
    pub started_at: Option<Timestamp>,
    /// When it ended, or was given up.
    pub ended_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// What it left.
    pub output: Option<Box<Output>>,
}

/// A node that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// The nonce of the last agent start that was welcomed.
    pub nonce: Nonce,
    /// The boot of its machine at the last welcome.
    pub boot: BootId,
    /// Its journal at the last welcome.
    pub journal: Nonce,
    /// Its last session.
    pub session: SessionNumber,
    /// All that its machine lends to Flota.
    pub capacity: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it joined.
    pub joined_at: Timestamp,
    /// When it was last heard, as of the last write of this record.
    pub last_heard_at: Timestamp,
    /// Whether its lease was running at the last write.
    pub leased: bool,
    /// The lease that a server restart gave it, until it is heard again (PROTOCOL 12).
    pub grace: Option<Grace>,
}

/// The end of the one lease that a node gets from server restarts until it is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// The boot of the server's machine; in another boot the moment means nothing.
    pub boot: BootId,
    /// The end of the lease.
    pub until: Moment,
}

/// Whose key, and the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey {
    /// The principal.
    pub principal: String,
    /// 1..=128 bytes.
    pub key: String,
}

/// What a key made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRecord {
    /// The job.
    pub job: JobId,
    /// The spec it was used with.
    pub spec_hash: SpecHash,
    /// When.
    pub at: Timestamp,
}

/// Who asked for what, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: String,
    /// [`crate::command::Command::verb`].
    pub verb: &'static str,
    /// On what, e.g. `job/17`; empty where there is none.
    pub object: String,
    /// As the person gave it.
    pub reason: Option<String>,
    /// `None` when it was carried out, else the code of the refusal.
    pub refused: Option<&'static str>,
}

/// The next numbers to give out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counters {
    /// For the next job.
    pub job: JobId,
    /// For the next node.
    pub node: NodeId,
    /// For the next grant.
    pub grant: GrantId,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            job: JobId(1),
            node: NodeId(1),
            grant: GrantId(1),
        }
    }
}

/// All that a fleet needs of its store at a start: everything that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The stored authority; zero for a new store.
    pub authority: Authority,
    /// Whether the store was put back from a backup and nobody has told the fleet to go on since
    /// ([`Change::AuthorityTaken`] with `recovered`).
    pub restored: bool,
    /// The last committed batch; 0 for a new store.
    pub batch: BatchNumber,
    /// The next numbers.
    pub counters: Counters,
    /// Who holds back all batch work, if somebody does.
    pub queue: Option<Pause>,
    /// Jobs that are not finished, and finished ones that still have grants, by number.
    pub jobs: Vec<JobRecord>,
    /// Their chunks: job, number, bytes. A chunk that was never written is all waiting.
    pub chunks: Vec<(JobId, u32, Vec<u8>)>,
    /// Histories of their tasks.
    pub histories: Vec<(JobId, TaskIndex, TaskHistory)>,
    /// All grants, by number.
    pub grants: Vec<GrantRecord>,
    /// All nodes, by number.
    pub nodes: Vec<NodeRecord>,
    /// All services, by name.
    pub services: Vec<ServiceRecord>,
    /// Specs that services have and had, by service, then revision.
    pub revisions: Vec<(String, RevisionRecord)>,
    /// All notes, by kind and name.
    pub notes: Vec<NoteRecord>,
    /// All keys.
    pub keys: Vec<(IdempotencyKey, KeyRecord)>,
}

/// Position of an attempt in the history, for pages.
pub type AttemptCursor = (JobId, TaskIndex, AttemptId);
