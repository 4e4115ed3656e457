//! `flota job logs`.

mod lines;
mod revisions;
mod rotated;
mod source;

use clap::ArgMatches;
use flota_model::{outcome::StreamName, spec::LogKind};
use flota_wire::rest::{Job, Task};

use super::{Session, ask, follow, job, tasks::Pages};
use crate::{
    client::{Client, OutputQuery},
    exit::Exit,
    failure::Failure,
    fault::ClientFault,
    render::Screen,
};

/// Options for which an output must have times and lines that are known.
const ONLY_ROTATED: [&str; 5] = ["tail", "since", "until", "run", "grep"];
/// Where no output has a byte; as an offset of a file it is still valid.
const BEHIND_ALL: u64 = 1 << 62;

pub(super) async fn command(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let word = job::argument(matches);
    let found = wanted_job(session, word).await?;
    let stream = match matches.get_one::<String>("stream").map(String::as_str) {
        None if matches.get_flag("stdout") => Some("stdout"),
        None if matches.get_flag("stderr") => Some("stderr"),
        stream => stream,
    };
    let streams: &[StreamName] = match stream {
        Some("stdout") => &[StreamName::Stdout],
        Some("stderr") => &[StreamName::Stderr],
        Some("result") => &[StreamName::Result],
        _ => default_streams(&found),
    };
    let follow = matches.get_flag("follow");
    let single = (found.first == found.last).then_some(found.first);
    let task = matches.get_one::<u32>("task").copied().or(single);
    if is_rotated(&found) && streams != [StreamName::Result] {
        let service = Some(word).filter(|word| !is_of_job(word));
        let wanted = rotated::Wanted::of(matches, task, streams).of_service(service);
        return rotated::show(session, &found, wanted).await;
    }
    if ONLY_ROTATED.iter().any(|id| matches.contains_id(id)) {
        let language = session.language();
        return Err(Failure::usage(language.error_logs_captured(found.id))
            .hint(language.hint_logs_captured()));
    }
    match task {
        Some(task) if follow => return follow::follow(session, found.id, task, streams).await,
        Some(task) => of_task(session, found.id, task, streams).await?,
        None if follow => return Err(needs_task(session, &found)),
        None => of_all(session, found.id, streams).await?,
    }
    Ok(Exit::Ok)
}

/// The job, of a service the current revision; with the indexes of what there are logs of.
async fn wanted_job(session: &mut Session<'_>, word: &str) -> Result<Job, Failure> {
    let mut found = if is_of_job(word) {
        ask!(session.job(word))
    } else {
        let number = ask!(session.service(word)).service.job.to_string();
        ask!(session.job(&number))
    };
    let is_service = found
        .spec
        .as_ref()
        .is_some_and(|spec| spec.get("service").is_some());
    if is_service && found.phase != "finished" {
        let whole = ask!(session.service(&found.name));
        let replicas = whole.replicas.iter().filter(|one| one.job == found.id);
        let indexes: Vec<u32> = replicas.map(|one| one.index).collect();
        if let (Some(first), Some(last)) = (indexes.iter().min(), indexes.iter().max()) {
            (found.first, found.last) = (*first, *last);
        }
    }
    Ok(found)
}

/// Anything else is the name of a service.
fn is_of_job(word: &str) -> bool {
    word == "last" || word.parse::<u64>().is_ok()
}

fn is_rotated(job: &Job) -> bool {
    let spec = job.spec.as_ref();
    let logs = spec.and_then(|spec| spec.get("program")?.get("logs")?.as_str());
    logs == Some(LogKind::Rotated.word())
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
                if let Some(last) = task.attempts.last() {
                    reading = reading.of_attempt(&last.id);
                }
                let (client, screen) = session.client_and_screen().await?;
                let read = reading.read(client, screen).await;
                read.map_err(|fault| session.failure(&fault))?;
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

/// What one task has written up to now.
async fn of_task(
    session: &mut Session<'_>,
    job: u64,
    task: u32,
    streams: &[StreamName],
) -> Result<(), Failure> {
    let mut any = false;
    for stream in streams {
        let mut reading = Reading::new(job, task, *stream);
        let (client, screen) = session.client_and_screen().await?;
        match reading.read(client, screen).await {
            Ok(()) => any = true,
            Err(fault) if is_not_started(&fault) => {}
            Err(fault) => return Err(session.failure(&fault)),
        }
    }
    if !any {
        let text = session.language().logs_not_started(task);
        session.screen.mention(&text);
    }
    Ok(())
}

/// How much of one output was passed on.
pub(super) struct Reading {
    job: u64,
    task: u32,
    stream: StreamName,
    attempt: Option<String>,
    offset: u64,
}

impl Reading {
    /// Nothing yet; of the attempt that the server chooses.
    pub(super) fn new(job: u64, task: u32, stream: StreamName) -> Self {
        Self {
            job,
            task,
            stream,
            attempt: None,
            offset: 0,
        }
    }

    /// The same output of that attempt, from its start.
    pub(super) fn of_attempt(self, attempt: &str) -> Self {
        Self {
            attempt: Some(attempt.to_owned()),
            offset: 0,
            ..self
        }
    }

    /// Of which attempt it is, once that is known.
    pub(super) fn attempt(&self) -> Option<&str> {
        self.attempt.as_deref()
    }

    /// The attempt that the server would choose now.
    pub(super) async fn newest(
        &self,
        client: &mut Client,
        screen: &mut Screen,
    ) -> Result<Option<String>, ClientFault> {
        let query = OutputQuery {
            job: self.job,
            task: self.task,
            stream: self.stream,
            offset: BEHIND_ALL,
            attempt: None,
        };
        let part = client.output(&query, screen.sink(false)).await?;
        Ok(part.attempt)
    }

    /// Passes on all that there is now beyond what was passed on before.
    pub(super) async fn read(
        &mut self,
        client: &mut Client,
        screen: &mut Screen,
    ) -> Result<(), ClientFault> {
        loop {
            let query = OutputQuery {
                job: self.job,
                task: self.task,
                stream: self.stream,
                offset: self.offset,
                attempt: self.attempt.clone(),
            };
            let sink = screen.sink(self.stream == StreamName::Stderr);
            let part = client.output(&query, sink).await?;
            self.attempt = part.attempt;
            self.offset += part.written;
            if part.written == 0 || self.offset >= part.length {
                return Ok(());
            }
        }
    }
}

/// No attempt has been started.
pub(super) fn is_not_started(fault: &ClientFault) -> bool {
    fault
        .problem()
        .is_some_and(|problem| problem.code == "E-ATTEMPT-NOTFOUND")
}
