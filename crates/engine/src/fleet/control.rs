//! What people and rules do with a job that runs: hold it back, or end it before its time.

use std::{collections::BTreeMap, time::Duration};

use flota_model::{
    change::Change,
    command::{Principal, QueueView, Refusal, Reply},
    control::{EndCause, Ending, Pause},
    frame::DownBody,
    ids::{AttemptId, AttemptRange, JobId, NodeId},
    outcome::{Outcome, Report},
    state::TaskState,
    units::{Moment, Timestamp},
};

use super::{Fleet, job::Job};
use crate::sabotage::Rule;

impl Fleet {
    /// Cancels a live job, and keeps why.
    pub(crate) fn end_job(
        &mut self,
        job: JobId,
        cause: EndCause,
        by: &str,
        reason: Option<String>,
    ) {
        let ending = Ending {
            cause,
            by: by.to_owned(),
            at: self.office.now.wall,
            reason,
        };
        let control = &mut self.jobs.live(job).record.control;
        control.ending = Some(Box::new(ending));
        control.paused = None;
        self.ledger.controls.insert(job);
        self.begin_cancel(job);
    }

    /// Why a job that is not live cannot be changed.
    pub(crate) fn no_live(&self, job: JobId) -> Refusal {
        if job.0 > 0 && job < self.office.counters.job {
            Refusal::JobFinished(job)
        } else {
            Refusal::JobNotFound(job)
        }
    }

    /// A live batch job that goes on.
    fn active(&mut self, job: JobId) -> Result<&mut Job, Refusal> {
        if self.office.is_frozen() {
            return Err(Refusal::StoreBehind);
        }
        if self.jobs.get(job).is_none() {
            return Err(self.no_live(job));
        }
        let entry = self.jobs.live(job);
        if entry.is_service() {
            return Err(Refusal::ServiceKind);
        }
        if entry.is_cancelling() {
            return Err(Refusal::JobCancelling(job));
        }
        if !entry.is_active() {
            return Err(Refusal::JobFinished(job));
        }
        Ok(entry)
    }

    pub(crate) fn pause_job(
        &mut self,
        principal: &Principal,
        job: JobId,
        reason: Option<String>,
    ) -> Result<Reply, Refusal> {
        let pause = self.pause_of(principal, reason);
        let entry = self.active(job)?;
        if entry.record.control.paused.is_none() {
            entry.record.control.paused = Some(Box::new(pause));
            let grants: Vec<_> = entry.grants.iter().map(|(_, grant)| *grant).collect();
            self.ledger.controls.insert(job);
            self.enqueue(job);
            let places = grants
                .into_iter()
                .flat_map(|grant| self.unsettled_of(grant));
            let attempts = places.map(|place| (place.node, place.attempt)).collect();
            self.take_back(attempts);
        }
        Ok(Reply::Job(Box::new(self.jobs.live(job).record.clone())))
    }

    pub(crate) fn resume_job(&mut self, job: JobId) -> Result<Reply, Refusal> {
        let entry = self.active(job)?;
        if entry.record.control.paused.take().is_some() {
            self.ledger.controls.insert(job);
            self.enqueue(job);
            // What must run alone is in no class.
            self.nodes.all_dirty();
        }
        Ok(Reply::Job(Box::new(self.jobs.live(job).record.clone())))
    }

    pub(crate) fn pause_queue(&mut self, principal: &Principal, reason: Option<String>) -> Reply {
        if self.queue.paused.is_none() {
            let pause = self.pause_of(principal, reason);
            self.queue.paused = Some(pause.clone());
            self.ledger
                .changes
                .push(Change::QueueControlled(Some(pause)));
            let batch = self.jobs.live.values().filter(|job| !job.is_service());
            let grants = batch.flat_map(|job| job.grants.iter().map(|(_, grant)| *grant));
            let places = grants.flat_map(|grant| self.unsettled_of(grant));
            let attempts = places.map(|place| (place.node, place.attempt)).collect();
            self.take_back(attempts);
        }
        Reply::Held(self.queue_view())
    }

    pub(crate) fn resume_queue(&mut self) -> Reply {
        if self.queue.paused.take().is_some() {
            self.ledger.changes.push(Change::QueueControlled(None));
            self.nodes.all_dirty();
        }
        Reply::Held(self.queue_view())
    }

    pub(crate) fn queue_view(&self) -> QueueView {
        let mut view = QueueView {
            paused: self.queue.paused.clone(),
            waiting: 0,
            granted: 0,
            jobs_paused: 0,
        };
        for job in self.jobs.live.values().filter(|job| !job.is_service()) {
            let counts = &job.record.counts;
            let waiting = counts.of(TaskState::Waiting) + counts.of(TaskState::Parked);
            view.waiting += u64::from(waiting);
            view.granted += u64::from(counts.of(TaskState::Granted));
            view.jobs_paused += u64::from(job.is_paused());
        }
        view
    }

    fn pause_of(&self, principal: &Principal, reason: Option<String>) -> Pause {
        Pause {
            by: principal.name.clone(),
            at: self.office.now.wall,
            reason,
        }
    }

