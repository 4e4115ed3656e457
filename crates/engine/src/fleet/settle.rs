//! The one place where attempts are settled and tasks go on to their next state.

use std::time::Duration;

use flota_model::{
    change::{AttemptRecord, Change},
    ids::{AttemptId, GrantId, JobId, NodeId, TaskIndex},
    outcome::{Outcome, Report, Usage},
    state::{JobPhase, TaskState},
    units::Timestamp,
};

use super::{Fleet, api::FleetEvent};
use crate::sabotage::Rule;

/// An attempt found in its grant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) grant: GrantId,
    pub(crate) offset: u32,
    pub(crate) attempt: AttemptId,
    pub(crate) job: JobId,
    pub(crate) task: TaskIndex,
    pub(crate) node: NodeId,
    pub(crate) suspect: bool,
}

impl Fleet {
    /// Where an unsettled attempt is granted.
    pub(crate) fn place_of(&self, attempt: AttemptId) -> Option<Place> {
        let (grant, offset) = self.grants.find(attempt)?;
        self.unsettled(grant, offset)
    }

    /// The attempt at `offset` of a grant, unless it is settled.
    pub(crate) fn unsettled(&self, grant: GrantId, offset: u32) -> Option<Place> {
        let entry = self.grants.get(grant)?;
        entry.unsettled.get(offset).then(|| Place {
            grant,
            offset,
            attempt: entry.attempt(offset),
            job: entry.head().job,
            task: entry.task(offset),
            node: entry.node(),
            suspect: entry.suspect.get(offset),
        })
    }

    /// All unsettled attempts of a grant.
    pub(crate) fn unsettled_of(&self, grant: GrantId) -> Vec<Place> {
        let Some(entry) = self.grants.get(grant) else {
            return Vec::new();
        };
        entry
            .unsettled
            .iter()
            .filter_map(|offset| self.unsettled(grant, offset))
            .collect()
    }

    /// Unsettled attempts of a task. More than one only after one was suspect.
    pub(crate) fn attempts_of(&self, job: JobId, task: TaskIndex) -> Vec<Place> {
        let Some(entry) = self.jobs.get(job) else {
            return Vec::new();
        };
        let lowest = TaskIndex(task.0.saturating_sub(super::grant::GRANT_TASKS_MAX - 1));
        entry
            .grants
            .range((lowest, GrantId(0))..=(task, GrantId(u64::MAX)))
            .filter_map(|(_, grant)| {
                let offset = self.grants.get(*grant)?.offset_of(task)?;
                self.unsettled(*grant, offset)
            })
            .collect()
    }

    /// The attempt is over: it leaves its grant and its node.
    pub(crate) fn settle(&mut self, place: Place) {
        let grant = self.grants.live(place.grant);
        grant.unsettled.put(place.offset, false);
        grant.suspect.put(place.offset, false);
        let first_task = grant.head().first_task;
        let empty = grant.unsettled.is_empty();
        self.ledger.grants.insert(place.grant);
        let job = self.jobs.live(place.job);
        job.unsettled -= 1;
        let node = self.nodes.known(place.node);
        node.load
            .settle(&job.class, &node.record.capacity, self.office.now.moment);
        if empty {
            node.grants.remove(&place.grant);
            job.grants.remove(&(first_task, place.grant));
            self.grants.remove(place.grant);
            self.ledger.jobs.insert(place.job);
        }
        node.asked.remove(&place.attempt);
        self.nodes.dirty.insert(place.node);
        self.jobs.services.forget(place.attempt);
        self.stir_holder(place.job);
    }

    /// Marks an attempt suspect or clears the mark.
    pub(crate) fn suspect(&mut self, place: Place, suspect: bool) {
        if place.suspect == suspect {
            return;
        }
        self.grants
            .live(place.grant)
            .suspect
            .put(place.offset, suspect);
        self.ledger.grants.insert(place.grant);
        self.stir_holder(place.job);
    }

    /// Gives a task another state.
    pub(crate) fn set_task(&mut self, job: JobId, task: TaskIndex, state: TaskState) {
        let entry = self.jobs.live(job);
        let number = entry.set(task, state);
        if state.is_terminal() && entry.histories.remove(&task).is_some() {
            self.ledger.histories.insert((job, task));
        }
        self.ledger.chunks.insert((job, number));
        self.ledger.jobs.insert(job);
        // Here, because an outcome that was unknown may turn out to be a failure.
        if matches!(state, TaskState::Failed | TaskState::Dead) {
            self.ledger.failing.insert(job);
        }
    }

