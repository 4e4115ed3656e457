//! Services: which replicas of which revision are wanted, and what is known of each.
//!
//! What runs is an ordinary job; here is decided which of its tasks are wanted. A replica is granted
//! only while no other revision holds one of the same number: between two revisions there is never
//! one too many. What agents say of runs is not durable: they say it again after each welcome.

pub(crate) mod commands;
mod held;
pub(crate) mod lines;
mod news;
mod past;
mod revival;
mod update;
mod view;
pub(crate) mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::{RevisionRecord, ServiceRecord},
    frame::DownBody,
    ids::{AttemptId, AttemptRange, JobId, NodeId, TaskIndex},
    outcome::Outcome,
    service::{Condition, Dependency, ReplicaState, ReplicaStatus, RestartPolicy},
    state::{JobPhase, TaskState},
    units::Moment,
};
use held::Held;
use lines::LinesHeld;
use wanted::{Wanted, owners};

use super::{Fleet, outcomes::Next, settle::Place};
use crate::{sabotage::Rule, supervise::restart::is_success};

/// All services.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pub(crate) known: BTreeMap<String, Entry>,
    /// Revisions that are live, by service.
    revisions: BTreeMap<String, BTreeSet<JobId>>,
    /// What agents said of the attempts that they hold.
    statuses: BTreeMap<AttemptId, Seen>,
    /// How much of what replicas wrote last is kept with it.
    lines_held: LinesHeld,
    /// Services of which something is moving: looked at in each turn.
    moving: BTreeSet<String>,
    /// Revisions that wait for what they depend on.
    pub(crate) held: Held,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) record: ServiceRecord,
    /// The specs that it had, oldest first; the current one among them.
    pub(crate) past: Vec<RevisionRecord>,
    /// When the last step of its update began.
    step_since: Moment,
}

/// A status, and since when its run is seen to be up.
#[derive(Debug, Clone)]
struct Seen {
    status: ReplicaStatus,
    up_since: Option<Moment>,
}

impl Services {
    fn revisions_of(&self, name: &str) -> Vec<JobId> {
        let revisions = self.revisions.get(name).into_iter().flatten();
        revisions.copied().collect()
    }

    /// Which replicas of a revision are wanted.
    fn window(&self, name: &str, job: JobId) -> Wanted {
        let entry = self.known.get(name);
        entry.map_or_else(Wanted::default, |entry| Wanted::of(&entry.record, job))
    }

    /// A service as the store gives it back. The clock of its update begins anew.
    pub(crate) fn load(&mut self, record: ServiceRecord, step_since: Moment) {
        self.moving.insert(record.name.clone());
        let entry = Entry {
            record: record.clone(),
            past: Vec::new(),
            step_since,
        };
        self.known.insert(record.name, entry);
    }

    /// An attempt is settled.
    pub(crate) fn forget(&mut self, attempt: AttemptId) {
        if let Some(seen) = self.statuses.remove(&attempt) {
            self.lines_held.release(seen.status.lines.as_ref());
        }
    }

    /// Keeps what an agent said; the lines of its last run only while there is room for them.
    fn note_status(&mut self, mut seen: Seen) {
        let attempt = seen.status.attempt;
        self.forget(attempt);
        seen.status.lines = self.lines_held.hold(seen.status.lines);
        self.statuses.insert(attempt, seen);
    }
}

impl Fleet {
    /// Notes a job of a service that was made or loaded.
    pub(crate) fn adopt_revision(&mut self, job: JobId) {
        let Some(entry) = self.jobs.live.get_mut(&job) else {
            return;
        };
        let spec = &entry.record.spec.spec;
        let Some(service) = &spec.service else { return };
        let services = &mut self.jobs.services;
        services
            .revisions
            .entry(spec.name.clone())
            .or_default()
            .insert(job);
        entry.wanted = Some(services.window(&spec.name, job));
        entry.is_held = !service.dependencies.is_empty() && entry.is_untouched();
        if entry.is_held {
            services.held.hold(job);
        }
        services.moving.insert(spec.name.clone());
    }

    /// A job is gone from memory.
    pub(crate) fn revision_gone(&mut self, job: JobId, name: &str) {
        let services = &mut self.jobs.services;
        services.held.remove(job);
        if let Some(revisions) = services.revisions.get_mut(name) {
            revisions.remove(&job);
            if revisions.is_empty() {
                services.revisions.remove(name);
            }
        }
    }

