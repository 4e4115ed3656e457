//! Processes of a node, ours or not, and how one is named so that no other is ever taken for it.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    ids::{AttemptId, BootId, JobId, NodeId, TaskIndex},
    inspect::ProcessDetail,
    log::{LogPart, LogQuestion},
    policy::Rule,
    units::{Bytes, Cpus, Timestamp},
};

/// Most processes of one answer. The usual `pid_max` of a machine with many cores is 32,768 and
/// more, but a machine with so many processes is ill, and an answer must fit into one frame.
pub const PROCESSES_MAX: usize = 16_384;
/// Most bytes of the rows of one answer, so that it fits into a frame with all that is around them.
pub const PROCESSES_BYTES_MAX: usize = 3 << 20;
/// Longest command line that is shown, in bytes; the rest is cut.
pub const COMMAND_LENGTH_MAX: usize = 1_024;
/// Longest name of a control group that is shown, in bytes; the rest is cut.
pub const CONTROL_GROUP_LENGTH_MAX: usize = 512;
/// Longest time from the signal to the kill of a stop: somebody waits for the answer.
pub const GRACE_MAX: Duration = Duration::from_mins(5);
/// Highest number of a signal (`man 7 signal`).
pub const SIGNAL_MAX: u8 = 64;

/// One process of one boot of one node.
///
/// A number alone is used again, and number and start time together may be too: the start time is
/// counted in hundredths of a second. The inode of its pidfd is unique for the boot (Linux 6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessHandle {
    /// On which node.
    pub node: NodeId,
    /// In which boot of its machine.
    pub boot: BootId,
    /// Its number; at least 1.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`, in hundredths of a second since the boot.
    pub start_time: u64,
    /// The inode of its pidfd; 0 where the kernel gives none that is unique. Such a handle names a
    /// process for people only: nothing is ever signalled by it.
    pub pidfd_inode: u64,
}

/// Written as `NODE-BOOT-PID-START-INODE`, the boot as 32 hexadecimal digits.
impl fmt::Display for ProcessHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            boot,
            pid,
            start_time,
            pidfd_inode,
        } = self;
        write!(
            formatter,
            "{node}-{:032x}-{pid}-{start_time}-{pidfd_inode}",
            boot.0
        )
    }
}

/// The text is no handle of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAHandle;

impl FromStr for ProcessHandle {
    type Err = NotAHandle;

    fn from_str(text: &str) -> Result<Self, NotAHandle> {
        let mut parts = text.split('-');
        let mut next = || parts.next().filter(|part| is_plain(part)).ok_or(NotAHandle);
        let handle = Self {
            node: NodeId(number(next()?)?),
            boot: BootId(u128::from_str_radix(next()?, 16).map_err(|_| NotAHandle)?),
            pid: number(next()?)?,
            start_time: number(next()?)?,
            pidfd_inode: number(next()?)?,
        };
        if parts.next().is_some() || handle.pid == 0 {
            return Err(NotAHandle);
        }
        Ok(handle)
    }
}

/// Rust's numbers may have a sign, ours may not.
fn is_plain(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn number<T: FromStr>(part: &str) -> Result<T, NotAHandle> {
    part.parse().map_err(|_| NotAHandle)
}

/// Whom a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessTarget {
    /// That very process, or nobody.
    Handle(ProcessHandle),
    /// Whoever has that number when the node is asked. Only where a person insists.
    Pid {
        /// On which node.
        node: NodeId,
        /// Which number.
        pid: u32,
    },
}

impl ProcessTarget {
    /// On which node.
    pub fn node(&self) -> NodeId {
        match self {
            Self::Handle(handle) => handle.node,
            Self::Pid { node, .. } => *node,
        }
    }
}

/// The handle, or `NODE/PID`.
impl fmt::Display for ProcessTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle(handle) => handle.fmt(formatter),
            Self::Pid { node, pid } => write!(formatter, "{node}/{pid}"),
        }
    }
}

/// How much of each process is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Columns {
    /// What one read of `/proc/PID/stat` gives.
    Basic,
    /// User, command line, control group and handle too.
    #[default]
    Full,
}

