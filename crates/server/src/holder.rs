//! Who holds a TCP port or a folder, for the error message that a person reads.

use std::{fmt, fs, net::SocketAddr, path::Path};

use crate::tcp_table;

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line, shortened; empty where it may not be read.
    pub command: String,
}

/// Longest command line shown, in characters.
const COMMAND_LENGTH_MAX: usize = 120;

impl Holder {
    /// The process `pid`, if it exists.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<_> = line
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        let command = words
            .join(" ")
            .trim_end()
            .chars()
            .take(COMMAND_LENGTH_MAX)
            .collect();
        Some(Self { pid, command })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command.as_str() {
            "" => write!(formatter, "process {}", self.pid),
            command => write!(formatter, "process {} ({command})", self.pid),
        }
    }
}

/// The process that listens on `address`, where it can be found: sockets of other users' processes
/// are hidden from us unless we are root (`man 5 proc`, `/proc/pid/fd`).
pub fn of_port(address: SocketAddr) -> Option<Holder> {
    let wanted = format!("socket:[{}]", tcp_table::listener_on(address)?);
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| holds(*pid, &wanted))
        .and_then(Holder::of)
}

/// Whether one of the descriptors of `pid` is `wanted`.
fn holds(pid: u32, wanted: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(Result::ok)
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target == Path::new(wanted))
}
