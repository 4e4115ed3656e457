//! A program that says by its exit code whether a service is well.
//!
//! It is a child of the agent in a session of its own, made by a thread that lives as long as it: so
//! the kernel ends it where the agent dies. What it leaves falls to the agent, which is a subreaper,
//! and is found there by a cookie in its environment, or by its session where it has none.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flota_model::{service::ProbeResult, units::Moment};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pipe::{PipeFlags, pipe_with},
};

use super::{DETAIL_LENGTH_MAX, Exec, Finding, Statuses};
use crate::{
    keeper::accounts::setting,
    proc, signal,
    sys::{
        clock,
        spawn::{Fault, Order, Progress, Spawner, Spawning},
    },
};

/// Names the probe in the environment of its program.
const COOKIE: &str = "FLOTA_PROBE";
/// Read of the output at a time, and once more after the end. What is beyond [`DETAIL_LENGTH_MAX`]
/// is thrown away.
const STEP: usize = 4_096;
/// Between two looks at what cannot be waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Looks for a status that the main loop is about to tell, and for the rest of a tree. After two
/// seconds it is given up: some processes cannot die (state `D`).
const LOOKS_MAX: usize = 400;

/// Tells the probes of one agent apart.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Runs the program to its end or to the deadline, and ends all that it left. Blocks.
pub(super) fn ask(
    exec: &Exec,
    statuses: &Statuses,
    open_files: Option<(u64, u64)>,
    deadline: Moment,
) -> Finding {
    let run = match Run::begin(exec, statuses, open_files) {
        Ok(run) => run,
        Err(fault) => return not_executed(fault),
    };
    run.finish(deadline)
}

/// A program of which something may be left.
struct Run<'a> {
    spawner: Spawner,
    spawning: Spawning,
    statuses: &'a Statuses,
    cookie: String,
    output: OwnedFd,
    said: Vec<u8>,
}

