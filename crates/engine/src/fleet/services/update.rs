//! A new revision replaces the one before, a few replicas at a time.

use std::{collections::BTreeSet, time::Duration};

use flota_model::{
    change::{Left, ServiceRecord, UpdateRecord},
    ids::{JobId, TaskIndex},
    news::ServiceNews,
    revision::RevisionCause,
    service::{OnUpdateFailure, Purpose, ReplicaState, Service},
    spec::SealedSpec,
    state::TaskState,
};

use super::{
    Services,
    wanted::{Wanted, gather, owners},
};
use crate::{fleet::Fleet, sabotage::Rule};

/// How a replica of a new revision comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Failed,
    Coming,
    Up,
}

/// Which replicas a step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    All,
    /// Those that are not up.
    Down,
}

/// How an update goes, and why there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How many replicas it takes at a time; else as the spec says.
    pub(super) at_a_time: Option<u32>,
    /// `None` for a restart.
    pub(super) cause: Option<RevisionCause>,
}

/// Takes those off that are beyond the number of replicas.
pub(super) fn clip(left: &mut Vec<Left>, replicas: u32) {
    for part in &mut *left {
        part.count = part.count.min(replicas.saturating_sub(part.first));
    }
    left.retain(|part| part.count > 0);
}

impl Fleet {
    /// Replicas move to a new revision, a few at a time. Where an update is under way, the new one
    /// overtakes it: replicas keep the revision that they have until it is their turn.
    pub(super) fn begin_update(
        &mut self,
        name: &str,
        (spec, replicas): (SealedSpec, u32),
        pace: Pace,
    ) {
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let record = &entry.record;
        let mut left = gather(self.holders(record));
        clip(&mut left, replicas);
        let (from, previous) = match &record.update {
            Some(update) => (update.from, update.spec.clone()),
            None => (record.job, record.spec.clone()),
        };
        self.change(name, |record| {
            record.update = (!left.is_empty()).then_some(UpdateRecord {
                from,
                spec: previous,
                left,
                goes_back: false,
                halted: false,
                parallel: pace.at_a_time,
            });
            (record.spec, record.completed, record.replicas) = (spec, false, replicas);
        });
        self.new_revision(name, pace.cause);
        self.note_step(name);
        self.set_windows(name);
    }

    /// Which revision has which replica, of those that are live.
    fn holders(&self, record: &ServiceRecord) -> Vec<(u32, JobId)> {
        let left = record
            .update
            .as_ref()
            .map_or(&[][..], |update| &update.left);
        let current = Wanted::of(record, record.job);
        let current = current.iter().map(|task| (task.0, record.job));
        let mut holders: Vec<(u32, JobId)> = owners(left).chain(current).collect();
        holders.retain(|(_, job)| self.is_going(*job));
        holders.sort_unstable();
        holders
    }

    pub(super) fn note_step(&mut self, name: &str) {
        let now = self.office.now.moment;
        if let Some(entry) = self.jobs.services.known.get_mut(name) {
            entry.step_since = now;
        }
    }

    /// Moves the next replicas once those moved before are up; stops or goes back where they do not
    /// come up in time. On the way back nothing is given up: what is not up anyway goes on, at the
    /// pace of the deadline.
    pub(super) fn advance(&mut self, name: &str) {
        let now = self.office.now.moment;
        self.release_ended(name);
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let (record, since) = (&entry.record, entry.step_since);
        let Some(update) = record.update.as_ref().filter(|update| !update.halted) else {
            return;
        };
        let Some(service) = record.spec.spec.service.clone() else {
            return;
        };
        let (job, goes_back, is_over) = (record.job, update.goes_back, update.left.is_empty());
        if is_over && self.jobs.get(job).is_none() {
            // All of them have ended, as their policy asks, and have not failed it then.
            return self.end_update(name);
        }
        let is_held = self.jobs.get(job).is_some_and(|job| job.is_held);
        if is_held || !self.nodes.awaited.is_empty() {
            // Nothing of it can come up yet, so nothing is taken from those that serve.
            return self.note_step(name);
        }
        let moved = Wanted::of(record, job);
        let progress = moved.iter().map(|task| self.progress(job, task, &service));
        let progress = progress.min().unwrap_or(Progress::Up);
        let is_blocked = moved.iter().any(|task| self.is_held_by_another(job, task));
        if is_blocked && !goes_back && progress == Progress::Coming {
            // Its time begins when it may begin: what stops slowly, or on a node that is away, says
            // nothing of the new revision.
            return self.note_step(name);
        }
        let is_late = now.since(since) >= service.update.deadline;
        match progress {
            Progress::Up if is_over => self.end_update(name),
            Progress::Up => self.take_step(name, Reach::All),
            Progress::Coming | Progress::Failed if goes_back => {
                if is_over {
                    self.end_update(name);
                } else if is_late {
                    self.take_step(name, Reach::Down);
                }
            }
            Progress::Coming if !is_late => {}
            Progress::Coming | Progress::Failed => self.fail_update(name, &service),
        }
    }