/// What a server asks an agent, beside outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// All processes of its machine.
    Processes {
        /// How much of each.
        columns: Columns,
    },
    /// One process from all sides.
    Inspect {
        /// Which; of the agent's own node.
        target: ProcessTarget,
        /// Whether the values of its variables are wanted too; they may be secrets.
        with_values: bool,
    },
    /// Send a signal to one process.
    Signal {
        /// Which; of the agent's own node.
        target: ProcessTarget,
        /// 1..=[`SIGNAL_MAX`].
        signal: u8,
    },
    /// End a process with all its descendants: SIGTERM, grace, SIGKILL. Answered when they are gone.
    Stop {
        /// Which; of the agent's own node.
        target: ProcessTarget,
        /// From SIGTERM to SIGKILL, at most [`GRACE_MAX`].
        grace: Duration,
    },
    /// A part of a log that is rotated.
    Log(LogQuestion),
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Processes`].
    Processes(ProcessList),
    /// To [`Question::Inspect`].
    Inspected(Box<ProcessDetail>),
    /// To [`Question::Signal`]: it was sent.
    Signalled,
    /// To [`Question::Stop`].
    Stopped {
        /// Processes that ended: the leader and its descendants.
        processes: u32,
        /// Whether any of them had to be killed.
        killed: bool,
    },
    /// To [`Question::Log`].
    Log(LogPart),
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskFault {
    /// There is no such process (any more).
    Gone,
    /// Another process has its number now, or the machine was booted since. Nothing was signalled.
    Reused,
    /// The kernel of the node cannot tell this process from a later one of its number.
    Uncertain,
    /// Nobody may signal it through Flota.
    Protected(Protection),
    /// The user that the agent runs as may not signal it.
    NotPermitted,
    /// The policy of the node forbids to signal it, or one of its descendants.
    Refused {
        /// The rule.
        rule: Rule,
        /// The one that may not be signalled.
        pid: u32,
    },
    /// It was killed and has not ended, or one of its descendants has not.
    Alive {
        /// How many of them are left.
        processes: u32,
        /// One of them.
        pid: u32,
        /// Whether that one waits inside the kernel (state `D`), which no signal ends.
        in_kernel: bool,
    },
    /// The node could not find out.
    Unreadable {
        /// `errno` (`man 3 errno`).
        errno: i32,
    },
    /// The node is not connected, was lost while it was asked, or has too many questions already.
    /// What was asked may have been done or not.
    Unreachable,
}

impl AskFault {
    /// The stable code, `E-NOUN-REASON`, of the API and of the audit.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone => "E-PROCESS-NOTFOUND",
            Self::Reused => "E-PROCESS-REUSED",
            Self::Uncertain => "E-PROCESS-UNCERTAIN",
            Self::Protected(_) => "E-PROCESS-PROTECTED",
            Self::NotPermitted | Self::Refused { .. } => "E-PROCESS-FORBIDDEN",
            Self::Alive { .. } => "E-PROCESS-ALIVE",
            Self::Unreadable { .. } => "E-PROCESS-UNREADABLE",
            Self::Unreachable => "E-NODE-UNREACHABLE",
        }
    }
}

/// Why a process is never signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The first process of the machine, or a number that stands for several processes.
    First,
    /// A thread of the kernel.
    Kernel,
    /// An agent, a keeper or a server of Flota, or a process that has one among its descendants.
    Flota,
}

/// The processes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessList {
    /// The boot of the machine, for the handles.
    pub boot: BootId,
    /// By number. At most [`PROCESSES_MAX`], and at most about [`PROCESSES_BYTES_MAX`].
    pub rows: Vec<ProcessRow>,
    /// How many there were: more than rows where those did not fit.
    pub total: u32,
    /// When they were read.
    pub read_at: Timestamp,
    /// Cores that the machine has in use, for shares of the whole machine.
    pub cores: Option<u32>,
    /// How many lists the agent has read since its start, this one included.
    pub scan: u64,
}

/// One process. What could not be read, or was not asked for, is `None`, never 0 or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessRow {
    /// Its number.
    pub pid: u32,
    /// That of its parent; 0 where that is outside (`man 5 proc_pid_stat`).
    pub parent: u32,
    /// Name of its program as the kernel knows it; at most 15 bytes, 63 for threads of the kernel.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, … (`man 5 proc_pid_stat`)
    pub state: char,
    /// Whether it is a thread of the kernel.
    pub is_kernel: bool,
    /// Processor time used since the reading before, per time since then. `None` at the first one.
    pub cpu: Option<Cpus>,
    /// Processor time used in all, in microseconds, to a hundredth of a second.
    pub cpu_micros: u64,
    /// Resident memory; `None` for threads of the kernel and zombies, which have none.
    pub memory: Option<Bytes>,
    /// Its threads.
    pub threads: u32,
    /// As in [`ProcessHandle`].
    pub start_time: u64,
    /// When it was started, by the present wall clock.
    pub started_at: Timestamp,
    /// Its effective user.
    pub uid: Option<u32>,
    /// Name of that user, where it has one.
    pub user: Option<String>,
    /// Its arguments, joined by blanks; cut at [`COMMAND_LENGTH_MAX`].
    pub command: Option<String>,
    /// Its control group; cut at [`CONTROL_GROUP_LENGTH_MAX`].
    pub control_group: Option<String>,
    /// As in [`ProcessHandle`].
    pub pidfd_inode: Option<u64>,
    /// The task that it runs for, where the agent of the node knows: it is the program of an attempt,
    /// or of its session, or one of its descendants.
    pub task: Option<ProcessTask>,
}

/// What a process runs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProcessTask {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Of which job.
    pub job: JobId,
    /// Of which task of it.
    pub task: TaskIndex,
}

impl ProcessRow {
    /// Names it.
    pub fn handle(&self, node: NodeId, boot: BootId) -> ProcessHandle {
        ProcessHandle {
            node,
            boot,
            pid: self.pid,
            start_time: self.start_time,
            pidfd_inode: self.pidfd_inode.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> ProcessHandle {
        ProcessHandle {
            node: NodeId(3),
            boot: BootId(0xab),
            pid: 1234,
            start_time: 98_765,
            pidfd_inode: 36_852,
        }
    }

    #[test]
    fn a_handle_is_read_as_it_is_written() {
        let text = "3-000000000000000000000000000000ab-1234-98765-36852";
        assert_eq!(handle().to_string(), text);
        assert_eq!(text.parse(), Ok(handle()));
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        let long = format!("{}-1", handle());
        for text in [
            "",
            "1234",
            "3/1234",
            "3-ab-0-1-1",
            "3-ab-1-1",
            "3-ab-+1-1-1",
            "3-xy-1-1-1",
            "3-ab-4294967296-1-1",
            &long,
        ] {
            assert_eq!(text.parse::<ProcessHandle>(), Err(NotAHandle), "{text}");
        }
    }
}
