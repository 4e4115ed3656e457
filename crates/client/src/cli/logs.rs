//! `flota job logs`.

use std::time::Duration;

use clap::ArgMatches;
use flota_model::outcome::StreamName;
use flota_wire::rest::{Job, Task};

use super::{Session, ask, job, story, tasks::Pages};
use crate::{client::OutputQuery, exit::Exit, failure::Failure, fault::ClientFault};

/// Between two looks at an output that may grow.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn command(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let found = ask!(session.job(job::argument(matches)));
    let streams: &[StreamName] = match matches.get_one::<String>("stream").map(String::as_str) {
        Some("stdout") => &[StreamName::Stdout],
        Some("stderr") => &[StreamName::Stderr],
        Some("result") => &[StreamName::Result],
        _ => default_streams(&found),
    };
    let follow = matches.get_flag("follow");
    match matches.get_one::<u32>("task").copied() {
        Some(task) => of_task(session, found.id, task, streams, follow).await?,
        None if found.first == found.last => {
            of_task(session, found.id, found.first, streams, follow).await?;
        }
        None if follow => return Err(needs_task(session, &found)),
        None => of_all(session, found.id, streams).await?,
    }
    Ok(Exit::Ok)
}

/// Programs write; kernels return.
fn default_streams(job: &Job) -> &'static [StreamName] {
    let is_kernel = job
        .spec
        .as_ref()
        .is_some_and(|spec| spec.get("kernel").is_some());
    if is_kernel {
        &[StreamName::Result]
    } else {
        &[StreamName::Stdout, StreamName::Stderr]
    }
}

fn needs_task(session: &Session<'_>, job: &Job) -> Failure {
    let language = session.language();
    let count = job.last - job.first + 1;
    Failure::usage(language.error_follow_needs_task(job.id, count))
        .hint(language.hint_follow_needs_task(job.first))
}

/// What every task left, in the order of their indexes.
async fn of_all(
    session: &mut Session<'_>,
    job: u64,
    streams: &[StreamName],
) -> Result<(), Failure> {
    let mut pages = Pages::new(job, None);
    while let Some(tasks) = pages.next(session, job::PAGE_MAX).await? {
        for task in tasks {
            for stream in streams
                .iter()
                .copied()
                .filter(|stream| has_left(&task, *stream))
            {
                let mut reading = Reading::new(job, task.index, stream);
                reading.attempt = task.attempts.last().map(|last| last.id.clone());
                reading.read(session).await?;
            }
        }
    }
    Ok(())
}

fn has_left(task: &Task, stream: StreamName) -> bool {
    task.attempts
        .last()
        .is_some_and(|last| last.outputs.contains_key(stream.word()))
}

/// The outputs of one task; to its end where `follow` says so.
async fn of_task(
    session: &mut Session<'_>,
    job: u64,
    index: u32,
    streams: &[StreamName],
    follow: bool,
) -> Result<(), Failure> {
    let mut readings: Vec<Reading> = streams
        .iter()
        .map(|stream| Reading::new(job, index, *stream))
        .collect();
    let mut attempts_before = None;
    loop {
        // Asked before the outputs, so that nothing written before the end is missed.
        let task = ask!(session.task(job, index));
        let ended = is_terminal(&task.state);
        for reading in &mut readings {
            reading.read(session).await?;
        }
        session.screen.flush()?;
        if !follow {
            if readings.iter().all(|reading| reading.attempt.is_none()) {
                let text = session.language().logs_not_started(index);
                session.screen.mention(&text);
            }
            return Ok(());
        }
        let another = attempts_before.replace(task.attempts.len());
        if !ended && another.is_some_and(|before| before < task.attempts.len()) {
            // What the attempt that ended left is read to its end by now.
            let text = session.language().output_restarted(index);
            session.screen.mention(&text);
            readings.iter_mut().for_each(Reading::restart);
        }
        if ended {
            let tasks = [task];
            let names = story::node_names(session, &tasks).await;
            let language = session.language();
            let story = story::of_task(language, &tasks[0], &names);
            session.screen.mention(&language.follow_ended(index, story));
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

fn is_terminal(state: &str) -> bool {
    let known = flota_model::state::TaskState::ALL
        .into_iter()
        .find(|known| known.word() == state);
    known.is_some_and(flota_model::state::TaskState::is_terminal)
}

/// How much of one output was passed on.
struct Reading {
    job: u64,
    task: u32,
    stream: StreamName,
    attempt: Option<String>,
    offset: u64,
}

impl Reading {
    fn new(job: u64, task: u32, stream: StreamName) -> Self {
        Self {
            job,
            task,
            stream,
            attempt: None,
            offset: 0,
        }
    }

    /// Goes on with the output of the next attempt.
    fn restart(&mut self) {
        self.attempt = None;
        self.offset = 0;
    }

    /// Passes on all that there is now beyond what was passed on before.
    async fn read(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        loop {
            let query = OutputQuery {
                job: self.job,
                task: self.task,
                stream: self.stream,
                offset: self.offset,
                attempt: self.attempt.clone(),
            };
            let (client, screen) = session.client_and_screen().await?;
            let sink = screen.sink(self.stream == StreamName::Stderr);
            let part = match client.output(&query, sink).await {
                Ok(part) => part,
                Err(fault) if is_not_there_yet(&fault) => return Ok(()),
                Err(fault) => return Err(session.failure(&fault)),
            };
            self.attempt = part.attempt;
            self.offset += part.written;
            if part.written == 0 || self.offset >= part.length {
                return Ok(());
            }
        }
    }
}

/// No attempt has left anything, or none has ended.
fn is_not_there_yet(fault: &ClientFault) -> bool {
    fault
        .problem()
        .is_some_and(|problem| problem.code == "E-ATTEMPT-NOTFOUND")
}
