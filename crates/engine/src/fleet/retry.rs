//! Tasks that ended without success wait again, also those of a job that the fleet has forgotten.
//!
//! A finished job comes back as the store has it. The one who reads it draws a ticket first: a job
//! that was taken up after that may have changed since, and what was read of it is refused.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::Change,
    command::{Refusal, Reply},
    control::{Retried, RetryTicket, RetryWhich, StoredJob},
    ids::{JobId, TaskIndex},
    spec::TaskRange,
    state::{JobPhase, NodePhase, TaskState},
};

use super::{Fleet, api::FleetEvent, job::Job};
use crate::sabotage::Rule;

/// Jobs that were taken up again of which the fleet remembers when. Tickets from before the oldest
/// of them are not valid any more.
const REVIVALS_KEPT: usize = 65_536;

/// Which finished jobs were taken up again in this start, and when.
#[derive(Debug, Default)]
pub(crate) struct Revivals {
    count: u64,
    last: BTreeMap<JobId, u64>,
    by_age: BTreeMap<u64, JobId>,
    /// The highest that was forgotten.
    floor: u64,
}

impl Revivals {
    pub(crate) fn ticket(&self) -> RetryTicket {
        RetryTicket(self.count)
    }

    /// Whether what was read of a job after the ticket was drawn is how the job is now, provided
    /// that it is not live.
    pub(crate) fn is_current(&self, job: JobId, ticket: RetryTicket) -> bool {
        let last = self.last.get(&job).copied().unwrap_or(0);
        ticket.0 >= self.floor.max(last)
    }

    pub(crate) fn note(&mut self, job: JobId) {
        self.count += 1;
        if let Some(before) = self.last.insert(job, self.count) {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.count, job);
        if self.by_age.len() > REVIVALS_KEPT
            && let Some((oldest, job)) = self.by_age.pop_first()
        {
            self.last.remove(&job);
            self.floor = oldest;
        }
    }
}

impl Fleet {
    pub(crate) fn retry(
        &mut self,
        job: JobId,
        which: &RetryWhich,
        stored: Option<Box<StoredJob>>,
    ) -> Result<Reply, Refusal> {
        if self.office.is_frozen() {
            return Err(Refusal::StoreBehind);
        }
        let is_new = self.jobs.get(job).is_none();
        if is_new {
            let stored = stored.ok_or_else(|| self.no_live(job))?;
            self.take_up(job, *stored)?;
        }
        let entry = self.jobs.live(job);
        if entry.is_service() {
            return Err(Refusal::ServiceKind);
        }
        if entry.is_cancelling() {
            return Err(Refusal::JobCancelling(job));
        }
        let deadline = entry.record.spec.spec.rules.deadline;
        if deadline.is_some_and(|at| at <= self.office.now.wall) {
            if is_new {
                self.jobs.remove(job);
            }
            return Err(Refusal::DeadlinePassed);
        }
        let (held, left) = self.let_go_of(job, which);
        let retried = self.wait_again(job, which, &held);
        if retried > 0 {
            self.begin_again(job);
        } else if is_new {
            // It is as finished as before.
            self.jobs.remove(job);
        }
        Ok(Reply::Retried(Retried {
            job,
            tasks: retried,
            left,
        }))
    }

    /// Brings a finished job back.
    fn take_up(&mut self, job: JobId, stored: StoredJob) -> Result<(), Refusal> {
        let StoredJob {
            record,
            chunks,
            ticket,
        } = stored;
        let unchecked = self.office.settings.sabotage.breaks(Rule::RetryTicket);
        if !unchecked && !self.jobs.revivals.is_current(job, ticket) {
            return Err(Refusal::JobChanged(job));
        }
        if record.spec.spec.service.is_some() {
            return Err(Refusal::ServiceKind);
        }
        if record.job != job || record.phase != JobPhase::Finished {
            return Err(Refusal::JobChanged(job));
        }
        self.admit_job(record.spec.spec.tasks.count())?;
        let mut entry = Job::new(record);
        let fits = chunks
            .iter()
            .all(|(number, bytes)| entry.restore_chunk(*number, bytes));
        if !fits || entry.recount() != entry.record.counts {
            return Err(Refusal::JobChanged(job));
        }
        self.jobs.insert(entry);
        Ok(())
    }