    /// What agents say of replicas. The latest one wins; those of others than the holder are ignored.
    pub(crate) fn replicas(&mut self, node: NodeId, statuses: Vec<ReplicaStatus>) {
        let now = self.office.now.moment;
        for status in statuses {
            let place = self.place_of(status.attempt);
            let Some(place) = place.filter(|place| place.node == node) else {
                continue;
            };
            self.tell_replica(place, &status);
            let is_up = matches!(status.state, ReplicaState::Running | ReplicaState::Ready);
            let services = &mut self.jobs.services;
            let before = services.statuses.get(&status.attempt);
            let up_since = before
                .filter(|before| before.status.run == status.run)
                .and_then(|before| before.up_since)
                .or(Some(now))
                .filter(|_| is_up);
            if let Some(name) = self.jobs.service_of(place.job) {
                self.jobs.services.held.stir(&name);
                self.jobs.services.moving.insert(name);
            }
            self.jobs.services.note_status(Seen { status, up_since });
        }
    }

    /// What follows for a replica whose attempt ended at its agent: its policy asked for no further
    /// run, or it was stopped or lost.
    pub(crate) fn next_of_replica(&mut self, place: Place, outcome: &Outcome) -> Next {
        self.tell_end(place, outcome);
        let job = self.jobs.live(place.job);
        if !job.wants(place.task) || job.is_cancelling() {
            return Next::End(TaskState::Cancelled);
        }
        let Some(service) = &job.record.spec.spec.service else {
            return Next::Again(None);
        };
        match outcome {
            Outcome::Cancelled | Outcome::Lost => Next::Again(None),
            // Its agent would have run it again.
            Outcome::Unknown if service.restart.policy != RestartPolicy::Never => Next::Again(None),
            Outcome::Unknown => Next::End(TaskState::Unknown),
            outcome if is_success(&service.restart, outcome) => Next::End(TaskState::Succeeded),
            Outcome::Completed
            | Outcome::Exited { .. }
            | Outcome::Signalled { .. }
            | Outcome::OutOfMemory
            | Outcome::TimedOut
            | Outcome::NotStarted { .. }
            | Outcome::Failed { .. } => Next::End(TaskState::Failed),
        }
    }

    /// Brings the tasks of all revisions of a service to what is wanted now.
    fn set_windows(&mut self, name: &str) {
        for job in self.jobs.services.revisions_of(name) {
            let window = self.jobs.services.window(name, job);
            self.set_window(job, window);
        }
        self.jobs.services.moving.insert(name.to_owned());
        self.fill(name);
    }

    /// Lets go of the replicas of a revision that are not wanted any more.
    fn set_window(&mut self, job: JobId, window: Wanted) {
        let Some(entry) = self.jobs.live.get_mut(&job) else {
            return;
        };
        let before = entry.wanted.replace(window.clone()).unwrap_or_default();
        if !entry.is_active() {
            return;
        }
        let mut stops: BTreeMap<NodeId, Vec<AttemptId>> = BTreeMap::new();
        for task in before.iter().filter(|task| !window.contains(*task)) {
            match self.jobs.live(job).state(task) {
                TaskState::Waiting | TaskState::Parked | TaskState::Granted => {
                    self.let_go(job, task, &mut stops);
                }
                TaskState::Succeeded
                | TaskState::Failed
                | TaskState::Cancelled
                | TaskState::Dead
                | TaskState::Unknown
                | TaskState::Blocked
                | TaskState::Skipped => {}
            }
        }
        self.enqueue(job);
        for (node, attempts) in stops {
            self.nodes
                .known(node)
                .asked
                .extend(attempts.iter().copied());
            self.send(node, DownBody::Cancel(AttemptRange::gather(attempts)));
        }
        self.finish_if_ended(job);
    }

    /// A replica is not wanted. It is cancelled only when nothing of it can run any more (PROTOCOL 8).
    fn let_go(
        &mut self,
        job: JobId,
        task: TaskIndex,
        stops: &mut BTreeMap<NodeId, Vec<AttemptId>>,
    ) {
        let attempts = self.attempts_of(job, task);
        if attempts.is_empty() {
            return self.set_task(job, task, TaskState::Cancelled);
        }
        self.set_task(job, task, TaskState::Granted);
        for place in attempts {
            stops.entry(place.node).or_default().push(place.attempt);
            self.arm(place.grant);
        }
    }

