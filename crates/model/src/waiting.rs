//! Why work waits for room.

use crate::{containment::LimitSet, ids::JobId};

/// Most names of nodes that an [`Obstruction`] gives: more say nothing to a person.
pub const NODES_NAMED_MAX: usize = 3;
/// Most obstructions of one [`Room`]: labels and counters of one request could make more.
pub const OBSTRUCTIONS_MAX: usize = 16;

/// Why a node is given nothing of some work: the first of these that is so, in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It runs only some kernels, and this work is something else.
    KernelsOnly,
    /// The work names another node.
    OtherNode,
    /// It lacks a label, or has another value of it.
    Label {
        /// Which.
        key: String,
        /// The value that is asked for.
        wanted: String,
        /// What it has instead.
        found: Option<String>,
    },
    /// It has less than is asked for, even when nothing else runs there.
    TooSmall(Shortage),
    /// It does not answer now; its lease still runs.
    Away,
    /// It has not been heard for longer than a lease.
    Lost,
    /// It cannot enforce these limits.
    Limits(LimitSet),
    /// It refused work on its own a moment ago: its disk is full, say.
    Refusing,
    /// It has yet to let go of what was replaced elsewhere.
    Unconfirmed,
    /// It has a replica of the service, and may have one only.
    HasReplica,
    /// What is free there is too little.
    Occupied(Shortage),
    /// It is kept free for work that has waited longer.
    Kept,
}

impl Obstacle {
    /// The word of the API.
    pub fn word(&self) -> &'static str {
        match self {
            Self::KernelsOnly => "kernels-only",
            Self::OtherNode => "other-node",
            Self::Label { .. } => "label",
            Self::TooSmall(_) => "too-small",
            Self::Away => "away",
            Self::Lost => "lost",
            Self::Limits(_) => "limits",
            Self::Refusing => "refusing",
            Self::Unconfirmed => "unconfirmed",
            Self::HasReplica => "has-replica",
            Self::Occupied(_) => "occupied",
            Self::Kept => "kept",
        }
    }

    /// Whether a person would say the same of both nodes: amounts and values that were found differ
    /// from node to node.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Label { key, .. }, Self::Label { key: same, .. }) => key == same,
            (Self::TooSmall(one), Self::TooSmall(two))
            | (Self::Occupied(one), Self::Occupied(two)) => one.resource == two.resource,
            (one, two) => one == two,
        }
    }
}

/// Too little of one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shortage {
    /// Of which.
    pub resource: Resource,
    /// How much is asked for: thousandths of a core, bytes, or units of a counter.
    pub wanted: u64,
    /// How much there is; in an [`Obstruction`] at the node that has most.
    pub found: u64,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Thousandths of a core.
    Cpus,
    /// Bytes.
    Memory,
    /// A named counter.
    Counter(String),
}

impl Resource {
    /// The word of the API; the name of a counter.
    pub fn word(&self) -> &str {
        match self {
            Self::Cpus => "cpus",
            Self::Memory => "memory",
            Self::Counter(name) => name,
        }
    }
}

/// What keeps some work from some nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstruction {
    /// What it is.
    pub obstacle: Obstacle,
    /// At how many nodes.
    pub nodes: u32,
    /// Names of some of them, the first ones that joined; at most [`NODES_NAMED_MAX`].
    pub names: Vec<String>,
}

/// Why nothing at all is placed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The store is older than the fleet; a person must say that it goes on.
    StoreBehind,
    /// After a start of the server, nodes that were connected before are awaited.
    NodesAwaited,
    /// A person holds all batch work back.
    QueuePaused,
}

impl Halt {
    /// The word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::StoreBehind => "store-behind",
            Self::NodesAwaited => "nodes-awaited",
            Self::QueuePaused => "queue-paused",
        }
    }
}

/// Which room there is for some work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// Why nothing at all is placed now.
    pub halt: Option<Halt>,
    /// Nodes that have joined.
    pub nodes: u32,
    /// Those that have room: it is on its way there.
    pub free: u32,
    /// What keeps it from the others, the most frequent first; at most [`OBSTRUCTIONS_MAX`].
    pub obstructions: Vec<Obstruction>,
}

/// Which room there is for the replicas of a revision that wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOfRevision {
    /// The revision.
    pub job: JobId,
    /// The room.
    pub room: Room,
}
