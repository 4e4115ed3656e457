//! What a dead keeper left: its log, and the programs that it does not own any more.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use flota_engine::keeper::{
    api::{ChildState, End, Identity, KeeperId, LogRecord, StopReason},
    codec::recover_log,
};
use flota_model::{
    ids::{AttemptId, BootId},
    units::Timestamp,
};
use rustix::fs::AtFlags;

use crate::{
    machine,
    outputs::{Outputs, Streams},
    proc,
    sys::{clock, pidfd::PidFd},
    unexecuted,
};

/// Looks for a program that is being executed, and the time between them: the part of `execve` in which
/// a process has no name takes microseconds. One that has hidden its name on purpose is not waited for.
const LOOKS_MAX: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Longest log that is read. A keeper keeps its own far below.
const LOG_LENGTH_MAX: u64 = 64 << 20;

/// The boot and the PID namespace in which pids mean something to us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here {
    pub(crate) boot: BootId,
    pub(crate) pid_namespace: u64,
}

impl Here {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            boot: machine::boot()?,
            pid_namespace: machine::pid_namespace()?,
        })
    }
}

/// A child as the log of its keeper tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Which run of its attempt (PROTOCOL 17).
    pub(crate) run: u32,
    pub(crate) state: ChildState,
    /// Why the keeper was told to stop it before it ended, if it was.
    pub(crate) stopped: Option<StopReason>,
}

/// A child of a dead keeper, as it is found now.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) state: ChildState,
    /// Where it runs.
    pub(crate) pidfd: Option<PidFd>,
    pub(crate) streams: Option<Streams>,
}

