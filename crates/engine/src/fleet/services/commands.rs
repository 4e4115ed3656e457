//! What people ask of services.

use std::collections::BTreeSet;

use flota_model::{
    change::{JobRecord, Revival, ServiceRecord},
    command::{Principal, Refusal, Reply},
    control::JobControl,
    ids::JobId,
    news::ServiceNews,
    revision::{Applied, Expected, RevisionCause, ServiceVersion},
    service::{Dependency, REPLICAS_MAX},
    spec::SealedSpec,
    state::{Counts, JobPhase, TaskState},
};

use super::{Entry, update::Pace};
use crate::fleet::{Fleet, job::Job};

/// Most services of a cycle that a refusal names: more say nothing to a person.
pub(crate) const CYCLE_NAMES_MAX: usize = 32;

impl Fleet {
    pub(crate) fn apply_service(
        &mut self,
        principal: &Principal,
        spec: SealedSpec,
        (expected, at_a_time): (&Expected, Option<u32>),
    ) -> Result<Reply, Refusal> {
        let Some(service) = spec.spec.service.as_deref() else {
            return Err(Refusal::ServiceKind);
        };
        self.may_change()?;
        self.is_as_expected(&spec.spec.name, expected)?;
        self.admit_node(&spec)?;
        let (name, replicas) = (spec.spec.name.clone(), service.replicas);
        self.refuse_cycle(&spec)?;
        let before = self.jobs.services.known.get(&name);
        let applied = match before.map(|entry| &entry.record) {
            None => Applied::Created,
            Some(record) if record.stopped => Applied::Started,
            Some(record) if is_halted(record) => Applied::Updated,
            Some(record) if !is_same_but_for_replicas(&record.spec, &spec) => Applied::Updated,
            Some(record) if record.replicas != replicas => Applied::Scaled,
            Some(_) => Applied::Unchanged,
        };
        match applied {
            Applied::Created => self.create(principal, &name, spec, replicas)?,
            Applied::Started => {
                self.is_down(&name)?;
                self.admit_job(spec.spec.tasks.count())?;
                self.change(&name, |record| {
                    record.principal.clone_from(&principal.name);
                    (record.spec, record.replicas) = (spec, replicas);
                });
                self.start_anew(&name, Some(RevisionCause::Applied));
            }
            Applied::Updated if self.resume(&name, &spec, (replicas, at_a_time))? => {}
            Applied::Updated => {
                self.admit_job(spec.spec.tasks.count())?;
                self.change(&name, |record| record.principal.clone_from(&principal.name));
                let cause = Some(RevisionCause::Applied);
                self.begin_update(&name, (spec, replicas), Pace { at_a_time, cause });
            }
            Applied::Scaled => self.scale_to(&name, replicas)?,
            Applied::Unchanged => {}
        }
        if applied != Applied::Unchanged {
            self.change(&name, |record| record.principal.clone_from(&principal.name));
        }
        match applied {
            Applied::Created => self.tell_service(&name, ServiceNews::Created),
            Applied::Updated => self.tell_service(&name, ServiceNews::Updated),
            Applied::Scaled => self.tell_service(&name, ServiceNews::Scaled),
            Applied::Started => self.tell_service(&name, ServiceNews::Started),
            Applied::Unchanged => {}
        }
        let service = Box::new(self.view_of(&name)?);
        Ok(Reply::Applied { applied, service })
    }

    pub(crate) fn scale_service(&mut self, name: &str, replicas: u32) -> Result<Reply, Refusal> {
        self.may_change()?;
        self.known_service(name)?;
        if replicas > REPLICAS_MAX {
            let limit = REPLICAS_MAX;
            return Err(Refusal::TooManyReplicas { limit });
        }
        self.scale_to(name, replicas)?;
        self.tell_service(name, ServiceNews::Scaled);
        self.reply_with(name)
    }

    pub(crate) fn restart_service(
        &mut self,
        name: &str,
        at_a_time: Option<u32>,
    ) -> Result<Reply, Refusal> {
        self.may_change()?;
        let record = self.known_service(name)?;
        if record.stopped {
            return Err(Refusal::ServiceStopped(name.to_owned()));
        }
        let (spec, replicas) = (record.spec.clone(), record.replicas);
        self.admit_job(spec.spec.tasks.count())?;
        let cause = None;
        self.begin_update(name, (spec, replicas), Pace { at_a_time, cause });
        self.tell_service(name, ServiceNews::Restarted);
        self.reply_with(name)
    }

