//! What did not succeed: why, where it is in all jobs, and once more.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::Uri,
    routing::on,
};
use flota_model::{
    command::{Command, Query, Refusal, Reply},
    control::{RETRIED_STATES, RETRY_RANGES_MAX, RetryTicket, RetryWhich, StoredJob},
    ids::{JobId, TaskIndex},
    spec::TaskRange,
    state::{JobPhase, TaskState},
};
use flota_store::{
    history::{History, IllPage, IllState},
    journal::LoadFault,
};
use flota_wire::rest::{
    control::{DeadCursor, DeadTask, DeadTasks, FailureGroup, Failures, Retried},
    page::{PAGE_DEFAULT, PAGE_MAX},
};

use super::{
    Desk, Parameters, TaskFilter, bug,
    jobs::record,
    routes::{
        Answer, Chapter, JOB, OF_FLEET, OF_STORE, PAGE, Parameter, Route, Shape, Tag, schema,
    },
    task_page,
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{
        DEADLINE_PASSED, JOB_CANCELLING, JOB_CHANGED, JOB_NOT_FOUND, JOBS_TOO_MANY, Problem,
        QUERY_INVALID, SERVICE_KIND, STORE_BEHIND, STORE_FULL, TASKS_TOO_MANY,
    },
};

/// Groups of failures of an answer.
const GROUPS_MAX: u32 = 100;
/// Jobs that are looked at for one page of dead tasks.
const JOBS_PER_READ: u32 = 1_000;
/// How often a job is read again that changed while it was read.
const READS_MAX: usize = 5;

const STATES: Parameter = Parameter::query(
    "states",
    Shape::Text,
    "Only tasks in these states, a list with commas of `failed`, `dead`, `unknown` and `cancelled`; \
     otherwise in any of them.",
);
const TASKS: Parameter = Parameter::query(
    "tasks",
    Shape::Text,
    "Only these tasks: a list with commas of indexes and ranges, e.g. `3,7-9`; otherwise all.",
);
const STATE: Parameter = Parameter::query(
    "state",
    Shape::OneOf(&["dead", "failed", "unknown"]),
    "In which state; otherwise `dead`.",
);
const JOB_OF_PAGE: Parameter = Parameter::query(
    "job",
    Shape::Number {
        min: 0,
        max: u64::MAX,
    },
    "Where to go on: `next` of the page before.",
);
const AFTER: Parameter = Parameter::query(
    "after",
    Shape::Number {
        min: 0,
        max: u32::MAX as u64,
    },
    "Behind which task of that job to go on: `next` of the page before.",
);

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Jobs,
        parameters: &[JOB, STATES, TASKS],
        answers: &[Answer::json(
            "How many tasks wait again. The same once more changes nothing.",
            schema::<Retried>,
        )],
        problems: &[
            OF_FLEET,
            OF_STORE,
            &[
                JOB_NOT_FOUND,
                JOB_CANCELLING,
                JOB_CHANGED,
                DEADLINE_PASSED,
                JOBS_TOO_MANY,
                TASKS_TOO_MANY,
                SERVICE_KIND,
                STORE_BEHIND,
                STORE_FULL,
            ],
        ],
        ..Route::post(
            "/api/v1/jobs/{job}/retry",
            "retryJob",
            "Has tasks that ended without success wait again, also those of a finished job.",
            |method| on(method, retry),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        tag: Tag::OfBytes,
        parameters: &[JOB],
        answers: &[Answer::json("The reasons.", schema::<Failures>)],
        problems: &[OF_STORE, &[JOB_NOT_FOUND]],
        ..Route::get(
            "/api/v1/jobs/{job}/failures",
            "listFailures",
            "Why tasks of a job failed: groups of equal reasons, each with an example.",
            |method| on(method, failures),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        tag: Tag::OfBytes,
        parameters: &[STATE, PAGE, JOB_OF_PAGE, AFTER],
        answers: &[Answer::json("A page of tasks.", schema::<DeadTasks>)],
        problems: &[OF_STORE],
        ..Route::get(
            "/api/v1/dead",
            "listDead",
            "Tasks of all jobs that were set aside as poison, or ended in another state without \
             success, each with its reason.",
            |method| on(method, dead),
        )
    },
];