    /// Tasks of a job that some node may still hold an attempt of. What is held by a node that was
    /// given up is settled here, and its task is free; of the others their nodes are asked to let go.
    fn let_go_of(&mut self, job: JobId, which: &RetryWhich) -> (BTreeSet<TaskIndex>, u32) {
        let grants: Vec<_> = self.jobs.live(job).grants.iter().copied().collect();
        let mut held = BTreeSet::new();
        for place in grants
            .into_iter()
            .flat_map(|(_, grant)| self.unsettled_of(grant))
            .collect::<Vec<_>>()
        {
            let state = self.jobs.live(job).state(place.task);
            let is_wanted = which.states.contains(&state)
                && (which.tasks.is_empty()
                    || which.tasks.iter().any(|range| range.contains(place.task)));
            if !is_wanted {
                continue;
            }
            let phase = self.nodes.get(place.node).map(super::node::Node::phase);
            if phase != Some(NodePhase::Lost) {
                held.insert(place.task);
            }
            if phase != Some(NodePhase::Away) {
                self.revoke(place);
            }
        }
        let left = u32::try_from(held.len()).unwrap_or(u32::MAX);
        (held, left)
    }

    /// Sets tasks back to waiting, all but those that are `held`; tells how many.
    fn wait_again(&mut self, job: JobId, which: &RetryWhich, held: &BTreeSet<TaskIndex>) -> u32 {
        let entry = self.jobs.live(job);
        let ranges = if which.tasks.is_empty() {
            vec![entry.tasks()]
        } else {
            merged(&which.tasks)
        };
        let mut found: Vec<TaskRange> = Vec::new();
        for range in ranges {
            found.extend(entry.stretches(&which.states, range));
        }
        let mut count = 0;
        for tasks in found.iter().flat_map(|range| without(*range, held)) {
            let number = entry.set_stretch(tasks, TaskState::Waiting);
            self.ledger.chunks.insert((job, number));
            count += tasks.count();
            self.ledger
                .changes
                .push(Change::TasksRetried { job, tasks });
        }
        count
    }

    /// A job has waiting tasks again, whatever it was before.
    fn begin_again(&mut self, job: JobId) {
        let at = self.office.now.wall;
        self.jobs.revivals.note(job);
        let record = &mut self.jobs.live(job).record;
        let was_finished = record.phase == JobPhase::Finished;
        record.phase = JobPhase::Active;
        record.finished_at = None;
        record.control.ending = None;
        record.control.again_at = Some(at);
        self.ledger.controls.insert(job);
        self.ledger.jobs.insert(job);
        self.unwatch_time(job);
        self.watch_time(job);
        self.enqueue(job);
        if was_finished {
            self.publish(FleetEvent::Job {
                job,
                phase: JobPhase::Active,
                at,
            });
        }
    }
}

/// The same tasks in ranges that do not overlap.
fn merged(ranges: &[TaskRange]) -> Vec<TaskRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<TaskRange> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
            _ => merged.push(range),
        }
    }
    merged
}

/// What is left of a range without some of its tasks.
fn without(range: TaskRange, held: &BTreeSet<TaskIndex>) -> Vec<TaskRange> {
    let mut parts = Vec::new();
    let mut first = range.first;
    for task in held.range(range.first..=range.last) {
        if first < *task {
            let last = TaskIndex(task.0 - 1);
            parts.push(TaskRange { first, last });
        }
        first = TaskIndex(task.0.saturating_add(1));
    }
    if first <= range.last {
        let last = range.last;
        parts.push(TaskRange { first, last });
    }
    parts
}