    pub(crate) fn stop_service(&mut self, name: &str) -> Result<Reply, Refusal> {
        self.may_change()?;
        let revival = self.revival_after_stop(self.known_service(name)?);
        self.change(name, |record| {
            (record.stopped, record.update) = (true, None);
            record.revival = revival;
        });
        for job in self.jobs.services.revisions_of(name) {
            if self.is_going(job) {
                self.begin_cancel(job);
            }
        }
        self.tell_service(name, ServiceNews::Stopped);
        self.reply_with(name)
    }

    pub(crate) fn start_service(&mut self, name: &str) -> Result<Reply, Refusal> {
        self.may_change()?;
        let record = self.known_service(name)?;
        if !record.stopped {
            return Err(Refusal::ServiceRunning(name.to_owned()));
        }
        let tasks = record.spec.spec.tasks.count();
        self.is_down(name)?;
        self.admit_job(tasks)?;
        self.start_anew(name, None);
        self.tell_service(name, ServiceNews::Started);
        self.reply_with(name)
    }

    pub(crate) fn remove_service(&mut self, name: &str) -> Result<Reply, Refusal> {
        self.may_change()?;
        if !self.known_service(name)?.stopped {
            return Err(Refusal::ServiceRunning(name.to_owned()));
        }
        self.is_down(name)?;
        let reply = self.reply_with(name)?;
        self.tell_service(name, ServiceNews::Removed);
        self.forget_revisions(name);
        self.jobs.services.known.remove(name);
        self.ledger.services.insert(name.to_owned());
        Ok(reply)
    }

    fn is_as_expected(&self, name: &str, expected: &Expected) -> Result<(), Refusal> {
        let entry = self.jobs.services.known.get(name);
        let version = entry.map(|entry| entry.record.version);
        let is_so = match expected {
            Expected::Anything => true,
            Expected::Absent => version.is_none(),
            Expected::Present => version.is_some(),
            Expected::OneOf(versions) => version.is_some_and(|one| versions.contains(&one)),
        };
        let name = name.to_owned();
        is_so
            .then_some(())
            .ok_or(Refusal::ServiceChanged { name, version })
    }

    pub(super) fn may_change(&self) -> Result<(), Refusal> {
        if self.office.is_frozen() {
            return Err(Refusal::StoreBehind);
        }
        Ok(())
    }

    pub(super) fn known_service(&self, name: &str) -> Result<&ServiceRecord, Refusal> {
        let entry = self.jobs.services.known.get(name);
        entry
            .map(|entry| &entry.record)
            .ok_or_else(|| Refusal::ServiceNotFound(name.to_owned()))
    }

    /// Nothing of it may be left of the time before.
    pub(super) fn is_down(&self, name: &str) -> Result<(), Refusal> {
        if self.jobs.services.revisions_of(name).is_empty() {
            Ok(())
        } else {
            Err(Refusal::ServiceRunning(name.to_owned()))
        }
    }

