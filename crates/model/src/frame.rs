//! What server and agent say to each other.
//!
//! Every frame carries the session and its place in it. A receiver drops frames of another session
//! and repeats of the same one, and closes the connection at a gap: the next `hello` reconciles.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use crate::{
    containment::Containment,
    ids::{
        AttemptId, AttemptRange, Authority, BootId, JobId, NodeId, Nonce, RequestId, SessionNumber,
        SpecHash, TaskIndex,
    },
    local::{LocalOrder, LocalRefusal, LocalReply},
    outcome::{Report, StreamName},
    parameters::Rows,
    process::{Answer, AskFault, Question},
    resources::Resources,
    sample::NodeSample,
    service::ReplicaStatus,
    spec::SealedSpec,
    units::Moment,
};

/// Raised whenever a frame changes its meaning; both ends refuse another version.
pub const PROTOCOL_VERSION: u32 = 1;
/// Most bytes of one part of an output.
pub const OUTPUT_PART_MAX: u32 = 256 * 1024;
/// Most statuses of replicas in one frame: about a hundred bytes each.
pub const REPLICAS_PER_FRAME: usize = 1_000;
/// How many specs of a session both ends remember, oldest out first.
pub const SPEC_WINDOW: usize = 256;

/// From agent to server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// The agent's session.
    pub session: SessionNumber,
    /// 0 for the hello, then counted up by one.
    pub sequence: u64,
    /// What it says.
    pub body: UpBody,
}

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpBody {
    /// The first frame of a session.
    Hello(Box<Hello>),
    /// Every second.
    Heartbeat {
        /// On the agent's clock.
        sent_at: Moment,
        /// What runs at that moment.
        running: Vec<AttemptRange>,
        /// The last sample of the machine, if it was not sent before.
        sample: Option<Box<NodeSample>>,
    },
    /// Attempts that ended; repeated in each session until acknowledged.
    Reports(Vec<Report>),
    /// Tombstones are durable for these: they will never start here.
    Forgotten(Vec<AttemptRange>),
    /// Answer to [`DownBody::ReadOutput`].
    OutputPart {
        /// As asked.
        request: RequestId,
        /// The bytes from the asked offset on, or why there are none.
        part: Result<OutputPart, OutputFault>,
    },
    /// Answer to [`DownBody::Ask`].
    Answer {
        /// As asked.
        request: RequestId,
        /// The answer, or why there is none.
        answer: Result<Answer, AskFault>,
    },
    /// What replicas of services do; after the welcome all of them, then those that changed. Sent for
    /// people and decisions that may be wrong for a moment, and never repeated.
    Replicas(Vec<ReplicaStatus>),
    /// Something that a client of this node wants. Never repeated by itself.
    LocalOrder {
        /// To be repeated in the answer.
        request: RequestId,
        /// What.
        order: LocalOrder,
    },
}

/// A part of an output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutputPart {
    /// At most [`OUTPUT_PART_MAX`] bytes.
    pub bytes: Vec<u8>,
    /// Length of the whole output at this moment.
    pub length: u64,
    /// Whether the attempt may still write more.
    pub growing: bool,
}

/// Why an output cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFault {
    /// The node does not have it (any more).
    Gone,
    /// The node could not read it.
    Unreadable {
        /// `errno` (`man 3 errno`).
        errno: i32,
    },
    /// The node is not connected, or did not answer in time.
    Unreachable,
}

/// Who an agent is and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the agent.
    pub protocol: u32,
    /// The version of its binary, for people.
    pub version: String,
    /// The name it wants.
    pub name: String,
    /// The number it was given; `None` before the first welcome.
    pub node: Option<NodeId>,
    /// The nonce of the agent's start before this one; `None` at the first start.
    pub nonce_previous: Option<Nonce>,
    /// The nonce of this start.
    pub nonce: Nonce,
    /// The boot of its machine.
    pub boot: BootId,
    /// Drawn when its journal was created; a new one after damage.
    pub journal: Nonce,
    /// The highest authority that it has obeyed.
    pub obeyed: Authority,
    /// All that its machine lends to Flota.
    pub capacity: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Every attempt in its journal that is not settled.
    pub held: Vec<Held>,
    /// How it contains programs; `None` of an agent that does not say.
    pub containment: Option<Containment>,
    /// What it runs and where else it listens.
    pub offer: Offer,
}

/// What a node runs, and where clients of older systems reach it. Said anew in each session, and not
/// durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// Nothing but these kernels; everything where `None`. At most [`OFFERED_MAX`].
    pub kernels: Option<BTreeSet<String>>,
    /// By what is spoken there, e.g. `hpc.slave`. At most [`OFFERED_MAX`].
    pub listeners: BTreeMap<String, SocketAddr>,
}

