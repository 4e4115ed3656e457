//! Whom signals from outside may reach: neither what keeps the machine or Flota going, nor what the
//! owner of the node wants to be left alone.

use std::{fs, io, os::unix::fs::MetadataExt as _};

use flota_engine::policy::{Policy, Target};
use flota_model::process::{AskFault, Protection};

use super::reader::Reader;
use crate::proc;

/// First argument of a keeper.
const KEEPER: &[u8] = b"__keeper";

/// Whether it may be signalled. What is found out is of one process only while that one is held.
pub(super) fn admit(pid: u32, policy: &Policy) -> Result<(), AskFault> {
    protect(pid)?;
    permit(pid, policy)
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

/// Refuses what the owner of this node does not want to be signalled from outside.
fn permit(pid: u32, policy: &Policy) -> Result<(), AskFault> {
    // As seen in `/proc`: one that hides what it does counts as root's (`man 5 proc_pid`).
    let user = fs::metadata(format!("/proc/{pid}")).map_err(|error| fault(&error))?;
    let target = Target {
        is_managed: proc::cookie(pid).is_some(),
        user: user.uid(),
        own_user: rustix::process::geteuid().as_raw(),
    };
    policy
        .signal(target)
        .map_err(|rule| AskFault::Refused { rule, pid })
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
