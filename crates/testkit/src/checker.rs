//! What must be true of every commit.

use flota_engine::keeper::api::StopReason;
use flota_model::{
    change::{AttemptRecord, AuditRecord, Batch, Change, GrantRecord, JobRecord, Snapshot},
    control::EndCause,
    ids::{AttemptId, BatchNumber, JobId, TaskIndex},
    outcome::Outcome,
    spec::TaskRange,
    state::{Counts, JobPhase, TaskState},
};

use crate::{
    outcomes::{Case, StopReasons, judge},
    tally::Trouble,
    truth::{Breach, Excuse, Granted, Invariant, KnownJob, TaskKey, breach, by_time, stops},
    world::World,
};

impl World {
    /// A batch was committed: checks each of its changes against the truth, and learns from it.
    pub(crate) fn committed(&mut self, batch: &Batch) {
        // Commands come before placement, and are written down after it.
        for change in &batch.changes {
            self.controlled(change, batch.number);
        }
        for change in &batch.changes {
            if let Change::AuthorityTaken { authority, .. } = change
                && !self.truth.authorities.insert(*authority)
            {
                self.count(Trouble::EpochRepeated);
            }
            let result = match change {
                Change::JobAdded(record) => self.job_added(record, batch.number),
                Change::JobProgressed {
                    job,
                    phase: JobPhase::Finished,
                    ..
                } => self.job_finished(*job),
                Change::JobProgressed {
                    job, phase, counts, ..
                } => self.check_fails(*job, *phase, counts),
                Change::TasksRetried { job, tasks } => self.tasks_retried(*job, *tasks),
                Change::GrantAdded(record) => self.grant_added(record, batch.number),
                Change::AttemptEnded(record) => self.attempt_ended(record),
                Change::AttemptCorrected(record) => self.attempt_counted(record),
                Change::Audited(record) => {
                    self.audited(record, batch.number);
                    Ok(())
                }
                Change::AuthorityTaken {
                    recovered: true, ..
                } => {
                    self.truth.doubt(batch.authority.epoch);
                    Ok(())
                }
                Change::AuthorityTaken { .. }
                | Change::QueueControlled(_)
                | Change::JobControlled { .. }
                | Change::ChunkWritten { .. }
                | Change::TaskHistoryWritten { .. }
                | Change::GrantWritten { .. }
                | Change::GrantRemoved(_)
                | Change::NodeWritten(_)
                | Change::KeyAdded { .. }
                | Change::KeyRemoved(_)
                | Change::ServiceWritten(_)
                | Change::ServiceRemoved(_)
                | Change::RevisionWritten { .. }
                | Change::RevisionRemoved { .. }
                | Change::NoteWritten(_)
                | Change::NoteRemoved { .. }
                | Change::CountersWritten(_) => Ok(()),
            };
            self.check(result);
        }
        self.services_committed(batch);
    }

    /// What the store gives back is what the fleet believes to have made durable.
    pub(crate) fn check_same(&mut self, durable: &Snapshot) {
        let stored = self.server.store.load();
        if stored != *durable {
            let detail = differences(&stored, durable);
            self.fail(Invariant::SameAsStore, detail);
        }
    }

    /// What clients were told is in the store.
    pub(crate) fn check_durable(&mut self) {
        let mut lost = None;
        for (job, principal) in &self.truth.acknowledged {
            let known = self.truth.jobs.get(job);
            if known.is_none_or(|known| known.principal != *principal) {
                lost = Some(format!(
                    "job {job} of {principal} was acknowledged and is lost"
                ));
            }
        }
        for job in &self.truth.cancels_acknowledged {
            if self
                .truth
                .jobs
                .get(job)
                .is_some_and(|known| known.cancelled.is_none())
            {
                lost = Some(format!(
                    "the cancel of job {job} was acknowledged and is lost"
                ));
            }
        }
        if let Some(lost) = lost {
            self.fail(Invariant::Durable, lost);
        }
    }

    fn job_added(&mut self, record: &JobRecord, batch: BatchNumber) -> Result<(), Breach> {
        let principal = record.principal.clone();
        let before = self
            .truth
            .jobs
            .iter()
            .find(|(_, job)| job.principal == principal);
        let before = before.map(|(job, _)| *job);
        self.truth.jobs.insert(
            record.job,
            KnownJob {
                spec: record.spec.clone(),
                principal: principal.clone(),
                batch,
                cancelled: None,
                finished: false,
                paused: record.control.paused.is_some(),
                timed_out: false,
            },
        );
        let is_service = record.spec.spec.service.is_some();
        match before.filter(|_| !is_service) {
            None => Ok(()),
            Some(before) => {
                let detail = format!("{principal} has job {before} and job {}", record.job);
                breach(Invariant::OneJobPerKey, detail)
            }
        }
    }

