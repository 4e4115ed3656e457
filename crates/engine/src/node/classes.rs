//! Granted work by what it asks for, and what is reserved for running work.
//!
//! Attempts that ask for the same resources fit or do not fit together, so that a look at the queue
//! costs one comparison a class, however many attempts wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flota_model::{
    ids::AttemptId,
    resources::Resources,
    spec::{JobSpec, OnDisconnect, Work},
};

/// A class, numbered within this start of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassId(pub(super) u64);

/// Position in the queue: when the grant arrived, and the first attempt of the piece as inserted.
pub(super) type Place = (u64, AttemptId);

/// What all attempts of a class have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// For each attempt.
    pub(super) request: Resources,
    /// Whether they may run under a lease only (`on_disconnect = stop`).
    pub(super) leased: bool,
    /// Whether they are replicas: what one holds goes over to nobody when a run of it ends.
    services: bool,
    /// Whether they are kernels: these and programs take only their own places.
    kernels: bool,
    /// Whether an earlier start of the agent started them: the keeper lets nothing that it is handed
    /// now start when one of these ends.
    adopted: bool,
}

/// All attempts that ask for the same.
#[derive(Debug, Default)]
pub(super) struct Class {
    /// What they have in common.
    pub(super) key: Key,
    queue: BTreeSet<Place>,
    /// Running attempts for which resources are reserved.
    holding: u32,
    /// Attempts handed to the pool, or to the keeper, beyond that, in the order in which they begin.
    ahead: VecDeque<AttemptId>,
}

impl Class {
    /// Running attempts for which resources are reserved.
    pub(super) fn holding(&self) -> u32 {
        self.holding
    }

    /// Attempts handed out beyond those.
    pub(super) fn ahead(&self) -> u32 {
        u32::try_from(self.ahead.len()).unwrap_or(u32::MAX)
    }

    /// Whether that attempt waits for its turn.
    pub(super) fn is_ahead(&self, attempt: AttemptId) -> bool {
        self.ahead.contains(&attempt)
    }
}

/// All classes that have waiting or running attempts.
#[derive(Debug, Default)]
pub(super) struct Classes {
    by_id: BTreeMap<ClassId, Class>,
    ids: BTreeMap<Key, ClassId>,
    heads: BTreeSet<(Place, ClassId)>,
    reserved: Resources,
    numbered: u64,
}

impl Classes {
    /// The class of the tasks of `spec`; made if there is none, and kept while it is used.
    pub(super) fn of(&mut self, spec: &JobSpec) -> ClassId {
        self.class(spec, false)
    }

    /// The class of those of `spec` that an earlier start of the agent started.
    pub(super) fn of_adopted(&mut self, spec: &JobSpec) -> ClassId {
        self.class(spec, true)
    }

    fn class(&mut self, spec: &JobSpec, adopted: bool) -> ClassId {
        let key = Key {
            request: spec.resources.clone(),
            leased: is_leased(spec),
            services: spec.service.is_some(),
            kernels: matches!(spec.work, Work::Kernel(_)),
            adopted,
        };
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        self.numbered += 1;
        let id = ClassId(self.numbered);
        let class = Class {
            key: key.clone(),
            ..Class::default()
        };
        self.ids.insert(key, id);
        self.by_id.insert(id, class);
        id
    }

    /// The class of that number, which is in use.
    pub(super) fn get(&self, id: ClassId) -> &Class {
        self.by_id
            .get(&id)
            .expect("a class is kept while something refers to it")
    }

    /// The first piece of each class, the oldest first.
    pub(super) fn heads(&self) -> impl Iterator<Item = (Place, ClassId)> {
        self.heads.iter().copied()
    }

    pub(super) fn enqueue(&mut self, id: ClassId, place: Place) {
        self.change(id, |class| {
            class.queue.insert(place);
        });
    }

    pub(super) fn dequeue(&mut self, id: ClassId, place: Place) {
        self.change(id, |class| {
            class.queue.remove(&place);
        });
    }

    /// Reserves resources for `count` attempts.
    pub(super) fn hold(&mut self, id: ClassId, count: u32) {
        let request = self.get(id).key.request.clone();
        self.reserved.add(&request, count);
        self.change(id, |class| class.holding += count);
    }

    /// Counts an attempt as handed out ahead of time.
    pub(super) fn hand_out_ahead(&mut self, id: ClassId, attempt: AttemptId) {
        self.change(id, |class| class.ahead.push_back(attempt));
    }

    /// An attempt for which resources are reserved turns out not to run: it waits for the end of
    /// another one, or has ended and passed on what it held.
    pub(super) fn hold_nothing_for(&mut self, id: ClassId, attempt: AttemptId) {
        if self.get(id).is_ahead(attempt) {
            return;
        }
        let request = self.get(id).key.request.clone();
        self.reserved.subtract(&request, 1);
        self.change(id, |class| {
            class.holding = class.holding.saturating_sub(1);
            class.ahead.push_back(attempt);
        });
    }

    /// An attempt of the class ended: what was reserved for it goes over to the next that was handed
    /// out ahead of time, if there is one (pool or keeper run that one now), else it is free. Returns
    /// the attempt whose turn has come.
    pub(super) fn release(&mut self, id: ClassId, attempt: AttemptId) -> Option<AttemptId> {
        let waits = self
            .get(id)
            .ahead
            .iter()
            .position(|ahead| *ahead == attempt);
        if let Some(position) = waits {
            self.change(id, |class| class.ahead.remove(position));
            return None;
        }
        let next = self.change(id, |class| class.ahead.pop_front());
        if next.is_none() {
            let request = self.get(id).key.request.clone();
            self.reserved.subtract(&request, 1);
            self.change(id, |class| class.holding = class.holding.saturating_sub(1));
        }
        next
    }

    /// What is not reserved of `capacity`.
    pub(super) fn free(&self, capacity: &Resources) -> Resources {
        let mut free = capacity.clone();
        free.subtract(&self.reserved, 1);
        free
    }

    /// Changes a class, and keeps the heads and the set of classes right.
    fn change<T>(&mut self, id: ClassId, change: impl FnOnce(&mut Class) -> T) -> T {
        let class = self
            .by_id
            .get_mut(&id)
            .expect("a class is kept while it is used");
        let before = class.queue.first().copied();
        let result = change(class);
        let after = class.queue.first().copied();
        let unused = after.is_none() && class.holding == 0 && class.ahead.is_empty();
        if before != after {
            if let Some(place) = before {
                self.heads.remove(&(place, id));
            }
            if let Some(place) = after {
                self.heads.insert((place, id));
            }
        }
        if unused && let Some(class) = self.by_id.remove(&id) {
            self.ids.remove(&class.key);
        }
        result
    }
}

/// Whether the tasks of `spec` may run under a lease only.
pub(super) fn is_leased(spec: &JobSpec) -> bool {
    match spec.on_disconnect {
        OnDisconnect::Stop => true,
        OnDisconnect::Keep { .. } => false,
    }
}
