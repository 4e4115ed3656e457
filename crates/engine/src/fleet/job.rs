//! Live jobs: their spec, the state of each task, and what happened to tasks that came back.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use flota_model::{
    change::{JobRecord, TaskHistory},
    ids::{GrantId, JobId, TaskIndex},
    parameters::{Parameters, ROWS_OF_GRANT_MAX, Rows},
    spec::{Retry, TaskRange},
    state::{Counts, JobPhase, TaskState},
    units::Moment,
};

use super::{
    chunk::{CHUNK_TASKS, Chunk},
    notes::Notes,
    queue::ClassKey,
    retry::Revivals,
    services::{Services, wanted::Wanted},
};

/// All jobs that are not finished, and finished ones that still have grants.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) live: BTreeMap<JobId, Job>,
    /// Tasks of all of them, for the limit.
    pub(crate) tasks: u64,
    /// Bytes of the rows of all of them, for the limit.
    pub(crate) row_bytes: u64,
    /// What edges keep, some of it with the jobs that came of it.
    pub(crate) notes: Notes,
    /// What some of them are revisions of.
    pub(crate) services: Services,
    pub(crate) revivals: Revivals,
}

impl Jobs {
    pub(crate) fn get(&self, job: JobId) -> Option<&Job> {
        self.live.get(&job)
    }

    /// A job that is known to be live: the owner of a grant, or an entry of the queue.
    pub(crate) fn live(&mut self, job: JobId) -> &mut Job {
        self.live
            .get_mut(&job)
            .expect("a job stays while it has grants or waiting tasks")
    }

    pub(crate) fn insert(&mut self, job: Job) {
        self.tasks += u64::from(job.tasks().count());
        self.row_bytes += job.row_bytes();
        self.live.insert(job.record.job, job);
    }

    /// The service that a live job is a revision of.
    pub(crate) fn service_of(&self, job: JobId) -> Option<String> {
        let spec = &self.live.get(&job)?.record.spec.spec;
        spec.service.as_ref().map(|_| spec.name.clone())
    }

    pub(crate) fn remove(&mut self, job: JobId) {
        if let Some(job) = self.live.remove(&job) {
            self.tasks -= u64::from(job.tasks().count());
            self.row_bytes -= job.row_bytes();
        }
    }
}

/// A job with the states of its tasks.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: JobRecord,
    pub(crate) class: ClassKey,
    chunks: Vec<ChunkSlot>,
    /// No task before this offset is waiting.
    cursor: u32,
    pub(crate) histories: BTreeMap<TaskIndex, TaskHistory>,
    /// By first task, then number: finds every grant of a task.
    pub(crate) grants: BTreeSet<(TaskIndex, GrantId)>,
    /// Attempts that are not settled.
    pub(crate) unsettled: u32,
    /// Of a service: which of its replicas are wanted.
    pub(crate) wanted: Option<Wanted>,
    /// Of a service: it waits for others that it depends on.
    pub(crate) is_held: bool,
    /// When its time is over; the same as in `Queue::timeouts`.
    pub(crate) times_out_at: Option<Moment>,
}

#[derive(Debug)]
struct ChunkSlot {
    chunk: Chunk,
    /// Whether the store has it; one that was never written is all waiting.
    stored: bool,
}

impl Job {
    /// A job as accepted or loaded, every task waiting.
    pub(crate) fn new(record: JobRecord) -> Self {
        let count = record.spec.spec.tasks.count();
        let chunks = (0..count.div_ceil(CHUNK_TASKS))
            .map(|number| ChunkSlot {
                chunk: Chunk::waiting(CHUNK_TASKS.min(count - number * CHUNK_TASKS)),
                stored: false,
            })
            .collect();
        Self {
            class: ClassKey::of(&record.spec.spec),
            record,
            chunks,
            cursor: 0,
            histories: BTreeMap::new(),
            grants: BTreeSet::new(),
            unsettled: 0,
            wanted: None,
            is_held: false,
            times_out_at: None,
        }
    }

    /// A revision of a service, of which no replica is wanted yet.
    pub(crate) fn of_service(record: JobRecord) -> Self {
        let mut job = Self::new(record);
        for slot in &mut job.chunks {
            let count = slot.chunk.count();
            slot.chunk.set(0, count, TaskState::Cancelled);
        }
        job
    }

