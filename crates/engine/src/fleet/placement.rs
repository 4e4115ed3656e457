//! Which waiting work goes where. Cost grows with dirty nodes × classes plus grants, not with tasks.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use flota_model::{
    change::{Change, GrantRecord},
    containment::LimitSet,
    frame::{DownBody, GrantOrder},
    ids::{GrantId, JobId, NodeId, TaskIndex},
    resources::Resources,
    service::Placement,
    spec::{Priority, SealedSpec},
    state::{NodePhase, TaskState},
    units::Moment,
};

use super::{
    Fleet,
    bits::Bits,
    grant::{GRANT_TASKS_MAX, Grant},
    job::Job,
    node::Node,
    queue::ClassKey,
};
use crate::sabotage::Rule;

/// Most orders of one frame, so that it stays below the limit of the link.
const ORDERS_PER_FRAME: usize = 4_096;
/// Most bytes of specs in one frame.
const SPEC_BYTES_PER_FRAME: usize = 2 << 20;

/// How many attempts of a class each node gets in this round.
type Shares = BTreeMap<NodeId, u32>;

impl Fleet {
    pub(crate) fn place(&mut self) {
        self.release_reserved();
        let frozen = self.office.is_frozen() || !self.nodes.awaited.is_empty();
        if frozen || self.nodes.dirty.is_empty() {
            return;
        }
        if self.queue.is_empty() {
            self.retract();
            return;
        }
        let now = self.office.now.moment;
        let dirty = std::mem::take(&mut self.nodes.dirty);
        let (mut open, later): (Vec<NodeId>, Vec<NodeId>) = dirty
            .into_iter()
            .filter(|node| self.has_session(*node))
            .partition(|node| {
                self.nodes
                    .get(*node)
                    .is_some_and(|node| node.takes_grants(now))
            });
        self.nodes.dirty.extend(later);
        self.place_apart();
        open.retain(|node| Some(*node) != self.queue.apart_node);
        if open.is_empty() {
            // What is reserved stays so: nobody has looked at it.
            return self.send_orders();
        }
        let (mut reserved, mut reserved_for) = (None, None);
        for class in self.queue.in_order() {
            if open.is_empty() {
                break;
            }
            if self.queue.paused.is_some() && class.service.is_none() {
                continue;
            }
            let shares = self.share_out(&class, &open);
            for (node, count) in shares {
                self.grant(&class, node, count);
            }
            // A service holds what it has for ever: a node kept free for what does not fit now would
            // stay empty.
            let may_reserve = reserved.is_none() && class.service.is_none();
            if may_reserve && self.queue.head(&class).is_some() {
                reserved = self.reserve(&class);
                reserved_for = reserved.map(|_| class);
                open.retain(|node| Some(*node) != reserved);
            }
        }
        let before = std::mem::replace(&mut self.queue.reserved, reserved);
        self.queue.reserved_for = reserved_for;
        if let Some(node) = before.filter(|before| Some(*before) != reserved) {
            // It was not looked at while it was kept. The next round keeps what this one does.
            self.nodes.dirty.insert(node);
            self.send_orders();
            return self.place();
        }
        self.send_orders();
    }

    /// What a node was kept for waits no more: others may have it.
    fn release_reserved(&mut self) {
        let class = self.queue.reserved_for.as_ref();
        if class.is_some_and(|class| self.queue.head(class).is_none()) {
            self.queue.reserved_for = None;
            self.nodes.dirty.extend(self.queue.reserved.take());
        }
    }

    /// Grants tasks that must run alone, one at a time, to a node that is kept free of others.
    fn place_apart(&mut self) {
        if let Some(node) = self.queue.apart_node {
            if self.has_session(node) && !self.is_idle(node) {
                return;
            }
            self.queue.apart_node = None;
        }
        while let Some((priority, job, task)) = self.first_apart() {
            if !self.is_parked(job, task) {
                self.queue.apart.remove(&(priority, job, task));
                continue;
            }
            let class = self.jobs.live(job).class.clone();
            let Some(node) = self.node_for_apart(&class) else {
                return;
            };
            self.queue.apart_node = Some(node);
            if self.is_idle(node) {
                self.queue.apart.remove(&(priority, job, task));
                self.set_task(job, task, TaskState::Granted);
                self.add_grant(&class, node, (job, task), 1);
            }
            return;
        }
    }

    /// The first task that must run alone and is not held back.
    fn first_apart(&self) -> Option<(Priority, JobId, TaskIndex)> {
        if self.queue.paused.is_some() {
            return None;
        }
        let is_paused = |job| self.jobs.get(job).is_some_and(Job::is_paused);
        let apart = self.queue.apart.iter();
        apart.copied().find(|(_, job, _)| !is_paused(*job))
    }

