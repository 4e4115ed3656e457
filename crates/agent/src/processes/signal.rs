//! Signals to processes that are not ours: only to the very one that is meant, and never to those
//! that keep the machine or Flota going.

use std::{
    fs, io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    time::Duration,
};

use flota_model::{
    ids::BootId,
    process::{Answer, AskFault, ProcessHandle, ProcessTarget, Protection},
    units::Moment,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::reader::Reader;
use crate::{
    proc,
    sys::{clock, pidfd::PidFd},
};

/// Most processes of a tree that is stopped; each takes a descriptor meanwhile.
const TREE_LENGTH_MAX: usize = 512;
/// How long SIGKILL may take; only processes that wait inside the kernel need longer.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// A tree is looked at this often for children that were not there before.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// First argument of a keeper.
const KEEPER: &[u8] = b"__keeper";

/// Sends a signal.
pub(crate) fn signal(here: BootId, target: ProcessTarget, signal: u8) -> Result<Answer, AskFault> {
    let (_, pidfd) = find(here, target)?;
    pidfd.signal(signal.into()).map_err(|error| fault(&error))?;
    Ok(Answer::Signalled)
}

/// Ends a process and its descendants, and waits until they are gone.
pub(crate) fn stop(
    here: BootId,
    target: ProcessTarget,
    grace: Duration,
) -> Result<Answer, AskFault> {
    let (pid, pidfd) = find(here, target)?;
    let mut tree = Tree {
        members: vec![Member {
            pid,
            pidfd,
            is_told: false,
        }],
    };
    // All are looked at before the first one is told.
    tree.grow()?;
    tree.tell(libc::SIGTERM, clock::moment() + grace)?;
    let killed = !tree.is_gone();
    if killed {
        tree.tell(libc::SIGKILL, clock::moment() + KILL_WITHIN)?;
    }
    if !tree.is_gone() {
        return Err(AskFault::Alive);
    }
    Ok(Answer::Stopped {
        processes: u32::try_from(tree.members.len()).unwrap_or(u32::MAX),
        killed,
    })
}

/// Opens the process that is meant, if it may be signalled. The descriptor comes first: whatever is
/// read afterwards is of this process, unless it has ended, which is looked at last.
fn find(here: BootId, target: ProcessTarget) -> Result<(u32, PidFd), AskFault> {
    let pid = match target {
        ProcessTarget::Handle(handle) => handle.pid,
        ProcessTarget::Pid { pid, .. } => pid,
    };
    if pid <= 1 {
        return Err(AskFault::Protected(Protection::First));
    }
    if let ProcessTarget::Handle(handle) = target {
        if handle.boot != here {
            return Err(AskFault::Reused);
        }
        if handle.pidfd_inode == 0 {
            return Err(AskFault::Uncertain);
        }
    }
    let pidfd = PidFd::open(pid).map_err(|error| fault(&error))?;
    if let ProcessTarget::Handle(handle) = target {
        recognise(&pidfd, &handle)?;
    }
    protect(pid)?;
    if is_over(&pidfd) {
        return Err(AskFault::Gone);
    }
    Ok((pid, pidfd))
}

fn recognise(pidfd: &PidFd, handle: &ProcessHandle) -> Result<(), AskFault> {
    if !pidfd.inode_is_unique() {
        return Err(AskFault::Uncertain);
    }
    let inode = pidfd.inode().map_err(|error| fault(&error))?;
    let stat = proc::stat(handle.pid).map_err(|error| fault(&error))?;
    if stat.start_time != handle.start_time || inode != handle.pidfd_inode {
        return Err(AskFault::Reused);
    }
    Ok(())
}

/// Refuses what must go on.
fn protect(pid: u32) -> Result<(), AskFault> {
    let mut reader = Reader::open().map_err(|error| fault(&error))?;
    let (line, _) = reader.stat(pid, false).ok_or(AskFault::Gone)?;
    if line.is_kernel {
        return Err(AskFault::Protected(Protection::Kernel));
    }
    if is_flota(pid) {
        return Err(AskFault::Protected(Protection::Flota));
    }
    Ok(())
}

/// Whether it runs the program that we run, or is a keeper of any version.
fn is_flota(pid: u32) -> bool {
    let program = |path: &str| {
        let status = fs::metadata(path).ok()?;
        Some((status.dev(), status.ino()))
    };
    let ours = program("/proc/self/exe");
    if pid == std::process::id() || ours.is_some() && program(&format!("/proc/{pid}/exe")) == ours {
        return true;
    }
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.split(|byte| *byte == 0).nth(1) == Some(KEEPER)
}

/// A process and its descendants, each held.
struct Tree {
    members: Vec<Member>,
}

struct Member {
    pid: u32,
    pidfd: PidFd,
    is_told: bool,
}

impl Tree {
    /// Adds children that are not in it yet, and theirs.
    fn grow(&mut self) -> Result<(), AskFault> {
        let mut index = 0;
        while index < self.members.len() {
            let parent = self.members[index].pid;
            let mut found = Vec::new();
            if !is_over(&self.members[index].pidfd) {
                proc::children(parent, |pid| found.push(pid));
            }
            for pid in found {
                self.add(parent, pid)?;
            }
            index += 1;
        }
        Ok(())
    }

    fn add(&mut self, parent: u32, pid: u32) -> Result<(), AskFault> {
        let is_held = |member: &Member| member.pid == pid && !is_over(&member.pidfd);
        if self.members.iter().any(is_held) {
            return Ok(());
        }
        let Ok(pidfd) = PidFd::open(pid) else {
            return Ok(());
        };
        let is_child =
            proc::stat(pid).is_ok_and(|stat| stat.parent == parent && stat.state != b'Z');
        if !is_child || is_over(&pidfd) {
            return Ok(());
        }
        protect(pid).or_else(|fault| {
            if fault == AskFault::Gone {
                Ok(())
            } else {
                Err(fault)
            }
        })?;
        if self.members.len() == TREE_LENGTH_MAX {
            let errno = libc::E2BIG;
            return Err(AskFault::Unreadable { errno });
        }
        self.members.push(Member {
            pid,
            pidfd,
            is_told: false,
        });
        Ok(())
    }

    /// Signals all, also those that come up meanwhile, and waits for their end until `deadline`.
    fn tell(&mut self, signal: i32, deadline: Moment) -> Result<(), AskFault> {
        for member in &mut self.members {
            member.is_told = false;
        }
        loop {
            self.grow()?;
            for member in self.members.iter_mut().filter(|member| !member.is_told) {
                match member.pidfd.signal(signal) {
                    Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                        return Err(fault(&error));
                    }
                    Ok(()) | Err(_) => member.is_told = true,
                }
            }
            let left = deadline.since(clock::moment());
            if self.is_gone() || left.is_zero() {
                return Ok(());
            }
            self.wait(left.min(LOOK_EVERY));
        }
    }

    /// Until one of those that are left has ended, at most for `span`.
    fn wait(&self, span: Duration) {
        let left = self.members.iter().filter(|member| !is_over(&member.pidfd));
        let mut waited: Vec<PollFd<'_>> = left
            .map(|member| PollFd::from_borrowed_fd(member.pidfd.descriptor(), PollFlags::IN))
            .collect();
        if let Ok(span) = Timespec::try_from(span) {
            // Interrupted or not: the caller looks again.
            let _ = poll(&mut waited, Some(&span));
        }
    }

    fn is_gone(&self) -> bool {
        self.members.iter().all(|member| is_over(&member.pidfd))
    }
}

/// Whether the process has ended; a zombie has.
fn is_over(pidfd: &PidFd) -> bool {
    let descriptor = pidfd.descriptor();
    let mut polled = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// What an error of the system means for the one who asked.
fn fault(error: &io::Error) -> AskFault {
    match error.raw_os_error() {
        // `EINVAL`: the number is that of a thread which leads no process.
        Some(libc::ESRCH | libc::ENOENT | libc::EINVAL) => AskFault::Gone,
        Some(libc::EPERM) => AskFault::NotPermitted,
        Some(errno) => AskFault::Unreadable { errno },
        None if error.kind() == io::ErrorKind::InvalidInput => AskFault::Gone,
        None => AskFault::Unreadable { errno: libc::EIO },
    }
}
