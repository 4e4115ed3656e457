//! Tasks: states from the chunks, attempts from their rows, both as committed.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::Uri,
    routing::on,
};
use flota_engine::fleet::chunk::{CHUNK_TASKS, Chunk};
use flota_model::{
    change::{AttemptRecord, JobRecord},
    ids::{JobId, TaskIndex},
    outcome::{StreamName, Usage},
    spec::TaskRange,
    state::TaskState,
};
use flota_store::{
    history::{
        AttemptPage, AttemptSummary, History, OutputSizes, PAGE_ROWS_MAX, StreamSize, TaskRows,
    },
    journal::LoadFault,
};
use flota_wire::rest::{
    self,
    page::{PAGE_DEFAULT, PAGE_MAX},
};

use super::{
    Desk, Parameters,
    jobs::record,
    routes::{Answer, Chapter, INDEX, JOB, OF_STORE, PAGE, Parameter, Route, Shape, Tag, schema},
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{JOB_NOT_FOUND, Problem, TASK_NOT_FOUND},
};

/// Of a page of tasks.
pub(crate) const AFTER: Parameter = Parameter::query(
    "after",
    Shape::Number {
        min: 0,
        max: u32::MAX as u64,
    },
    "Only tasks with a higher index: `next` of the page before.",
);
/// Of a page of tasks.
pub(crate) const STATE: Parameter = Parameter::query(
    "state",
    Shape::OneOf(&STATE_WORDS),
    "Only tasks in this state.",
);
/// The words of all states.
const STATE_WORDS: [&str; TaskState::ALL.len()] = {
    let mut words = [""; TaskState::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = TaskState::ALL[index].word();
        index += 1;
    }
    words
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Jobs,
        tag: Tag::OfBytes,
        parameters: &[JOB, PAGE, AFTER, STATE],
        answers: &[Answer::json("A page of tasks.", schema::<rest::Tasks>)],
        problems: &[OF_STORE, &[JOB_NOT_FOUND]],
        ..Route::get(
            "/api/v1/jobs/{job}/tasks",
            "listTasks",
            "Tasks of a job with their ended attempts, by index.",
            |method| on(method, list),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        tag: Tag::OfBytes,
        parameters: &[JOB, INDEX],
        answers: &[Answer::json("The task.", schema::<rest::Task>)],
        problems: &[OF_STORE, &[JOB_NOT_FOUND, TASK_NOT_FOUND]],
        ..Route::get(
            "/api/v1/jobs/{job}/tasks/{task}",
            "getTask",
            "One task with its ended attempts.",
            |method| on(method, task),
        )
    },
];

/// Which tasks of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskFilter {
    pub(crate) after: Option<TaskIndex>,
    pub(crate) state: Option<TaskState>,
    pub(crate) limit: u32,
}

impl TaskFilter {
    /// From `limit`, `after` and `state`.
    pub(crate) fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let words = STATE_WORDS.join(", ");
        let state = |word: &str| {
            TaskState::ALL
                .into_iter()
                .find(|state| state.word() == word)
        };
        Ok(Self {
            after: parameters.number("after", 0..=u32::MAX)?.map(TaskIndex),
            state: parameters.parsed("state", &format!("one of {words}"), state)?,
            limit: parameters
                .number("limit", 1..=PAGE_MAX)?
                .unwrap_or(PAGE_DEFAULT),
        })
    }
}

/// `GET /api/v1/jobs/{job}/tasks`
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<rest::Tasks>, Problem> {
    let parameters = Parameters::parse(&uri, &["limit", "after", "state"])?;
    let filter = TaskFilter::of(&parameters)?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let record = record(&desk, &permit, job).await?;
    let tasks = desk
        .read(&permit, move |history| page(history, &record, filter))
        .await?;
    Ok(Json(tasks))
}

