//! Services as people see them.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::ServiceRecord,
    command::Refusal,
    ids::{JobId, TaskIndex},
    service::{
        ROOMS_MAX, ReplicaState, ReplicaView, ServiceDetail, ServicePhase, ServiceView, WaitingFor,
    },
    state::{NodePhase, TaskState},
    waiting::RoomOfRevision,
};

use super::{Seen, wanted::Wanted};
use crate::fleet::{Fleet, settle::Place};

impl Fleet {
    pub(crate) fn service_views(&self) -> Vec<ServiceView> {
        let records = self.jobs.services.known.values();
        records
            .map(|entry| self.service_view(&entry.record))
            .collect()
    }

    pub(crate) fn view_of(&self, name: &str) -> Result<ServiceView, Refusal> {
        let entry = self.jobs.services.known.get(name);
        let entry = entry.ok_or_else(|| Refusal::ServiceNotFound(name.to_owned()))?;
        Ok(self.service_view(&entry.record))
    }

    pub(crate) fn service_detail(&self, name: &str) -> Option<ServiceDetail> {
        let entry = self.jobs.services.known.get(name)?;
        let record = &entry.record;
        let replicas = self.replica_views(record);
        Some(ServiceDetail {
            service: self.service_view(record),
            spec: record.spec.clone(),
            rooms: self.rooms_for(&replicas),
            revisions: entry.past.clone(),
            replicas,
        })
    }

    /// The replicas of a revision are all alike to placement.
    fn rooms_for(&self, replicas: &[ReplicaView]) -> Vec<RoomOfRevision> {
        let waiting = replicas
            .iter()
            .filter(|view| view.waiting_for == Some(WaitingFor::Room));
        let jobs: BTreeSet<JobId> = waiting.map(|view| view.job).collect();
        let newest = jobs.into_iter().rev().take(ROOMS_MAX);
        let rooms = newest.filter_map(|job| {
            let room = self.room_for(&self.jobs.get(job)?.class);
            Some(RoomOfRevision { job, room })
        });
        rooms.collect()
    }

    fn service_view(&self, record: &ServiceRecord) -> ServiceView {
        let mut states: BTreeMap<ReplicaState, u32> = BTreeMap::new();
        let mut restarts = 0;
        for replica in self.replica_views(record) {
            *states.entry(replica.state).or_default() += 1;
            restarts += u64::from(replica.restarts);
        }
        ServiceView {
            name: record.name.clone(),
            phase: self.phase_of(record),
            job: record.job,
            replicas: record.replicas,
            states,
            restarts,
            waits_for: if self.jobs.get(record.job).is_some_and(|job| job.is_held) {
                self.waits_for(record.job)
            } else {
                Vec::new()
            },
            updated: record
                .update
                .as_ref()
                .map(|update| record.replicas.saturating_sub(update.left_count())),
            version: record.version,
            principal: record.principal.clone(),
            changed_at: record.changed_at,
        }
    }

    fn phase_of(&self, record: &ServiceRecord) -> ServicePhase {
        let revisions = self.jobs.services.revisions_of(&record.name);
        match &record.update {
            _ if record.stopped && revisions.is_empty() => ServicePhase::Stopped,
            _ if record.stopped => ServicePhase::Stopping,
            Some(update) if update.halted => ServicePhase::UpdateFailed,
            Some(update) if update.goes_back => ServicePhase::RollingBack,
            Some(_) => ServicePhase::Updating,
            // Only what was rolled back is newer than the current one.
            None if revisions.iter().any(|job| *job > record.job) => ServicePhase::RollingBack,
            None => ServicePhase::Running,
        }
    }