/// `POST /api/v1/jobs/{job}/retry`
pub(super) async fn retry(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Retried>, Problem> {
    let parameters = Parameters::parse(&uri, &["states", "tasks"])?;
    let which = which(&parameters)?;
    let job = desk.job_named(&name).await?;
    desk.refuse_when_full()?;
    for _ in 0..READS_MAX {
        let reader = caller.may(Verb::JobRead, &Object::Job(job))?;
        let ticket = ticket(&desk, caller.may(Verb::JobRead, &Object::Job(job))?).await?;
        let stored = stored(&desk, &reader, job, ticket).await?;
        let permit = caller.may(Verb::JobRetry, &Object::Job(job))?;
        let command = Command::Retry {
            job,
            which: which.clone(),
            stored,
        };
        match desk.try_command(permit, command).await? {
            Ok(Reply::Retried(retried)) => return Ok(Json(retried.into())),
            Ok(_) => return Err(bug("a retry got another answer")),
            // It finished, or was taken up, while it was read.
            Err(Refusal::JobFinished(_) | Refusal::JobChanged(_)) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let detail = format!("job {job} changed {READS_MAX} times while it was read");
    Err(Problem::new(JOB_CHANGED, detail))
}

async fn ticket(desk: &Desk, permit: Permit) -> Result<RetryTicket, Problem> {
    let Reply::RetryTicket(ticket) = desk.query(permit, Query::RetryTicket).await? else {
        return Err(bug("a ticket got another answer"));
    };
    Ok(ticket)
}

/// What the store has of a job that is finished; `None` of one that is not.
async fn stored(
    desk: &Desk,
    permit: &Permit,
    job: JobId,
    ticket: RetryTicket,
) -> Result<Option<Box<StoredJob>>, Problem> {
    let record = record(desk, permit, job).await?;
    if record.phase != JobPhase::Finished {
        return Ok(None);
    }
    let tasks = record.spec.spec.tasks;
    let chunks = desk
        .read(permit, move |history| history.chunks(job, tasks))
        .await?;
    Ok(Some(Box::new(StoredJob {
        record,
        chunks,
        ticket,
    })))
}

fn which(parameters: &Parameters) -> Result<RetryWhich, Problem> {
    let words = "a list of failed, dead, unknown and cancelled";
    let states = parameters.parsed("states", words, |text| {
        let state = |word: &str| {
            RETRIED_STATES
                .into_iter()
                .find(|known| known.word() == word)
        };
        text.split(',').map(state).collect::<Option<Vec<_>>>()
    })?;
    let tasks = parameters.parsed("tasks", "a list of indexes and ranges", |text| {
        text.split(',').map(range).collect::<Option<Vec<_>>>()
    })?;
    let tasks = tasks.unwrap_or_default();
    if tasks.len() > RETRY_RANGES_MAX {
        let detail = format!("{} ranges, at most {RETRY_RANGES_MAX}", tasks.len());
        return Err(Problem::new(QUERY_INVALID, detail));
    }
    Ok(RetryWhich {
        states: states.unwrap_or_else(|| RETRIED_STATES.to_vec()),
        tasks,
    })
}

/// `3` or `7-9`.
fn range(text: &str) -> Option<TaskRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let index = |text: &str| text.parse().ok().map(TaskIndex);
    let (first, last) = (index(first)?, index(last)?);
    (first <= last).then_some(TaskRange { first, last })
}

/// `GET /api/v1/jobs/{job}/failures`
pub(super) async fn failures(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Failures>, Problem> {
    Parameters::parse(&uri, &[])?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    record(&desk, &permit, job).await?;
    Ok(Json(failures_of(&desk, &permit, job).await?))
}

/// Why tasks of a job failed.
pub(crate) async fn failures_of(
    desk: &Desk,
    permit: &Permit,
    job: JobId,
) -> Result<Failures, Problem> {
    let mut groups = desk
        .read(permit, move |history| history.failures(job, GROUPS_MAX + 1))
        .await?;
    let more = groups.len() > GROUPS_MAX as usize;
    groups.truncate(GROUPS_MAX as usize);
    let groups = groups.into_iter().map(|group| {
        let example = (group.example.0, group.attempt.to_string());
        FailureGroup::of(&group.outcome, group.node, group.tasks, example)
    });
    Ok(Failures {
        groups: groups.collect(),
        more,
    })
}

/// `GET /api/v1/dead`
pub(super) async fn dead(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<DeadTasks>, Problem> {
    let parameters = Parameters::parse(&uri, &["state", "limit", "job", "after"])?;
    let state = parameters.parsed("state", "dead, failed or unknown", |word| {
        let all = [IllState::Dead, IllState::Failed, IllState::Unknown];
        all.into_iter().find(|known| known.state().word() == word)
    })?;
    let wanted = DeadWanted {
        state: state.unwrap_or(IllState::Dead),
        limit: parameters
            .number("limit", 1..=PAGE_MAX)?
            .unwrap_or(PAGE_DEFAULT),
        job: parameters.number("job", 0..=u64::MAX)?.map(JobId),
        after: parameters.number("after", 0..=u32::MAX)?.map(TaskIndex),
    };
    let permit = caller.may(Verb::JobRead, &Object::Fleet)?;
    let page = desk
        .read(&permit, move |history| dead_page(history, wanted))
        .await?;
    Ok(Json(page))
}

/// Which dead tasks.
#[derive(Debug, Clone, Copy)]
struct DeadWanted {
    state: IllState,
    limit: u32,
    job: Option<JobId>,
    after: Option<TaskIndex>,
}

fn dead_page(history: &dyn History, wanted: DeadWanted) -> Result<DeadTasks, LoadFault> {
    let limit = wanted.limit as usize;
    let mut tasks: Vec<DeadTask> = Vec::new();
    let mut up_to = wanted.job;
    loop {
        let jobs = history.ill_jobs(&IllPage {
            state: wanted.state,
            up_to,
            limit: JOBS_PER_READ,
        })?;
        for job in &jobs {
            let after = wanted.after.filter(|_| wanted.job == Some(job.job));
            let missing = limit - tasks.len();
            let found = dead_of(history, job.job, wanted.state.state(), (after, missing))?;
            tasks.extend(found);
            if tasks.len() == limit {
                let last = tasks.last();
                let next = last.map(|task| DeadCursor {
                    job: task.job,
                    after: task.index,
                });
                return Ok(DeadTasks { tasks, next });
            }
        }
        let last = jobs.last().map(|job| job.job.0);
        match last {
            Some(last) if jobs.len() == JOBS_PER_READ as usize && last > 1 => {
                up_to = Some(JobId(last - 1));
            }
            _ => return Ok(DeadTasks { tasks, next: None }),
        }
    }
}

/// Tasks of a job in that state, at most so many, behind that one.
fn dead_of(
    history: &dyn History,
    job: JobId,
    state: TaskState,
    (after, missing): (Option<TaskIndex>, usize),
) -> Result<Vec<DeadTask>, LoadFault> {
    let Some(record) = history.job(job)? else {
        return Ok(Vec::new());
    };
    let filter = TaskFilter {
        after,
        state: Some(state),
        limit: u32::try_from(missing).unwrap_or(PAGE_MAX),
    };
    let page = task_page(history, &record, filter)?;
    let dead = page.tasks.into_iter().map(|mut task| {
        let attempts = u32::try_from(task.attempts.len()).unwrap_or(u32::MAX);
        let deciding = task.attempts.iter().rposition(|attempt| attempt.counted);
        let last = match deciding {
            Some(place) => Some(task.attempts.swap_remove(place)),
            None => task.attempts.pop(),
        };
        DeadTask {
            job: job.0,
            name: record.spec.spec.name.clone(),
            index: task.index,
            state: task.state,
            attempts,
            last,
        }
    });
    Ok(dead.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("http://localhost/x?{query}").parse().unwrap()
    }

    fn which_of(query: &str) -> Result<RetryWhich, Problem> {
        which(&Parameters::parse(&uri(query), &["states", "tasks"])?)
    }

    #[test]
    fn states_and_ranges_of_a_retry_are_lists() {
        let which = which_of("states=dead,failed&tasks=3,7-9").unwrap();
        assert_eq!(which.states, [TaskState::Dead, TaskState::Failed]);
        let tasks: Vec<_> = which
            .tasks
            .iter()
            .map(|range| (range.first.0, range.last.0))
            .collect();
        assert_eq!(tasks, [(3, 3), (7, 9)]);
        assert_eq!(which_of("").unwrap().states, RETRIED_STATES);
        for wrong in ["states=succeeded", "states=", "tasks=9-7", "tasks=1,,2"] {
            assert_eq!(
                which_of(wrong).unwrap_err().kind(),
                QUERY_INVALID,
                "{wrong}"
            );
        }
        let many = |count: usize| format!("tasks={}", vec!["1"; count].join(","));
        assert!(which_of(&many(RETRY_RANGES_MAX)).is_ok());
        let too_many = which_of(&many(RETRY_RANGES_MAX + 1)).unwrap_err();
        assert_eq!(too_many.kind(), QUERY_INVALID);
    }
}
