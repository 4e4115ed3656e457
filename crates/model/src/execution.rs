//! As whom, and within which limits, a program is executed.

use std::collections::BTreeMap;

use crate::units::{Bytes, Cpus};

/// Most supplementary groups that a spec names. The kernel takes 65,536 (`man 2 setgroups`); nobody
/// writes that many into a job.
pub const GROUPS_MAX: usize = 64;
/// Longest name of a user or group, in bytes (`man 8 useradd` allows 32; directories have longer).
pub const USER_NAME_LENGTH_MAX: usize = 256;

/// Settings of a process that a program gets before it is executed. All that is absent is as the
/// agent's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Execution {
    /// Name or number of the user; a name is looked up in `/etc/passwd` of the node.
    pub user: Option<String>,
    /// Name or number of the group; that of the user when absent.
    pub group: Option<String>,
    /// Names or numbers of the supplementary groups; those of the user when absent.
    pub groups: Option<Vec<String>>,
    /// Range `0..=0o777`.
    pub umask: Option<u16>,
    /// Range -20..=19; below 0 only for those who may (`man 2 setpriority`).
    pub nice: Option<i8>,
    /// Order at the disk.
    pub io_priority: Option<IoPriority>,
    /// `man 2 getrlimit`
    pub resource_limits: BTreeMap<ResourceLimit, Bound>,
    /// Range -1000..=1000; higher is killed earlier (`man 5 proc_pid_oom_score_adj`).
    pub oom_score_adjust: Option<i16>,
    /// Whether set-user-ID programs work for it (`sudo`, `ping`); `man 2 PR_SET_NO_NEW_PRIVS`.
    pub new_privileges: bool,
    /// What it and all its descendants may use together.
    pub limits: Limits,
}

/// Class and level of `man 2 ioprio_set`; level 0 (first) to 7 (last).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoPriority {
    /// Before all others; only for those who may.
    RealTime(u8),
    /// The usual class.
    BestEffort(u8),
    /// Only when nobody else wants the disk.
    Idle,
}

/// The first level that does not exist.
pub const IO_LEVELS: u8 = 8;

/// Limits of one process that its children inherit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceLimit {
    /// Bytes of address space.
    AddressSpace,
    /// Bytes of a core file.
    Core,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of data.
    Data,
    /// Bytes of a file that it writes.
    FileSize,
    /// Bytes of memory that it keeps from being swapped out.
    LockedMemory,
    /// Open files.
    OpenFiles,
    /// Processes of its user.
    Processes,
    /// Signals that wait.
    PendingSignals,
    /// Bytes of stack.
    Stack,
}

impl ResourceLimit {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 10] = [
        Self::AddressSpace,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::FileSize,
        Self::LockedMemory,
        Self::OpenFiles,
        Self::Processes,
        Self::PendingSignals,
        Self::Stack,
    ];

    /// The word of specs and options, that of `man 5 limits.conf`.
    pub fn word(self) -> &'static str {
        match self {
            Self::AddressSpace => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::FileSize => "fsize",
            Self::LockedMemory => "memlock",
            Self::OpenFiles => "nofile",
            Self::Processes => "nproc",
            Self::PendingSignals => "sigpending",
            Self::Stack => "stack",
        }
    }

    /// The limit of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.word() == word)
    }
}

/// What a process may have, and to what it may raise that itself; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// In force.
    pub soft: Option<u64>,
    /// Not below `soft`.
    pub hard: Option<u64>,
}

impl Bound {
    /// The same for both.
    pub fn of(limit: Option<u64>) -> Self {
        Self {
            soft: limit,
            hard: limit,
        }
    }

    /// Whether the soft limit is within the hard one.
    pub fn is_ordered(self) -> bool {
        match (self.soft, self.hard) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(soft), Some(hard)) => soft <= hard,
        }
    }
}

/// Limits of a program with all its descendants, enforced by a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory in bytes; what would exceed it is killed, and the outcome is `out_of_memory`.
    pub memory: Option<Bytes>,
    /// Swap in bytes, beside the memory.
    pub swap: Option<Bytes>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Processor time in each second of real time.
    pub cpus: Option<Cpus>,
    /// Share of processor time against others, 1..=10000; 100 is that of everybody.
    pub cpu_weight: Option<u16>,
    /// Share of the disk against others, 1..=10000; 100 is that of everybody.
    pub io_weight: Option<u16>,
    /// Whether it may start where a limit cannot be enforced.
    pub best_effort: bool,
}

/// Bounds of a weight (`Documentation/admin-guide/cgroup-v2.rst`).
pub const WEIGHT_MAX: u16 = 10_000;

impl Limits {
    /// Whether there is anything to enforce.
    pub fn is_any(&self) -> bool {
        let Self {
            memory,
            swap,
            pids,
            cpus,
            cpu_weight,
            io_weight,
            best_effort: _,
        } = self;
        memory.is_some()
            || swap.is_some()
            || pids.is_some()
            || cpus.is_some()
            || cpu_weight.is_some()
            || io_weight.is_some()
    }
}
