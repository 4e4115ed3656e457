//! A store in memory: transactions, power cuts, backups.

use std::collections::BTreeMap;

use flota_model::{
    change::{
        AttemptRecord, Batch, Change, Counters, GrantRecord, IdempotencyKey, JobRecord, KeyRecord,
        NodeRecord, RevisionRecord, ServiceRecord, Snapshot, TaskHistory,
    },
    control::Pause,
    ids::{AttemptId, Authority, BatchNumber, GrantId, JobId, NodeId, TaskIndex},
    note::{NoteKind, NoteRecord},
    spec::TaskRange,
    state::JobPhase,
};

/// Everything that was committed. A clone is a backup.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    authority: Authority,
    restored: bool,
    batch: BatchNumber,
    counters: Counters,
    pub(crate) queue: Option<Pause>,
    /// All jobs ever accepted.
    pub(crate) jobs: BTreeMap<JobId, JobRecord>,
    chunks: BTreeMap<(JobId, u32), Vec<u8>>,
    histories: BTreeMap<(JobId, TaskIndex), TaskHistory>,
    /// Grants with an unsettled attempt.
    pub(crate) grants: BTreeMap<GrantId, GrantRecord>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    pub(crate) services: BTreeMap<String, ServiceRecord>,
    pub(crate) revisions: BTreeMap<(String, JobId), RevisionRecord>,
    notes: BTreeMap<(NoteKind, String), NoteRecord>,
    keys: BTreeMap<IdempotencyKey, KeyRecord>,
    /// All attempts that ever ended.
    pub(crate) attempts: BTreeMap<AttemptId, AttemptRecord>,
}

/// Why a transaction was refused. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApplyFault {
    /// Another server has taken the store (PROTOCOL 20).
    Superseded,
    /// The batch does not follow on the last committed one.
    Order {
        /// The batch.
        number: BatchNumber,
        /// The last committed one.
        last: BatchNumber,
    },
    /// The change speaks of something that the store does not have, or has already.
    Unfit(String),
}

impl Store {
    /// Commits all batches in one transaction.
    ///
    /// # Errors
    ///
    /// All or nothing: see [`ApplyFault`].
    pub(crate) fn apply(&mut self, batches: &[Batch]) -> Result<(), ApplyFault> {
        // What is checked can fail only before the first change of a batch, or is a bug of the
        // engine that ends the simulation: no undo is needed.
        let mut last = self.batch;
        let mut authority = self.authority;
        for batch in batches {
            if batch.number.0 != last.0 + 1 {
                return Err(ApplyFault::Order {
                    number: batch.number,
                    last,
                });
            }
            last = batch.number;
            match taken(batch) {
                Some(taken) if taken > authority => authority = taken,
                None if batch.authority == authority => {}
                Some(_) | None => return Err(ApplyFault::Superseded),
            }
        }
        for batch in batches {
            for change in &batch.changes {
                let fault = |what| ApplyFault::Unfit(format!("{change:?}: {what}"));
                self.change(change).map_err(fault)?;
            }
            self.batch = batch.number;
        }
        Ok(())
    }

    /// The number of the last committed batch.
    pub(crate) fn last_batch(&self) -> BatchNumber {
        self.batch
    }

    /// Whom the store obeys.
    pub(crate) fn authority(&self) -> Authority {
        self.authority
    }

    /// What is written of the states of a job.
    pub(crate) fn chunks_of(&self, job: JobId) -> Vec<(u32, Vec<u8>)> {
        let chunks = self.chunks.iter().filter(|((of, _), _)| *of == job);
        chunks
            .map(|((_, number), bytes)| (*number, bytes.clone()))
            .collect()
    }

    /// Puts a backup in the place of the store.
    pub(crate) fn restore(&mut self, backup: &Self) {
        *self = Self {
            restored: true,
            ..backup.clone()
        };
    }

    /// Everything that is not finished.
    pub(crate) fn load(&self) -> Snapshot {
        let granted: Vec<JobId> = self.grants.values().map(|grant| grant.job).collect();
        let live = |job: &JobId| {
            granted.contains(job)
                || self
                    .jobs
                    .get(job)
                    .is_some_and(|record| record.phase != JobPhase::Finished)
        };
        Snapshot {
            authority: self.authority,
            restored: self.restored,
            batch: self.batch,
            counters: self.counters,
            queue: self.queue.clone(),
            jobs: self
                .jobs
                .values()
                .filter(|record| live(&record.job))
                .cloned()
                .collect(),
            chunks: self
                .chunks
                .iter()
                .filter(|((job, _), _)| live(job))
                .map(|((job, number), bytes)| (*job, *number, bytes.clone()))
                .collect(),
            histories: self
                .histories
                .iter()
                .filter(|((job, _), _)| live(job))
                .map(|((job, task), history)| (*job, *task, *history))
                .collect(),
            grants: self.grants.values().cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            services: self.services.values().cloned().collect(),
            revisions: self
                .revisions
                .iter()
                .map(|((service, _), revision)| (service.clone(), revision.clone()))
                .collect(),
            notes: self.notes.values().cloned().collect(),
            keys: self
                .keys
                .iter()
                .map(|(key, made)| (key.clone(), *made))
                .collect(),
        }
    }

