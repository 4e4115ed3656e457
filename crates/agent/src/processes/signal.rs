//! Signals to processes that are not ours: only to the very one that is meant, and never to those
//! that keep the machine or Flota going.

use std::{fs, io, os::unix::fs::MetadataExt as _, time::Duration};

use flota_engine::policy::{Policy, Target};
use flota_model::{
    ids::BootId,
    process::{Answer, AskFault, ProcessHandle, ProcessTarget, Protection},
};

use super::{
    reader::Reader,
    tree::{Tree, is_over},
};
use crate::{
    proc,
    sys::{clock, pidfd::PidFd},
};

/// How long SIGKILL may take; only processes that wait inside the kernel need longer.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// First argument of a keeper.
const KEEPER: &[u8] = b"__keeper";

/// Sends a signal.
pub(crate) fn signal(
    here: (BootId, &Policy),
    target: ProcessTarget,
    signal: u8,
) -> Result<Answer, AskFault> {
    let (_, pidfd) = find(here, target)?;
    pidfd.signal(signal.into()).map_err(|error| fault(&error))?;
    Ok(Answer::Signalled)
}

/// Ends a process and its descendants, and waits until they are gone.
pub(crate) fn stop(
    here: (BootId, &Policy),
    target: ProcessTarget,
    grace: Duration,
) -> Result<Answer, AskFault> {
    let (pid, pidfd) = find(here, target)?;
    // All are looked at before the first one is told.
    let mut tree = Tree::of(pid, pidfd)?;
    tree.ask(libc::SIGTERM, clock::moment() + grace)?;
    let killed = !tree.is_gone();
    if killed {
        tree.kill(clock::moment() + KILL_WITHIN)?;
    }
    if !tree.is_gone() {
        return Err(tree.left());
    }
    Ok(Answer::Stopped {
        processes: tree.count(),
        killed,
    })
}

/// Opens the process that is meant, if it may be signalled. The descriptor comes first: whatever is
/// read afterwards is of this process, unless it has ended, which is looked at last.
fn find(
    (here, policy): (BootId, &Policy),
    target: ProcessTarget,
) -> Result<(u32, PidFd), AskFault> {
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
    permit(pid, policy)?;
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
pub(super) fn protect(pid: u32) -> Result<(), AskFault> {
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

/// Refuses what the owner of this node does not want to be signalled from outside.
fn permit(pid: u32, policy: &Policy) -> Result<(), AskFault> {
    // As seen in `/proc`: one that hides what it does counts as root's (`man 5 proc_pid`).
    let user = fs::metadata(format!("/proc/{pid}")).map_err(|error| fault(&error))?;
    let target = Target {
        is_managed: proc::cookie(pid).is_some(),
        user: user.uid(),
        own_user: rustix::process::geteuid().as_raw(),
    };
    policy.signal(target).map_err(|_| AskFault::NotPermitted)
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

/// What an error of the system means for the one who asked.
pub(super) fn fault(error: &io::Error) -> AskFault {
    match error.raw_os_error() {
        // `EINVAL`: the number is that of a thread which leads no process.
        Some(libc::ESRCH | libc::ENOENT | libc::EINVAL) => AskFault::Gone,
        Some(libc::EPERM) => AskFault::NotPermitted,
        Some(errno) => AskFault::Unreadable { errno },
        None if error.kind() == io::ErrorKind::InvalidInput => AskFault::Gone,
        None => AskFault::Unreadable { errno: libc::EIO },
    }
}
