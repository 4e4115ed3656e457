//! What must be true of services: of every commit, of every start, of every record of a run.

use flota_engine::{
    journal::{Record, Rest},
    keeper::api::Launch,
    supervise::restart::is_success,
};
use flota_model::{
    change::{Batch, Change, GrantRecord, ServiceRecord},
    ids::{AttemptId, JobId, TaskIndex},
    outcome::Outcome,
    service::{Condition, Dependency, REVISIONS_MAX, RestartPolicy, Service},
};

use crate::{
    outcomes::judge,
    service_truth::owner,
    tally::Trouble,
    time::{Time, micros},
    truth::{Breach, Excuse, Invariant, breach},
    world::World,
};

/// As many failures in a row without any rest between them are a program that spins: full jitter
/// makes five delays of this sum out of 6.8 s in one of a billion cases.
const DELAYS: usize = 5;
const DELAYS_SUM_MIN: u64 = 20_000;

fn service_of(record: &ServiceRecord) -> Option<&Service> {
    record.spec.spec.service.as_deref()
}

impl World {
    /// A batch was committed: its services first, then what was granted of them.
    pub(crate) fn services_committed(&mut self, batch: &Batch) {
        // A revision begins for good once what it depends on is there, be it for a moment.
        self.look_at_dependencies();
        for change in &batch.changes {
            let result = if let Change::ServiceWritten(record) = change {
                self.service_written(record)
            } else if let Change::ServiceRemoved(name) = change {
                self.service_removed(name)
            } else if let Change::JobAdded(record) = change {
                let service = record.spec.spec.service.as_deref();
                let unmet = service.map(|service| service.dependencies.clone());
                let unmet = unmet.unwrap_or_default();
                self.truth.services.unmet.insert(record.job, unmet);
                Ok(())
            } else {
                Ok(())
            };
            self.check(result);
        }
        self.look_at_dependencies();
        let result = self.check_revisions(batch);
        self.check(result);
        for change in &batch.changes {
            if let Change::GrantAdded(record) = change {
                let result = self.replicas_granted(record);
                self.check(result);
            }
        }
    }

    /// What a service remembers: the spec that it has, and no more than it may.
    fn check_revisions(&self, batch: &Batch) -> Result<(), Breach> {
        for change in &batch.changes {
            let Change::ServiceWritten(record) = change else {
                continue;
            };
            let past = self.server.store.revisions.iter();
            let past = past.filter(|((name, _), _)| *name == record.name);
            let hashes: Vec<_> = past.map(|(_, known)| known.spec.hash).collect();
            let from = record.update.as_ref().map(|update| update.spec.hash);
            let needed = [Some(record.spec.hash), from].into_iter().flatten();
            let missing = needed.filter(|hash| !hashes.contains(hash)).count();
            if missing > 0 || hashes.len() > REVISIONS_MAX {
                let name = &record.name;
                let detail = format!("{name} remembers {hashes:?}: {record:?}");
                return breach(Invariant::PastKept, detail);
            }
        }
        Ok(())
    }