    pub(super) fn reply_with(&self, name: &str) -> Result<Reply, Refusal> {
        Ok(Reply::Service(Box::new(self.view_of(name)?)))
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut ServiceRecord)) {
        let at = self.office.now.wall;
        if let Some(entry) = self.jobs.services.known.get_mut(name) {
            change(&mut entry.record);
            entry.record.changed_at = at;
            entry.record.version.count += 1;
            self.ledger.services.insert(name.to_owned());
        }
    }

    fn create(
        &mut self,
        principal: &Principal,
        name: &str,
        spec: SealedSpec,
        replicas: u32,
    ) -> Result<(), Refusal> {
        self.admit_job(spec.spec.tasks.count())?;
        let record = ServiceRecord {
            name: name.to_owned(),
            spec,
            principal: principal.name.clone(),
            replicas,
            job: JobId(0),
            update: None,
            stopped: false,
            revival: Revival::default(),
            completed: false,
            changed_at: self.office.now.wall,
            version: ServiceVersion {
                born: self.office.counters.job,
                count: 0,
            },
        };
        let step_since = self.office.now.moment;
        let entry = Entry {
            record,
            past: Vec::new(),
            step_since,
        };
        self.jobs.services.known.insert(name.to_owned(), entry);
        self.start_anew(name, Some(RevisionCause::Applied));
        Ok(())
    }

    /// A new revision of which all replicas are wanted, and no other one.
    pub(super) fn start_anew(&mut self, name: &str, cause: Option<RevisionCause>) {
        self.change(name, |record| {
            (record.stopped, record.completed, record.update) = (false, false, None);
            record.revival = Revival::default();
        });
        self.new_revision(name, cause);
        self.set_windows(name);
    }

    fn scale_to(&mut self, name: &str, replicas: u32) -> Result<(), Refusal> {
        let record = self.known_service(name)?;
        let (job, tasks) = (record.job, record.spec.spec.tasks.count());
        let needs_revision = !record.stopped && replicas > 0 && !self.is_going(job);
        if needs_revision {
            self.admit_job(tasks)?;
        }
        self.change(name, |record| {
            record.replicas = replicas;
            if let Some(update) = &mut record.update {
                // What comes back when it is scaled up again is of the new revision.
                super::update::clip(&mut update.left, replicas);
            }
        });
        if needs_revision {
            self.new_revision(name, None);
        }
        self.set_windows(name);
        Ok(())
    }

    /// An update that failed goes on where it stopped, if what is applied is what it led to.
    pub(super) fn resume(
        &mut self,
        name: &str,
        spec: &SealedSpec,
        (replicas, at_a_time): (u32, Option<u32>),
    ) -> Result<bool, Refusal> {
        let record = self.known_service(name)?;
        if !is_halted(record) || !is_same_but_for_replicas(&record.spec, spec) {
            return Ok(false);
        }
        if record.replicas != replicas {
            self.scale_to(name, replicas)?;
        }
        self.change(name, |record| {
            if let Some(update) = &mut record.update {
                update.halted = false;
                update.parallel = at_a_time;
            }
        });
        self.note_step(name);
        self.set_windows(name);
        Ok(true)
    }

    /// Makes the job of a new revision; none of its replicas is wanted yet.
    pub(super) fn new_revision(&mut self, name: &str, cause: Option<RevisionCause>) {
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let (spec, principal) = (entry.record.spec.clone(), entry.record.principal.clone());
        let mut counts = Counts::default();
        counts.0[TaskState::Cancelled as usize] = spec.spec.tasks.count();
        let record = JobRecord {
            job: self.office.next_job(),
            principal,
            submitted_at: self.office.now.wall,
            phase: JobPhase::Active,
            counts,
            finished_at: None,
            rows: None,
            control: JobControl::default(),
            spec,
        };
        let job = record.job;
        self.ledger.counters = true;
        self.change(name, |service| service.job = job);
        self.note_revision(name, cause);
        self.add_job(record, Job::of_service);
        self.adopt_revision(job);
    }

    /// Whether a service with these dependencies would wait for itself.
    pub(super) fn refuse_cycle(&self, spec: &SealedSpec) -> Result<(), Refusal> {
        let target = spec.spec.name.as_str();
        let mut seen = BTreeSet::new();
        // The way so far, each service with those of its dependencies that were not looked at. It is
        // kept here and not on the stack: it may be as long as there are services.
        let mut path = vec![(target, dependencies(spec).iter())];
        while let Some((_, ahead)) = path.last_mut() {
            let Some(dependency) = ahead.next() else {
                path.pop();
                continue;
            };
            if dependency.service == target {
                let names = path.iter().map(|(name, _)| (*name).to_owned());
                return Err(Refusal::ServiceCycle(names.take(CYCLE_NAMES_MAX).collect()));
            }
            if let Some(next) = self.jobs.services.known.get(&dependency.service)
                && seen.insert(dependency.service.as_str())
            {
                let spec = &next.record.spec;
                path.push((dependency.service.as_str(), dependencies(spec).iter()));
            }
        }
        Ok(())
    }
}

fn dependencies(spec: &SealedSpec) -> &[Dependency] {
    let service = spec.spec.service.as_deref();
    service.map_or(&[], |service| &service.dependencies)
}

pub(super) fn is_halted(record: &ServiceRecord) -> bool {
    record.update.as_ref().is_some_and(|update| update.halted)
}

/// Whether two specs differ in the number of replicas at most: that alone needs no new revision.
fn is_same_but_for_replicas(left: &SealedSpec, right: &SealedSpec) -> bool {
    let plain = |sealed: &SealedSpec| {
        let mut spec = (*sealed.spec).clone();
        if let Some(service) = &mut spec.service {
            service.replicas = 0;
        }
        spec
    };
    left.hash == right.hash || plain(left) == plain(right)
}