    /// Wanted replicas, and those that have not stopped yet.
    fn replica_views(&self, record: &ServiceRecord) -> Vec<ReplicaView> {
        let mut views = Vec::new();
        let revisions = self.jobs.services.revisions_of(&record.name);
        for job in &revisions {
            let Some(entry) = self.jobs.get(*job) else {
                continue;
            };
            let mut tasks = entry.tasks_in(TaskState::Granted);
            let wanted = entry.wanted.iter().flat_map(Wanted::iter);
            tasks.extend(wanted.filter(|task| entry.state(*task) != TaskState::Granted));
            for task in tasks {
                views.push(self.replica_view(*job, task));
            }
        }
        if revisions.is_empty() && !record.stopped {
            // Its job is over: all of them have ended.
            let ended = (0..record.replicas).map(|task| ReplicaView {
                state: ReplicaState::Finished,
                waiting_for: None,
                ..self.replica_view(record.job, TaskIndex(task))
            });
            views.extend(ended);
        }
        views.sort_unstable_by_key(|view| (view.replica, view.job));
        views
    }

    fn replica_view(&self, job: JobId, replica: TaskIndex) -> ReplicaView {
        let place = self.holder_of(job, replica);
        let seen = self.seen_of(job, replica).map(|seen| &seen.status);
        let stale = place
            .and_then(|place| self.nodes.get(place.node))
            .is_some_and(|node| node.phase() == NodePhase::Lost);
        ReplicaView {
            replica,
            job,
            state: self.replica_state(job, replica),
            waiting_for: self.waiting_for(job, replica),
            since: seen.map(|status| status.since),
            node: place.map(|place| place.node),
            attempt: place.map(|place| place.attempt),
            run: seen.map_or(0, |status| status.run),
            restarts: seen.map_or(0, |status| status.restarts),
            last: seen.and_then(|status| status.last.clone()),
            failure: seen.and_then(|status| status.failure.clone()),
            lines: seen.and_then(|status| status.lines.clone()),
            unkillable: place.and_then(|place| self.unkillable_at(place)),
            stale,
        }
    }

    fn waiting_for(&self, job: JobId, replica: TaskIndex) -> Option<WaitingFor> {
        let entry = self.jobs.get(job)?;
        match entry.state(replica) {
            TaskState::Waiting if entry.is_held => Some(WaitingFor::Dependencies),
            TaskState::Waiting => Some(WaitingFor::Room),
            TaskState::Blocked => Some(WaitingFor::Dependencies),
            TaskState::Parked => Some(WaitingFor::Delay),
            TaskState::Cancelled if entry.wants(replica) => Some(WaitingFor::OtherRevision),
            TaskState::Cancelled
            | TaskState::Granted
            | TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Dead
            | TaskState::Unknown
            | TaskState::Skipped => None,
        }
    }

    /// The attempt that counts: one that is not suspect, if there is one.
    fn holder_of(&self, job: JobId, replica: TaskIndex) -> Option<Place> {
        let attempts = self.attempts_of(job, replica).into_iter();
        attempts.min_by_key(|place| place.suspect)
    }

    pub(super) fn seen_of(&self, job: JobId, replica: TaskIndex) -> Option<&Seen> {
        let place = self.holder_of(job, replica)?;
        self.jobs.services.statuses.get(&place.attempt)
    }

    pub(super) fn replica_state(&self, job: JobId, replica: TaskIndex) -> ReplicaState {
        let Some(entry) = self.jobs.get(job) else {
            return ReplicaState::Stopped;
        };
        match entry.state(replica) {
            TaskState::Waiting | TaskState::Parked | TaskState::Blocked => ReplicaState::Waiting,
            TaskState::Granted if entry.is_cancelling() || !entry.wants(replica) => {
                ReplicaState::Stopping
            }
            TaskState::Granted => self
                .seen_of(job, replica)
                .map_or(ReplicaState::Starting, |seen| seen.status.state),
            // Wanted, and another revision still has it.
            TaskState::Cancelled if entry.wants(replica) => ReplicaState::Waiting,
            TaskState::Cancelled => ReplicaState::Stopped,
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Dead
            | TaskState::Unknown
            | TaskState::Skipped => ReplicaState::Finished,
        }
    }
}