/// Most kernels, and most listeners, of an [`Offer`].
pub const OFFERED_MAX: usize = 64;

/// Attempts that an agent holds, in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub attempts: AttemptRange,
    /// In which state.
    pub state: HeldState,
}

/// State of an attempt at its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldState {
    /// Not started.
    Granted,
    /// Started, not ended as far as the agent knows.
    Running,
    /// Ended; its report follows the welcome.
    Ended,
}

/// From server to agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// The agent's session.
    pub session: SessionNumber,
    /// 0 for the answer to the hello, then counted up by one.
    pub sequence: u64,
    /// For which start of the server it speaks.
    pub authority: Authority,
    /// What it says.
    pub body: DownBody,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownBody {
    /// The session is open.
    Welcome {
        /// The agent's number.
        node: NodeId,
        /// From the sending of a heartbeat to the end of its lease.
        lease: Duration,
        /// The agent's folder is not the one the server knows: it starts anew under this number,
        /// stops all that it runs and forgets all that it holds (PROTOCOL 3).
        fresh: bool,
    },
    /// The session is refused; the agent tries again later or ends, as the reason says.
    Refused(HelloRefusal),
    /// A heartbeat was seen.
    HeartbeatSeen {
        /// As the agent sent it.
        sent_at: Moment,
    },
    /// Attempts to run, durable at the server.
    Grants {
        /// Specs that the session has not carried within its window.
        specs: Vec<SealedSpec>,
        /// The attempts.
        orders: Vec<GrantOrder>,
    },
    /// Never start these, stop them if they run; confirm each by tombstone or report.
    Forget(Vec<AttemptRange>),
    /// Give these back unless they have started; confirm what is given back by tombstone.
    Retract(Vec<AttemptRange>),
    /// Stop these because a person asked; answer by report or tombstone.
    Cancel(Vec<AttemptRange>),
    /// These reports are settled; forget them.
    Acknowledge(Vec<AttemptRange>),
    /// Send a part of an output.
    ReadOutput {
        /// To be repeated in the answer.
        request: RequestId,
        /// Of which attempt.
        attempt: AttemptId,
        /// Which stream.
        stream: StreamName,
        /// From which byte on.
        offset: u64,
        /// At most this many bytes; at most [`OUTPUT_PART_MAX`].
        length: u32,
    },
    /// Find something out or do something at once, on the node itself. Never repeated by itself.
    Ask {
        /// To be repeated in the answer.
        request: RequestId,
        /// What.
        question: Question,
    },
    /// Answer to [`UpBody::LocalOrder`].
    LocalAnswer {
        /// As asked.
        request: RequestId,
        /// What came of it.
        answer: Result<LocalReply, LocalRefusal>,
    },
}

/// Why a hello is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloRefusal {
    /// Versions differ: the server speaks this one.
    Protocol(u32),
    /// Another node of that name exists.
    NameTaken,
    /// Another agent is connected as this node: a second agent on a copy of the folder.
    SecondSession,
    /// More nodes than the fleet allows.
    TooManyNodes,
}

/// A contiguous range of attempts of one job for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOrder {
    /// The attempts; the first is for `first_task`, the next for the task after it, and so on.
    pub attempts: AttemptRange,
    /// Of which job.
    pub job: JobId,
    /// The first task.
    pub first_task: TaskIndex,
    /// Which spec.
    pub spec_hash: SpecHash,
    /// The rows of these tasks, where the job has any.
    pub rows: Option<Rows>,
}

impl GrantOrder {
    /// The task of the attempt at `offset`.
    pub fn task(&self, offset: u32) -> TaskIndex {
        TaskIndex(self.first_task.0 + offset)
    }
}

/// The specs that both ends of a session remember: the last [`SPEC_WINDOW`] that were sent.
///
/// Both ends see the same insertions in the same order, so they always agree on what is in it.
#[derive(Debug, Clone)]
pub struct SpecWindow<T> {
    specs: BTreeMap<SpecHash, T>,
    order: std::collections::VecDeque<SpecHash>,
}

impl<T> Default for SpecWindow<T> {
    fn default() -> Self {
        Self {
            specs: BTreeMap::new(),
            order: std::collections::VecDeque::new(),
        }
    }
}

impl<T> SpecWindow<T> {
    /// The value kept for that spec.
    pub fn get(&self, hash: SpecHash) -> Option<&T> {
        self.specs.get(&hash)
    }

    /// Remembers a spec that is being sent; the oldest one leaves when the window is full.
    pub fn insert(&mut self, hash: SpecHash, value: T) {
        if self.specs.insert(hash, value).is_none() {
            self.order.push_back(hash);
            if self.order.len() > SPEC_WINDOW
                && let Some(oldest) = self.order.pop_front()
            {
                self.specs.remove(&oldest);
            }
        }
    }
}
