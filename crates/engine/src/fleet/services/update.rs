//! A new revision replaces the one before, a few replicas at a time.

use std::time::Duration;

use flota_model::{
    ids::{JobId, TaskIndex},
    service::{OnUpdateFailure, Purpose, ReplicaState, Service},
    spec::SealedSpec,
    state::TaskState,
};

use crate::fleet::Fleet;

/// How a replica of a new revision comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Failed,
    Coming,
    Up,
}

/// How many replicas are replaced at a time.
pub(super) fn parallel(spec: &SealedSpec) -> u32 {
    let service = spec.spec.service.as_deref();
    service.map_or(1, |service| service.update.parallel.max(1))
}

impl Fleet {
    pub(super) fn note_step(&mut self, name: &str) {
        let now = self.office.now.moment;
        if let Some(entry) = self.jobs.services.known.get_mut(name) {
            entry.step_since = now;
        }
    }

    /// Moves the next replicas once those moved before are up; stops or goes back where they do not
    /// come up in time.
    pub(super) fn advance(&mut self, name: &str) {
        let now = self.office.now.moment;
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
        let (job, all, moved) = (
            record.job,
            record.replicas,
            update.moved.min(record.replicas),
        );
        let progress = (0..moved)
            .map(|task| self.progress(job, TaskIndex(task), &service))
            .min()
            .unwrap_or(Progress::Up);
        match progress {
            Progress::Up if moved >= all => self.end_update(name),
            Progress::Up => {
                let next = moved.saturating_add(service.update.parallel.max(1));
                self.move_to(name, next.min(all));
            }
            Progress::Coming if now.since(since) < service.update.deadline => {}
            Progress::Coming | Progress::Failed => self.fail_update(name, &service),
        }
    }

    fn progress(&self, job: JobId, task: TaskIndex, service: &Service) -> Progress {
        let Some(entry) = self.jobs.get(job) else {
            return Progress::Failed;
        };
        match entry.state(task) {
            TaskState::Succeeded => return Progress::Up,
            TaskState::Failed | TaskState::Dead | TaskState::Unknown => return Progress::Failed,
            TaskState::Waiting | TaskState::Parked | TaskState::Granted | TaskState::Cancelled => {}
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

    fn move_to(&mut self, name: &str, moved: u32) {
        if let Some(entry) = self.jobs.services.known.get_mut(name)
            && let Some(update) = &mut entry.record.update
        {
            update.moved = moved;
            self.ledger.services.insert(name.to_owned());
        }
        self.note_step(name);
        self.set_windows(name);
    }

    fn end_update(&mut self, name: &str) {
        if let Some(entry) = self.jobs.services.known.get_mut(name) {
            entry.record.update = None;
            self.ledger.services.insert(name.to_owned());
        }
        self.set_windows(name);
    }

    fn fail_update(&mut self, name: &str, service: &Service) {
        let Some(entry) = self.jobs.services.known.get_mut(name) else {
            return;
        };
        let record = &mut entry.record;
        self.ledger.services.insert(name.to_owned());
        match service.update.on_failure {
            OnUpdateFailure::Stop => {
                if let Some(update) = &mut record.update {
                    update.halted = true;
                }
            }
            OnUpdateFailure::RollBack => {
                let Some(update) = record.update.take() else {
                    return;
                };
                (record.job, record.spec) = (update.from, update.spec);
                let is_gone = !self.is_going(update.from);
                if is_gone {
                    self.new_revision(name);
                }
                self.set_windows(name);
            }
        }
    }
}
