//! Children of dead keepers that are still on their way to their program.
//!
//! Until `execve` they have the command line and the environment of their keeper, so nothing names their
//! attempt. One that goes on would come to its program when nobody looks for it any more, and perhaps
//! beside another run of it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use crate::{keeper, proc, sys::pidfd::PidFd};

/// Kills those of the keepers of a data folder. Killed before its program begins, such a child has done
/// nothing; and what lives on of them after this has begun its program.
pub(crate) fn end(data: &Path) {
    proc::all(|pid| {
        if is_unexecuted(pid, data)
            && let Ok(pidfd) = PidFd::open(pid)
            // Again, now that its number cannot go over to another process.
            && is_unexecuted(pid, data)
        {
            tracing::info!(
                pid,
                "a child of a dead keeper had not come to its program, and is ended"
            );
            // Gone is as good.
            let _ = pidfd.signal(libc::SIGKILL);
        }
    });
}

/// Whether a process is in the middle of `execve`: the memory of its program is there, and what names it
/// not yet. Threads of the kernel lead no session.
pub(crate) fn is_executing(pid: u32) -> bool {
    let leads = proc::stat(pid).is_ok_and(|stat| stat.session == pid && stat.state != b'Z');
    leads && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty())
}

/// Whether it is a keeper by its command line, and none by its lock, which a live keeper holds open, and
/// its children close first of all. So do those of a live keeper, which are its own affair.
fn is_unexecuted(pid: u32, data: &Path) -> bool {
    let looks_like_one = |pid| command_line_is_of(pid, data);
    looks_like_one(pid)
        && holds_lock(pid) == Some(false)
        && proc::stat(pid).is_ok_and(|stat| !looks_like_one(stat.parent))
}

fn command_line_is_of(pid: u32, data: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    words.next() == Some(keeper::PROGRAM_NAME.as_bytes())
        && words.any(|word| word == b"--data")
        && words
            .next()
            .is_some_and(|path| is_same(Path::new(OsStr::from_bytes(path)), data))
}

/// Whatever the paths are called.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| {
        fs::metadata(path)
            .map(|status| (status.dev(), status.ino()))
            .ok()
    };
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// `None` where that cannot be seen.
fn holds_lock(pid: u32) -> Option<bool> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut targets = files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok());
    Some(targets.any(|target| {
        target
            .extension()
            .is_some_and(|extension| extension == "lock")
    }))
}
