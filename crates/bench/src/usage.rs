//! Processor time and memory of processes, from `/proc` (`man 5 proc_pid_stat`).

use std::{fs, io, path::Path};

/// Ticks a second in `/proc/PID/stat`: `USER_HZ`, which is 100 on every machine we build for.
const TICKS_PER_SECOND: f64 = 100.0;
/// Fields of `/proc/PID/stat` behind the name: `utime`, and the first one of children.
const UTIME: usize = 11;

/// Processor seconds by part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) server: f64,
    pub(super) agents: f64,
    pub(super) keepers: f64,
    pub(super) programs: f64,
}

impl Usage {
    /// What was used since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            agents: self.agents - before.agents,
            keepers: self.keepers - before.keepers,
            programs: self.programs - before.programs,
        }
    }
}

/// Of the processes of a fleet in `folder`.
pub(super) fn of_fleet(server: Option<u32>, agents: &[u32], folder: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    if let Some(server) = server {
        usage.server = times(server)?.0;
    }
    for agent in agents {
        usage.agents += times(*agent)?.0;
    }
    for keeper in keepers(folder)? {
        let (own, children) = times(keeper)?;
        usage.keepers += own;
        usage.programs += children;
    }
    Ok(usage)
}

/// Keepers of agents whose data is in `folder`.
pub(super) fn keepers(folder: &Path) -> io::Result<Vec<u32>> {
    let folder = folder.display().to_string();
    let is_ours = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(flota_host::KEEPER) && line.contains(&folder)
    };
    let pids = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_ours(*pid));
    Ok(pids.collect())
}

/// Processor seconds of a process and of its children that it waited for.
fn times(pid: u32) -> io::Result<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may have spaces and brackets itself.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let tick = |index| -> f64 {
        let field = fields.split_whitespace().nth(index);
        field.and_then(|field| field.parse().ok()).unwrap_or(0.0)
    };
    let own = tick(UTIME) + tick(UTIME + 1);
    let children = tick(UTIME + 2) + tick(UTIME + 3);
    Ok((own / TICKS_PER_SECOND, children / TICKS_PER_SECOND))
}

/// Memory in bytes that is no file's and so no other process's (`Anonymous` of `man 5 proc_pid_smaps_rollup`).
pub(super) fn own(pid: u32) -> io::Result<u64> {
    bytes_of(&format!("/proc/{pid}/smaps_rollup"), "Anonymous:")
}

/// Resident memory in bytes.
pub(super) fn resident(pid: u32) -> io::Result<u64> {
    bytes_of(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// A line of a file of `/proc`, in kibibytes there.
fn bytes_of(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes: Option<u64> =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
    kibibytes
        .map(|count| count * 1024)
        .ok_or_else(|| io::Error::other(format!("no {name} in {path}")))
}
