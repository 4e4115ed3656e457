//! The specs that a service had, and the way back to one of them.
//!
//! Remembered are specs, not restarts: a revision with a spec that is known takes its place. So ten
//! restarts do not push out what somebody may want to go back to.

use flota_model::{
    change::{Change, RevisionRecord},
    command::{Principal, Refusal, Reply},
    ids::{JobId, SpecHash},
    news::ServiceNews,
    revision::RevisionCause,
    service::REVISIONS_MAX,
    spec::SealedSpec,
};

use super::{Entry, Services, commands::is_halted, update::Pace};
use crate::fleet::Fleet;

impl Entry {
    /// Takes the revision of its current spec in; gives those that are forgotten for it.
    fn remember(&mut self, revision: RevisionRecord) -> Vec<JobId> {
        let hash = revision.spec.hash;
        let mut gone: Vec<JobId> = Vec::new();
        self.past.retain(|known| {
            let stays = known.spec.hash != hash;
            if !stays {
                gone.push(known.job);
            }
            stays
        });
        self.past.push(revision);
        while self.past.len() > REVISIONS_MAX {
            let needed = self.needed();
            let oldest = self
                .past
                .iter()
                .position(|known| !needed.contains(&known.spec.hash));
            let Some(oldest) = oldest else { break };
            gone.push(self.past.remove(oldest).job);
        }
        gone
    }

    /// Specs that the service runs, or goes back to when its update fails.
    fn needed(&self) -> Vec<SpecHash> {
        let from = self.record.update.as_ref().map(|update| update.spec.hash);
        [Some(self.record.spec.hash), from]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The spec of a revision; without one that before the current spec.
    fn earlier(&self, to: Option<JobId>) -> Option<&SealedSpec> {
        let found = match to {
            Some(job) => self.past.iter().find(|known| known.job == job),
            None => {
                let hash = self.record.spec.hash;
                let current = self.past.iter().position(|known| known.spec.hash == hash)?;
                self.past.get(current.checked_sub(1)?)
            }
        };
        found.map(|known| &known.spec)
    }
}

impl Services {
    /// What the store holds of them.
    pub(crate) fn all_revisions(&self) -> Vec<(String, RevisionRecord)> {
        let entries = self.known.iter();
        let all = entries.flat_map(|(name, entry)| {
            let past = entry.past.iter().cloned();
            past.map(move |known| (name.clone(), known))
        });
        all.collect()
    }

    /// A revision as the store gives it back, after its service; by revision. One of a service that is
    /// not there is forgotten.
    pub(crate) fn load_revision(&mut self, name: &str, revision: RevisionRecord) {
        if let Some(entry) = self.known.get_mut(name) {
            entry.past.push(revision);
        }
    }
}

impl Fleet {
    /// What becomes of a revision in the store.
    pub(crate) fn revision_change(&self, service: String, job: JobId) -> Change {
        let entry = self.jobs.services.known.get(&service);
        let mut past = entry.into_iter().flat_map(|entry| &entry.past);
        match past.find(|known| known.job == job) {
            Some(known) => Change::RevisionWritten {
                revision: Box::new(known.clone()),
                service,
            },
            None => Change::RevisionRemoved { service, job },
        }
    }

    /// Notes the spec of a new revision. Without a cause it is one that the service has already: who
    /// applied it, and when, stays.
    pub(super) fn note_revision(&mut self, name: &str, cause: Option<RevisionCause>) {
        let at = self.office.now.wall;
        let Some(entry) = self.jobs.services.known.get_mut(name) else {
            return;
        };
        let record = &entry.record;
        let hash = record.spec.hash;
        let known = entry.past.iter().find(|known| known.spec.hash == hash);
        let known = known.cloned().filter(|_| cause.is_none());
        let revision = known.unwrap_or_else(|| RevisionRecord {
            job: record.job,
            spec: record.spec.clone(),
            principal: record.principal.clone(),
            at,
            cause: cause.unwrap_or(RevisionCause::Applied),
        });
        let job = record.job;
        let revision = RevisionRecord { job, ..revision };
        let gone = entry.remember(revision);
        let changed = gone.into_iter().chain([job]);
        let changed = changed.map(|job| (name.to_owned(), job));
        self.ledger.revisions.extend(changed);
    }

    /// A service is removed: nothing is remembered of it.
    pub(super) fn forget_revisions(&mut self, name: &str) {
        let entry = self.jobs.services.known.get_mut(name);
        let past = entry.map(|entry| std::mem::take(&mut entry.past));
        let gone = past.into_iter().flatten();
        let gone = gone.map(|known| (name.to_owned(), known.job));
        self.ledger.revisions.extend(gone);
    }

    /// An update to a spec that the service had; how many replicas there are stays.
    pub(crate) fn roll_back_service(
        &mut self,
        principal: &Principal,
        (name, to): (&str, Option<JobId>),
        at_a_time: Option<u32>,
    ) -> Result<Reply, Refusal> {
        self.may_change()?;
        let record = self.known_service(name)?;
        if record.stopped {
            return Err(Refusal::ServiceStopped(name.to_owned()));
        }
        let (replicas, current, halted) = (record.replicas, record.spec.hash, is_halted(record));
        let entry = self.jobs.services.known.get(name);
        let spec = entry.and_then(|entry| entry.earlier(to)).cloned();
        let spec = spec.ok_or_else(|| Refusal::RevisionNotFound {
            name: name.to_owned(),
            revision: to,
        })?;
        let is_current = spec.hash == current;
        if is_current && halted {
            self.resume(name, &spec, (replicas, at_a_time))?;
        } else if !is_current {
            self.admit_node(&spec)?;
            self.refuse_cycle(&spec)?;
            self.admit_job(spec.spec.tasks.count())?;
            self.change(name, |record| record.principal.clone_from(&principal.name));
            let pace = Pace {
                at_a_time,
                cause: Some(RevisionCause::RolledBack),
            };
            self.begin_update(name, (spec, replicas), pace);
            self.tell_service(name, ServiceNews::RolledBack);
        }
        self.reply_with(name)
    }
}
