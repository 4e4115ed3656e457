//! One part of `dev` or `bench`: this binary again, as a process of its own.

use std::{
    os::unix::process::CommandExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use flota_client::{Exit, Failure};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::{process::Command, time::timeout};

use crate::context::Context;

/// The process that a child must not outlive.
const PARENT: &str = "FLOTA_DEV_PARENT";

/// A process that ends with this one.
pub struct Child {
    name: String,
    language: flota_client::Language,
    process: tokio::process::Child,
    pid: u32,
    /// Once it is known, the number may belong to another process.
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts this very binary, also where its file was replaced meanwhile, with other arguments.
    pub fn start(
        context: &Context,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one marked place where the binary executes itself"
        )]
        let mut command = std::process::Command::new("/proc/self/exe");
        command
            .arg0("flota")
            .args(arguments)
            .env(PARENT, std::process::id().to_string())
            .env("FLOTA_LANG", context.language.word())
            .envs(context.config.iter().map(|path| ("FLOTA_CONFIG", path)))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            // Ctrl-C of the terminal is for `dev` alone, which ends its parts in order.
            .process_group(0);
        let mut command = Command::from(command);
        let process = command.kill_on_drop(true).spawn().map_err(|source| {
            let what = context.language.error_dev_start(name);
            Failure::new("E-PROGRAM-UNUSABLE", Exit::Failed, what).because_of(&source)
        })?;
        let pid = process.id().expect("it was not waited for yet");
        let (name, language) = (name.to_owned(), context.language);
        Ok(Self {
            name,
            language,
            process,
            pid,
            status: None,
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits at most `span` for it to end by itself, which is a failure with its exit code.
    pub async fn ended_within(&mut self, span: Duration) -> Option<Failure> {
        timeout(span, self.ended()).await.ok()?;
        let status = self.status?;
        let what = self.language.error_dev_child_ended(&self.name, status);
        let exit = status.code().and_then(|code| {
            Exit::ALL
                .into_iter()
                .find(|exit| i32::from(exit.code()) == code && code != 0)
        });
        Some(Failure::new(
            "E-DEV-ENDED",
            exit.unwrap_or(Exit::Failed),
            what,
        ))
    }

    /// Waits for its end.
    pub async fn ended(&mut self) {
        if self.status.is_none() {
            // It is our child and not reaped by anybody else.
            self.status = Some(self.process.wait().await.unwrap_or_default());
        }
    }

    /// As a power cut does; it may have ended already.
    pub fn kill(&mut self) {
        let _ = self.process.start_kill();
    }

    /// Sends SIGTERM.
    pub fn ask_to_end(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.status, pid) {
            // It may have ended this moment; it is not reaped, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Ends this process with the `dev` that started it, also where that is killed. Called on the
/// first thread, which lives as long as the process.
pub fn follow_parent(context: &Context) {
    let Some(parent) = context.environment.get(PARENT) else {
        return;
    };
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    let is_there = getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string() == parent);
    if let Err(fault) = bound {
        tracing::warn!(%fault, "failed to bind to the life of `dev`");
    }
    if !is_there {
        // It ended between starting us and the line above.
        let _ = kill_process(rustix::process::getpid(), Signal::TERM);
    }
}