    fn job_finished(&mut self, job: JobId) -> Result<(), Breach> {
        let Some(known) = self.truth.jobs.get_mut(&job) else {
            return Ok(());
        };
        known.finished = true;
        if known.spec.spec.service.is_some() {
            return self.revision_is_quiet(job);
        }
        if known.cancelled.is_none() {
            return Ok(());
        }
        match self.running_of(job) {
            None => Ok(()),
            Some(attempt) => {
                let detail = format!("job {job} is cancelled and finished, but {attempt} runs");
                breach(Invariant::CancelledIsQuiet, detail)
            }
        }
    }

    /// Learns what was done with jobs and with the queue.
    fn controlled(&mut self, change: &Change, batch: BatchNumber) {
        if let Change::QueueControlled(pause) = change {
            self.truth.queue_paused = pause.is_some();
        }
        let Change::JobControlled { job, control } = change else {
            return;
        };
        let mut was_paused = false;
        if let Some(known) = self.truth.jobs.get_mut(job) {
            known.timed_out = by_time(control);
            if control.ending.is_some() {
                known.cancelled.get_or_insert(batch);
            }
            was_paused = std::mem::replace(&mut known.paused, control.paused.is_some());
        }
        if control.paused.is_some() && !was_paused {
            self.count(Trouble::Paused);
        }
        match control.ending.as_ref().map(|ending| ending.cause) {
            Some(EndCause::Timeout | EndCause::Deadline) => self.count(Trouble::Overdue),
            Some(EndCause::MaxFails) => self.count(Trouble::FailedTooOften),
            Some(EndCause::Person) | None => {}
        }
    }

    /// A job of which too many tasks have failed is cancelled in the same turn.
    fn check_fails(&self, job: JobId, phase: JobPhase, counts: &Counts) -> Result<(), Breach> {
        let known = self.truth.jobs.get(&job);
        let most = known.and_then(|known| known.spec.spec.rules.max_fails);
        let failed = counts.of(TaskState::Failed) + counts.of(TaskState::Dead);
        match most {
            Some(most)
                if phase == JobPhase::Active
                    && most.is_exceeded(u64::from(failed), counts.total()) =>
            {
                let detail = format!("job {job} goes on with {failed} failed: {most:?}");
                breach(Invariant::MaxFails, detail)
            }
            _ => Ok(()),
        }
    }

    /// Tasks that ended without success wait again; what counted of them is history.
    fn tasks_retried(&mut self, job: JobId, tasks: TaskRange) -> Result<(), Breach> {
        let succeeded = self.truth.counted.iter().find(|((of, task), attempt)| {
            let outcome = self.truth.outcomes.get(attempt);
            *of == job && tasks.contains(*task) && outcome.is_some_and(Outcome::is_success)
        });
        if let Some((task, attempt)) = succeeded {
            let detail = format!("{task:?} is tried again after the success of {attempt}");
            return breach(Invariant::NoRestart, detail);
        }
        self.count(Trouble::TriedAgain);
        if let Some(known) = self.truth.jobs.get_mut(&job) {
            known.finished = false;
            known.cancelled = None;
            known.timed_out = false;
        }
        self.truth.cancels_acknowledged.remove(&job);
        let is_meant = |task: &TaskKey| task.0 == job && tasks.contains(task.1);
        self.truth.counted.retain(|task, _| !is_meant(task));
        let earlier = self.truth.attempts.values_mut();
        for granted in earlier.filter(|granted| is_meant(&granted.task)) {
            granted.retried = true;
        }
        Ok(())
    }

    /// An attempt of a job that is cancelled and runs.
    fn running_of(&self, job: JobId) -> Option<AttemptId> {
        let executions = self.truth.executions.iter();
        executions
            .filter_map(|(attempt, execution)| {
                let granted = self.truth.attempts.get(attempt)?;
                // Only what is fenced may be believed dead unheard.
                let runs = if stops(&granted.spec) {
                    self.truth.runs(execution, &granted.spec, self.now)
                } else {
                    execution.ended.is_none() && !execution.abandoned
                };
                (granted.task.0 == job && runs).then_some(*attempt)
            })
            .find(|attempt| self.truth.is_cancelled(*attempt))
    }

    fn audited(&mut self, record: &AuditRecord, batch: BatchNumber) {
        let job = record
            .object
            .strip_prefix("job/")
            .and_then(|text| text.parse().ok());
        if let (Some(job), "job.cancel", None) = (job, record.verb, record.refused)
            && let Some(known) = self.truth.jobs.get_mut(&JobId(job))
        {
            known.cancelled.get_or_insert(batch);
        }
    }

