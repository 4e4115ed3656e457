//! What this machine is.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt};

use flota_model::{
    ids::BootId,
    resources::Resources,
    units::{Bytes, Cpus},
};

/// The boot of this machine (`man 5 proc_sys_kernel`).
pub(crate) fn boot() -> io::Result<BootId> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.trim().split('-').collect();
    u128::from_str_radix(&digits, 16)
        .map(BootId)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The inode of our PID namespace: pids mean something within one only.
pub(crate) fn pid_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// The cores that this process may use, at least 1, and all memory.
pub(crate) fn capacity() -> io::Result<Resources> {
    let affinity = rustix::thread::sched_getaffinity(None)?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory_total(&memory).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Resources {
        cpus: Cpus::whole(affinity.count().max(1)),
        memory,
        counters: BTreeMap::new(),
    })
}

/// `MemTotal` is given in KiB (`man 5 proc_meminfo`).
fn memory_total(text: &str) -> Option<Bytes> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kibibytes.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_read() {
        assert_ne!(boot().unwrap(), BootId(0));
        assert_ne!(pid_namespace().unwrap(), 0);
        let capacity = capacity().unwrap();
        assert!(capacity.cpus >= Cpus::whole(1));
        assert!(capacity.memory > Bytes(1 << 20));
    }

    #[test]
    fn memory_is_counted_in_bytes_and_nonsense_is_refused() {
        let text = "Foo: 1 kB\nMemTotal:       24684500 kB\n";
        assert_eq!(memory_total(text), Some(Bytes(24_684_500 * 1024)));
        assert_eq!(memory_total("MemTotal: many kB\n"), None);
        assert_eq!(memory_total(""), None);
    }
}
