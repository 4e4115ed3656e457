//! What a store holds, as maps.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::{
        AttemptRecord, AuditRecord, Batch, Change, Counters, GrantRecord, IdempotencyKey,
        JobRecord, KeyRecord, NodeRecord, RevisionRecord, ServiceRecord, Snapshot, TaskHistory,
    },
    control::Pause,
    ids::{AttemptId, BatchNumber, GrantId, JobId, NodeId, TaskIndex},
    note::{NoteKind, NoteRecord},
    outcome::Output,
    spec::TaskRange,
    state::JobPhase,
};

use crate::{head::Head, journal::ApplyFault};

/// Order of the attempts of a task: that of SQLite, which compares 64-bit numbers as signed ones.
pub(super) type AttemptOrder = (u32, i64, i64);

pub(super) fn order(attempt: AttemptId) -> AttemptOrder {
    (
        attempt.epoch.0,
        attempt.salt.cast_signed(),
        attempt.sequence.cast_signed(),
    )
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    head: Head,
    counters: Counters,
    pub(super) queue: Option<Pause>,
    pub(super) jobs: BTreeMap<JobId, JobRecord>,
    pub(super) chunks: BTreeMap<(JobId, u32), Vec<u8>>,
    histories: BTreeMap<(JobId, TaskIndex), TaskHistory>,
    pub(super) grants: BTreeMap<GrantId, GrantRecord>,
    pub(super) attempts: BTreeMap<(JobId, TaskIndex, AttemptOrder), AttemptRecord>,
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
    services: BTreeMap<String, ServiceRecord>,
    revisions: BTreeMap<(String, JobId), RevisionRecord>,
    notes: BTreeMap<(NoteKind, String), NoteRecord>,
    keys: BTreeMap<IdempotencyKey, KeyRecord>,
    pub(super) audit: Vec<AuditRecord>,
}

impl State {
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<(), ApplyFault> {
        self.head.follow(batch)?;
        for change in &batch.changes {
            self.change(change).map_err(|what| ApplyFault::Unfit {
                number: batch.number,
                what,
            })?;
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::AuthorityTaken { .. } => {}
            Change::JobAdded(record) => add(&mut self.jobs, record.job, record, "job")?,
            Change::JobProgressed {
                job,
                phase,
                counts,
                finished_at,
            } => {
                let record = self.job_mut(*job)?;
                (record.phase, record.counts) = (*phase, *counts);
                record.finished_at = *finished_at;
            }
            Change::JobControlled { job, control } => {
                self.job_mut(*job)?.control.clone_from(control);
            }
            Change::QueueControlled(pause) => self.queue.clone_from(pause),
            Change::TasksRetried { job, tasks } => self.uncount(*job, *tasks),
            Change::ChunkWritten { job, number, bytes } => {
                self.chunks.insert((*job, *number), bytes.clone());
            }
            Change::TaskHistoryWritten {
                job,
                task,
                history: Some(history),
            } => {
                self.histories.insert((*job, *task), *history);
            }
            Change::TaskHistoryWritten {
                job,
                task,
                history: None,
            } => {
                self.histories.remove(&(*job, *task));
            }
            Change::GrantAdded(record) => add(&mut self.grants, record.grant, record, "grant")?,
            Change::GrantWritten {
                grant,
                unsettled,
                suspect,
            } => {
                let record = self
                    .grants
                    .get_mut(grant)
                    .ok_or(format!("grant {grant} is not there"))?;
                record.unsettled.clone_from(unsettled);
                record.suspect.clone_from(suspect);
            }
            Change::GrantRemoved(grant) => drop(self.grants.remove(grant)),
            Change::AttemptEnded(record) => self.end(record),
            Change::AttemptCorrected(record) => {
                self.attempts.insert(key(record), plain(record));
            }
            Change::NodeWritten(record) => {
                self.nodes.insert(record.node, (**record).clone());
            }
            Change::KeyAdded { key, made } => self.add_key(key, *made)?,
            Change::KeyRemoved(key) => drop(self.keys.remove(key)),
            Change::ServiceWritten(_)
            | Change::ServiceRemoved(_)
            | Change::RevisionWritten { .. }
            | Change::RevisionRemoved { .. } => self.change_service(change),
            Change::NoteWritten(record) => self.write_note(record),
            Change::NoteRemoved { kind, name } => drop(self.notes.remove(&(*kind, name.clone()))),
            Change::Audited(record) => self.audit.push(record.clone()),
            Change::CountersWritten(counters) => self.counters = *counters,
        }
        Ok(())
    }

