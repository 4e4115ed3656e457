//! Notes of the edges, and the jobs that come of them: both are durable together or not at all.

use std::{collections::BTreeMap, sync::Arc};

use flota_model::{
    change::{Change, JobRecord},
    command::{Command, Principal, Refusal, Reply},
    ids::JobId,
    note::{
        JOBS_OF_NOTE_MAX, NOTE_LENGTH_MAX, NOTES_LENGTH_ALL_MAX, NOTES_MAX, NoteKind, NoteRecord,
    },
    parameters::Rows,
    spec::SealedSpec,
    state::{Counts, JobPhase, TaskState},
};

use super::{Fleet, job::Job};

/// All notes.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    known: BTreeMap<(NoteKind, String), NoteRecord>,
    /// Bytes of all of them, for the limit.
    length: u64,
}

impl Notes {
    pub(crate) fn insert(&mut self, record: NoteRecord) {
        self.length += record.bytes.len() as u64;
        let key = (record.kind, record.name.clone());
        if let Some(before) = self.known.insert(key, record) {
            self.length -= before.bytes.len() as u64;
        }
    }

    pub(crate) fn all(&self) -> Vec<NoteRecord> {
        self.known.values().cloned().collect()
    }

    fn get(&self, kind: NoteKind, name: &str) -> Option<&NoteRecord> {
        self.known.get(&(kind, name.to_owned()))
    }
}

/// What a note is to become.
#[derive(Debug)]
struct Wish {
    kind: NoteKind,
    name: String,
    expected: Option<u64>,
    bytes: Arc<[u8]>,
}

impl Fleet {
    /// Carries out a command about notes; `None` where it is about something else.
    pub(crate) fn note_command(
        &mut self,
        principal: &Principal,
        command: Command,
    ) -> Option<Result<Reply, Refusal>> {
        if let Command::WriteNote {
            kind,
            name,
            expected,
            bytes,
            jobs,
        } = command
        {
            let wish = Wish {
                kind,
                name,
                expected,
                bytes,
            };
            return Some(self.write_note(principal, wish, jobs));
        }
        if let Command::RemoveNote { kind, name } = command {
            return Some(self.remove_note(kind, name));
        }
        None
    }

    /// Writes a note and submits the jobs that come of it, or neither.
    fn write_note(
        &mut self,
        principal: &Principal,
        wish: Wish,
        jobs: Vec<(SealedSpec, Option<Rows>)>,
    ) -> Result<Reply, Refusal> {
        let before = self.jobs.notes.get(wish.kind, &wish.name).cloned();
        let revision = before.as_ref().map_or(0, |before| before.revision);
        if wish.expected.is_some_and(|expected| expected != revision) {
            return Err(Refusal::NoteChanged {
                kind: wish.kind,
                name: wish.name,
            });
        }
        self.admit_note(&wish, before.as_ref())?;
        self.admit_all(&jobs)?;
        let record = NoteRecord {
            kind: wish.kind,
            name: wish.name,
            revision: revision + 1,
            principal: before.map_or_else(|| principal.name.clone(), |before| before.principal),
            changed_at: self.office.now.wall,
            bytes: wish.bytes,
        };
        let revision = record.revision;
        self.ledger
            .changes
            .push(Change::NoteWritten(Box::new(record.clone())));
        self.jobs.notes.insert(record);
        let made = jobs.into_iter();
        let jobs = made.map(|job| self.add_submitted(principal, job)).collect();
        Ok(Reply::Noted { revision, jobs })
    }

    fn remove_note(&mut self, kind: NoteKind, name: String) -> Result<Reply, Refusal> {
        let Some(before) = self.jobs.notes.known.remove(&(kind, name.clone())) else {
            return Err(Refusal::NoteNotFound { kind, name });
        };
        self.jobs.notes.length -= before.bytes.len() as u64;
        self.ledger.changes.push(Change::NoteRemoved { kind, name });
        Ok(Reply::Noted {
            revision: before.revision,
            jobs: Vec::new(),
        })
    }

    /// All notes of a kind, by name.
    pub(crate) fn notes_of(&self, kind: NoteKind) -> Vec<NoteRecord> {
        let all = self.jobs.notes.known.values();
        all.filter(|note| note.kind == kind).cloned().collect()
    }

    fn admit_note(&self, wish: &Wish, before: Option<&NoteRecord>) -> Result<(), Refusal> {
        let length = wish.bytes.len();
        let others = self.jobs.notes.length - before.map_or(0, |note| note.bytes.len() as u64);
        let count = self.notes_of(wish.kind).len();
        let is_too_many = before.is_none() && count >= NOTES_MAX;
        let is_too_long = length > NOTE_LENGTH_MAX;
        if is_too_many || is_too_long || others + length as u64 > NOTES_LENGTH_ALL_MAX {
            return Err(Refusal::TooManyNotes { kind: wish.kind });
        }
        Ok(())
    }

    fn admit_all(&self, jobs: &[(SealedSpec, Option<Rows>)]) -> Result<(), Refusal> {
        if jobs.len() > JOBS_OF_NOTE_MAX {
            return Err(Refusal::TooManyJobs {
                limit: JOBS_OF_NOTE_MAX as u64,
            });
        }
        let tasks = jobs.iter().map(|(spec, _)| spec.spec.tasks.count());
        let tasks = tasks.fold(0, u32::saturating_add);
        if !jobs.is_empty() {
            self.admit_job(tasks)?;
        }
        let bytes = jobs.iter().filter_map(|(_, rows)| rows.as_ref());
        self.admit_row_bytes(bytes.map(|rows| rows.length() as u64).sum())?;
        for (spec, _) in jobs {
            self.admit(spec)?;
        }
        Ok(())
    }

    /// Takes in a job that was admitted.
    pub(crate) fn add_submitted(
        &mut self,
        principal: &Principal,
        (spec, rows): (SealedSpec, Option<Rows>),
    ) -> JobId {
        let mut counts = Counts::default();
        counts.0[TaskState::Waiting as usize] = spec.spec.tasks.count();
        let record = JobRecord {
            job: self.office.next_job(),
            principal: principal.name.clone(),
            submitted_at: self.office.now.wall,
            phase: JobPhase::Active,
            counts,
            finished_at: None,
            control: self.control_of(principal, &spec),
            spec,
            rows,
        };
        let job = record.job;
        self.ledger.counters = true;
        self.add_job(record, Job::new);
        job
    }
}