    /// Lets wanted replicas wait for a node, unless another revision still holds one of the same
    /// number.
    fn fill(&mut self, name: &str) {
        let revisions = self.jobs.services.revisions_of(name);
        for job in &revisions {
            let entry = self.jobs.live(*job);
            let Some(wanted) = entry.wanted.clone().filter(|_| entry.is_active()) else {
                continue;
            };
            let missing = wanted
                .iter()
                .filter(|task| entry.state(*task) == TaskState::Cancelled);
            for task in missing.collect::<Vec<_>>() {
                let holds = |other: &JobId| {
                    other != job
                        && self
                            .jobs
                            .get(*other)
                            .is_some_and(|other| !other.state(task).is_terminal())
                };
                let unchecked = self.office.settings.sabotage.breaks(Rule::OneOfANumber);
                if unchecked || !revisions.iter().any(holds) {
                    self.set_task(*job, task, TaskState::Waiting);
                }
            }
            self.enqueue(*job);
        }
    }

    /// Goes on with what is moving: held revisions, replicas that follow others, updates.
    pub(crate) fn move_services(&mut self) {
        if self.office.is_frozen() {
            return;
        }
        let moving = std::mem::take(&mut self.jobs.services.moving);
        for name in moving {
            self.fill(&name);
            self.advance(&name);
            self.revive(&name);
            let is_settled = self
                .jobs
                .services
                .known
                .get(&name)
                .is_none_or(|entry| entry.record.update.is_none() && !entry.record.revival.due)
                && self.jobs.services.revisions_of(&name).len() < 2;
            if !is_settled {
                self.jobs.services.moving.insert(name);
            }
        }
        self.begin_held();
    }

    /// What holds a revision back.
    fn waits_for(&self, job: JobId) -> Vec<Dependency> {
        let service = self
            .jobs
            .get(job)
            .and_then(|job| job.record.spec.spec.service.as_deref());
        let dependencies = service.map_or(&[][..], |service| &service.dependencies);
        let missing = dependencies.iter().filter(|one| !self.is_met(one));
        missing.cloned().collect()
    }

    fn is_met(&self, dependency: &Dependency) -> bool {
        let Some(entry) = self.jobs.services.known.get(&dependency.service) else {
            return false;
        };
        let record = &entry.record;
        let left = record
            .update
            .as_ref()
            .map_or(&[][..], |update| &update.left);
        let moved = Wanted::of(record, record.job);
        let moved = moved.iter().map(|task| (task.0, record.job));
        let holders: Vec<(u32, JobId)> = owners(left).chain(moved).collect();
        let all = |good: &[ReplicaState]| {
            !record.stopped
                && holders.iter().all(|(replica, job)| {
                    let state = self.replica_state(*job, TaskIndex(*replica));
                    good.contains(&state)
                })
        };
        match dependency.condition {
            Condition::Started => all(&[
                ReplicaState::Running,
                ReplicaState::Ready,
                ReplicaState::Finished,
            ]),
            Condition::Healthy => all(&[ReplicaState::Ready]),
            Condition::Completed => record.completed,
        }
    }

    /// Whether a revision takes over replicas that others still have.
    pub(crate) fn is_taking_over(&self, job: JobId) -> bool {
        let name = self.jobs.service_of(job);
        let entry = name.and_then(|name| self.jobs.services.known.get(&name));
        entry.is_some_and(|Entry { record, .. }| {
            let update = record.update.as_ref();
            record.job == job && update.is_some_and(|update| !update.left.is_empty())
        })
    }

    /// The job of a service is finished: all its replicas have ended.
    pub(crate) fn revision_finished(&mut self, job: JobId) {
        let Some(name) = self.jobs.service_of(job) else {
            return;
        };
        let succeeded = self.jobs.live(job).record.counts.of(TaskState::Succeeded);
        if let Some(entry) = self.jobs.services.known.get_mut(&name)
            && entry.record.job == job
            && !entry.record.stopped
        {
            let record = &mut entry.record;
            record.completed = record.replicas > 0 && succeeded >= record.replicas;
            self.ledger.services.insert(name);
        }
    }

    /// Whether a revision is live and goes on.
    fn is_going(&self, job: JobId) -> bool {
        self.jobs
            .get(job)
            .is_some_and(|job| job.record.phase == JobPhase::Active)
    }
}
