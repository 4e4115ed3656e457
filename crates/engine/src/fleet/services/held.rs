//! Revisions that wait for what they depend on.
//!
//! Each waits for one dependency, the first that is missing; it is looked at again once that one is
//! met. So a turn costs what has changed in it, however many wait.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    ids::JobId,
    service::{Condition, Dependency},
};

use crate::{fleet::Fleet, sabotage::Rule};

/// Revisions that are held back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// They will be looked at in this turn.
    due: BTreeSet<JobId>,
    waits: BTreeMap<JobId, Dependency>,
    awaited: BTreeMap<String, BTreeMap<Condition, BTreeSet<JobId>>>,
    /// Awaited services of which something has changed since they were looked at.
    stirred: BTreeSet<String>,
    /// How often a revision or a dependency was looked at.
    #[cfg(test)]
    pub(crate) looks: u64,
}

impl Held {
    /// Holds a revision back until what it depends on is there.
    pub(super) fn hold(&mut self, job: JobId) {
        self.due.insert(job);
    }

    pub(super) fn remove(&mut self, job: JobId) {
        self.due.remove(&job);
        let Some(Dependency { service, condition }) = self.waits.remove(&job) else {
            return;
        };
        if let Some(conditions) = self.awaited.get_mut(&service) {
            if let Some(jobs) = conditions.get_mut(&condition) {
                jobs.remove(&job);
            }
            conditions.retain(|_, jobs| !jobs.is_empty());
            if conditions.is_empty() {
                self.awaited.remove(&service);
            }
        }
    }

    /// Something of a service has changed.
    pub(super) fn stir(&mut self, name: &str) {
        if self.awaited.contains_key(name) {
            self.stirred.insert(name.to_owned());
        }
    }

    /// Whether nobody waits: then no change is of interest.
    fn is_idle(&self) -> bool {
        self.awaited.is_empty()
    }

    fn wait(&mut self, job: JobId, first: Dependency) {
        let conditions = self.awaited.entry(first.service.clone()).or_default();
        conditions.entry(first.condition).or_default().insert(job);
        self.waits.insert(job, first);
    }

    fn conditions(&self, name: &str) -> Vec<Condition> {
        let conditions = self.awaited.get(name).into_iter().flatten();
        conditions.map(|(condition, _)| *condition).collect()
    }

    /// What a revision waited for is met: all that waited for it are looked at.
    fn wake(&mut self, met: &Dependency) {
        let Some(conditions) = self.awaited.get_mut(&met.service) else {
            return;
        };
        for job in conditions.remove(&met.condition).unwrap_or_default() {
            self.waits.remove(&job);
            self.due.insert(job);
        }
        if conditions.is_empty() {
            self.awaited.remove(&met.service);
        }
    }
}

impl Fleet {
    /// An attempt of a job was settled, or became suspect, or is not any more: another attempt of the
    /// same replica may be the one that counts now.
    pub(crate) fn stir_holder(&mut self, job: JobId) {
        if self.jobs.services.held.is_idle() {
            return;
        }
        if let Some(name) = self.jobs.service_of(job) {
            self.jobs.services.held.stir(&name);
        }
    }

    /// Notes what this turn has changed of services for which others wait.
    pub(crate) fn stir_changed(&mut self) {
        if self.jobs.services.held.is_idle() {
            return;
        }
        let jobs = self.ledger.jobs.iter();
        let names = jobs.filter_map(|job| self.jobs.service_of(*job));
        let names: BTreeSet<String> = names.chain(self.ledger.services.iter().cloned()).collect();
        for name in names {
            self.jobs.services.held.stir(&name);
        }
    }

    /// Lets those begin of which all is there that they depend on.
    pub(super) fn begin_held(&mut self) {
        self.stir_changed();
        for service in std::mem::take(&mut self.jobs.services.held.stirred) {
            for condition in self.jobs.services.held.conditions(&service) {
                #[cfg(test)]
                {
                    self.jobs.services.held.looks += 1;
                }
                let dependency = Dependency {
                    service: service.clone(),
                    condition,
                };
                if self.is_met(&dependency) {
                    self.jobs.services.held.wake(&dependency);
                }
            }
        }
        let unchecked = self.office.settings.sabotage.breaks(Rule::Dependencies);
        for job in std::mem::take(&mut self.jobs.services.held.due) {
            #[cfg(test)]
            {
                self.jobs.services.held.looks += 1;
            }
            let missing = self.waits_for(job).into_iter().next();
            if let Some(first) = missing.filter(|_| !unchecked) {
                self.jobs.services.held.wait(job, first);
                continue;
            }
            self.jobs.live(job).is_held = false;
            self.enqueue(job);
        }
    }
}