    /// Whether a task is to run: any of a batch job, some of a service.
    pub(crate) fn wants(&self, task: TaskIndex) -> bool {
        self.wanted
            .as_ref()
            .is_none_or(|wanted| wanted.contains(task))
    }

    pub(crate) fn is_service(&self) -> bool {
        self.record.spec.spec.service.is_some()
    }

    /// Whether nothing of it was ever granted, as far as its tasks tell.
    pub(crate) fn is_untouched(&self) -> bool {
        let counts = &self.record.counts;
        let idle = counts.of(TaskState::Waiting) + counts.of(TaskState::Cancelled);
        u64::from(idle) == counts.total()
    }

    /// Whether some replica is wanted that another revision still holds.
    pub(crate) fn is_unfilled(&self) -> bool {
        let Some(wanted) = self.wanted.as_ref().filter(|_| self.is_active()) else {
            return false;
        };
        let all = self.tasks().count();
        self.record.counts.of(TaskState::Cancelled) > all - wanted.count().min(all)
    }

    /// Numbers of all its chunks.
    pub(crate) fn chunk_numbers(&self) -> Range<u32> {
        0..u32::try_from(self.chunks.len()).expect("a job has few chunks")
    }

    /// Puts a stored chunk in its place; `false` if it does not fit there.
    pub(crate) fn restore_chunk(&mut self, number: u32, bytes: &[u8]) -> bool {
        let (Some(slot), Some(chunk)) =
            (self.chunks.get_mut(number as usize), Chunk::decode(bytes))
        else {
            return false;
        };
        let fits = chunk.count() == slot.chunk.count();
        if fits {
            *slot = ChunkSlot {
                chunk,
                stored: true,
            };
        }
        fits
    }

    /// The states of all tasks, counted anew; a sound store agrees with the record's counts.
    pub(crate) fn recount(&self) -> Counts {
        let mut counts = Counts::default();
        for slot in &self.chunks {
            slot.chunk
                .for_each_run(|_, length, state| counts.0[state as usize] += length);
        }
        counts
    }

    pub(crate) fn tasks(&self) -> TaskRange {
        self.record.spec.spec.tasks
    }

    /// Whether it has the rows that its spec names, and no others.
    pub(crate) fn has_its_rows(&self) -> bool {
        match (&self.record.spec.spec.parameters, &self.record.rows) {
            (Some(Parameters::Rows(named)), Some(rows)) => {
                rows.columns() == named.columns.len() && rows.count() == self.tasks().count()
            }
            (Some(Parameters::Rows(_)), None) => false,
            (Some(Parameters::Sweep(_)) | None, rows) => rows.is_none(),
        }
    }

