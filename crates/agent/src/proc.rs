//! The few files of `/proc` that tell whose a process is.

use std::{
    fs::{self, File},
    io::{self, Read},
};

use flota_model::ids::AttemptId;

/// Names the attempt in the environment of its program. Descendants inherit it, so that it finds
/// those that left the session.
pub(crate) const COOKIE: &str = "FLOTA_ATTEMPT";
/// An environment longer than this is not searched further: the kernel allows 6 MiB with arguments
/// (`man 2 execve`), and our cookie comes with the first part.
const ENVIRON_LENGTH_MAX: u64 = 6 * 1024 * 1024;

/// A line of `/proc/PID/stat`, as far as it is needed here (`man 5 proc_pid_stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `D`, `Z`, …
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    /// In clock ticks since boot.
    pub(crate) start_time: u64,
    /// The wait status of a zombie; 0 also where we may not know.
    pub(crate) exit_status: i32,
}

/// Reads the state of a process; `NotFound` when it is gone.
pub(crate) fn stat(pid: u32) -> io::Result<Stat> {
    let line = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The name of a program may hold spaces and brackets, so the fields start after the last bracket.
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(close + 2..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Stat {
        state: *fields.next()?.as_bytes().first()?,
        parent: fields.next()?.parse().ok()?,
        session: fields.nth(1)?.parse().ok()?,
        start_time: fields.nth(15)?.parse().ok()?,
        exit_status: fields
            .nth(29)
            .and_then(|field| field.parse().ok())
            .unwrap_or(0),
    })
}

/// The attempt that the environment of a process names. `None` also when it may not be read.
pub(crate) fn cookie(pid: u32) -> Option<AttemptId> {
    variable(pid, COOKIE)?.parse().ok()
}

/// A variable of the environment with which a process was started. `None` also when it may not be
/// read.
pub(crate) fn variable(pid: u32, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(ENVIRON_LENGTH_MAX).read_to_end(&mut bytes).ok()?;
    parse_variable(&bytes, name)
}

fn parse_variable(environ: &[u8], name: &str) -> Option<String> {
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_owned()).ok()
}

/// Calls `found` with each child of a process. Those that come or go meanwhile may be missed.
pub(crate) fn children(pid: u32, mut found: impl FnMut(u32)) {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return;
    };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => parse_list(&list, &mut found),
            // A kernel without that file (CONFIG_PROC_CHILDREN): ask everybody for the parent.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::exists(format!("/proc/{pid}/task/{pid}")).unwrap_or(false) {
                    return search_children(pid, found);
                }
            }
            Err(_) => {}
        }
    }
}

/// Calls `found` with each pid of a list as `/proc/PID/task/TID/children` gives it.
pub(crate) fn parse_list(list: &str, found: &mut impl FnMut(u32)) {
    list.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .for_each(found);
}

fn search_children(parent: u32, mut found: impl FnMut(u32)) {
    all(|pid| {
        if stat(pid).is_ok_and(|stat| stat.parent == parent) {
            found(pid);
        }
    });
}

/// Calls `found` with each process of the machine (of our PID namespace).
pub(crate) fn all(mut found: impl FnMut(u32)) {
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    for entry in entries.flatten() {
        if let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            found(pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line = b"12 (a) b (c)) S 34 12 56 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 99 100";
        let stat = parse_stat(line).unwrap();
        let expected = Stat {
            state: b'S',
            parent: 34,
            session: 56,
            start_time: 987_654,
            exit_status: 0,
        };
        assert_eq!(stat, expected);
        assert_eq!(parse_stat(b"12 (a S 34"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn the_cookie_is_found_only_under_its_whole_name() {
        let attempt = AttemptId {
            sequence: 7,
            ..AttemptId::default()
        };
        let environ = format!("A=1\0X{COOKIE}=9-0-9\0{COOKIE}={attempt}\0B=2\0");
        let found = parse_variable(environ.as_bytes(), COOKIE);
        assert_eq!(found, Some(attempt.to_string()));
        assert_eq!(parse_variable(b"FLOTA_ATTEMPT2=1\0", COOKIE), None);
        assert_eq!(parse_variable(b"", COOKIE), None);
    }

    #[test]
    fn our_own_process_is_a_child_of_its_parent() {
        let own = std::process::id();
        let parent = stat(own).unwrap().parent;
        let mut seen = false;
        children(parent, |pid| seen |= pid == own);
        let mut searched = false;
        search_children(parent, |pid| searched |= pid == own);
        // A parent of 0 is outside of our PID namespace.
        assert!(parent == 0 || (seen && searched));
    }
}