    /// The node that is large enough and has least to finish before it is idle.
    fn node_for_apart(&self, class: &ClassKey) -> Option<NodeId> {
        let limits = self.enforceable(class);
        let nodes = self
            .nodes
            .known
            .iter()
            .filter(|(id, _)| self.could_run(**id, class, limits));
        nodes
            .min_by_key(|(id, node)| (node.load.granted(), **id))
            .map(|(id, _)| *id)
    }

    /// Replicas of services do not count: a node would never be without them.
    fn is_idle(&self, node: NodeId) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|node| node.load.has_services_only())
    }

    /// Whether a node that answers meets the constraints and is large enough when idle.
    fn could_run(&self, node: NodeId, class: &ClassKey, limits: LimitSet) -> bool {
        self.nodes.get(node).is_some_and(|node| {
            let free = node.load.free_beside_services(&node.record.capacity);
            node.session.is_some()
                && node.suits(class, limits)
                && free.times_that_fit(&class.resources) > 0
        })
    }

    /// The limits of a class that a node must be able to enforce to be given its work: all of them,
    /// or none where no node that meets the constraints can. There it fails with the reason, which
    /// says more than to wait for a node that may never come.
    pub(super) fn enforceable(&self, class: &ClassKey) -> LimitSet {
        let can = |node: &Node| node.phase() != NodePhase::Lost && node.suits(class, class.limits);
        if class.limits.is_empty() || self.nodes.known.values().any(can) {
            class.limits
        } else {
            LimitSet::default()
        }
    }

    fn has_session(&self, node: NodeId) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|node| node.session.is_some())
    }

    /// Work that may start at once goes to the node with most room, one by one; then each node gets
    /// as much ahead as it will need before the next round.
    fn share_out(&self, class: &ClassKey, open: &[NodeId]) -> Shares {
        if let Some((name, placement)) = &class.service {
            return self.spread(class, (name, *placement), open);
        }
        let limits = self.enforceable(class);
        let mut heap = BinaryHeap::new();
        let mut ahead: Vec<(NodeId, u32)> = Vec::new();
        let mut wanted = 0_u64;
        for id in open {
            let Some(node) = self.nodes.get(*id).filter(|node| node.suits(class, limits)) else {
                continue;
            };
            let free = node.load.free(&node.record.capacity);
            let fit = free.times_that_fit(&class.resources).min(GRANT_TASKS_MAX);
            let room = node.load.room_ahead(class);
            wanted += u64::from(fit) + u64::from(room);
            if fit > 0 {
                heap.push(Candidate::new(*id, free, fit, node));
            }
            if room > 0 {
                ahead.push((*id, room));
            }
        }
        let mut left = self.waiting_up_to(class, wanted);
        let ahead_max = self.known_to_be_short(class, left);
        let mut shares = Shares::new();
        while left > 0
            && let Some(mut best) = heap.pop()
        {
            *shares.entry(best.node).or_default() += 1;
            left -= 1;
            if best.take(class) {
                heap.push(best);
            }
        }
        share_ahead(&ahead, left.min(ahead_max), &mut shares);
        shares
    }

    /// Whether a node still has to let go of an attempt that is settled without it, or was replaced: it
    /// may be that of the very replica that would go there.
    pub(super) fn is_unconfirmed(&self, node: NodeId) -> bool {
        let asked = self.nodes.get(node).map(|node| &node.asked);
        asked.into_iter().flatten().any(|attempt| {
            let place = self.place_of(*attempt);
            place.is_none_or(|place| place.suspect && self.is_replaced(place))
        })
    }

    /// Replicas of a service go, one by one, to the node with the fewest of them, of these to the one
    /// with most room.
    fn spread(
        &self,
        class: &ClassKey,
        (name, placement): (&str, Placement),
        open: &[NodeId],
    ) -> Shares {
        let limits = self.enforceable(class);
        let mut heap = BinaryHeap::new();
        for id in open {
            let Some(node) = self.nodes.get(*id).filter(|node| node.suits(class, limits)) else {
                continue;
            };
            if self.is_unconfirmed(*id) {
                continue;
            }
            let held = node.load.replicas_of(name);
            let free = node.load.free(&node.record.capacity);
            let most = match placement {
                Placement::Spread => GRANT_TASKS_MAX,
                Placement::OnePerNode => 1_u32.saturating_sub(held),
            };
            let fit = free.times_that_fit(&class.resources).min(most);
            if fit > 0 {
                heap.push((Reverse(held), Candidate::new(*id, free, fit, node)));
            }
        }
        let room = heap.iter().map(|(_, node)| u64::from(node.fit)).sum();
        let mut left = self.waiting_up_to(class, room);
        let mut shares = Shares::new();
        while left > 0
            && let Some((Reverse(held), mut best)) = heap.pop()
        {
            *shares.entry(best.node).or_default() += 1;
            left -= 1;
            if best.take(class) {
                heap.push((Reverse(held + 1), best));
            }
        }
        shares
    }

    /// Waiting tasks of a class, counted no further than `most`.
    fn waiting_up_to(&self, class: &ClassKey, most: u64) -> u64 {
        let mut waiting = 0;
        for job in self.queue.jobs(class) {
            waiting += self.jobs.get(job).map_or(0, |job| u64::from(job.waiting()));
            if waiting >= most {
                return most;
            }
        }
        waiting
    }

    /// Tasks of a class that may be sent ahead, counted no further than `most`: eight for each one of
    /// their job that has ended. The rate of a class says little about a job that has just come,
    /// and long tasks must not queue up behind one node while another is idle.
    fn known_to_be_short(&self, class: &ClassKey, most: u64) -> u64 {
        let mut short = 0;
        for job in self.queue.jobs(class).filter_map(|job| self.jobs.get(job)) {
            let waiting = u64::from(job.waiting());
            let allowed = 1 + 8 * job.record.counts.ended();
            short += waiting.min(allowed);
            if short >= most || allowed < waiting {
                break;
            }
        }
        short
    }

    /// The first class that has to wait although some node is large enough keeps the roomiest such
    /// node free of later classes, or large requests would starve behind small ones.
    fn reserve(&self, class: &ClassKey) -> Option<NodeId> {
        let limits = self.enforceable(class);
        if let Some(before) = self
            .queue
            .reserved
            .filter(|node| self.could_run(*node, class, limits))
        {
            return Some(before);
        }
        let nodes = self
            .nodes
            .known
            .iter()
            .filter(|(id, _)| self.could_run(**id, class, limits));
        let share = |node: &Node| {
            share(
                &node.load.free(&node.record.capacity),
                &node.record.capacity,
            )
        };
        nodes
            .max_by_key(|(id, node)| (share(node), Reverse(**id)))
            .map(|(id, _)| *id)
    }

    fn grant(&mut self, class: &ClassKey, node: NodeId, mut count: u32) {
        while count > 0 {
            let Some(job) = self.queue.head(class) else {
                return;
            };
            let taken = self
                .jobs
                .live(job)
                .take(count.min(GRANT_TASKS_MAX), TaskState::Granted);
            let Some((first_task, length, chunk)) = taken else {
                self.queue.remove(class, job);
                continue;
            };
            count -= length;
            self.ledger.chunks.insert((job, chunk));
            self.ledger.jobs.insert(job);
            self.add_grant(class, node, (job, first_task), length);
            self.enqueue(job);
        }
    }

    fn add_grant(
        &mut self,
        class: &ClassKey,
        node: NodeId,
        (job, first_task): (JobId, TaskIndex),
        length: u32,
    ) {
        let now = self.office.now;
        let grant = self.office.next_grant();
        let attempts = self.office.next_attempts(length);
        let entry = self.nodes.known(node);
        entry.grants.insert(grant);
        entry
            .load
            .add(class, length, &entry.record.capacity, now.moment);
        let record = GrantRecord {
            grant,
            job,
            first_task,
            attempts,
            node,
            boot: entry.record.boot,
            journal: entry.record.journal,
            granted_at: now.wall,
            unsettled: Bits::full(length).bytes().to_vec(),
            suspect: Bits::empty(length).bytes().to_vec(),
        };
        self.ledger.changes.push(Change::GrantAdded(record.clone()));
        self.ledger.counters = true;
        self.ledger.orders.insert((node, grant));
        let owner = self.jobs.live(job);
        owner.grants.insert((first_task, grant));
        owner.unsettled += length;
        self.grants
            .insert(Grant::new(record).expect("the bits were made for this length"));
    }

    /// Tells every node what it was granted, with the specs that its session has not seen.
    fn send_orders(&mut self) {
        let mut by_node: BTreeMap<NodeId, Vec<GrantId>> = BTreeMap::new();
        for (node, grant) in std::mem::take(&mut self.ledger.orders) {
            by_node.entry(node).or_default().push(grant);
        }
        for (node, grants) in by_node {
            let mut specs: Vec<SealedSpec> = Vec::new();
            let mut orders: Vec<GrantOrder> = Vec::new();
            let mut spec_bytes = 0;
            for grant in grants {
                let Some(entry) = self.grants.get(grant) else {
                    continue;
                };
                let Some(job) = self.jobs.get(entry.head().job) else {
                    continue;
                };
                let spec = &job.record.spec;
                let head = entry.head();
                let is_broken = self.office.settings.sabotage.breaks(Rule::OwnRows);
                let first = if is_broken {
                    job.tasks().first
                } else {
                    head.first_task
                };
                let rows = job.rows_of(first, head.attempts.count);
                spec_bytes += rows.as_ref().map_or(0, |rows| rows.bytes().len());
                let order = entry.order(spec.hash, rows);
                let Some(session) = self.nodes.session(node) else {
                    break;
                };
                if session.specs.get(spec.hash).is_none() {
                    session.specs.insert(spec.hash, ());
                    spec_bytes += spec.blob.len();
                    specs.push(spec.clone());
                }
                orders.push(order);
                if orders.len() == ORDERS_PER_FRAME || spec_bytes > SPEC_BYTES_PER_FRAME {
                    let (specs, orders) = (std::mem::take(&mut specs), std::mem::take(&mut orders));
                    self.send(node, DownBody::Grants { specs, orders });
                    spec_bytes = 0;
                }
            }
            if !orders.is_empty() {
                self.send(node, DownBody::Grants { specs, orders });
            }
        }
    }
}

