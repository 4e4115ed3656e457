//! One reading of what a machine does.

use std::time::Duration;

use crate::{
    ids::AttemptId,
    units::{Bytes, Cpus, Timestamp},
};

/// Most cores of a sample; a machine with more is told of by its total alone.
pub const CORES_MAX: usize = 1_024;
/// Most disks of a sample, and most network interfaces.
pub const DEVICES_MAX: usize = 64;
/// Longest name of a device, in bytes; the kernel allows 31 for disks and 15 for interfaces.
pub const DEVICE_NAME_LENGTH_MAX: usize = 64;

/// Most attempts of a sample whose killed processes do not die; more say nothing new of a machine.
pub const UNKILLABLE_MAX: usize = 64;
/// Most processes that are named of one such attempt.
pub const REMNANTS_MAX: usize = 16;

/// What a machine did since its sample before, and what it has at this moment. What could not be
/// read is `None`, never 0; rates are `None` in the first sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSample {
    /// By the clock of the node.
    pub taken_at: Timestamp,
    /// Time since its boot.
    pub uptime: Duration,
    /// Cores that were busy: 2,500 thousandths are two and a half.
    pub cpu: Option<Cpus>,
    /// How busy each core was, 0..=1,000 thousandths, by number. At most [`CORES_MAX`].
    pub cores: Vec<Cpus>,
    /// Load of 1, 5 and 15 minutes, in hundredths (`man 5 proc_loadavg`).
    pub load: Option<[u32; 3]>,
    /// Memory.
    pub memory: Option<MemorySample>,
    /// The file system of the agent's data folder.
    pub data: Option<SpaceSample>,
    /// Disks, without partitions, by name. At most [`DEVICES_MAX`].
    pub disks: Vec<DeviceSample>,
    /// Network interfaces without the loopback, by name. At most [`DEVICES_MAX`].
    pub networks: Vec<DeviceSample>,
    /// Pressure on the cores.
    pub cpu_pressure: Option<Pressure>,
    /// Pressure on memory.
    pub memory_pressure: Option<Pressure>,
    /// Pressure on disks.
    pub io_pressure: Option<Pressure>,
    /// Attempts that were killed and are still there, by their ids. At most [`UNKILLABLE_MAX`].
    pub unkillable: Vec<Unkillable>,
}

/// An attempt that was killed a while ago and is not gone: it waits inside the kernel, where no signal
/// reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unkillable {
    /// Which.
    pub attempt: AttemptId,
    /// When it was killed, by the clock of the node.
    pub since: Timestamp,
    /// How many of its processes are left.
    pub count: u32,
    /// The first of them, by number. At most [`REMNANTS_MAX`].
    pub remnants: Vec<Remnant>,
}

/// A process that was killed and is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remnant {
    /// Process id.
    pub pid: u32,
    /// Its state as in `man 5 proc_pid_stat`, `D` for one that waits inside the kernel. An ASCII letter.
    pub state: u8,
}

/// Memory of a machine (`man 5 proc_meminfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemorySample {
    /// `MemTotal`.
    pub total: Bytes,
    /// `MemAvailable`.
    pub available: Bytes,
    /// `SwapTotal`.
    pub swap_total: Bytes,
    /// `SwapFree`.
    pub swap_free: Bytes,
}

/// Room on a file system (`man 3 statvfs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceSample {
    /// All of it.
    pub total: Bytes,
    /// What users other than root may still fill.
    pub free: Bytes,
}

/// What went through a disk or a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceSample {
    /// As the kernel names it.
    pub name: String,
    /// Bytes read or received since the boot, or since the counter began anew.
    pub incoming: Bytes,
    /// Bytes written or sent, likewise.
    pub outgoing: Bytes,
    /// Bytes read or received a second.
    pub incoming_rate: Option<Bytes>,
    /// Bytes written or sent a second.
    pub outgoing_rate: Option<Bytes>,
}

/// Share of the last ten seconds in which work waited, in hundredths of a percent: 0..=10,000
/// (`Documentation/accounting/psi.rst` of the kernel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    /// Some of it.
    pub some: u16,
    /// All of it at once; 0 for the cores of a whole machine.
    pub full: u16,
}
