//! Signals to processes that are not ours: only to the very one that is meant, and never to those
//! that keep the machine or Flota going.

use std::time::Duration;

use flota_engine::policy::Policy;
use flota_model::{
    ids::BootId,
    process::{Answer, AskFault, ProcessHandle, ProcessTarget, Protection},
};

use super::{
    permission::{admit, fault},
    tree::{Tree, is_over},
};
use crate::{
    proc,
    sys::{clock, pidfd::PidFd},
};

/// How long SIGKILL may take; only processes that wait inside the kernel need longer.
const KILL_WITHIN: Duration = Duration::from_secs(5);

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
    let mut tree = Tree::of(pid, pidfd, here.1)?;
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
    admit(pid, policy)?;
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
