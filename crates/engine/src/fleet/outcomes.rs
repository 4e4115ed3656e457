//! What becomes of a task when one of its attempts ends.

use std::time::Duration;

use flota_model::{
    change::Change,
    frame::DownBody,
    ids::{AttemptId, AttemptRange, JobId, NodeId, TaskIndex},
    outcome::{Outcome, Report},
    spec::Retry,
    state::TaskState,
    units::{Moment, Timestamp},
};

use super::{Fleet, job::Job, settle::Place};

/// An attempt that was granted less than this before its node was last heard had just started.
const JUST_STARTED: Duration = Duration::from_secs(3);

/// How long nothing more is granted to a node that refused a grant on its own.
const REFUSING: Duration = Duration::from_secs(1);

/// What a task does after an attempt of it ended.
pub(crate) enum Next {
    End(TaskState),
    Again(Option<Duration>),
}

/// What the loss of an attempt says about its task.
#[derive(PartialEq, Eq)]
enum Blame {
    None,
    Suspected,
    Alone,
}

impl Fleet {
    /// Applies reports and acknowledges all of them: a report that does not count any more is
    /// settled as well (PROTOCOL 13).
    pub(crate) fn reports(&mut self, node: NodeId, reports: Vec<Report>) {
        let attempts = AttemptRange::gather(reports.iter().map(|report| report.attempt));
        for report in reports {
            self.report(node, report);
        }
        self.send(node, DownBody::Acknowledge(attempts));
    }

    fn report(&mut self, node: NodeId, mut report: Report) {
        let Some(place) = self.place_of(report.attempt) else {
            return self.let_go_of_stray(node, report.attempt);
        };
        let job = self.jobs.live(place.job);
        let same = place.node == node
            && report.job == place.job
            && report.task == place.task
            && report.spec_hash == job.record.spec.hash;
        if !same {
            return;
        }
        let (state, never) = (job.state(place.task), job.never_retries());
        self.name_time_out(place.job, &mut report);
        match state {
            // What starts only once has one attempt: this is the one that was unknown.
            TaskState::Unknown if never => self.correct(place, report),
            TaskState::Granted | TaskState::Waiting | TaskState::Parked => {
                self.conclude(place, report);
            }
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Dead
            | TaskState::Unknown
            | TaskState::Blocked
            | TaskState::Skipped => {
                let record = self.record(place, report, false);
                self.ledger.changes.push(Change::AttemptEnded(record));
                self.settle(place);
            }
        }
    }

    /// The real outcome of an attempt supersedes its `unknown` (PROTOCOL 7).
    fn correct(&mut self, place: Place, report: Report) {
        let state = match report.outcome {
            Outcome::Unknown => TaskState::Unknown,
            Outcome::Cancelled => TaskState::Cancelled,
            ref other if other.is_success() => TaskState::Succeeded,
            Outcome::Completed
            | Outcome::Exited { .. }
            | Outcome::Signalled { .. }
            | Outcome::OutOfMemory
            | Outcome::TimedOut
            | Outcome::NotStarted { .. }
            | Outcome::Failed { .. }
            | Outcome::Lost => TaskState::Failed,
        };
        let record = self.record(place, report, true);
        self.ledger.changes.push(Change::AttemptCorrected(record));
        self.settle(place);
        self.set_task(place.job, place.task, state);
    }

    /// An eligible attempt of a task that has not ended.
    fn conclude(&mut self, place: Place, report: Report) {
        // Beside its replacement a suspect counts only if it succeeds. A task that is being cancelled
        // has ended only when the last of its attempts has.
        let job = self.jobs.live(place.job);
        let cancelling = job.is_cancelling() || !job.wants(place.task);
        let is_service = job.is_service();
        let beside =
            place.suspect && self.is_replaced(place) || cancelling && self.has_other(place);
        let next = if beside && (is_service || !report.outcome.is_success()) {
            None
        } else {
            Some(self.next(place, &report.outcome))
        };
        let counted = matches!(next, Some(Next::End(_)));
        let record = self.record(place, report, counted);
        self.ledger.changes.push(Change::AttemptEnded(record));
        self.settle(place);
        match next {
            Some(Next::End(state)) => self.end_task(place.job, place.task, state),
            Some(Next::Again(after)) => self.requeue(place.job, place.task, after),
            None => {}
        }
    }