    fn grant_added(&mut self, record: &GrantRecord, batch: BatchNumber) -> Result<(), Breach> {
        let Some(job) = self.truth.jobs.get(&record.job) else {
            return breach(Invariant::StoreFits, format!("{record:?} is of no job"));
        };
        let (spec, cancelled, finished) = (job.spec.clone(), job.cancelled.is_some(), job.finished);
        let paused = job.paused;
        for (offset, attempt) in record.attempts.iter().enumerate() {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            let task = (record.job, TaskIndex(record.first_task.0 + offset));
            let granted = Granted {
                task,
                node: record.node,
                spec: spec.clone(),
                at: self.now,
                batch,
                orphan: false,
                retried: false,
            };
            let what = format!("{attempt} of task {}/{} is granted", task.0, task.1);
            if self.truth.attempts.insert(attempt, granted).is_some() {
                return breach(Invariant::TrueOutcome, format!("{what} twice"));
            }
            if (paused || self.truth.queue_paused) && spec.spec.service.is_none() {
                return breach(Invariant::PausedIsQuiet, format!("{what}, it is paused"));
            }
            let deadline = spec.spec.rules.deadline;
            if deadline.is_some_and(|deadline| deadline <= record.granted_at) {
                let detail = format!("{what} after its deadline");
                return breach(Invariant::DeadlineKept, detail);
            }
            if cancelled || finished {
                return breach(
                    Invariant::CancelledIsQuiet,
                    format!("{what}, its job is over"),
                );
            }
            if self.truth.is_replica(attempt) {
                // It was scaled away, or lost, and is wanted again.
                self.truth.counted.remove(&task);
            }
            if let Some(other) = self.truth.counted.get(&task) {
                return breach(
                    Invariant::NoRestart,
                    format!("{what} after {other} counted"),
                );
            }
            if !self.truth.is_replica(attempt) {
                self.check_rerun(attempt, task)?;
            }
            self.truth.by_task.entry(task).or_default().push(attempt);
        }
        Ok(())
    }

    /// A success that its agent can never forget is not run again while the agent can say so.
    fn check_rerun(&self, attempt: AttemptId, task: (JobId, TaskIndex)) -> Result<(), Breach> {
        for other in self.truth.by_task.get(&task).into_iter().flatten() {
            let Some(granted) = self.truth.attempts.get(other) else {
                continue;
            };
            let done =
                self.truth.durable_success.contains(other) && !granted.orphan && !granted.retried;
            if done && !self.has_excuse(*other, &[Excuse::JournalLost, Excuse::Lapse]) {
                let detail = format!("{attempt} is granted although {other} succeeded durably");
                return breach(Invariant::NoRerun, detail);
            }
        }
        Ok(())
    }

    fn attempt_ended(&mut self, record: &AttemptRecord) -> Result<(), Breach> {
        // The first record of an attempt stays.
        if self.truth.outcomes.contains_key(&record.attempt) {
            return Ok(());
        }
        self.attempt_counted(record)
    }

    fn attempt_counted(&mut self, record: &AttemptRecord) -> Result<(), Breach> {
        let attempt = record.attempt;
        self.truth.outcomes.insert(attempt, record.outcome.clone());
        let Some(granted) = self.truth.attempts.get(&attempt) else {
            let detail = format!("{attempt} ends and was never granted");
            return breach(Invariant::TrueOutcome, detail);
        };
        if granted.task != (record.job, record.task) || granted.node != record.node {
            let detail = format!("{attempt} ends as {record:?}, but was granted as {granted:?}");
            return breach(Invariant::TrueOutcome, detail);
        }
        let (task, stops) = (granted.task, stops(&granted.spec));
        let lost = record.counted && record.outcome == Outcome::Lost && !stops;
        if lost && self.has_excuse(attempt, &[Excuse::Lapse]) {
            self.truth.given_up.insert(attempt);
        }
        if record.counted
            && let Some(other) = self.truth.counted.insert(task, attempt)
            && other != attempt
        {
            let detail = format!("{other} and {attempt} of {task:?} both count");
            return breach(Invariant::OneOutcome, detail);
        }
        self.judge(record)
    }

    fn judge(&self, record: &AttemptRecord) -> Result<(), Breach> {
        let attempt = record.attempt;
        let run = self.truth.services.ordered.get(&attempt).copied();
        let Some(case) = self.case((attempt, run), record.counted) else {
            return Ok(());
        };
        judge(&record.outcome, &case).map_err(|mut breach| {
            let what = format!(
                "{attempt} counted={} {:?}: ",
                record.counted, record.outcome
            );
            breach.detail.insert_str(0, &what);
            breach
        })
    }

