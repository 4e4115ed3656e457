//! The commands of a client of the fleet.

mod absence;
mod completion;
mod execution;
mod fleet;
mod follow;
mod grammar;
mod job;
mod logs;
mod node;
mod process;
mod queue;
mod results;
mod retry;
mod service;
mod start;
mod stop;
mod story;
mod submit;
mod tasks;
#[cfg(test)]
mod tests;
mod topic;
mod usage;
mod values;
mod wait;
mod watched;

use std::{path::PathBuf, time::Duration};

use clap::ArgMatches;

pub use self::{
    grammar::grammar,
    usage::{Stopped, parse},
    values::parse_cpus,
};
use crate::{
    catalogue::Language, client::Client, endpoint::Search, exit::Exit, failure::Failure,
    fault::ClientFault, render::Screen,
};

/// What the binary hands down from flags, environment and settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the server may be.
    pub search: Search,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Where the person stands, for programs such as `./sim`.
    pub current_folder: Option<PathBuf>,
    /// The version of the binary.
    pub version: String,
}

/// A command under way.
pub(crate) struct Session<'a> {
    pub(crate) screen: &'a mut Screen,
    pub(crate) options: &'a Options,
    client: Option<Client>,
    /// Told when the command is interrupted.
    pub(crate) interrupt_note: Option<String>,
}

impl Session<'_> {
    pub(crate) fn language(&self) -> Language {
        self.screen.language()
    }

    /// The client; the first call finds the server.
    pub(crate) async fn client(&mut self) -> Result<&mut Client, Failure> {
        if self.client.is_none() {
            let found = Client::find(&self.options.search, self.options.timeout).await;
            self.client = Some(found.map_err(|fault| self.failure(&fault))?);
        }
        Ok(self.client.as_mut().expect("it was just made"))
    }

    pub(crate) fn failure(&self, fault: &ClientFault) -> Failure {
        Failure::of_client(self.language(), fault)
    }

    /// Client and screen, for output that is passed on as it comes.
    pub(crate) async fn client_and_screen(
        &mut self,
    ) -> Result<(&mut Client, &mut Screen), Failure> {
        self.client().await?;
        let client = self.client.as_mut().expect("it was just made");
        Ok((client, self.screen))
    }
}

/// Asks the client of a session, and makes the failure of it for the person.
macro_rules! ask {
    ($session:ident.$method:ident($($argument:expr),*)) => {{
        let answer = $session.client().await?.$method($($argument),*).await;
        answer.map_err(|fault| $session.failure(&fault))?
    }};
}
use ask;

/// The commands in `matches`, outermost first.
pub fn path_of(matches: &ArgMatches) -> Vec<&str> {
    let mut path = Vec::new();
    let mut next = matches.subcommand();
    while let Some((name, inner)) = next {
        path.push(name);
        next = inner.subcommand();
    }
    path
}

/// The matches of the innermost command.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    innermost
}

/// Runs a client command to its end, and tells what went wrong.
pub async fn run(screen: &mut Screen, options: &Options, matches: &ArgMatches) -> Exit {
    let language = screen.language();
    let (result, note) = {
        let mut session = Session {
            screen,
            options,
            client: None,
            interrupt_note: None,
        };
        let result = tokio::select! {
            result = dispatch(&mut session, matches) => result,
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Err(interruption(language)),
                Err(source) => {
                    Err(Failure::new("E-SIGNAL-UNUSABLE", Exit::Failed, language.error_runtime())
                        .because_of(&source))
                }
            },
        };
        (result, session.interrupt_note.take())
    };
    let result = result.and_then(|exit| screen.flush().map(|()| exit));
    match result {
        Ok(exit) => exit,
        Err(failure) if failure.exit() == Exit::Interrupted => {
            screen.tell(&note.unwrap_or_else(|| language.error_interrupted()));
            Exit::Interrupted
        }
        Err(failure) => {
            failure.tell(screen);
            failure.exit()
        }
    }
}

fn interruption(language: Language) -> Failure {
    Failure::new(
        "E-COMMAND-INTERRUPTED",
        Exit::Interrupted,
        language.error_interrupted(),
    )
}

async fn dispatch(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let inner = innermost(matches);
    match path_of(matches).as_slice() {
        ["fleet", "show"] => fleet::show(session).await,
        ["fleet", "recover"] => fleet::recover(session).await,
        ["node", "ls"] | ["nodes"] => node::list(session).await,
        ["node", "show"] => node::show(session, inner).await,
        ["kernel", "ls"] => fleet::kernels(session).await,
        ["submit"] | ["job", "submit"] => submit::submit(session, inner).await,
        ["job", "ls"] | ["jobs"] => job::list(session, inner).await,
        ["job", "show"] => job::show(session, inner).await,
        ["job", "tasks"] => tasks::list(session, inner).await,
        ["job", "wait"] => wait::command(session, inner).await,
        ["job", "pause"] => queue::pause_job(session, inner).await,
        ["job", "resume"] => queue::resume_job(session, inner).await,
        ["queue", "show"] => queue::show(session).await,
        ["queue", "pause"] => queue::pause(session, inner).await,
        ["queue", "resume"] => queue::resume(session).await,
        ["job", "retry"] => retry::retry(session, inner).await,
        ["job", "dead"] => retry::dead(session, inner).await,
        ["job", "cancel"] => job::cancel(session, inner).await,
        ["job", "logs"] | ["logs"] => logs::command(session, inner).await,
        ["job", "results"] => results::command(session, inner).await,
        ["service", word] => service::dispatch(session, word, inner).await,
        ["watch", word] => watched::dispatch(session, word, inner).await,
        ["completion"] => completion::print(session, inner),
        ["ps"] => process::list(session, inner).await,
        ["process", "show"] => process::show(session, inner).await,
        ["start"] => start::start(session, inner).await,
        ["stop"] => stop::stop(session, inner).await,
        ["signal"] => stop::signal(session, inner).await,
        ["version"] => topic::version(session),
        ["help"] => topic::help(session, inner),
        other => {
            let what = session.language().usage_unknown_command(other.join(" "));
            Err(Failure::usage(what))
        }
    }
}
