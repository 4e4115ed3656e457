//! Why work waits: for one class and each node, the first condition that the node does not meet.
//!
//! It asks in the order of what lasts: a label stays wrong for longer than a node stays full. It
//! decides nothing; placement asks the same questions by itself, at once for many nodes.

use flota_model::{
    containment::LimitSet,
    ids::NodeId,
    resources::Resources,
    service::Placement,
    state::NodePhase,
    waiting::{
        Halt, NODES_NAMED_MAX, OBSTRUCTIONS_MAX, Obstacle, Obstruction, Resource, Room, Shortage,
    },
};

use super::{Fleet, node::Node, queue::ClassKey};

impl Fleet {
    /// Which room there is for one more attempt of a class.
    pub(crate) fn room_for(&self, class: &ClassKey) -> Room {
        let mut room = Room {
            halt: self.halt(class),
            nodes: u32::try_from(self.nodes.known.len()).unwrap_or(u32::MAX),
            ..Room::default()
        };
        let limits = self.enforceable(class);
        for (id, node) in &self.nodes.known {
            match self.obstacle(*id, node, (class, limits)) {
                None => room.free += 1,
                Some(obstacle) => note(&mut room.obstructions, obstacle, &node.record.name),
            }
        }
        // A stable sort: at a tie what was met first.
        room.obstructions
            .sort_by_key(|obstruction| std::cmp::Reverse(obstruction.nodes));
        room.obstructions.truncate(OBSTRUCTIONS_MAX);
        room
    }

    /// Work that waits although nothing explains it: what people are told is then not what placement
    /// does. For tests and the simulator.
    pub fn unexplained(&self) -> Option<String> {
        let classes = self.queue.in_order().into_iter();
        let mut rooms = classes.map(|class| (self.room_for(&class), class));
        let (room, class) = rooms.find(|(room, _)| room.free > 0 && room.halt.is_none())?;
        Some(format!("{class:?} waits beside a free node: {room:?}"))
    }

    fn halt(&self, class: &ClassKey) -> Option<Halt> {
        if self.office.is_frozen() {
            Some(Halt::StoreBehind)
        } else if !self.nodes.awaited.is_empty() {
            Some(Halt::NodesAwaited)
        } else {
            let is_held = self.queue.paused.is_some() && class.service.is_none();
            is_held.then_some(Halt::QueuePaused)
        }
    }

    /// The first condition that a node does not meet; `None` where it has room. The limits are those
    /// of the class that some node can enforce.
    pub(crate) fn obstacle(
        &self,
        id: NodeId,
        node: &Node,
        (class, limits): (&ClassKey, LimitSet),
    ) -> Option<Obstacle> {
        (!node.runs(class))
            .then_some(Obstacle::KernelsOnly)
            .or_else(|| of_constraints(node, class))
            .or_else(|| shortage(&node.record.capacity, &class.resources).map(Obstacle::TooSmall))
            .or_else(|| of_phase(node))
            .or_else(|| of_limits(node, limits))
            .or_else(|| {
                let until = node.refusing_until;
                let refuses = until.is_some_and(|until| until > self.office.now.moment);
                refuses.then_some(Obstacle::Refusing)
            })
            .or_else(|| self.of_service(id, node, class))
            .or_else(|| {
                let free = node.load.free(&node.record.capacity);
                shortage(&free, &class.resources).map(Obstacle::Occupied)
            })
            .or_else(|| {
                let kept = [self.queue.reserved, self.queue.apart_node];
                kept.contains(&Some(id)).then_some(Obstacle::Kept)
            })
    }

    fn of_service(&self, id: NodeId, node: &Node, class: &ClassKey) -> Option<Obstacle> {
        let (name, placement) = class.service.as_ref()?;
        if self.is_unconfirmed(id) {
            return Some(Obstacle::Unconfirmed);
        }
        let is_taken = *placement == Placement::OnePerNode && node.load.replicas_of(name) > 0;
        is_taken.then_some(Obstacle::HasReplica)
    }
}

fn of_constraints(node: &Node, class: &ClassKey) -> Option<Obstacle> {
    let wanted = &class.constraints;
    let named = wanted.node.as_ref();
    if named.is_some_and(|name| *name != node.record.name) {
        return Some(Obstacle::OtherNode);
    }
    let found = |key: &String| node.record.labels.get(key);
    let mut labels = wanted.labels.iter();
    let (key, wanted) = labels.find(|(key, value)| found(key) != Some(value))?;
    Some(Obstacle::Label {
        key: key.clone(),
        wanted: wanted.clone(),
        found: found(key).cloned(),
    })
}

fn of_phase(node: &Node) -> Option<Obstacle> {
    match node.phase() {
        NodePhase::Up => None,
        NodePhase::Away => Some(Obstacle::Away),
        NodePhase::Lost => Some(Obstacle::Lost),
    }
}

fn of_limits(node: &Node, wanted: LimitSet) -> Option<Obstacle> {
    let enforced = node.containment.unwrap_or_default().enforced;
    let missing = wanted.iter().filter(|kind| !enforced.has(*kind));
    (!enforced.covers(wanted)).then(|| Obstacle::Limits(missing.collect()))
}

/// The first resource of which there is too little.
fn shortage(free: &Resources, asked: &Resources) -> Option<Shortage> {
    let plain = [
        (
            Resource::Cpus,
            u64::from(asked.cpus.0),
            u64::from(free.cpus.0),
        ),
        (Resource::Memory, asked.memory.0, free.memory.0),
    ];
    let counters = asked.counters.iter().map(|(name, wanted)| {
        let found = free.counters.get(name).copied().unwrap_or(0);
        (Resource::Counter(name.clone()), *wanted, found)
    });
    let mut all = plain.into_iter().chain(counters);
    let (resource, wanted, found) = all.find(|(_, wanted, found)| wanted > found)?;
    Some(Shortage {
        resource,
        wanted,
        found,
    })
}

/// Counts a node with those of which a person would say the same.
fn note(obstructions: &mut Vec<Obstruction>, obstacle: Obstacle, name: &str) {
    let Some(known) = obstructions
        .iter_mut()
        .find(|known| known.obstacle.is_like(&obstacle))
    else {
        obstructions.push(Obstruction {
            obstacle,
            nodes: 1,
            names: vec![name.to_owned()],
        });
        return;
    };
    known.nodes += 1;
    if known.names.len() < NODES_NAMED_MAX {
        known.names.push(name.to_owned());
    }
    if let (
        Obstacle::TooSmall(most) | Obstacle::Occupied(most),
        Obstacle::TooSmall(other) | Obstacle::Occupied(other),
    ) = (&mut known.obstacle, obstacle)
    {
        most.found = most.found.max(other.found);
    }
}
