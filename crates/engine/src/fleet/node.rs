//! Nodes: who they are, their session, their lease and their load.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::NodeRecord,
    containment::Containment,
    frame::{Down, DownBody, Offer, SpecWindow},
    ids::{
        AttemptId, AttemptRange, Authority, ConnectionId, GrantId, NodeId, RequestId, SessionNumber,
    },
    sample::NodeSample,
    state::NodePhase,
    units::{Moment, Timestamp},
};

use super::{asks::Order, load::Load};

/// All nodes that have joined.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pub(crate) known: BTreeMap<NodeId, Node>,
    by_name: BTreeMap<String, NodeId>,
    pub(crate) by_connection: BTreeMap<ConnectionId, NodeId>,
    /// Ends of the running leases.
    leases: BTreeSet<(Moment, NodeId)>,
    /// Nodes that placement waits for after a start (PROTOCOL 12).
    pub(crate) awaited: BTreeSet<NodeId>,
    /// Nodes that may take more work than they have.
    pub(crate) dirty: BTreeSet<NodeId>,
    /// Orders of clients of all nodes that somebody carries out, also for sessions that are over.
    pub(crate) orders: usize,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) record: NodeRecord,
    pub(crate) version: String,
    pub(crate) session: Option<Session>,
    lease_until: Option<Moment>,
    pub(crate) last_heard_at: Option<Timestamp>,
    /// Whether it has been welcomed since the server's start.
    pub(crate) welcomed: bool,
    pub(crate) grants: BTreeSet<GrantId>,
    pub(crate) load: Load,
    /// What ran at its last heartbeat.
    pub(crate) running: Vec<AttemptRange>,
    /// Attempts it holds that the store does not know (PROTOCOL 4).
    pub(crate) unclaimed: u32,
    /// Attempts that it was asked to forget or cancel in this session.
    pub(crate) asked: BTreeSet<AttemptId>,
    /// How it contained programs when it was last welcomed since the server's start. Not durable.
    pub(crate) containment: Option<Containment>,
    /// What it said in its last session since the server's start. Not durable.
    pub(crate) offer: Offer,
    /// It refused a grant on its own (its disk is full, say): nothing more until then.
    pub(crate) refusing_until: Option<Moment>,
    /// The last sample of its machine since the server's start, and when it came. Not durable.
    pub(crate) sample: Option<(Moment, Box<NodeSample>)>,
}

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: ConnectionId,
    pub(crate) number: SessionNumber,
    /// The sequence number that the next frame must carry.
    pub(crate) expected: u64,
    next: u64,
    pub(crate) specs: SpecWindow<()>,
    /// Reads of outputs that wait for this agent.
    pub(crate) reads: BTreeSet<RequestId>,
    /// Questions that wait for this agent.
    pub(crate) asks: BTreeMap<RequestId, Option<Order>>,
    /// Orders of its clients that wait for us, by the number that the agent gave them.
    pub(crate) orders: BTreeSet<RequestId>,
}

impl Session {
    pub(crate) fn new(connection: ConnectionId, number: SessionNumber) -> Self {
        Self {
            connection,
            number,
            expected: 1,
            next: 0,
            specs: SpecWindow::default(),
            reads: BTreeSet::new(),
            asks: BTreeMap::new(),
            orders: BTreeSet::new(),
        }
    }

    /// The next frame of this session.
    pub(crate) fn frame(&mut self, authority: Authority, body: DownBody) -> Down {
        let sequence = self.next;
        self.next += 1;
        Down {
            session: self.number,
            sequence,
            authority,
            body,
        }
    }
}

impl Node {
    pub(crate) fn new(record: NodeRecord) -> Self {
        Self {
            version: String::new(),
            session: None,
            lease_until: None,
            last_heard_at: None,
            welcomed: false,
            grants: BTreeSet::new(),
            load: Load::default(),
            running: Vec::new(),
            unclaimed: 0,
            asked: BTreeSet::new(),
            containment: None,
            offer: Offer::default(),
            refusing_until: None,
            sample: None,
            record,
        }
    }

    pub(crate) fn phase(&self) -> NodePhase {
        match (&self.session, self.lease_until) {
            (Some(_), _) => NodePhase::Up,
            (None, Some(_)) => NodePhase::Away,
            (None, None) => NodePhase::Lost,
        }
    }
}

impl Nodes {
    pub(crate) fn get(&self, node: NodeId) -> Option<&Node> {
        self.known.get(&node)
    }

    /// A node that an index of the fleet names.
    pub(crate) fn known(&mut self, node: NodeId) -> &mut Node {
        self.known
            .get_mut(&node)
            .expect("nodes are never removed while something names them")
    }

    pub(crate) fn named(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn insert(&mut self, record: NodeRecord) {
        self.by_name.insert(record.name.clone(), record.node);
        self.known.insert(record.node, Node::new(record));
    }

    pub(crate) fn rename(&mut self, node: NodeId, name: String) {
        let entry = self.known(node);
        let before = std::mem::replace(&mut entry.record.name, name.clone());
        self.by_name.remove(&before);
        self.by_name.insert(name, node);
    }

    /// Starts, moves or ends a lease.
    pub(crate) fn lease(&mut self, node: NodeId, until: Option<Moment>) {
        let entry = self.known(node);
        if let Some(before) = std::mem::replace(&mut entry.lease_until, until) {
            self.leases.remove(&(before, node));
        }
        if let Some(until) = until {
            self.leases.insert((until, node));
        }
    }

    /// The first end of a lease.
    pub(crate) fn next_lease_end(&self) -> Option<(Moment, NodeId)> {
        self.leases.first().copied()
    }

    /// The session of a connection, if it is one.
    pub(crate) fn session(&mut self, node: NodeId) -> Option<&mut Session> {
        self.known.get_mut(&node)?.session.as_mut()
    }

    /// Every node may have room for a class that had no work before.
    pub(crate) fn all_dirty(&mut self) {
        self.dirty.extend(self.known.keys());
    }
}
