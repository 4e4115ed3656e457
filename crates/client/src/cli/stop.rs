//! `flota stop` and `flota signal`.

use std::time::Duration;

use clap::ArgMatches;
use flota_wire::{
    rest::process::{Signalled, Stopped},
    signal as signals,
};
use serde::Serialize;

use super::{Session, ask, process, wait};
use crate::{
    client::ProcessName,
    exit::Exit,
    failure::Failure,
    render::{Field, Format, Listing},
};

/// From SIGTERM to SIGKILL when nobody says otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// What a person wants to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Process(ProcessName),
    /// Its number, or `last`.
    Job(String),
}

/// What came of one target.
#[derive(Serialize)]
#[serde(untagged)]
enum Done {
    Signalled(Signalled),
    Stopped(Stopped),
    Job { job: u64, phase: String },
}

impl Done {
    fn name(&self) -> String {
        match self {
            Self::Signalled(done) => done.process.clone(),
            Self::Stopped(done) => done.process.clone(),
            Self::Job { job, .. } => job.to_string(),
        }
    }
}

pub(super) async fn signal(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let signal = *matches.get_one::<u8>("signal").expect("it is required");
    let mut outcome = Outcome::default();
    for target in targets(matches) {
        let result = match target {
            Target::Process(name) => signal_one(session, matches, name, signal).await,
            Target::Job(_) => unreachable!("the grammar takes no jobs here"),
        };
        outcome.add(session, result);
    }
    outcome.finish(session)
}

async fn signal_one(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    name: &ProcessName,
    signal: u8,
) -> Result<Done, Failure> {
    let command = format!("flota signal {}", signals::name(signal));
    insist(session, matches, name, &command).await?;
    Ok(Done::Signalled(ask!(session.signal(name, signal))))
}

pub(super) async fn stop(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let grace = matches.get_one::<Duration>("grace").copied();
    let mut outcome = Outcome::default();
    for target in targets(matches) {
        let result = match target {
            Target::Process(name) => stop_one(session, matches, name, grace).await,
            Target::Job(_) if grace.is_some() => {
                Err(Failure::usage(session.language().error_grace_of_job()))
            }
            Target::Job(job) => stop_job(session, job).await,
        };
        outcome.add(session, result);
    }
    outcome.finish(session)
}

async fn stop_one(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    name: &ProcessName,
    grace: Option<Duration>,
) -> Result<Done, Failure> {
    insist(session, matches, name, "flota stop").await?;
    let stopped = ask!(session.stop(name, grace.unwrap_or(GRACE)));
    Ok(Done::Stopped(stopped))
}

/// Cancels it, and waits until nothing of it runs any more.
async fn stop_job(session: &mut Session<'_>, job: &str) -> Result<Done, Failure> {
    let cancelling = ask!(session.cancel(job, None));
    let finished = wait::wait(session, cancelling.job, None).await?;
    Ok(Done::Job {
        job: finished.id,
        phase: finished.phase,
    })
}

/// A number may belong to another process than the one that the person saw, so that it is taken only
/// with `--force-pid`. Without, says who has it now, and how that one is named.
async fn insist(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    name: &ProcessName,
    command: &str,
) -> Result<(), Failure> {
    if matches!(name, ProcessName::Handle(_)) || matches.get_flag("force-pid") {
        return Ok(());
    }
    let found = ask!(session.process(name));
    let language = session.language();
    let what = language.error_process_number(name);
    let user = found.user.clone().unwrap_or_default();
    let who = language.process_now(name, process::command(&found), user);
    let hint = language.hint_process_number(command, &found.handle);
    Err(Failure::new("E-PROCESS-NUMBER", Exit::Usage, what)
        .because(who)
        .hint(hint))
}

fn targets(matches: &ArgMatches) -> impl Iterator<Item = &Target> {
    matches.get_many::<Target>("target").unwrap_or_default()
}

/// What came of all targets. One that fails does not keep the others from their end.
#[derive(Default)]
struct Outcome {
    done: Vec<Done>,
    /// The last one is told by the caller.
    failure: Option<Failure>,
}

impl Outcome {
    fn add(&mut self, session: &mut Session<'_>, result: Result<Done, Failure>) {
        match result {
            Ok(done) => self.done.push(done),
            Err(failure) => {
                if let Some(earlier) = self.failure.replace(failure) {
                    earlier.tell(session.screen);
                }
            }
        }
    }

    fn finish(self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let language = session.language();
        if session.screen.format() == Format::Table {
            for done in &self.done {
                let text = match done {
                    Done::Signalled(done) => {
                        language.signalled(&done.process, signals::name(done.signal))
                    }
                    Done::Stopped(done) if done.killed => {
                        language.killed(&done.process, done.processes)
                    }
                    Done::Stopped(done) => language.stopped(&done.process, done.processes),
                    Done::Job { job, .. } => language.job_stopped(job),
                };
                session.screen.print_line(&text)?;
            }
        } else if !self.done.is_empty() {
            Listing {
                items: &self.done,
                fields: vec![Field::text("stopped", String::new(), Done::name)],
                name: Done::name,
            }
            .print(session.screen)?;
        }
        self.failure.map_or(Ok(Exit::Ok), Err)
    }
}
