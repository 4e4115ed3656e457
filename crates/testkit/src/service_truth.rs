//! What is true of services: their records as committed, and every run of every replica.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::ServiceRecord,
    ids::{AttemptId, JobId, TaskIndex},
    service::Dependency,
};

use crate::{store::Store, time::Time, truth::Truth};

/// A replica for ever: the name of its service and its number.
pub(crate) type ReplicaKey = (String, TaskIndex);

/// Everything about services.
#[derive(Debug, Default)]
pub(crate) struct ServiceTruth {
    /// As committed.
    pub(crate) records: BTreeMap<String, ServiceRecord>,
    /// When a person stopped those that are stopped.
    pub(crate) stopped_at: BTreeMap<String, Time>,
    pub(crate) by_replica: BTreeMap<ReplicaKey, Vec<AttemptId>>,
    pub(crate) by_attempt: BTreeSet<AttemptId>,
    /// What revisions of which nothing was granted yet still wait for.
    pub(crate) unmet: BTreeMap<JobId, Vec<Dependency>>,
    /// Replicas of revisions of which a program was started, or could not be.
    pub(crate) tried: BTreeSet<(JobId, TaskIndex)>,
    /// Attempts of which a probe of readiness or life succeeded.
    pub(crate) answered: BTreeSet<AttemptId>,
    /// The run of which a process was made last.
    pub(crate) ordered: BTreeMap<AttemptId, u32>,
    /// Failures that were written down.
    pub(crate) failures: BTreeMap<AttemptId, u32>,
    /// Delays after the last failures in a row, microseconds.
    pub(crate) delays: BTreeMap<AttemptId, Vec<u64>>,
    /// When a replica may run again, by the clock of its machine's present boot.
    pub(crate) rests_until: BTreeMap<AttemptId, (u128, u64)>,
}

/// Which revision has a replica.
pub(crate) fn owner(record: &ServiceRecord, replica: u32) -> Option<JobId> {
    if record.stopped || replica >= record.replicas {
        return None;
    }
    let left = record.update.iter().flat_map(|update| &update.left);
    let mut others = left.filter(|left| left.range().contains(&replica));
    Some(others.next().map_or(record.job, |left| left.job))
}

impl Truth {
    /// A process of a run was made.
    pub(crate) fn run_spawned(&mut self, (attempt, run): (AttemptId, u32), now: Time) {
        self.spawned.insert(attempt, now);
        if self.services.ordered.insert(attempt, run).is_some() {
            // What is known of the run before is not true of this one.
            self.never_executed.remove(&attempt);
            self.never_ran.remove(&attempt);
            self.end_seen.remove(&attempt);
            self.fenced.remove(&attempt);
        }
    }

    /// The name and number of the replica that an attempt is of.
    pub(crate) fn replica_of(&self, attempt: AttemptId) -> Option<ReplicaKey> {
        let granted = self.attempts.get(&attempt)?;
        let spec = &granted.spec.spec;
        spec.service
            .as_ref()
            .map(|_| (spec.name.clone(), granted.task.1))
    }

    pub(crate) fn is_replica(&self, attempt: AttemptId) -> bool {
        let granted = self.attempts.get(&attempt);
        granted.is_some_and(|granted| granted.spec.spec.service.is_some())
    }

    /// Whether a revision goes on.
    pub(crate) fn is_live(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|job| !job.finished)
    }

    /// The store was replaced by a backup.
    pub(crate) fn services_restored(&mut self, store: &Store) {
        self.services.records.clone_from(&store.services);
        let records = &self.services.records;
        self.services
            .stopped_at
            .retain(|name, _| records.get(name).is_some_and(|record| record.stopped));
        let jobs = &self.jobs;
        self.services.unmet.retain(|job, _| jobs.contains_key(job));
        self.services
            .tried
            .retain(|(job, _)| jobs.contains_key(job));
    }
}