    /// Whether the task of a suspect attempt is in the queue again, or granted to a node that
    /// answers.
    pub(crate) fn is_replaced(&self, place: Place) -> bool {
        let state = self.jobs.get(place.job).map(|job| job.state(place.task));
        state != Some(TaskState::Granted)
            || self
                .attempts_of(place.job, place.task)
                .iter()
                .any(|other| other.attempt != place.attempt && !other.suspect)
    }

    /// Whether the task of an attempt has another one that is not settled.
    fn has_other(&self, place: Place) -> bool {
        self.jobs
            .get(place.job)
            .is_some_and(Job::has_spare_attempts)
            && self.attempts_of(place.job, place.task).len() > 1
    }

    fn next(&mut self, place: Place, outcome: &Outcome) -> Next {
        if self.jobs.live(place.job).is_service() {
            return self.next_of_replica(place, outcome);
        }
        if outcome.is_success() {
            return Next::End(TaskState::Succeeded);
        }
        let job = self.jobs.live(place.job);
        let (cancelling, never) = (job.is_cancelling(), job.never_retries());
        match outcome {
            Outcome::Cancelled if cancelling || never => Next::End(TaskState::Cancelled),
            Outcome::Lost if never => Next::End(TaskState::Failed),
            Outcome::Lost if cancelling => Next::End(TaskState::Cancelled),
            Outcome::Cancelled | Outcome::Lost => Next::Again(None),
            Outcome::Unknown if never || cancelling => Next::End(TaskState::Unknown),
            Outcome::Unknown => self.after_loss(place),
            Outcome::Completed
            | Outcome::Exited { .. }
            | Outcome::Signalled { .. }
            | Outcome::OutOfMemory
            | Outcome::TimedOut
            | Outcome::NotStarted { .. }
            | Outcome::Failed { .. } => self.after_failure(place, outcome),
        }
    }

    fn after_failure(&mut self, place: Place, outcome: &Outcome) -> Next {
        let job = self.jobs.live(place.job);
        let spec = &job.record.spec.spec;
        let Retry::Limited {
            retries,
            backoff,
            backoff_max,
        } = spec.retry
        else {
            return Next::End(TaskState::Failed);
        };
        let failures = job
            .histories
            .get(&place.task)
            .map_or(0, |history| history.failures);
        if failures >= retries || job.is_cancelling() || !spec.rules.retries(outcome) {
            return Next::End(TaskState::Failed);
        }
        job.histories.entry(place.task).or_default().failures = failures + 1;
        self.ledger.histories.insert((place.job, place.task));
        let doubled = backoff
            .saturating_mul(1 << failures.min(20))
            .min(backoff_max);
        Next::Again(Some(self.office.jitter(doubled)))
    }

    /// A lost attempt may have been killed by its own task (PROTOCOL 30).
    fn after_loss(&mut self, place: Place) -> Next {
        if !self
            .jobs
            .live(place.job)
            .record
            .spec
            .spec
            .rules
            .replaces_lost()
        {
            return Next::End(TaskState::Failed);
        }
        let blame = self.blame(place);
        // A service is to stay up, whatever it does to its nodes.
        if blame == Blame::None || self.jobs.live(place.job).is_service() {
            return Next::Again(None);
        }
        let most = self.office.settings.losses_max;
        let history = self
            .jobs
            .live(place.job)
            .histories
            .entry(place.task)
            .or_default();
        if blame == Blame::Alone {
            history.losses += 1;
        } else {
            history.apart = true;
        }
        let dead = history.losses >= most;
        self.ledger.histories.insert((place.job, place.task));
        if dead {
            Next::End(TaskState::Dead)
        } else {
            Next::Again(None)
        }
    }

