//! The trait of readers, with the rows and pages it answers.

use std::ops::RangeInclusive;

use flota_model::{
    change::{AttemptRecord, GrantRecord, JobRecord, NodeRecord},
    control::JobControl,
    ids::{AttemptId, JobId, NodeId, SpecHash, TaskIndex},
    outcome::{Outcome, Stream, StreamName, Usage},
    spec::{Priority, TaskRange},
    state::{Counts, JobKind, JobPhase, TaskState},
    units::Timestamp,
};

use crate::journal::LoadFault;

/// Tasks in a chunk of states; see `Change::ChunkWritten`.
pub const CHUNK_TASKS: u32 = 65_536;
/// Most rows of a page: bounds the memory and the time of one read, which holds back the
/// recycling of the log. A larger limit is cut to this.
pub const PAGE_ROWS_MAX: u32 = 10_000;
/// Most attempts that [`History::task`] gives with their outputs: at the limits of retries and
/// inline output it is 3 × 16 KiB a row, 48 MiB in all.
pub const TASK_ATTEMPTS_MAX: u32 = 1_000;

/// Answers what is stored, finished or not. Every call sees one consistent state, that of the last
/// commit at its start, and never holds up the writer. Blocks on the disk: not for async threads.
pub trait History: Send + Sync {
    /// Jobs, newest first.
    fn jobs(&self, page: &JobPage) -> Result<Page<JobSummary, JobId>, LoadFault>;

    /// How many finished jobs of a principal other than the administrator have a task that succeeded.
    fn succeeded_of(&self, principal: &str) -> Result<u64, LoadFault>;

    /// A job with its spec, without its rows; `None` when there is no such job.
    fn job(&self, job: JobId) -> Result<Option<JobRecord>, LoadFault>;

    /// The chunks of states that hold any of `tasks`, by number, each with its number. One that
    /// was never written is left out: all its tasks wait. Empty when there is no such job.
    fn chunks(&self, job: JobId, tasks: TaskRange) -> Result<Vec<(u32, Vec<u8>)>, LoadFault>;

    /// Ended attempts of some tasks, by task and, within a task, oldest first.
    fn attempts(
        &self,
        page: &AttemptPage,
    ) -> Result<Page<AttemptSummary, AttemptPosition>, LoadFault>;

    /// Chunks and attempts of `page`, both as of the same commit.
    fn tasks(&self, page: &AttemptPage) -> Result<TaskRows, LoadFault>;

    /// All ended attempts of one task with their outputs, oldest first; at most
    /// [`TASK_ATTEMPTS_MAX`], the oldest ones.
    fn task(&self, job: JobId, task: TaskIndex) -> Result<Vec<AttemptRecord>, LoadFault>;

    /// One stream of one attempt of a task; `None` when that attempt has not ended or never was.
    fn output(&self, wanted: &OutputWanted) -> Result<Option<OutputFound>, LoadFault>;

    /// The grants of a job that are not settled, by number.
    fn grants(&self, job: JobId) -> Result<Vec<GrantRecord>, LoadFault>;

    /// Why tasks of a job failed: groups of equal reasons, the largest first, of those that decided
    /// their tasks. Cancelled ones are no failures. At most `limit` groups.
    fn failures(&self, job: JobId, limit: u32) -> Result<Vec<FailureGroup>, LoadFault>;

    /// Batch jobs with tasks in a state of ill end, newest first.
    fn ill_jobs(&self, page: &IllPage) -> Result<Vec<JobSummary>, LoadFault>;

    /// All nodes, by number, as of their last write.
    fn nodes(&self) -> Result<Vec<NodeRecord>, LoadFault>;

    /// Commands that were carried out or refused, newest first.
    fn audit(&self, page: &AuditPage) -> Result<Page<AuditEntry, AuditNumber>, LoadFault>;
}

/// Some rows in order, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Row, Cursor> {
    /// At most as many as the limit.
    pub rows: Vec<Row>,
    /// To be given for the next page; `None` on the last one.
    pub next: Option<Cursor>,
}

impl<Row, Cursor> Page<Row, Cursor> {
    /// Makes a page of `limit` rows out of up to one row more, which only says that there is one.
    pub(crate) fn cut(mut rows: Vec<Row>, limit: u32, cursor: impl Fn(&Row) -> Cursor) -> Self {
        let is_last = rows.len() <= limit as usize;
        rows.truncate(limit as usize);
        let next = if is_last {
            None
        } else {
            rows.last().map(cursor)
        };
        Self { rows, next }
    }
}

/// The rows of a page for which `limit` was asked.
pub(crate) fn page_rows(limit: u32) -> u32 {
    limit.clamp(1, PAGE_ROWS_MAX)
}

/// The numbers of the chunks that hold any of `wanted` (ascending) of a job with these `tasks`,
/// each number once.
pub(crate) fn chunk_numbers(tasks: TaskRange, wanted: &[TaskRange]) -> Vec<RangeInclusive<u32>> {
    let mut numbers: Vec<RangeInclusive<u32>> = Vec::new();
    for range in wanted {
        let (first, last) = (range.first.max(tasks.first), range.last.min(tasks.last));
        if first > last {
            continue;
        }
        let number = |task: TaskIndex| (task.0 - tasks.first.0) / CHUNK_TASKS;
        let beyond = numbers.last().map_or(0, |before| before.end() + 1);
        let start = number(first).max(beyond);
        if start <= number(last) {
            numbers.push(start..=number(last));
        }
    }
    numbers
}

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// Only jobs below this number.
    pub before: Option<JobId>,
    /// Only jobs in this phase.
    pub phase: Option<JobPhase>,
    /// Only jobs of this kind.
    pub kind: Option<JobKind>,
    /// Most rows, 1..=[`PAGE_ROWS_MAX`]; other values are brought into this range.
    pub limit: u32,
}