    /// What was only sent ahead is to come back: nodes keep what has started. What was seen to run is
    /// not asked for.
    fn take_back(&mut self, attempts: Vec<(NodeId, AttemptId)>) {
        let mut by_node: BTreeMap<NodeId, Vec<AttemptId>> = BTreeMap::new();
        for (node, attempt) in attempts {
            by_node.entry(node).or_default().push(attempt);
        }
        for (id, mut attempts) in by_node {
            let node = self.nodes.known(id);
            if node.session.is_none() {
                // Its next hello says what it holds.
                continue;
            }
            attempts.retain(|attempt| {
                !node.running.iter().any(|range| {
                    range.first <= *attempt && *attempt < range.first.plus(range.count)
                })
            });
            node.asked.extend(attempts.iter().copied());
            if !attempts.is_empty() {
                self.send(id, DownBody::Retract(AttemptRange::gather(attempts)));
            }
        }
    }

    /// Notes when a job is over by its own rules.
    pub(crate) fn watch_time(&mut self, job: JobId) {
        let now = self.office.now;
        let record = &self.jobs.live(job).record;
        let rules = &record.spec.spec.rules;
        let deadline = rules.deadline;
        let timeout = rules.timeout.map(|timeout| {
            // The wall clock tells how much was used up before this start of the server; from now on it
            // is the clock of durations.
            let since = record.control.again_at.unwrap_or(record.submitted_at);
            let used = Duration::from_micros(now.wall.0.saturating_sub(since.0));
            now.moment + timeout.saturating_sub(used)
        });
        if let Some(at) = timeout {
            self.queue.timeouts.insert((at, job));
            self.jobs.live(job).times_out_at = Some(at);
        }
        if let Some(at) = deadline {
            self.queue.deadlines.insert((at, job));
        }
    }

    /// Forgets that a job is watched.
    pub(crate) fn unwatch_time(&mut self, job: JobId) {
        let entry = self.jobs.live(job);
        if let Some(at) = entry.times_out_at.take() {
            self.queue.timeouts.remove(&(at, job));
        }
        if let Some(at) = entry.record.spec.spec.rules.deadline {
            self.queue.deadlines.remove(&(at, job));
        }
    }

    /// Ends the jobs whose time is over.
    pub(crate) fn end_overdue(&mut self) {
        let now = self.office.now;
        if self.office.settings.sabotage.breaks(Rule::Deadline) {
            return;
        }
        while let Some((at, job)) = self.queue.timeouts.first().copied() {
            if at > now.moment {
                break;
            }
            self.queue.timeouts.pop_first();
            self.end_by_rule(job, EndCause::Timeout);
        }
        while let Some((at, job)) = self.queue.deadlines.first().copied() {
            if at > now.wall {
                break;
            }
            self.queue.deadlines.pop_first();
            self.end_by_rule(job, EndCause::Deadline);
        }
    }

    /// When the next job is over, if no clock is set meanwhile.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        let now = self.office.now;
        let timeout = self.queue.timeouts.first().map(|(at, _)| *at);
        let until = |at: &Timestamp| Duration::from_micros(at.0.saturating_sub(now.wall.0));
        let deadline = self.queue.deadlines.first();
        let deadline = deadline.map(|(at, _)| now.moment + until(at));
        [timeout, deadline].into_iter().flatten().min()
    }

    /// Cancels the jobs of which too many tasks have failed.
    pub(crate) fn enforce_max_fails(&mut self) {
        for job in std::mem::take(&mut self.ledger.failing) {
            let Some(entry) = self.jobs.get(job) else {
                continue;
            };
            let counts = &entry.record.counts;
            let failed = counts.of(TaskState::Failed) + counts.of(TaskState::Dead);
            let most = entry.record.spec.spec.rules.max_fails;
            let broken = self.office.settings.sabotage.breaks(Rule::MaxFails);
            let is_over =
                most.is_some_and(|most| most.is_exceeded(u64::from(failed), counts.total()));
            if is_over && !broken {
                self.end_by_rule(job, EndCause::MaxFails);
            }
        }
    }

    fn end_by_rule(&mut self, job: JobId, cause: EndCause) {
        let Some(entry) = self.jobs.get(job) else {
            return;
        };
        if entry.is_active() {
            let by = entry.record.principal.clone();
            self.end_job(job, cause, &by, None);
        }
    }

    /// What ran when the time of its job was over has timed out, whatever its agent calls it: that it
    /// was stopped.
    pub(crate) fn name_time_out(&self, job: JobId, report: &mut Report) {
        let ending = self.jobs.get(job);
        let ending = ending.and_then(|job| job.record.control.ending.as_ref());
        let by_time = ending
            .is_some_and(|ending| matches!(ending.cause, EndCause::Timeout | EndCause::Deadline));
        let ran = report.started_at.is_some();
        if by_time && ran && report.outcome == Outcome::Cancelled {
            report.outcome = Outcome::TimedOut;
        }
    }
}
