//! Who holds a TCP port or a folder, for the error message that a person reads.

use std::{
    fmt, fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

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
pub(crate) fn of_port(address: SocketAddr) -> Option<Holder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| {
            table
                .lines()
                .find_map(|line| listening_inode(line, address))
        })?;
    let wanted = format!("socket:[{inode}]");
    let numbers = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        entry
            .ok()
            .and_then(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    });
    numbers
        .into_iter()
        .find(|pid| holds(*pid, &wanted))
        .and_then(Holder::of)
}

/// The inode of the socket in a line of `/proc/net/tcp`, if it listens where `address` would.
fn listening_inode(line: &str, address: SocketAddr) -> Option<u64> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let clash = port == address.port() && same_address(ip, address.ip());
    (state == LISTEN && clash).then_some(inode)
}

/// Whether a listener on the address `digits` of the table gets in the way of one on `ip`.
///
/// The table writes each 32-bit word in the byte order of the machine.
fn same_address(digits: &str, ip: IpAddr) -> bool {
    let any = digits.bytes().all(|digit| digit == b'0');
    let words = match ip {
        IpAddr::V4(ip) => vec![u32::from_ne_bytes(ip.octets())],
        IpAddr::V6(ip) => ip
            .octets()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_ne_bytes(*word))
            .collect(),
    };
    let own: Vec<String> = words.iter().map(|word| format!("{word:08X}")).collect();
    any || ip.is_unspecified() || own.concat() == digits
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
