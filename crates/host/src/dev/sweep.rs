//! The last resort of `dev`: whatever it started, and whatever that started, ends with it.

use std::{fs, io, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};
use tokio::time::{Instant, sleep};

/// Between two rounds: a child that was killed leaves its own children to us.
const ROUND_INTERVAL: Duration = Duration::from_millis(10);

/// Makes this process the one to which orphans below it come (`man 2 PR_SET_CHILD_SUBREAPER`).
pub(super) fn own_descendants() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Kills and reaps all children until there are none; how many are left after `within`.
///
/// Only for when nothing else waits for children any more.
pub(super) async fn clear(within: Duration) -> usize {
    let deadline = Instant::now() + within;
    loop {
        let children = children();
        for child in &children {
            // Not reaped yet, so the number is still its own.
            let _ = kill_process(*child, Signal::KILL);
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if children.is_empty() || Instant::now() >= deadline {
            return children.len();
        }
        sleep(ROUND_INTERVAL).await;
    }
}

fn children() -> Vec<Pid> {
    let us = getpid().as_raw_nonzero().get();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| parent_of(*pid) == Some(us))
        .filter_map(Pid::from_raw)
        .collect()
}

/// The fourth field of `/proc/PID/stat`; the second one may hold spaces and parentheses.
fn parent_of(pid: i32) -> Option<i32> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (_, after) = text.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_parent_is_found() {
        let us = getpid().as_raw_nonzero().get();
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        assert_eq!(parent_of(us), Some(parent));
        assert_eq!(parent_of(i32::MAX), None);
    }
}