/// `GET /api/v1/jobs/{job}/tasks/{index}`
pub(super) async fn task(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((name, index)): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<rest::Task>, Problem> {
    Parameters::parse(&uri, &[])?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let record = record(&desk, &permit, job).await?;
    let task = task_named(&record, &index)?;
    let only = TaskRange {
        first: task,
        last: task,
    };
    let read = desk
        .read(&permit, move |history| {
            tasks_of(history, &record, vec![only])
        })
        .await?;
    read.into_iter()
        .next()
        .map(Json)
        .ok_or_else(|| no_task(&index, job))
}

/// The task of the job that the path names.
pub(super) fn task_named(record: &JobRecord, index: &str) -> Result<TaskIndex, Problem> {
    let task = index.parse().ok().map(TaskIndex);
    let task = task.filter(|task| record.spec.spec.tasks.contains(*task));
    task.ok_or_else(|| no_task(index, record.job))
}

fn no_task(index: &str, job: JobId) -> Problem {
    let shown: String = index.chars().take(40).collect();
    Problem::new(TASK_NOT_FOUND, format!("job {job} has no task `{shown}`"))
}

/// A page of tasks with their attempts.
pub(crate) fn page(
    history: &dyn History,
    record: &JobRecord,
    filter: TaskFilter,
) -> Result<rest::Tasks, LoadFault> {
    let limit = filter.limit as usize;
    // One more than asked for, to know whether there is a next page.
    let ranges = select(
        history,
        record,
        TaskFilter {
            limit: filter.limit + 1,
            ..filter
        },
    )?;
    let mut tasks = tasks_of(history, record, ranges)?;
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().filter(|_| more).map(|task| task.index);
    if let Some(state) = filter.state {
        // The states were read again together with the attempts; some may have gone on.
        tasks.retain(|task| task.state == state.word());
    }
    Ok(rest::Tasks { tasks, next })
}

/// The first tasks that the filter lets through, as ranges.
fn select(
    history: &dyn History,
    record: &JobRecord,
    filter: TaskFilter,
) -> Result<Vec<TaskRange>, LoadFault> {
    let all = record.spec.spec.tasks;
    let from = match filter.after {
        Some(after) if after >= all.last => return Ok(Vec::new()),
        Some(after) => TaskIndex(after.0 + 1).max(all.first),
        None => all.first,
    };
    let Some(state) = filter.state else {
        let last = from.0.saturating_add(filter.limit - 1).min(all.last.0);
        return Ok(vec![TaskRange {
            first: from,
            last: TaskIndex(last),
        }]);
    };
    let mut ranges = Vec::new();
    let mut missing = filter.limit;
    let mut start = from.0 - all.first.0;
    // Chunk by chunk, because a page is often full after the first one.
    while missing > 0 && start < all.count() {
        let number = start / CHUNK_TASKS;
        let chunk = load_chunk(history, record, number)?;
        let base = all.first.0 + number * CHUNK_TASKS;
        let mut offset = start % CHUNK_TASKS;
        while missing > 0
            && let Some((first, length)) = chunk.next(state, offset)
        {
            let length = length.min(missing);
            let (first, last) = (
                TaskIndex(base + first),
                TaskIndex(base + first + length - 1),
            );
            ranges.push(TaskRange { first, last });
            missing -= length;
            offset = last.0 - base + 1;
        }
        start = (number + 1).saturating_mul(CHUNK_TASKS);
    }
    Ok(ranges)
}

/// One chunk of the job's states; one that was never written is all waiting.
fn load_chunk(history: &dyn History, record: &JobRecord, number: u32) -> Result<Chunk, LoadFault> {
    let first = TaskIndex(record.spec.spec.tasks.first.0 + number * CHUNK_TASKS);
    let chunks = history.chunks(record.job, TaskRange { first, last: first })?;
    States { record, chunks }.chunk(number)
}

/// Tasks of those ranges with their states and attempts, as of one commit.
fn tasks_of(
    history: &dyn History,
    record: &JobRecord,
    ranges: Vec<TaskRange>,
) -> Result<Vec<rest::Task>, LoadFault> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = AttemptPage {
        job: record.job,
        tasks: ranges.clone(),
        after: None,
        limit: PAGE_ROWS_MAX,
    };
    let TaskRows { chunks, attempts } = history.tasks(&wanted)?;
    // Attempts beyond the most rows of a read belong to a later page, with their task; the first
    // task stays whatever it has, so that pages always go on.
    let cut = attempts.next.map(|(task, _)| task);
    let states = States { record, chunks };
    let mut rows = attempts.rows.into_iter().peekable();
    let mut tasks: Vec<rest::Task> = Vec::new();
    let mut chunk: Option<(u32, Chunk)> = None;
    for task in ranges
        .into_iter()
        .flat_map(|range| range.first.0..=range.last.0)
        .map(TaskIndex)
    {
        if !tasks.is_empty() && cut.is_some_and(|cut| task >= cut) {
            break;
        }
        let offset = task.0 - record.spec.spec.tasks.first.0;
        let number = offset / CHUNK_TASKS;
        if chunk.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            chunk = Some((number, states.chunk(number)?));
        }
        let state = chunk.as_ref().map_or(TaskState::Waiting, |(_, chunk)| {
            chunk.state(offset % CHUNK_TASKS)
        });
        let mut attempts = Vec::new();
        while let Some(row) = rows.next_if(|row| row.task == task) {
            attempts.push(attempt(record.job, row));
        }
        tasks.push(rest::Task {
            index: task.0,
            state: state.word().into(),
            attempts,
        });
    }
    Ok(tasks)
}

