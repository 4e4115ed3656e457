//! Waiting work: one queue per class of requests, first in first out by job (PROTOCOL 27).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flota_model::{
    containment::LimitSet,
    control::Pause,
    ids::{JobId, NodeId, TaskIndex},
    resources::Resources,
    service::Placement,
    spec::{Constraints, JobSpec, Priority, Work},
    units::{Moment, Timestamp},
};

/// What placement distinguishes. Tasks of one class are the same to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassKey {
    pub(crate) priority: Priority,
    pub(crate) resources: Resources,
    pub(crate) constraints: Constraints,
    /// What a node must be able to enforce.
    pub(crate) limits: LimitSet,
    /// The built-in function; `None` of programs. Some nodes run nothing else.
    pub(crate) kernel: Option<Arc<str>>,
    /// Replicas of a service are placed with an eye on each other.
    pub(crate) service: Option<(Arc<str>, Placement)>,
}

impl ClassKey {
    pub(crate) fn of(spec: &JobSpec) -> Self {
        Self {
            priority: spec.priority,
            resources: spec.resources.clone(),
            constraints: spec.constraints.clone(),
            limits: required(&spec.work),
            kernel: match &spec.work {
                Work::Program(_) => None,
                Work::Kernel(call) => Some(Arc::from(call.name.as_str())),
            },
            service: spec
                .service
                .as_ref()
                .map(|service| (Arc::from(spec.name.as_str()), service.placement)),
        }
    }
}

fn required(work: &Work) -> LimitSet {
    match work {
        Work::Program(program) => program.execution.limits.required(),
        Work::Kernel(_) => LimitSet::default(),
    }
}

/// All waiting and parked work.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Jobs with waiting tasks, in the order of their acceptance.
    classes: BTreeMap<ClassKey, BTreeSet<JobId>>,
    /// Tasks between two attempts, by the end of their back-off.
    parked: BTreeSet<(Moment, JobId, TaskIndex)>,
    /// Tasks that must run alone on a node, by priority and age (PROTOCOL 30).
    pub(crate) apart: BTreeSet<(Priority, JobId, TaskIndex)>,
    /// The node that is kept for them, one at a time.
    pub(crate) apart_node: Option<NodeId>,
    /// When jobs are over, by their own rules: those by the clock of durations, and those by the wall
    /// clock.
    pub(crate) timeouts: BTreeSet<(Moment, JobId)>,
    pub(crate) deadlines: BTreeSet<(Timestamp, JobId)>,
    /// Who holds back all batch work.
    pub(crate) paused: Option<Pause>,
    /// The node that is kept for the first class that has to wait.
    pub(crate) reserved: Option<NodeId>,
    /// That class.
    pub(crate) reserved_for: Option<ClassKey>,
}

impl Queue {
    /// A job has waiting tasks; tells whether its class had none before.
    pub(crate) fn add(&mut self, class: &ClassKey, job: JobId) -> bool {
        if let Some(jobs) = self.classes.get_mut(class) {
            jobs.insert(job);
            return false;
        }
        self.classes.insert(class.clone(), BTreeSet::from([job]));
        true
    }

    /// A job has no waiting task left.
    pub(crate) fn remove(&mut self, class: &ClassKey, job: JobId) {
        if let Some(jobs) = self.classes.get_mut(class) {
            jobs.remove(&job);
            if jobs.is_empty() {
                self.classes.remove(class);
            }
        }
    }

    /// The first job of a class.
    pub(crate) fn head(&self, class: &ClassKey) -> Option<JobId> {
        self.classes.get(class)?.first().copied()
    }

    /// The jobs of a class, in order.
    pub(crate) fn jobs(&self, class: &ClassKey) -> impl Iterator<Item = JobId> {
        self.classes.get(class).into_iter().flatten().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.classes.is_empty() && self.apart.is_empty() && self.apart_node.is_none()
    }

    /// Classes with waiting work: by priority, then by their first job.
    pub(crate) fn in_order(&self) -> Vec<ClassKey> {
        let mut heads: Vec<(Priority, Option<&JobId>, &ClassKey)> = self
            .classes
            .iter()
            .map(|(class, jobs)| (class.priority, jobs.first(), class))
            .collect();
        heads.sort_unstable();
        heads
            .into_iter()
            .map(|(_, _, class)| class.clone())
            .collect()
    }

    pub(crate) fn park(&mut self, until: Moment, job: JobId, task: TaskIndex) {
        self.parked.insert((until, job, task));
    }

    /// Takes one task whose back-off is over.
    pub(crate) fn release(&mut self, now: Moment) -> Option<(JobId, TaskIndex)> {
        let (until, job, task) = *self.parked.first()?;
        (until <= now).then(|| {
            self.parked.pop_first();
            (job, task)
        })
    }

    pub(crate) fn next_release(&self) -> Option<Moment> {
        self.parked.first().map(|(until, _, _)| *until)
    }
}
