//! The machines, and the processes of ours that run on them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flota_engine::{
    fleet::{Fleet, api as fleet},
    journal::Record,
    keeper::{
        Keeper,
        api::{Child, Event as KeeperEvent, KeeperId, LogRecord, Peer, StopReason},
    },
    node::{Node, api as node},
};
use flota_model::{
    change::{Batch, Snapshot},
    ids::{AttemptId, Authority, BatchNumber, BootId, ConnectionId},
    units::Timestamp,
};

use crate::{
    disk::ByteDisk,
    network::LinkId,
    processes::Process,
    store::Store,
    time::{Clock, Time},
    world::Happening,
};

/// The machine of the server with its disk, and every start of the server on it.
#[derive(Debug)]
pub(crate) struct ServerHost {
    pub(crate) clock: Clock,
    pub(crate) boot: BootId,
    pub(crate) store: Store,
    /// With the number of machines there were: see `World::restore`.
    pub(crate) backup: Option<(usize, Store)>,
    /// The next commits fail for want of space: this many.
    pub(crate) full: u32,
    pub(crate) slow: bool,
    pub(crate) lives: Vec<Server>,
    /// The start that listens.
    pub(crate) current: Option<usize>,
    /// A start is planned.
    pub(crate) starting: bool,
    /// Nobody may start the server until then.
    pub(crate) down_until: Time,
    /// Keeps the next start short, as often as this says.
    pub(crate) crash_loop: u32,
    pub(crate) next_connection: u64,
}

/// One start of the server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) fleet: Fleet,
    pub(crate) alive: bool,
    /// SIGSTOP.
    pub(crate) stopped: bool,
    /// Its first batch is committed: it listens.
    pub(crate) serving: bool,
    pub(crate) opened_at: Time,
    pub(crate) authority: Authority,
    pub(crate) last_batch: BatchNumber,
    pub(crate) inbox: Vec<fleet::Event>,
    /// Turns that wait for their commit, or that of an earlier one.
    pub(crate) waiting: VecDeque<Pending>,
    /// How many of them are in the running transaction.
    pub(crate) writing: usize,
    pub(crate) links: BTreeMap<ConnectionId, LinkId>,
    pub(crate) step_due: bool,
    pub(crate) tick_at: Option<Time>,
    pub(crate) deferred: Vec<Happening>,
}

/// A turn on its way to the store.
#[derive(Debug)]
pub(crate) struct Pending {
    /// `None` if nothing was changed.
    pub(crate) batch: Option<Batch>,
    pub(crate) effects: Vec<fleet::Effect>,
    /// What the store must give back afterwards.
    pub(crate) durable: Option<Snapshot>,
}

/// A machine that lends itself to the fleet.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) boot: BootId,
    pub(crate) cores: u32,
    pub(crate) powered: bool,
    pub(crate) suspended: bool,
    /// SIGSTOP of the agent.
    pub(crate) agent_stopped: bool,
    pub(crate) disk: ByteDisk,
    /// A copy of the disk, and from which start of the agent it is.
    pub(crate) old_disk: Option<(u32, ByteDisk)>,
    /// Its disk was damaged or rolled back since the last start of the agent.
    pub(crate) tampered: bool,
    pub(crate) agent: Option<Agent>,
    /// Starts of the agent so far.
    pub(crate) lives: u32,
    pub(crate) starting: bool,
    pub(crate) down_until: Time,
    pub(crate) keepers: BTreeMap<KeeperId, KeeperHost>,
    pub(crate) processes: BTreeMap<AttemptId, Process>,
    pub(crate) next_pid: u32,
    /// Linux ≥ 6.15: a pidfd tells the exit of a child of a dead keeper (PROTOCOL 23).
    pub(crate) keeps_exits: bool,
    /// A copy of the folder of another machine; ends for good when the faults end.
    pub(crate) copy: bool,
    /// A copy of the folder of that machine, beside it.
    pub(crate) beside: Option<usize>,
    pub(crate) deferred: Vec<Happening>,
}

/// One start of the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) life: u32,
    pub(crate) node: Node,
    pub(crate) inbox: Vec<node::Event>,
    pub(crate) step_due: bool,
    pub(crate) tick_at: Option<Time>,
    pub(crate) journal: VecDeque<Write>,
    pub(crate) syncing: bool,
    /// The engine was told that the disk is full.
    pub(crate) full: bool,
    pub(crate) link: Option<(ConnectionId, LinkId)>,
    pub(crate) dialing: bool,
    pub(crate) next_connection: u64,
    /// Keepers that were asked and have not listed all.
    pub(crate) asked: BTreeSet<KeeperId>,
    pub(crate) listed: Vec<(Option<KeeperId>, Child)>,
    /// [`node::Event::Recovered`] was given.
    pub(crate) recovered: bool,
    pub(crate) keeper: KeeperId,
    /// Attempts ordered from or listed by keepers, and not ended.
    pub(crate) children: BTreeMap<AttemptId, ChildOfKeeper>,
    pub(crate) kernels: BTreeMap<AttemptId, Kernel>,
    /// Kernels whose end it was told of and has not written down: nobody knows of it if it dies now.
    pub(crate) unwritten: BTreeSet<AttemptId>,
}

/// What the agent's shell knows of a child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildOfKeeper {
    pub(crate) keeper: KeeperId,
    /// Which run of its attempt (PROTOCOL 17).
    pub(crate) run: u32,
    /// The descriptors that the keeper sends are here.
    pub(crate) pidfd: bool,
    /// Why its dead keeper, or the shell itself since, was told to stop it.
    pub(crate) stopped: Option<StopReason>,
    /// Its keeper is dead: the shell itself watches it.
    pub(crate) watched: bool,
    pub(crate) started_at: Option<Timestamp>,
}

/// A kernel of the agent's pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) began: Timestamp,
    pub(crate) plan: u32,
    pub(crate) stopping: bool,
}

/// A batch on its way into the journal.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) records: Vec<Record>,
    pub(crate) sync: bool,
    pub(crate) after: Vec<node::Effect>,
    /// Replaces the whole journal after the batch.
    pub(crate) rewrite: Option<Vec<Record>>,
    /// The length of the file behind it, once appended.
    pub(crate) end: Option<usize>,
}

/// A keeper, alive or dead; its log stays.
#[derive(Debug)]
pub(crate) struct KeeperHost {
    pub(crate) engine: Keeper,
    pub(crate) alive: bool,
    pub(crate) log: Vec<LogRecord>,
    pub(crate) inbox: Vec<KeeperEvent>,
    pub(crate) step_due: bool,
    pub(crate) tick_at: Option<Time>,
    /// The start of the agent that started it.
    pub(crate) started_by: u32,
    /// Connections that it has not closed, and the start of the agent behind each.
    pub(crate) peers: BTreeMap<Peer, u32>,
    pub(crate) next_peer: u32,
    /// When the last message of each way arrives.
    pub(crate) last: [Time; 2],
}

impl Agent {
    /// Which run of an attempt its shell has.
    pub(crate) fn run_of(&self, attempt: AttemptId) -> u32 {
        self.children.get(&attempt).map_or(1, |child| child.run)
    }
}

impl Machine {
    /// Whether a happening of that start of the agent still means anything.
    pub(crate) fn living(&mut self, life: u32) -> Option<&mut Agent> {
        self.agent.as_mut().filter(|agent| agent.life == life)
    }
}