/// Reads the log of a dead keeper: every attempt that it was not told to forget.
pub(crate) fn read(folder: &Path, keeper: KeeperId) -> io::Result<BTreeMap<AttemptId, Logged>> {
    let path = folder.join(format!("{}.log", keeper.0));
    let bytes = match fs::metadata(&path) {
        Ok(status) if status.len() > LOG_LENGTH_MAX => {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(_) => fs::read(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(states(recover_log(&bytes).0))
}

fn states(records: Vec<LogRecord>) -> BTreeMap<AttemptId, Logged> {
    let mut states: BTreeMap<AttemptId, Logged> = BTreeMap::new();
    for record in records {
        let (attempt, state) = match record {
            LogRecord::Spawning { attempt, run, .. } => {
                let (state, stopped) = (ChildState::Starting, None);
                states.insert(
                    attempt,
                    Logged {
                        run,
                        state,
                        stopped,
                    },
                );
                continue;
            }
            LogRecord::Running {
                attempt,
                identity,
                at,
            } => (
                attempt,
                ChildState::Running {
                    identity,
                    started_at: at,
                },
            ),
            LogRecord::NotStarted {
                attempt,
                stage,
                errno,
            } => (attempt, ChildState::NotStarted { stage, errno }),
            LogRecord::Ended { attempt, end } => (attempt, ChildState::Ended(end)),
            LogRecord::Stopping { attempt, reason } => {
                if let Some(logged) = states.get_mut(&attempt) {
                    logged.stopped = Some(reason);
                }
                continue;
            }
            LogRecord::Forgotten { attempt } => {
                states.remove(&attempt);
                continue;
            }
        };
        let before = states.get(&attempt);
        let stopped = before.and_then(|logged| logged.stopped);
        // What was never spawned is of the first run, or of none that matters.
        let run = before.map_or(1, |logged| logged.run);
        states.insert(
            attempt,
            Logged {
                run,
                state,
                stopped,
            },
        );
    }
    states
}

/// Removes the files of a dead keeper, once all that they say is in the journal.
pub(crate) fn remove(folder: impl AsFd, keeper: KeeperId) {
    for extension in ["sock", "log", "log.new", "lock"] {
        let name = format!("{}.{extension}", keeper.0);
        // What is not there need not be removed.
        let _ = rustix::fs::unlinkat(&folder, name, AtFlags::empty());
    }
}

/// Finds out what has become of a child that a dead keeper logged in that state.
pub(crate) fn look(
    attempt: AttemptId,
    state: ChildState,
    leaders: &mut Leaders<'_>,
    outputs: &Outputs,
) -> Found {
    let (running, logged_start) = match state {
        ChildState::NotStarted { .. } | ChildState::Ended(_) => {
            return Found {
                state,
                pidfd: None,
                streams: None,
            };
        }
        ChildState::Running {
            identity,
            started_at,
        } => (
            adopt(identity, leaders.here).map(|pidfd| (pidfd, identity)),
            Some(started_at),
        ),
        ChildState::Waiting | ChildState::Starting => (leaders.take(attempt), None),
    };
    let now = clock::wall();
    match running {
        Some((pidfd, identity)) => Found {
            state: ChildState::Running {
                identity,
                started_at: logged_start.unwrap_or(now),
            },
            streams: open_streams(identity.pid, &pidfd, outputs),
            pidfd: Some(pidfd),
        },
        None => Found {
            state: ChildState::Ended(unknown(logged_start)),
            pidfd: None,
            streams: None,
        },
    }
}

/// Programs whose keepers died before they could log more than the intention: the leaders of sessions whose
/// environment names an attempt. Looked for once, when one is asked for.
#[derive(Debug)]
pub(crate) struct Leaders<'a> {
    here: Here,
    data: &'a Path,
    found: Option<BTreeMap<AttemptId, (PidFd, Identity)>>,
}

impl<'a> Leaders<'a> {
    /// Of the dead keepers of a data folder.
    pub(crate) fn new(here: Here, data: &'a Path) -> Self {
        Self {
            here,
            data,
            found: None,
        }
    }

    fn take(&mut self, attempt: AttemptId) -> Option<(PidFd, Identity)> {
        let (here, data) = (self.here, self.data);
        let found = self.found.get_or_insert_with(|| find(here, data));
        found.remove(&attempt)
    }
}

/// Children that have not come to their program are ended first; those that are becoming it in this
/// moment are waited for.
fn find(here: Here, data: &Path) -> BTreeMap<AttemptId, (PidFd, Identity)> {
    unexecuted::end(data);
    let mut found = BTreeMap::new();
    for _ in 0..LOOKS_MAX {
        let mut look_again = false;
        proc::all(|pid| match proc::cookie(pid) {
            Some(attempt) => {
                if let Some(leader) = identify(pid, attempt, here) {
                    found.entry(attempt).or_insert(leader);
                }
            }
            None => look_again |= unexecuted::is_executing(pid),
        });
        if !look_again {
            break;
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    found
}

/// The end of something that nobody saw end.
pub(crate) fn unknown(started_at: Option<Timestamp>) -> End {
    End::Unknown {
        started_at,
        found_at: clock::wall(),
    }
}

/// Opens a process that must be the one of this identity and no other (PROTOCOL 24): compared after
/// it was opened, so that its number cannot go over to another one in between. `None` where that
/// cannot be told for sure.
fn adopt(identity: Identity, here: Here) -> Option<PidFd> {
    if (identity.boot, identity.pid_namespace) != (here.boot, here.pid_namespace) {
        return None;
    }
    let pidfd = PidFd::open(identity.pid).ok()?;
    let is_same = pidfd.inode_is_unique()
        && pidfd.inode().ok() == Some(identity.pidfd_inode)
        && proc::stat(identity.pid).ok()?.start_time == identity.start_time;
    is_same.then_some(pidfd)
}

fn identify(pid: u32, attempt: AttemptId, here: Here) -> Option<(PidFd, Identity)> {
    let pidfd = PidFd::open(pid).ok()?;
    let stat = proc::stat(pid).ok()?;
    let identity = Identity {
        boot: here.boot,
        pid_namespace: here.pid_namespace,
        pid,
        start_time: stat.start_time,
        pidfd_inode: pidfd.inode().ok()?,
    };
    // Again, now that it cannot be confused any more.
    let is_it = proc::cookie(pid) == Some(attempt) && stat.session == pid;
    (is_it && pidfd.signal(0).is_ok()).then_some((pidfd, identity))
}

/// The output files of a program whose descriptors went with its keeper.
fn open_streams(pid: u32, pidfd: &PidFd, outputs: &Outputs) -> Option<Streams> {
    let open = |number: u32| -> Option<OwnedFd> {
        let path = format!("/proc/{pid}/fd/{number}");
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .ok()?;
        Some(OwnedFd::from(file)).filter(|file| outputs.may_be_output(file))
    };
    let streams = Streams {
        stdout: open(1)?,
        stderr: open(2)?,
    };
    // Still the same process: its number was not given to another one meanwhile.
    pidfd.signal(0).is_ok().then_some(streams)
}