impl Node {
    /// Whether it may be given work now.
    fn takes_grants(&self, now: Moment) -> bool {
        self.refusing_until.is_none_or(|until| until <= now)
    }

    /// Whether it runs work of this kind.
    pub(crate) fn runs(&self, class: &ClassKey) -> bool {
        self.offer.kernels.as_ref().is_none_or(|offered| {
            let kernel = class.kernel.as_deref();
            kernel.is_some_and(|kernel| offered.contains(kernel))
        })
    }

    /// Whether it runs work of this kind, meets the constraints of a class and can enforce these limits.
    pub(crate) fn suits(&self, class: &ClassKey, limits: LimitSet) -> bool {
        let wanted = &class.constraints;
        let enforced = self.containment.unwrap_or_default().enforced;
        let is_met = wanted
            .node
            .as_ref()
            .is_none_or(|name| *name == self.record.name)
            && wanted
                .labels
                .iter()
                .all(|(key, value)| self.record.labels.get(key) == Some(value));
        self.runs(class) && is_met && enforced.covers(limits)
    }
}

/// A node with room, ordered by the share of it that stays free, the lowest number on a tie, so
/// that a replay places alike.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    share: u64,
    node: NodeId,
    free: Resources,
    capacity: Resources,
    fit: u32,
}