impl<'a> Run<'a> {
    fn begin(
        exec: &Exec,
        statuses: &'a Statuses,
        open_files: Option<(u64, u64)>,
    ) -> Result<Self, Fault> {
        let fault = |error: io::Error| Fault {
            stage: flota_model::outcome::StartStage::OpenOutput,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        };
        let (output, write_end) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| fault(error.into()))?;
        // Ours alone: a program does not expect that its output may not block.
        rustix::io::ioctl_fionbio(&output, true).map_err(|error| fault(error.into()))?;
        let null = File::open("/dev/null").map_err(fault)?;
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let cookie = format!("{}-{number}", std::process::id());
        let mut environment = exec.environment.clone();
        let setting = setting(&exec.execution, &exec.guard, &mut environment)?;
        environment.push((COOKIE.to_owned(), cookie.clone()));
        let mut spawner = Spawner::new();
        let order = Order {
            argv: &exec.argv,
            environment: &environment,
            working_directory: &exec.working_directory,
            stdin: None,
            null: null.as_fd(),
            stdout: write_end.as_fd(),
            stderr: write_end.as_fd(),
            dies_with_us: true,
            open_files,
        };
        let spawning = statuses.spawn(|| spawner.spawn(&order, setting))?;
        Ok(Self {
            spawner,
            spawning,
            statuses,
            cookie,
            output,
            said: Vec::new(),
        })
    }

    fn finish(mut self, deadline: Moment) -> Finding {
        let ended = self.wait(deadline);
        if !ended {
            self.kill();
        }
        let status = self.status();
        self.clear_away();
        self.statuses.remove(self.spawning.pid);
        self.hear();
        let failed = match self.spawning.progress() {
            Progress::Failed(fault) => Some(fault),
            Progress::Underway | Progress::Executed => None,
        };
        self.spawner.settle(self.spawning);
        match failed {
            Some(fault) => not_executed(fault),
            None if !ended => Finding::failed("the program did not end in time and was killed"),
            None => found(status, &self.said),
        }
    }

    /// Whether the program ended before the deadline. Its output is read meanwhile: one that fills
    /// the pipe must not hang.
    fn wait(&mut self, deadline: Moment) -> bool {
        let mut is_open = true;
        loop {
            let left = deadline.since(clock::moment());
            if left.is_zero() {
                return false;
            }
            let (ended, readable) = {
                let pidfd = self.spawning.pidfd.descriptor();
                let mut polled = vec![PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
                if is_open {
                    polled.push(PollFd::new(&self.output, PollFlags::IN));
                }
                // Interrupted or not, both are looked at again.
                let _ = poll(&mut polled, Some(&timespec(left)));
                let is_ready = |index| {
                    polled
                        .get(index)
                        .is_some_and(|one: &PollFd<'_>| !one.revents().is_empty())
                };
                (is_ready(0), is_ready(1))
            };
            if ended {
                return true;
            }
            if readable {
                is_open = self.hear();
            }
        }
    }

    /// Reads one step of what was said; `false` once nobody can say more.
    fn hear(&mut self) -> bool {
        let mut step = [0; STEP];
        match rustix::io::read(&self.output, &mut step) {
            Ok(0) => false,
            Ok(length) => {
                let room = DETAIL_LENGTH_MAX.saturating_sub(self.said.len());
                let heard = step.get(..length.min(room)).unwrap_or_default();
                self.said.extend_from_slice(heard);
                true
            }
            Err(_) => true,
        }
    }

    /// Kills the program and all below it.
    fn kill(&self) {
        signal::below(self.spawning.pid, libc::SIGKILL);
        signal::send(&self.spawning.pidfd, libc::SIGKILL);
    }

    /// How the program ended: from the kernel, or from the main loop, which may have been first to
    /// reap it. `None` where neither tells.
    fn status(&self) -> Option<i32> {
        for _ in 0..LOOKS_MAX {
            if let Ok(Some(reaped)) = self.spawning.pidfd.reap() {
                return Some(reaped.status);
            }
            if let Some(status) = self.statuses.status(self.spawning.pid) {
                return Some(status);
            }
            pause();
        }
        None
    }

    /// Kills what the program left until nothing is left. The orphans are ours by then: the kernel
    /// gives them to us before it tells of the end of their parent.
    fn clear_away(&self) {
        let own = std::process::id();
        for _ in 0..LOOKS_MAX {
            let mut any = false;
            proc::children(own, |pid| {
                if self.owns(pid) {
                    any = true;
                    signal::one(pid, own, libc::SIGKILL);
                }
            });
            if !any {
                return;
            }
            pause();
        }
        tracing::warn!(
            pid = self.spawning.pid,
            "a probe left a process that cannot be ended"
        );
    }

    fn owns(&self, pid: u32) -> bool {
        let stat = proc::stat(pid).ok().filter(|stat| stat.state != b'Z');
        let Some(stat) = stat.filter(|_| !self.statuses.contains(pid)) else {
            return false;
        };
        match proc::variable(pid, COOKIE) {
            Some(cookie) => cookie == self.cookie,
            None => stat.session == self.spawning.pid && proc::cookie(pid).is_none(),
        }
    }
}

fn found(status: Option<i32>, said: &[u8]) -> Finding {
    let said = String::from_utf8_lossy(said).trim().to_owned();
    let Some(status) = status else {
        return Finding::failed("how the program ended is not known");
    };
    if libc::WIFEXITED(status) {
        let code = u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX);
        return Finding::new(ProbeResult::Exited { code }, said);
    }
    Finding::failed(format!("ended by signal {}", libc::WTERMSIG(status)))
}

fn not_executed(fault: Fault) -> Finding {
    let (stage, error) = (
        fault.stage.word(),
        io::Error::from_raw_os_error(fault.errno),
    );
    Finding::failed(format!(
        "the program was not executed: stage {stage}: {error}"
    ))
}

fn pause() {
    // Nothing to wait for but time; interrupted, the next look is only earlier.
    let _ = poll(&mut [], Some(&timespec(LOOK_AGAIN)));
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