    /// What counted of these tasks is history only.
    fn uncount(&mut self, job: JobId, tasks: TaskRange) {
        for record in self.attempts.values_mut() {
            if record.job == job && tasks.contains(record.task) {
                record.counted = false;
            }
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one short arm for each kind of change"
    )]
    fn change(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::AuthorityTaken {
                authority,
                recovered,
                ..
            } => {
                self.authority = *authority;
                self.restored &= !recovered;
            }
            Change::JobAdded(record) => {
                let before = self.jobs.insert(record.job, (**record).clone());
                return fits(before.is_none(), "the job was added before");
            }
            Change::JobProgressed {
                job,
                phase,
                counts,
                finished_at,
            } => {
                let record = self.jobs.get_mut(job).ok_or("the job is not there")?;
                (record.phase, record.counts) = (*phase, *counts);
                record.finished_at = *finished_at;
            }
            Change::JobControlled { job, control } => {
                let record = self.jobs.get_mut(job).ok_or("the job is not there")?;
                record.control.clone_from(control);
            }
            Change::QueueControlled(pause) => self.queue.clone_from(pause),
            Change::TasksRetried { job, tasks } => self.uncount(*job, *tasks),
            Change::ChunkWritten { job, number, bytes } => {
                self.chunks.insert((*job, *number), bytes.clone());
            }
            Change::TaskHistoryWritten { job, task, history } => match history {
                Some(history) => drop(self.histories.insert((*job, *task), *history)),
                None => drop(self.histories.remove(&(*job, *task))),
            },
            Change::GrantAdded(record) => {
                let before = self.grants.insert(record.grant, record.clone());
                return fits(before.is_none(), "the grant was added before");
            }
            Change::GrantWritten {
                grant,
                unsettled,
                suspect,
            } => {
                let record = self.grants.get_mut(grant).ok_or("the grant is not there")?;
                record.unsettled.clone_from(unsettled);
                record.suspect.clone_from(suspect);
            }
            Change::GrantRemoved(grant) => {
                return fits(
                    self.grants.remove(grant).is_some(),
                    "the grant is not there",
                );
            }
            Change::AttemptEnded(record) => {
                let entry = self.attempts.entry(record.attempt);
                entry.or_insert_with(|| (**record).clone());
            }
            Change::AttemptCorrected(record) => {
                let before = self.attempts.insert(record.attempt, (**record).clone());
                return fits(before.is_some(), "the attempt never ended");
            }
            Change::NodeWritten(record) => {
                self.nodes.insert(record.node, (**record).clone());
            }
            Change::KeyAdded { key, made } => {
                let before = self.keys.insert(key.clone(), *made);
                return fits(before.is_none(), "the key was added before");
            }
            Change::KeyRemoved(key) => {
                return fits(self.keys.remove(key).is_some(), "the key is not there");
            }
            Change::ServiceWritten(record) => {
                self.services
                    .insert(record.name.clone(), (**record).clone());
            }
            Change::ServiceRemoved(name) => {
                return fits(
                    self.services.remove(name).is_some(),
                    "the service is not there",
                );
            }
            Change::RevisionWritten { service, revision } => {
                let key = (service.clone(), revision.job);
                self.revisions.insert(key, (**revision).clone());
            }
            Change::RevisionRemoved { service, job } => {
                // One that was made and forgotten in one turn was never there.
                self.revisions.remove(&(service.clone(), *job));
            }
            Change::NoteWritten(record) => {
                let key = (record.kind, record.name.clone());
                self.notes.insert(key, (**record).clone());
            }
            Change::NoteRemoved { kind, name } => {
                return fits(
                    self.notes.remove(&(*kind, name.clone())).is_some(),
                    "the note is not there",
                );
            }
            Change::Audited(_) => {}
            Change::CountersWritten(counters) => self.counters = *counters,
        }
        Ok(())
    }
}

fn fits(fit: bool, what: &str) -> Result<(), String> {
    if fit { Ok(()) } else { Err(what.to_owned()) }
}

/// The authority that a batch takes.
pub(crate) fn taken(batch: &Batch) -> Option<Authority> {
    batch.changes.iter().find_map(|change| {
        if let Change::AuthorityTaken { authority, .. } = change {
            Some(*authority)
        } else {
            None
        }
    })
}