    fn service_removed(&mut self, name: &str) -> Result<(), Breach> {
        self.truth.services.stopped_at.remove(name);
        match self.truth.services.records.remove(name) {
            Some(record) if !record.stopped => {
                breach(Invariant::StaysStopped, format!("{name} is removed alive"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn service_written(&mut self, record: &ServiceRecord) -> Result<(), Breach> {
        let name = record.name.clone();
        let before = self
            .truth
            .services
            .records
            .insert(name.clone(), record.clone());
        let Some(before) = before else {
            return Ok(());
        };
        self.count_service(&before, record);
        match (before.stopped, record.stopped) {
            (false, true) => {
                self.truth.services.stopped_at.insert(name, self.now);
                Ok(())
            }
            (true, false) => {
                let since = self.truth.services.stopped_at.remove(&name);
                self.check_revival(&before, since.unwrap_or_default())
            }
            (true, true) => Ok(()),
            (false, false) => self.check_step(&before, record),
        }
    }

    fn count_service(&mut self, before: &ServiceRecord, after: &ServiceRecord) {
        let mut troubles = Vec::new();
        match (&before.update, &after.update) {
            (None, Some(update)) if !update.goes_back => troubles.push(Trouble::Updated),
            (Some(old), Some(new)) if new.goes_back && !old.goes_back => {
                troubles.push(Trouble::WentBack);
            }
            (Some(old), Some(new)) if new.halted && !old.halted => {
                troubles.push(Trouble::UpdateHalted);
            }
            (Some(_), Some(_)) if before.job != after.job => troubles.push(Trouble::Overtaken),
            (None | Some(_), None | Some(_)) => {}
        }
        if before.replicas != after.replicas {
            troubles.push(Trouble::Scaled);
        }
        if after.stopped && !before.stopped {
            troubles.push(Trouble::StoppedByHand);
        }
        for trouble in troubles {
            self.count(trouble);
        }
    }

    /// What a person stopped, only a person starts, or a boot if its policy is `always`.
    fn check_revival(&mut self, before: &ServiceRecord, since: Time) -> Result<(), Breach> {
        if self.wants_start(&before.name) {
            return Ok(());
        }
        self.count(Trouble::StartedByBoot);
        let policy = service_of(before).map(|service| service.restart.policy);
        // A boot that the server has not heard of is one after the stop.
        let since = since - self.plan.lease * 2;
        let booted = (0..self.machines.len())
            .any(|machine| self.truth.excused(machine, since, &[Excuse::PowerCut]));
        if policy == Some(RestartPolicy::Always) && booted {
            return Ok(());
        }
        let name = &before.name;
        let detail = format!("{name} ({policy:?}) was stopped and starts, booted: {booted}");
        breach(Invariant::StaysStopped, detail)
    }

    /// An update takes at most as many replicas from others as it may, and only once those that it
    /// took before have begun.
    fn check_step(&self, before: &ServiceRecord, after: &ServiceRecord) -> Result<(), Breach> {
        let Some(service) = service_of(after) else {
            return Ok(());
        };
        let both = 0..before.replicas.min(after.replicas);
        let taken: Vec<u32> = both
            .clone()
            .filter(|replica| {
                let (from, to) = (owner(before, *replica), owner(after, *replica));
                from != to && from.is_some_and(|job| self.truth.is_live(job))
            })
            .collect();
        let name = &after.name;
        let asked = [before, after].map(|record| record.update.as_ref()?.parallel);
        let parallel = asked.into_iter().flatten().max();
        let parallel = parallel.unwrap_or(service.update.parallel).max(1) as usize;
        if taken.len() > parallel {
            let detail = format!("{name}: {taken:?} are moved at once, {parallel} may be");
            return breach(Invariant::UpdatePace, detail);
        }
        let Some(update) = before.update.as_ref().filter(|update| !update.goes_back) else {
            return Ok(());
        };
        if before.job != after.job || taken.is_empty() || update.halted {
            return Ok(());
        }
        let mut moved = both.filter(|replica| owner(before, *replica) == Some(after.job));
        let key = |replica: u32| (after.job, TaskIndex(replica));
        match moved.find(|replica| !self.truth.services.tried.contains(&key(*replica))) {
            None => Ok(()),
            Some(early) => {
                let detail = format!("{name}: {taken:?} are moved before {early} has begun");
                breach(Invariant::UpdatePace, detail)
            }
        }
    }

    /// Replicas are granted of what is wanted, and of nothing else.
    fn replicas_granted(&mut self, grant: &GrantRecord) -> Result<(), Breach> {
        let Some(job) = self.truth.jobs.get(&grant.job) else {
            return Ok(());
        };
        let spec = job.spec.clone();
        let Some(service) = spec.spec.service.as_deref() else {
            return Ok(());
        };
        let name = &spec.spec.name;
        let Some(record) = self.truth.services.records.get(name).cloned() else {
            let detail = format!("job {} of {name}, which is removed, is granted", grant.job);
            return breach(Invariant::StaysStopped, detail);
        };
        if record.stopped {
            let detail = format!("job {} of {name}, which is stopped, is granted", grant.job);
            return breach(Invariant::StaysStopped, detail);
        }
        for (offset, attempt) in (0..).zip(grant.attempts.iter()) {
            let replica = TaskIndex(grant.first_task.0 + offset);
            if owner(&record, replica.0) != Some(grant.job) {
                let job = grant.job;
                let detail = format!("replica {replica} of {name}, job {job}: {record:?}");
                return breach(Invariant::OnlyWanted, detail);
            }
            let known = self
                .truth
                .services
                .by_replica
                .entry((name.clone(), replica));
            known.or_default().push(attempt);
            self.truth.services.by_attempt.insert(attempt);
        }
        match self.truth.services.unmet.remove(&grant.job) {
            Some(unmet) if !unmet.is_empty() => {
                let detail = format!("{name} begins before {unmet:?}");
                breach(Invariant::DependenciesFirst, detail)
            }
            Some(_) if !service.dependencies.is_empty() => {
                self.count(Trouble::WaitedForOthers);
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn look_at_dependencies(&mut self) {
        let mut unmet = std::mem::take(&mut self.truth.services.unmet);
        for dependencies in unmet.values_mut() {
            dependencies.retain(|dependency| !self.is_met(dependency));
        }
        self.truth.services.unmet = unmet;
    }

    /// What a service depends on must once have been so: what ended since may not be known yet.
    fn is_met(&self, dependency: &Dependency) -> bool {
        let record = self.truth.services.records.get(&dependency.service);
        record.is_some_and(|record| match dependency.condition {
            Condition::Completed => record.completed,
            Condition::Started | Condition::Healthy => {
                !record.stopped
                    && (0..record.replicas).all(|replica| {
                        owner(record, replica).is_some_and(|job| {
                            self.has_begun(job, TaskIndex(replica), dependency.condition)
                        })
                    })
            }
        })
    }

    fn has_begun(&self, job: JobId, replica: TaskIndex, condition: Condition) -> bool {
        let attempts = self.truth.by_task.get(&(job, replica));
        let mut attempts = attempts.into_iter().flatten();
        attempts.any(|attempt| match condition {
            Condition::Healthy => self.truth.services.answered.contains(attempt),
            Condition::Started | Condition::Completed => {
                self.truth.executions.contains_key(attempt)
            }
        })
    }

    /// Whether the program of an earlier run is gone before a keeper makes another one.
    pub(crate) fn is_alone(&self, machine: usize, launch: &Launch) -> Result<(), Breach> {
        let process = self.machines[machine].processes.get(&launch.attempt);
        let (attempt, run) = (launch.attempt, launch.run);
        match process.filter(|process| process.is_alive()) {
            None => Ok(()),
            Some(process) => {
                let earlier = process.run;
                let detail = format!("run {run} of {attempt} is made while run {earlier} lives");
                breach(Invariant::OneReplica, detail)
            }
        }
    }

    /// The program of a replica starts.
    pub(crate) fn replica_starts(&mut self, machine: usize, (attempt, run): (AttemptId, u32)) {
        let Some(key) = self.truth.replica_of(attempt) else {
            return;
        };
        if run > 1 {
            self.count(Trouble::RanAgain);
        }
        if let Some(granted) = self.truth.attempts.get(&attempt) {
            self.truth.services.tried.insert(granted.task);
        }
        let others = self.truth.services.by_replica.get(&key);
        let others: Vec<AttemptId> = others.into_iter().flatten().copied().collect();
        let other = others
            .into_iter()
            .find(|other| *other != attempt && self.runs_beside(machine, *other, attempt));
        let (name, replica) = key;
        let what = format!("{name}/{replica}, {attempt} run {run}, starts on {machine}");
        if let Some(other) = other {
            let detail = format!(
                "{what} beside {other}: {:?}",
                self.truth.executions.get(&other)
            );
            return self.fail(Invariant::OneReplica, detail);
        }
        let job = self
            .truth
            .attempts
            .get(&attempt)
            .map(|granted| granted.task.0);
        let is_over = job.is_some_and(|job| !self.truth.is_live(job));
        if is_over && !self.is_adrift(attempt) {
            self.fail(Invariant::StaysStopped, format!("{what}, its job is over"));
        }
    }

    /// Whether another attempt of a replica runs that its server has not given up.
    fn runs_beside(&self, machine: usize, other: AttemptId, attempt: AttemptId) -> bool {
        let Some(execution) = self.truth.executions.get(&other) else {
            return false;
        };
        let runs = execution.ended.is_none() && !execution.abandoned;
        let here = execution.machine == machine;
        let excused = if here {
            self.is_orphan(other)
                || self.is_orphan(attempt)
                || self.has_excuse(other, &[Excuse::JournalLost])
        } else {
            self.is_adrift(other) || self.is_adrift(attempt)
        };
        runs && !excused
    }

    fn is_orphan(&self, attempt: AttemptId) -> bool {
        let granted = self.truth.attempts.get(&attempt);
        granted.is_none_or(|granted| granted.orphan)
    }

    /// Whether a server may have given an attempt up without a word of its agent: its node was away
    /// for a lease (PROTOCOL 11), came back as another one, or the store was replaced.
    pub(crate) fn is_adrift(&self, attempt: AttemptId) -> bool {
        self.is_orphan(attempt) || self.has_excuse(attempt, &[Excuse::Lapse, Excuse::JournalLost])
    }

    /// A revision is over: nothing of it runs.
    pub(crate) fn revision_is_quiet(&self, job: JobId) -> Result<(), Breach> {
        let running = self.truth.executions.iter().find(|(attempt, execution)| {
            let granted = self.truth.attempts.get(attempt);
            granted.is_some_and(|granted| granted.task.0 == job)
                && execution.ended.is_none()
                && !execution.abandoned
                && !self.is_adrift(**attempt)
        });
        match running {
            None => Ok(()),
            Some((attempt, execution)) => {
                let detail = format!("job {job} is over, and {attempt} runs: {execution:?}");
                breach(Invariant::StaysStopped, detail)
            }
        }
    }

    /// What an agent writes down of runs.
    pub(crate) fn runs_recorded(&mut self, machine: usize, records: &[Record]) {
        for record in records {
            let result = if let Record::RunEnded(rest) = record {
                self.run_ended(machine, rest)
            } else if let Record::RunStarting { attempt, run, .. } = record {
                self.run_begins(machine, *attempt, *run)
            } else if let Record::Stopping { .. } = record {
                self.count(Trouble::ReplicaStopped);
                Ok(())
            } else {
                Ok(())
            };
            self.check(result);
        }
    }

    fn run_ended(&mut self, machine: usize, rest: &Rest) -> Result<(), Breach> {
        let attempt = rest.attempt;
        self.judge_run(rest)?;
        let Some(service) = self.truth.attempts.get(&attempt) else {
            return Ok(());
        };
        let Some(service) = service.spec.spec.service.clone() else {
            return Ok(());
        };
        let failed = rest.last.unhealthy || !is_success(&service.restart, &rest.last.outcome);
        let host = &self.machines[machine];
        let now = host.clock.moment(self.now);
        let delay = rest.until.0.saturating_sub(now.0);
        // Moments of an earlier boot mean nothing in this one (PROTOCOL 9): a rest would last as long as
        // that boot did.
        let is_of_now = rest.failures.iter().all(|failure| *failure <= now)
            && delay <= micros(service.restart.backoff_max);
        if !is_of_now {
            let detail = format!("{attempt} rests by another clock, at {now:?}: {rest:?}");
            return breach(Invariant::BackOff, detail);
        }
        let services = &mut self.truth.services;
        services
            .rests_until
            .insert(attempt, (host.boot.0, rest.until.0));
        let failures = services.failures.entry(attempt).or_default();
        *failures += u32::from(failed);
        let failures = *failures;
        let delays = services.delays.entry(attempt).or_default();
        // Without a failure on the account it was a boot that ended it: that waits for nothing.
        let counts = failed && rest.streak > 1 && rest.last.outcome != Outcome::Unknown;
        if counts {
            delays.push(delay);
        } else {
            delays.clear();
        }
        let last = delays.len().checked_sub(DELAYS).map(|from| &delays[from..]);
        let spins = last.is_some_and(|last| last.iter().sum::<u64>() < DELAYS_SUM_MIN);
        self.count_run(rest);
        if spins {
            let detail = format!("{attempt} runs again {DELAYS} times without a rest: {rest:?}");
            return breach(Invariant::BackOff, detail);
        }
        if rest.is_crash_loop && failures < service.restart.loop_failures {
            let detail = format!("{attempt} failed {failures} times: {rest:?}");
            return breach(Invariant::BackOff, detail);
        }
        Ok(())
    }

    fn count_run(&mut self, rest: &Rest) {
        if rest.is_crash_loop {
            self.count(Trouble::CrashLoop);
        }
        if rest.last.unhealthy {
            self.count(Trouble::Unhealthy);
        }
        if rest.last.outcome == Outcome::OutOfMemory {
            self.count(Trouble::RanOutOfMemory);
        }
        if rest.last.outcome == Outcome::Unknown {
            self.count(Trouble::RunUnknown);
        }
    }

    /// The end of a run is what its program really did (and never invented).
    fn judge_run(&self, rest: &Rest) -> Result<(), Breach> {
        let attempt = rest.attempt;
        let case = self.case((attempt, Some(rest.last.run)), !rest.last.unhealthy);
        let Some(case) = case else {
            return Ok(());
        };
        judge(&rest.last.outcome, &case).map_err(|mut breach| {
            breach.invariant = Invariant::TrueRun;
            breach.detail.insert_str(0, &format!("{rest:?}: "));
            breach
        })
    }

    fn run_begins(&mut self, machine: usize, attempt: AttemptId, run: u32) -> Result<(), Breach> {
        let host = &self.machines[machine];
        let now = host.clock.moment(self.now).0;
        let until = self.truth.services.rests_until.remove(&attempt);
        let journal_lost = self.truth.excused(machine, Time(0), &[Excuse::JournalLost]);
        let early = until.is_some_and(|(boot, until)| boot == host.boot.0 && now < until);
        let early = early && !journal_lost;
        if until.is_some_and(|(boot, _)| boot != host.boot.0) {
            self.count(Trouble::RanAfterBoot);
        }
        if early {
            let detail = format!("run {run} of {attempt} begins at {now}, not after {until:?}");
            return breach(Invariant::BackOff, detail);
        }
        Ok(())
    }
}