    /// What the loss of an attempt says about its task: it counts where the attempt ran alone on its
    /// node or had just started; where others ran beside it, each of them is suspected.
    fn blame(&self, place: Place) -> Blame {
        let Some(node) = self.nodes.get(place.node) else {
            return Blame::None;
        };
        let granted_at = self
            .grants
            .get(place.grant)
            .map(|grant| grant.head().granted_at);
        let heard_at = node.last_heard_at.unwrap_or_default();
        let age = |at: Timestamp| Duration::from_micros(heard_at.0.saturating_sub(at.0));
        let just_started = granted_at.is_some_and(|at| age(at) < JUST_STARTED);
        let ran = node.running.iter().any(|range| {
            range.first <= place.attempt && place.attempt < range.first.plus(range.count)
        });
        // What runs apart has services beside it, or would wait for ever: they are not suspected.
        let running = node.running.iter().flat_map(|range| range.iter());
        let is_batch = |attempt: &AttemptId| {
            let place = self.place_of(*attempt);
            let job = place.and_then(|place| self.jobs.get(place.job));
            job.is_none_or(|job| !job.is_service())
        };
        let beside = running.filter(is_batch).take(2).count();
        match (just_started || ran && beside == 1, ran) {
            (true, _) => Blame::Alone,
            (false, true) => Blame::Suspected,
            (false, false) => Blame::None,
        }
    }

    /// An attempt was lost with its node: its task is granted elsewhere.
    pub(crate) fn replace(&mut self, place: Place) {
        match self.after_loss(place) {
            Next::End(state) => {
                self.record_without_report(place, Outcome::Lost, true);
                self.settle(place);
                self.end_task(place.job, place.task, state);
            }
            Next::Again(after) => self.requeue(place.job, place.task, after),
        }
    }

    /// The agent confirms that these never start (again): their tasks are free (PROTOCOL 6).
    pub(crate) fn forgotten(&mut self, node: NodeId, ranges: &[AttemptRange]) {
        for attempt in ranges.iter().flat_map(|range| range.iter()) {
            if let Some(place) = self.place_of(attempt).filter(|place| place.node == node) {
                self.forgotten_one(place);
            } else {
                self.let_go_of_stray(node, attempt);
            }
        }
    }

    /// A node no longer has an attempt that was settled without it.
    fn let_go_of_stray(&mut self, node: NodeId, attempt: AttemptId) {
        if self.nodes.known(node).asked.remove(&attempt) {
            self.nodes.dirty.insert(node);
        }
    }

    fn forgotten_one(&mut self, place: Place) {
        let head = self
            .grants
            .get(place.grant)
            .map(|grant| (grant.head().boot, grant.head().journal));
        let now = self.office.now.moment;
        let node = self.nodes.known(place.node);
        // Only a journal that was not replaced, on a machine that was not restarted, can say that
        // an attempt never started: else the record may have been lost with the page cache.
        let same_journal = head == Some((node.record.boot, node.record.journal));
        let asked = node.asked.remove(&place.attempt);
        if !asked {
            node.refusing_until = Some(now + REFUSING);
        }
        let replaced = place.suspect && self.is_replaced(place);
        let job = self.jobs.live(place.job);
        let cancelling = job.is_cancelling() || !job.wants(place.task);
        let never = job.never_retries();
        let state = job.state(place.task);
        if state.is_terminal() || replaced || cancelling && self.has_other(place) {
            self.settle(place);
        } else if never && !same_journal {
            self.record_without_report(place, Outcome::Unknown, true);
            self.settle(place);
            self.end_task(place.job, place.task, TaskState::Unknown);
        } else if cancelling || same_journal {
            self.settle(place);
            self.requeue(place.job, place.task, None);
        } else {
            self.lost_with_journal(place);
        }
    }

    pub(crate) fn lost_with_journal(&mut self, place: Place) {
        let next = self.after_loss(place);
        let counted = matches!(next, Next::End(_));
        self.record_without_report(place, Outcome::Lost, counted);
        self.settle(place);
        match next {
            Next::End(state) => self.end_task(place.job, place.task, state),
            Next::Again(after) => self.requeue(place.job, place.task, after),
        }
    }

    /// Tasks whose back-off is over are waiting again.
    pub(crate) fn release_parked(&mut self, now: Moment) {
        while let Some((job, task)) = self.queue.release(now) {
            if self.is_parked(job, task) {
                self.ready(job, task);
            }
        }
    }

    pub(crate) fn is_parked(&self, job: JobId, task: TaskIndex) -> bool {
        self.jobs
            .get(job)
            .is_some_and(|job| job.state(task) == TaskState::Parked)
    }
}