/// States of tasks as they were read.
struct States<'a> {
    record: &'a JobRecord,
    chunks: Vec<(u32, Vec<u8>)>,
}

impl States<'_> {
    fn chunk(&self, number: u32) -> Result<Chunk, LoadFault> {
        let count = self.record.spec.spec.tasks.count() - number * CHUNK_TASKS;
        let count = count.min(CHUNK_TASKS);
        let Some((_, bytes)) = self.chunks.iter().find(|(stored, _)| *stored == number) else {
            return Ok(Chunk::waiting(count));
        };
        let chunk = Chunk::decode(bytes).filter(|chunk| chunk.count() == count);
        chunk.ok_or_else(|| LoadFault::Damaged {
            what: format!("chunk {number} of job {} cannot be read", self.record.job),
            source: None,
        })
    }
}

/// An attempt as JSON.
fn attempt(job: JobId, row: AttemptSummary) -> rest::Attempt {
    let outputs = lengths(&row.outputs);
    let truncated = truncated(&row.outputs);
    let record = AttemptRecord {
        attempt: row.attempt,
        job,
        task: row.task,
        node: row.node,
        outcome: row.outcome,
        counted: row.counted,
        granted_at: row.granted_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
        usage: Usage { ..row.usage },
        output: None,
    };
    rest::Attempt {
        outputs,
        truncated,
        ..rest::Attempt::from(&record)
    }
}

/// Bytes of each stream that is not empty.
fn lengths(sizes: &OutputSizes) -> std::collections::BTreeMap<String, u64> {
    let length = |size: StreamSize| match size {
        StreamSize::Empty => 0,
        StreamSize::Inline { length } | StreamSize::OnNode { length, .. } => length,
    };
    streams(sizes)
        .map(|(name, size)| (name.to_owned(), length(size)))
        .filter(|(_, length)| *length > 0)
        .collect()
}

/// Streams of which the end is missing.
fn truncated(sizes: &OutputSizes) -> Vec<String> {
    let is_cut = |size| {
        matches!(
            size,
            StreamSize::OnNode {
                truncated: true,
                ..
            }
        )
    };
    streams(sizes)
        .filter(|(_, size)| is_cut(*size))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn streams(sizes: &OutputSizes) -> impl Iterator<Item = (&'static str, StreamSize)> {
    [
        (StreamName::Stdout, sizes.stdout),
        (StreamName::Stderr, sizes.stderr),
        (StreamName::Result, sizes.result),
    ]
    .into_iter()
    .map(|(name, size)| (name.word(), size))
}