    /// Takes the next replicas from the revisions that have them: first those that are not up, so
    /// that as few as may be are taken out of service.
    fn take_step(&mut self, name: &str, reach: Reach) {
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let record = &entry.record;
        let service = record.spec.spec.service.as_deref();
        let asked = record.update.as_ref().and_then(|update| update.parallel);
        let parallel = asked.or_else(|| service.map(|service| service.update.parallel));
        let parallel = parallel.unwrap_or(1).max(1);
        let left = record.update.as_ref().map(|update| update.left.clone());
        let mut order: Vec<(bool, u32)> = owners(left.as_deref().unwrap_or_default())
            .map(|(replica, job)| (self.is_up(job, TaskIndex(replica)), replica))
            .filter(|(is_up, _)| reach == Reach::All || !is_up)
            .collect();
        order.sort_unstable();
        let unpaced = self.office.settings.sabotage.breaks(Rule::UpdatePace);
        let most = if unpaced { u32::MAX } else { parallel };
        let taken = order.iter().take(most as usize);
        let taken: BTreeSet<u32> = taken.map(|(_, replica)| *replica).collect();
        if let Some(entry) = self.jobs.services.known.get_mut(name)
            && let Some(update) = &mut entry.record.update
        {
            let stays = owners(&update.left).filter(|(replica, _)| !taken.contains(replica));
            update.left = gather(stays);
            self.ledger.services.insert(name.to_owned());
        }
        self.note_step(name);
        self.set_windows(name);
    }

    /// Whether a replica is to come up, and another revision still has the one of its number.
    fn is_held_by_another(&self, job: JobId, task: TaskIndex) -> bool {
        let state = self.jobs.get(job).map(|job| job.state(task));
        state == Some(TaskState::Cancelled)
    }

    fn is_up(&self, job: JobId, task: TaskIndex) -> bool {
        self.replica_state(job, task) == ReplicaState::Ready
    }

    /// What a revision had that is over, nobody has: it is free for the new one.
    fn release_ended(&mut self, name: &str) {
        let left = |services: &Services| {
            let update = services.known.get(name)?.record.update.as_ref()?;
            Some(update.left.clone())
        };
        let Some(before) = left(&self.jobs.services) else {
            return;
        };
        let live = before.iter().filter(|left| self.is_going(left.job));
        let live: Vec<Left> = live.copied().collect();
        if live.len() == before.len() {
            return;
        }
        if let Some(entry) = self.jobs.services.known.get_mut(name)
            && let Some(update) = &mut entry.record.update
        {
            update.left = live;
            self.ledger.services.insert(name.to_owned());
        }
        self.set_windows(name);
    }

    fn progress(&self, job: JobId, task: TaskIndex, service: &Service) -> Progress {
        let Some(entry) = self.jobs.get(job) else {
            return Progress::Failed;
        };
        match entry.state(task) {
            TaskState::Succeeded => return Progress::Up,
            TaskState::Failed | TaskState::Dead | TaskState::Unknown | TaskState::Skipped => {
                return Progress::Failed;
            }
            TaskState::Waiting
            | TaskState::Parked
            | TaskState::Granted
            | TaskState::Cancelled
            | TaskState::Blocked => {}
        }
        let has_readiness = service
            .probes
            .iter()
            .any(|probe| probe.settings.purpose == Purpose::Readiness);
        let stable = if has_readiness {
            Duration::ZERO
        } else {
            service.update.stable
        };
        match self.replica_state(job, task) {
            ReplicaState::CrashLoop => Progress::Failed,
            ReplicaState::Ready if self.is_up_for(job, task, stable) => Progress::Up,
            ReplicaState::Waiting
            | ReplicaState::Starting
            | ReplicaState::Running
            | ReplicaState::Ready
            | ReplicaState::BackingOff
            | ReplicaState::Stopping
            | ReplicaState::Finished
            | ReplicaState::Stopped => Progress::Coming,
        }
    }

    fn is_up_for(&self, job: JobId, task: TaskIndex, span: Duration) -> bool {
        let now = self.office.now.moment;
        let seen = self.seen_of(job, task);
        seen.and_then(|seen| seen.up_since)
            .is_some_and(|since| now.since(since) >= span)
    }

    fn end_update(&mut self, name: &str) {
        if let Some(entry) = self.jobs.services.known.get_mut(name) {
            entry.record.update = None;
            self.ledger.services.insert(name.to_owned());
        }
        self.tell_service(name, ServiceNews::UpdateDone);
        self.set_windows(name);
    }

    fn fail_update(&mut self, name: &str, service: &Service) {
        let Some(entry) = self.jobs.services.known.get_mut(name) else {
            return;
        };
        self.ledger.services.insert(name.to_owned());
        // Of a restart there is nothing to go back to: the spec is the same.
        let update = entry.record.update.as_ref();
        let is_restart = update.is_some_and(|update| update.spec.hash == entry.record.spec.hash);
        match service.update.on_failure {
            OnUpdateFailure::RollBack if !is_restart => {
                self.go_back(name);
                self.tell_service(name, ServiceNews::WentBack);
            }
            OnUpdateFailure::Stop | OnUpdateFailure::RollBack => {
                if let Some(update) = &mut entry.record.update {
                    update.halted = true;
                }
                self.tell_service(name, ServiceNews::UpdateFailed);
            }
        }
    }

    /// The way back is an update like any other, to the last revision that all replicas had.
    fn go_back(&mut self, name: &str) {
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let record = &entry.record;
        let holders = self.holders(record);
        let Some(UpdateRecord {
            from,
            spec,
            parallel,
            ..
        }) = record.update.clone()
        else {
            return;
        };
        let is_gone = !self.is_going(from);
        self.change(name, |record| {
            (record.job, record.spec) = (from, spec.clone());
        });
        if is_gone {
            self.new_revision(name, None);
        }
        if let Some(entry) = self.jobs.services.known.get_mut(name) {
            let record = &mut entry.record;
            let others = holders.into_iter().filter(|(_, job)| *job != record.job);
            record.update = Some(UpdateRecord {
                from: record.job,
                spec,
                left: gather(others),
                goes_back: true,
                halted: false,
                parallel,
            });
        }
        self.take_step(name, Reach::All);
    }
}