    /// The first record of an attempt stays.
    fn end(&mut self, record: &AttemptRecord) {
        let place = self.attempts.entry(key(record));
        place.or_insert_with(|| plain(record));
    }

    fn write_note(&mut self, record: &NoteRecord) {
        let key = (record.kind, record.name.clone());
        self.notes.insert(key, record.clone());
    }

    fn job_mut(&mut self, job: JobId) -> Result<&mut JobRecord, String> {
        let record = self.jobs.get_mut(&job);
        record.ok_or(format!("job {job} is not there"))
    }

    /// What counted of these tasks is history only.
    fn uncount(&mut self, job: JobId, tasks: TaskRange) {
        let lowest = (u32::MIN, i64::MIN, i64::MIN);
        let after = (job, TaskIndex(tasks.last.0.saturating_add(1)), lowest);
        let range = (job, tasks.first, lowest)..after;
        for (_, record) in self.attempts.range_mut(range) {
            record.counted = false;
        }
    }

    fn change_service(&mut self, change: &Change) {
        if let Change::ServiceWritten(record) = change {
            self.services
                .insert(record.name.clone(), (**record).clone());
        } else if let Change::ServiceRemoved(name) = change {
            self.services.remove(name);
        } else if let Change::RevisionWritten { service, revision } = change {
            let key = (service.clone(), revision.job);
            self.revisions.insert(key, (**revision).clone());
        } else if let Change::RevisionRemoved { service, job } = change {
            self.revisions.remove(&(service.clone(), *job));
        }
    }

    fn add_key(&mut self, key: &IdempotencyKey, made: KeyRecord) -> Result<(), String> {
        match self.keys.insert(key.clone(), made) {
            None => Ok(()),
            Some(_) => {
                let IdempotencyKey { principal, key } = key;
                Err(format!("key `{key}` of `{principal}` is already there"))
            }
        }
    }

    pub(super) fn last_batch(&self) -> BatchNumber {
        self.head.batch
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let unfinished = |record: &&JobRecord| record.phase != JobPhase::Finished;
        let mut live: BTreeSet<JobId> = self
            .jobs
            .values()
            .filter(unfinished)
            .map(|record| record.job)
            .collect();
        live.extend(self.grants.values().map(|grant| grant.job));
        let chunks = self
            .chunks
            .iter()
            .filter(|((job, _), _)| live.contains(job));
        let histories = self
            .histories
            .iter()
            .filter(|((job, _), _)| live.contains(job));
        Snapshot {
            authority: self.head.authority,
            restored: self.head.restored,
            batch: self.head.batch,
            counters: self.counters,
            queue: self.queue.clone(),
            jobs: live
                .iter()
                .filter_map(|job| self.jobs.get(job))
                .cloned()
                .collect(),
            chunks: chunks
                .map(|((job, number), bytes)| (*job, *number, bytes.clone()))
                .collect(),
            histories: histories
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
}

fn add<K: Ord + std::fmt::Display, V: Clone>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: &V,
    what: &str,
) -> Result<(), String> {
    let fault = format!("{what} {key} is already there");
    if map.insert(key, value.clone()).is_some() {
        Err(fault)
    } else {
        Ok(())
    }
}

fn key(record: &AttemptRecord) -> (JobId, TaskIndex, AttemptOrder) {
    (record.job, record.task, order(record.attempt))
}

/// An output of which every stream is empty is kept as none.
fn plain(record: &AttemptRecord) -> AttemptRecord {
    let mut record = record.clone();
    record.output = record.output.filter(|output| **output != Output::default());
    record
}