    /// What is known about an attempt, or one run of it.
    pub(crate) fn case(
        &self,
        (attempt, run): (AttemptId, Option<u32>),
        counted: bool,
    ) -> Option<Case<'_>> {
        let granted = self.truth.attempts.get(&attempt)?;
        let job = self.truth.jobs.get(&granted.task.0);
        let kernel_only = matches!(granted.spec.spec.work, flota_model::spec::Work::Kernel(_));
        let mut excuses = vec![
            Excuse::PowerCut,
            Excuse::KeeperDied,
            Excuse::JournalLost,
            Excuse::Lapse,
        ];
        // The order to start is lost with the agent that gave it.
        let spawned = self.truth.spawned.contains_key(&attempt);
        let is_service = self.truth.is_replica(attempt);
        if kernel_only || !spawned || is_service {
            excuses.push(Excuse::AgentDied);
        }
        let execution = self.truth.executions.get(&attempt);
        Some(Case {
            counted,
            cancelled: job.is_some_and(|job| job.cancelled.is_some()),
            job_timed_out: job.is_some_and(|job| job.timed_out),
            timeout: granted.spec.spec.timeout,
            is_program: !kernel_only,
            is_service,
            stopped_for: StopReasons {
                time: self.truth.stops.contains(&(attempt, StopReason::TimedOut)),
                person: self.truth.stops.contains(&(attempt, StopReason::Cancelled)),
                health: self.truth.stops.contains(&(attempt, StopReason::Unhealthy)),
            },
            execution: execution.filter(|execution| run.is_none_or(|run| execution.run == run)),
            spawned: self.truth.spawned.get(&attempt).copied(),
            now: self.now,
            never_executed: self.truth.never_executed.contains(&attempt),
            never_ran: self.truth.never_ran.contains(&attempt),
            excused: self.has_excuse(attempt, &excuses)
                || self.truth.fenced.contains(&attempt)
                || self.truth.doubted.contains(&attempt)
                || (!counted && self.is_redundant(attempt)),
            end_seen: self.truth.end_seen.get(&attempt).copied(),
            cancel_seen: self.truth.cancel_seen.get(&attempt).copied(),
            cancel_lost: self.truth.cancel_lost.contains(&attempt),
        })
    }

    /// Whether the task of an attempt was decided by another one (PROTOCOL 11).
    fn is_redundant(&self, attempt: AttemptId) -> bool {
        let granted = self.truth.attempts.get(&attempt);
        let counted = granted.and_then(|granted| self.truth.counted.get(&granted.task));
        counted.is_some_and(|counted| *counted != attempt)
    }

    /// Whether a machine of the attempt's node had one of these since the grant.
    pub(crate) fn has_excuse(&self, attempt: AttemptId, wanted: &[Excuse]) -> bool {
        let Some(granted) = self.truth.attempts.get(&attempt) else {
            return false;
        };
        let Some(machines) = self.truth.machines_of.get(&granted.node) else {
            // It joined in the last commit of a server that never told it.
            return wanted.contains(&Excuse::Lapse);
        };
        machines.iter().any(|machine| {
            // Who joined anew is not heard of as the node that it was before.
            let is_another = self.truth.node_of.get(machine) != Some(&granted.node);
            let silent = is_another || self.is_silent(*machine);
            let silent = wanted.contains(&Excuse::Lapse) && silent;
            silent || self.truth.excused(*machine, granted.at, wanted)
        })
    }
}

fn differences(stored: &Snapshot, durable: &Snapshot) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, left: String, right: String| {
        if left != right {
            parts.push(format!("{name}: stored {left}, believed {right}"));
        }
    };
    part(
        "authority",
        format!("{:?}", stored.authority),
        format!("{:?}", durable.authority),
    );
    part(
        "restored",
        format!("{:?}", stored.restored),
        format!("{:?}", durable.restored),
    );
    part(
        "batch",
        format!("{:?}", stored.batch),
        format!("{:?}", durable.batch),
    );
    part(
        "counters",
        format!("{:?}", stored.counters),
        format!("{:?}", durable.counters),
    );
    part(
        "jobs",
        format!("{:?}", stored.jobs),
        format!("{:?}", durable.jobs),
    );
    part(
        "chunks",
        format!("{:?}", stored.chunks),
        format!("{:?}", durable.chunks),
    );
    part(
        "histories",
        format!("{:?}", stored.histories),
        format!("{:?}", durable.histories),
    );
    part(
        "grants",
        format!("{:?}", stored.grants),
        format!("{:?}", durable.grants),
    );
    part(
        "nodes",
        format!("{:?}", stored.nodes),
        format!("{:?}", durable.nodes),
    );
    part(
        "keys",
        format!("{:?}", stored.keys),
        format!("{:?}", durable.keys),
    );
    parts.join("; ")
}