    /// Bytes of its rows.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.record
            .rows
            .as_ref()
            .map_or(0, |rows| rows.length() as u64)
    }

    /// The rows of some tasks in a row; `None` where it has none.
    pub(crate) fn rows_of(&self, first: TaskIndex, count: u32) -> Option<Rows> {
        let offset = first.0 - self.tasks().first.0;
        self.record
            .rows
            .as_ref()
            .map(|rows| rows.part(offset, count))
    }

    /// Whether it goes on: neither cancelled nor finished.
    pub(crate) fn is_active(&self) -> bool {
        self.record.phase == JobPhase::Active
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.record.control.paused.is_some()
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.record.phase == JobPhase::Cancelling
    }

    pub(crate) fn never_retries(&self) -> bool {
        self.record.spec.spec.retry == Retry::Never
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.record.counts.of(TaskState::Waiting)
    }

    /// Whether some task may have an attempt besides the one it is granted for: a suspect that was
    /// replaced, or one that may still tell what became of an `unknown` task.
    pub(crate) fn has_spare_attempts(&self) -> bool {
        self.unsettled > self.record.counts.of(TaskState::Granted)
    }

    pub(crate) fn state(&self, task: TaskIndex) -> TaskState {
        let (number, offset) = self.place(task);
        self.chunks[number].chunk.state(offset)
    }

    /// Moves one task to another state and returns the number of its chunk.
    pub(crate) fn set(&mut self, task: TaskIndex, state: TaskState) -> u32 {
        let (number, offset) = self.place(task);
        let chunk = &mut self.chunks[number].chunk;
        let before = chunk.state(offset);
        chunk.set(offset, 1, state);
        self.record.counts.0[before as usize] -= 1;
        self.record.counts.0[state as usize] += 1;
        if state == TaskState::Waiting {
            self.cursor = self.cursor.min(task.0 - self.tasks().first.0);
        }
        u32::try_from(number).expect("a job has few chunks")
    }

    /// Stretches of tasks of one chunk each that are in one of these states, within `range`.
    pub(crate) fn stretches(&self, states: &[TaskState], range: TaskRange) -> Vec<TaskRange> {
        let mut found = Vec::new();
        let mut base = self.tasks().first.0;
        for slot in &self.chunks {
            let next = base + slot.chunk.count();
            if base <= range.last.0 && range.first.0 < next {
                slot.chunk.for_each_run(|start, length, state| {
                    let first = (base + start).max(range.first.0);
                    let last = (base + start + length - 1).min(range.last.0);
                    if states.contains(&state) && first <= last {
                        let (first, last) = (TaskIndex(first), TaskIndex(last));
                        found.push(TaskRange { first, last });
                    }
                });
            }
            base = next;
        }
        found
    }

    /// Moves all tasks of a stretch of equal states within one chunk; returns the chunk's number.
    pub(crate) fn set_stretch(&mut self, tasks: TaskRange, state: TaskState) -> u32 {
        let (number, offset) = self.place(tasks.first);
        let (length, chunk) = (tasks.count(), &mut self.chunks[number].chunk);
        let before = chunk.state(offset);
        chunk.set(offset, length, state);
        self.record.counts.0[before as usize] -= length;
        self.record.counts.0[state as usize] += length;
        if state == TaskState::Waiting {
            self.cursor = self.cursor.min(tasks.first.0 - self.tasks().first.0);
        }
        u32::try_from(number).expect("a job has few chunks")
    }

    /// Moves the next stretch of waiting tasks, at most `most`, to `state`.
    /// Returns its first task and its length, and the number of its chunk.
    pub(crate) fn take(&mut self, most: u32, state: TaskState) -> Option<(TaskIndex, u32, u32)> {
        let mut number = self.cursor / CHUNK_TASKS;
        let mut from = self.cursor % CHUNK_TASKS;
        while let Some(slot) = self.chunks.get_mut(number as usize) {
            if let Some((start, length)) = slot.chunk.next(TaskState::Waiting, from) {
                let offset = number * CHUNK_TASKS + start;
                let length = match &self.record.rows {
                    Some(rows) if state == TaskState::Granted => {
                        let fit = rows.that_fit(offset, length.min(most), ROWS_OF_GRANT_MAX);
                        length.min(most).min(fit)
                    }
                    _ => length.min(most),
                };
                slot.chunk.set(start, length, state);
                self.cursor = offset + length;
                self.record.counts.0[TaskState::Waiting as usize] -= length;
                self.record.counts.0[state as usize] += length;
                return Some((TaskIndex(self.tasks().first.0 + offset), length, number));
            }
            number += 1;
            from = 0;
            self.cursor = number * CHUNK_TASKS;
        }
        None
    }

    /// All tasks in that state, ascending.
    pub(crate) fn tasks_in(&self, state: TaskState) -> Vec<TaskIndex> {
        let mut tasks = Vec::new();
        let mut base = self.tasks().first.0;
        for slot in &self.chunks {
            slot.chunk.for_each_run(|start, length, seen| {
                if seen == state {
                    tasks.extend((base + start..base + start + length).map(TaskIndex));
                }
            });
            base += slot.chunk.count();
        }
        tasks
    }

    /// Bytes of a chunk for the store.
    pub(crate) fn encode_chunk(&mut self, number: u32) -> Vec<u8> {
        let slot = &mut self.chunks[number as usize];
        slot.stored = true;
        slot.chunk.encode()
    }

    /// What the store must hold of the chunks.
    pub(crate) fn stored_chunks(&self) -> impl Iterator<Item = (u32, Vec<u8>)> {
        (0..)
            .zip(&self.chunks)
            .filter(|(_, slot)| slot.stored)
            .map(|(number, slot)| {
                let mut chunk = slot.chunk.clone();
                (number, chunk.encode())
            })
    }

    fn place(&self, task: TaskIndex) -> (usize, u32) {
        let offset = task.0 - self.tasks().first.0;
        ((offset / CHUNK_TASKS) as usize, offset % CHUNK_TASKS)
    }
}
