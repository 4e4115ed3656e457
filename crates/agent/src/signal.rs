//! Signals to trees of processes.

use crate::{proc, sys::pidfd::PidFd};

/// Deepest tree that is walked; killing from the top reaches the rest.
const DEPTH_MAX: usize = 64;

/// Signals a process, and wakes it where it is stopped.
pub(crate) fn send(pidfd: &PidFd, signal: i32) {
    // It fails for a process that is gone, which is as good, or for one that became another user;
    // that one is told of by the tree that does not become empty.
    let _ = pidfd.signal(signal);
    if signal != libc::SIGKILL {
        let _ = pidfd.signal(libc::SIGCONT);
    }
}

/// Signals one process, if it is still the child of `parent`, and all below it. The parent is
/// compared after the process was opened: another process that got the number meanwhile has
/// another parent, or belongs to the tree as well.
pub(crate) fn one(pid: u32, parent: u32, signal: i32) {
    signal_one(pid, parent, signal, DEPTH_MAX);
}

/// Signals all below a process.
pub(crate) fn below(pid: u32, signal: i32) {
    signal_below(pid, signal, DEPTH_MAX);
}

/// Puts the numbers of all below a process behind those of a list.
pub(crate) fn list_below(pid: u32, list: &mut Vec<u32>) {
    list_to_depth(pid, list, DEPTH_MAX);
}

fn list_to_depth(pid: u32, list: &mut Vec<u32>, depth: usize) {
    if depth > 0 {
        proc::children(pid, |child| {
            list.push(child);
            list_to_depth(child, list, depth - 1);
        });
    }
}

fn signal_one(pid: u32, parent: u32, signal: i32, depth: usize) {
    let Ok(pidfd) = PidFd::open(pid) else {
        return;
    };
    if proc::stat(pid).is_ok_and(|stat| stat.parent == parent) {
        send(&pidfd, signal);
        signal_below(pid, signal, depth);
    }
}

fn signal_below(pid: u32, signal: i32, depth: usize) {
    if depth > 0 {
        proc::children(pid, |child| signal_one(child, pid, signal, depth - 1));
    }
}
