//! `flota job wait`, and `--wait` of `submit`.

use std::time::Duration;

use clap::ArgMatches;
use flota_model::outcome::StreamName;
use flota_wire::rest::{Job, Task};

use super::{Session, absence::Absence, ask, job, story};
use crate::{
    client::{OutputQuery, TasksQuery},
    clock,
    exit::Exit,
    failure::Failure,
    progress::{Progress, Tally},
    render::{clean, duration, print_json},
};

/// States of tasks that did not succeed.
const BAD: [&str; 5] = ["failed", "dead", "unknown", "cancelled", "skipped"];
/// Lines of stderr told about the first failing task.
const EXCERPT_LINES: usize = 5;
/// Bytes from which they are taken.
const EXCERPT_BYTES: u64 = 4096;

pub(super) async fn command(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let limit = matches.get_one::<Duration>("timeout").copied();
    let number = ask!(session.job(job::argument(matches))).id;
    let finished = wait(session, number, limit).await?;
    if session.screen.style.format.is_json() {
        print_json(session.screen, &finished)?;
    }
    verdict(session, &finished).await
}

/// Waits until the job is finished.
pub(super) async fn wait(
    session: &mut Session<'_>,
    number: u64,
    limit: Option<Duration>,
) -> Result<Job, Failure> {
    session.interrupt_note = Some(session.language().interrupted_job_goes_on(number));
    let started_at = clock::moment();
    let mut progress = Progress::new(session.screen, started_at);
    let mut absence = Absence::new();
    let result = loop {
        let now = clock::moment();
        let left = limit.map(|limit| limit.saturating_sub(now.since(started_at)));
        let patience = left.map_or(progress.interval(), |left| left.min(progress.interval()));
        let answer = session.client().await?.wait(number, patience).await;
        match answer {
            Ok(job) if job.phase == "finished" => break Ok(job),
            Ok(job) => {
                absence.end();
                progress.show(session.screen, Tally::of(&job), clock::moment());
            }
            Err(fault) if absence.is_bearable(&fault) => absence.pause().await,
            Err(fault) => break Err(session.failure(&fault)),
        }
        if left == Some(Duration::ZERO) {
            break Err(too_late(session, number, limit.unwrap_or_default()));
        }
    };
    progress.clear(session.screen);
    session.interrupt_note = None;
    result
}

fn too_late(session: &Session<'_>, number: u64, limit: Duration) -> Failure {
    let language = session.language();
    let span = duration(limit.as_secs_f64());
    Failure::new(
        "E-WAIT-TIMEOUT",
        Exit::WaitTimeout,
        language.error_wait_timeout(number, span),
    )
    .hint(language.hint_wait_timeout(number))
}

/// What a finished job means for the exit code; says what went wrong.
pub(super) async fn verdict(session: &mut Session<'_>, job: &Job) -> Result<Exit, Failure> {
    let tally = Tally::of(job);
    let language = session.language();
    if tally.succeeded == tally.total {
        let seconds = job.finished_at.unwrap_or(job.submitted_at) - job.submitted_at;
        let span = duration(seconds);
        let text = match tally.total {
            1 => language.wait_one_succeeded(job.id, span),
            total => language.wait_succeeded(job.id, total, span),
        };
        session.screen.mention(&text);
        return Ok(Exit::Ok);
    }
    let what = language.job_not_succeeded(job.id, tally.total - tally.succeeded, tally.total);
    let failure = Failure::new("E-JOB-FAILED", Exit::JobFailed, what);
    match first_failing(session, job).await? {
        Some(task) => Err(about(session, failure, job.id, task).await),
        None => Err(failure),
    }
}

/// The task with the lowest index that did not succeed.
async fn first_failing(session: &mut Session<'_>, job: &Job) -> Result<Option<Task>, Failure> {
    let mut first: Option<Task> = None;
    for state in BAD
        .into_iter()
        .filter(|state| job.tasks.get(*state).is_some_and(|n| *n > 0))
    {
        let query = TasksQuery {
            job: job.id,
            limit: Some(1),
            after: None,
            state: Some(state.to_owned()),
        };
        let found = ask!(session.tasks(&query)).tasks.pop();
        first = first.into_iter().chain(found).min_by_key(|task| task.index);
    }
    Ok(first)
}

/// Adds what is known of the task, the end of its stderr, and the next command.
async fn about(session: &mut Session<'_>, failure: Failure, job: u64, task: Task) -> Failure {
    let language = session.language();
    let tasks = [task];
    let names = story::node_names(session, &tasks).await;
    let [task] = tasks;
    let story = story::of_task(language, &task, &names);
    let failure = failure.because(language.first_failing(task.index, story));
    let lines = end_of_stderr(session, job, &task).await;
    if lines.is_empty() {
        return failure.hint(language.hint_next_tasks(job, &task.state));
    }
    let title = language.last_lines_of_stderr();
    let indented = lines.into_iter().map(|line| format!("  {line}"));
    failure
        .excerpt(std::iter::once(title).chain(indented).collect())
        .hint(language.hint_next_logs(job, task.index))
}

/// The last lines of stderr; none where it cannot be had: the failure itself matters more.
async fn end_of_stderr(session: &mut Session<'_>, job: u64, task: &Task) -> Vec<String> {
    let Some(last) = task.attempts.last() else {
        return Vec::new();
    };
    let Some(length) = last.outputs.get("stderr") else {
        return Vec::new();
    };
    let query = OutputQuery {
        job,
        task: task.index,
        stream: StreamName::Stderr,
        offset: length.saturating_sub(EXCERPT_BYTES),
        attempt: Some(last.id.clone()),
    };
    let mut bytes = Vec::new();
    let Ok(client) = session.client().await else {
        return Vec::new();
    };
    if client.output(&query, &mut bytes).await.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(EXCERPT_LINES);
    lines[from..].iter().map(|line| clean(line)).collect()
}