    /// A task ends. Other attempts of it, which can only be suspect ones, are revoked.
    pub(crate) fn end_task(&mut self, job: JobId, task: TaskIndex, state: TaskState) {
        self.set_task(job, task, state);
        let entry = self.jobs.live(job);
        // The one attempt of what starts only once may still tell how it really ended.
        let awaited = state == TaskState::Unknown && entry.never_retries();
        if entry.has_spare_attempts() && !awaited {
            for place in self.attempts_of(job, task) {
                self.revoke(place);
            }
        }
        self.enqueue(job);
        self.finish_if_ended(job);
    }

    /// A task goes back to the queue, at once or after a back-off.
    pub(crate) fn requeue(&mut self, job: JobId, task: TaskIndex, after: Option<Duration>) {
        let entry = self.jobs.live(job);
        if entry.is_cancelling() || !entry.wants(task) {
            self.end_task(job, task, TaskState::Cancelled);
            return;
        }
        match after {
            Some(after) => {
                self.set_task(job, task, TaskState::Parked);
                self.queue.park(self.office.now.moment + after, job, task);
            }
            None => self.ready(job, task),
        }
    }

    /// A task may be granted: from the queue of its class, or apart if it is suspected of having
    /// taken a node down.
    pub(crate) fn ready(&mut self, job: JobId, task: TaskIndex) {
        let entry = self.jobs.live(job);
        if entry
            .histories
            .get(&task)
            .is_some_and(|history| history.apart)
        {
            let priority = entry.class.priority;
            self.set_task(job, task, TaskState::Parked);
            self.queue.apart.insert((priority, job, task));
            self.nodes.all_dirty();
        } else {
            self.set_task(job, task, TaskState::Waiting);
            self.enqueue(job);
        }
    }

    /// Puts a job into the queue of its class, or takes it out, as its waiting tasks demand.
    pub(crate) fn enqueue(&mut self, job: JobId) {
        let entry = self.jobs.live(job);
        let unheeded = self.office.settings.sabotage.breaks(Rule::Paused);
        let is_paused = entry.is_paused() && !unheeded;
        if entry.waiting() == 0 || entry.is_held || is_paused {
            self.queue.remove(&entry.class, job);
        } else if self.queue.add(&entry.class, job) {
            self.nodes.all_dirty();
        }
    }

    pub(crate) fn finish_if_ended(&mut self, job: JobId) {
        let at = self.office.now.wall;
        let is_taking_over = self.is_taking_over(job);
        let entry = self.jobs.live(job);
        if entry.is_unfilled() || (is_taking_over && entry.is_active()) {
            return;
        }
        let record = &mut entry.record;
        let all = u64::from(record.spec.spec.tasks.count());
        if record.phase == JobPhase::Finished || record.counts.ended() < all {
            return;
        }
        record.phase = JobPhase::Finished;
        record.finished_at = Some(at);
        if record.control.paused.take().is_some() {
            self.ledger.controls.insert(job);
        }
        self.ledger.jobs.insert(job);
        self.unwatch_time(job);
        self.revision_finished(job);
        self.publish(FleetEvent::Job {
            job,
            phase: JobPhase::Finished,
            at,
        });
    }

    /// Writes the row of an attempt that ended as its agent reports.
    pub(crate) fn record(&self, place: Place, report: Report, counted: bool) -> Box<AttemptRecord> {
        Box::new(AttemptRecord {
            attempt: place.attempt,
            job: place.job,
            task: place.task,
            node: place.node,
            outcome: report.outcome,
            counted,
            granted_at: self.granted_at(place),
            started_at: report.started_at,
            ended_at: report.ended_at,
            usage: report.usage,
            output: report.output,
        })
    }

    /// Writes the row of an attempt about which only the server has something to say.
    pub(crate) fn record_without_report(&mut self, place: Place, outcome: Outcome, counted: bool) {
        let record = AttemptRecord {
            attempt: place.attempt,
            job: place.job,
            task: place.task,
            node: place.node,
            outcome,
            counted,
            granted_at: self.granted_at(place),
            started_at: None,
            ended_at: self.office.now.wall,
            usage: Usage::default(),
            output: None,
        };
        self.ledger
            .changes
            .push(Change::AttemptEnded(Box::new(record)));
    }

    fn granted_at(&self, place: Place) -> Timestamp {
        self.grants
            .get(place.grant)
            .map(|grant| grant.head().granted_at)
            .unwrap_or_default()
    }
}