/// A job without the bytes of its spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSummary {
    /// Its number.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// Order in the queue.
    pub priority: Priority,
    /// Its tasks.
    pub tasks: TaskRange,
    /// The hash of its spec.
    pub spec_hash: SpecHash,
    /// Who submitted it.
    pub principal: String,
    /// When.
    pub submitted_at: Timestamp,
    /// What it is for.
    pub kind: JobKind,
    /// Its phase.
    pub phase: JobPhase,
    /// Its tasks by state.
    pub counts: Counts,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// What was done with it.
    pub control: JobControl,
}

/// A state in which a task did not succeed, and was not cancelled either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IllState {
    /// It failed.
    Failed,
    /// It was set aside as poison.
    Dead,
    /// Nobody knows.
    Unknown,
}

impl IllState {
    /// The state.
    pub fn state(self) -> TaskState {
        match self {
            Self::Failed => TaskState::Failed,
            Self::Dead => TaskState::Dead,
            Self::Unknown => TaskState::Unknown,
        }
    }
}

/// Which jobs with tasks in a state of ill end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IllPage {
    /// The state.
    pub state: IllState,
    /// Only jobs up to this number.
    pub up_to: Option<JobId>,
    /// Most rows, 1..=[`PAGE_ROWS_MAX`]; other values are brought into this range.
    pub limit: u32,
}

/// Tasks that failed for one reason on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// How their attempts ended.
    pub outcome: Outcome,
    /// Where.
    pub node: NodeId,
    /// How many.
    pub tasks: u64,
    /// The lowest of them.
    pub example: TaskIndex,
    /// The attempt that decided it.
    pub attempt: AttemptId,
}

/// Position of an ended attempt among those of its job.
pub type AttemptPosition = (TaskIndex, AttemptId);

/// Which attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptPage {
    /// Of which job.
    pub job: JobId,
    /// Of which tasks: ranges in ascending order that do not overlap.
    pub tasks: Vec<TaskRange>,
    /// Only those after this one.
    pub after: Option<AttemptPosition>,
    /// Most attempts, 1..=[`PAGE_ROWS_MAX`]; other values are brought into this range.
    pub limit: u32,
}

/// An attempt that ended, without the bytes of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptSummary {
    /// Which.
    pub attempt: AttemptId,
    /// Of which task.
    pub task: TaskIndex,
    /// Where.
    pub node: NodeId,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether this outcome decided the task.
    pub counted: bool,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it started, where known.
    pub started_at: Option<Timestamp>,
    /// When it ended, or was given up.
    pub ended_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// What it left.
    pub outputs: OutputSizes,
}

/// The sizes of what an attempt left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputSizes {
    /// Of its standard output.
    pub stdout: StreamSize,
    /// Of its standard error.
    pub stderr: StreamSize,
    /// Of what a kernel returned.
    pub result: StreamSize,
}

/// A stream without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamSize {
    /// Nothing was written.
    #[default]
    Empty,
    /// In the store.
    Inline {
        /// Bytes.
        length: u64,
    },
    /// In a file on the node where it ran.
    OnNode {
        /// Bytes in the file.
        length: u64,
        /// Whether the file stopped at a limit.
        truncated: bool,
    },
}

/// What [`History::tasks`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRows {
    /// As [`History::chunks`] gives them, for the ranges of the page.
    pub chunks: Vec<(u32, Vec<u8>)>,
    /// As [`History::attempts`] gives them.
    pub attempts: Page<AttemptSummary, AttemptPosition>,
}

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputWanted {
    /// Of which job.
    pub job: JobId,
    /// Of which task.
    pub task: TaskIndex,
    /// Which stream.
    pub stream: StreamName,
    /// Of which attempt; where absent that of the one that counted, and where none counted that of
    /// the one that ended last.
    pub attempt: Option<AttemptId>,
}

/// An output that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFound {
    /// Of this attempt.
    pub attempt: AttemptId,
    /// It ran on this node.
    pub node: NodeId,
    /// Whether it is the one that gave the task its state.
    pub counted: bool,
    /// The bytes, or where they are.
    pub stream: Stream,
}

/// Place of a command in the audit, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditNumber(pub u64);

/// Which commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPage {
    /// Only those below this number.
    pub before: Option<AuditNumber>,
    /// Most rows, 1..=[`PAGE_ROWS_MAX`]; other values are brought into this range.
    pub limit: u32,
}

/// Who asked for what, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place.
    pub number: AuditNumber,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: String,
    /// `flota_model::command::Command::verb`.
    pub verb: String,
    /// On what, e.g. `job/17`; empty where there is none.
    pub object: String,
    /// As the person gave it.
    pub reason: Option<String>,
    /// `None` when it was carried out, else the code of the refusal.
    pub refused: Option<String>,
}