impl Candidate {
    fn new(id: NodeId, free: Resources, fit: u32, node: &Node) -> Self {
        let capacity = node.record.capacity.clone();
        Self {
            share: share(&free, &capacity),
            node: id,
            free,
            capacity,
            fit,
        }
    }

    /// Takes one attempt; `false` when no other one fits.
    fn take(&mut self, class: &ClassKey) -> bool {
        self.free.subtract(&class.resources, 1);
        self.share = share(&self.free, &self.capacity);
        self.fit -= 1;
        self.fit > 0
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.share, Reverse(self.node)).cmp(&(other.share, Reverse(other.node)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The smaller of the free shares of processors and memory, in millionths.
fn share(free: &Resources, capacity: &Resources) -> u64 {
    let of = |free: u64, all: u64| (free.saturating_mul(1_000_000)).checked_div(all);
    let cpus = of(u64::from(free.cpus.0), u64::from(capacity.cpus.0)).unwrap_or(0);
    let memory = of(free.memory.0, capacity.memory.0).unwrap_or(1_000_000);
    cpus.min(memory)
}

/// Divides `left` tasks among nodes in proportion to the room that each has ahead.
fn share_ahead(ahead: &[(NodeId, u32)], mut left: u64, shares: &mut Shares) {
    let mut room: u64 = ahead.iter().map(|(_, room)| u64::from(*room)).sum();
    for (node, wanted) in ahead {
        let wanted = u64::from(*wanted);
        let share = if left >= room {
            wanted
        } else {
            (left * wanted).div_ceil(room)
        };
        if share > 0 {
            *shares.entry(*node).or_default() += u32::try_from(share).unwrap_or(u32::MAX);
        }
        left -= share;
        room -= wanted;
        if left == 0 {
            break;
        }
    }
}
