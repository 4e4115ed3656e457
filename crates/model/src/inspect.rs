//! All that a node tells of one process.

use std::collections::BTreeMap;

use crate::{ids::BootId, process::ProcessRow, units::Timestamp};

/// Most arguments of an answer, and most variables.
pub const TEXTS_MAX: usize = 1_024;
/// Most bytes of all arguments together, and of all variables. The kernel allows 6 MiB
/// (`man 2 execve`), which an answer has no room for.
pub const TEXTS_BYTES_MAX: usize = 64 << 10;
/// Most open files of an answer, and most sockets, threads and children of each.
pub const PARTS_MAX: usize = 1_024;
/// Longest path, name or address, in bytes; the rest is cut.
pub const PATH_LENGTH_MAX: usize = 512;
/// Most lines of the small tables: limits, control groups, counters.
pub const LINES_MAX: usize = 64;

/// What was read, or why it could not be.
pub type Seen<T> = Result<T, Unseen>;

/// The system did not show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unseen {
    /// `errno` (`man 3 errno`).
    pub errno: i32,
}

/// The first ones of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// As many as fit.
    pub rows: Vec<T>,
    /// How many there are.
    pub total: u32,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            total: 0,
        }
    }
}

/// One process, seen from all sides. All of it is of that very process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessDetail {
    /// The boot of the machine, for the handles.
    pub boot: BootId,
    /// When it was read.
    pub read_at: Timestamp,
    /// Cores of the machine.
    pub cores: Option<u32>,
    /// As in a list.
    pub row: ProcessRow,
    /// Its arguments, the first one included.
    pub arguments: Seen<Part<String>>,
    /// As it was when its program was executed.
    pub environment: Seen<Part<Variable>>,
    /// Where it works.
    pub folder: Seen<String>,
    /// What it takes for the root of the file system.
    pub root: Seen<String>,
    /// What it executes.
    pub program: Seen<Program>,
    /// Its limits.
    pub limits: Seen<Vec<Limit>>,
    /// What it holds open.
    pub files: Seen<Part<OpenFile>>,
    /// The sockets among these.
    pub sockets: Seen<Part<Socket>>,
    /// Its threads.
    pub threads: Seen<Part<Thread>>,
    /// Its control group in every hierarchy.
    pub control_groups: Seen<Vec<ControlGroup>>,
    /// Counters by the names of the kernel (`man 5 proc_pid_io`).
    pub io: Seen<BTreeMap<String, u64>>,
    /// Numbers by kind (`man 7 namespaces`).
    pub namespaces: Seen<BTreeMap<String, u64>>,
    /// Bytes by the names of the kernel (`smaps_rollup`, `man 5 proc_pid_smaps`).
    pub memory: Seen<BTreeMap<String, u64>>,
    /// Some lines of `status` as the kernel writes them (`man 5 proc_pid_status`).
    pub status: Seen<BTreeMap<String, String>>,
    /// Its children, by number.
    pub children: Part<ChildRow>,
}

/// A variable of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name; the whole text where that is no variable.
    pub name: String,
    /// `None` where values were not asked for.
    pub value: Option<String>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is, or was.
    pub path: String,
    /// Whether it is not there any more.
    pub is_deleted: bool,
}

/// A limit (`man 2 getrlimit`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// As the kernel names it.
    pub name: String,
    /// What holds; `None` for no limit.
    pub soft: Option<u64>,
    /// How far it may be raised; `None` for no limit.
    pub hard: Option<u64>,
    /// Of what; empty where the kernel gives no unit.
    pub unit: String,
}

/// What a descriptor is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A terminal, a disk, `/dev/null`.
    Device,
    /// A pipe, with a name or without.
    Pipe,
    /// A socket.
    Socket,
    /// What is only in the kernel: an event counter, a timer, a pidfd.
    Anonymous,
    /// None of these, or not known.
    Other,
}

impl FileKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::File,
        Self::Folder,
        Self::Device,
        Self::Pipe,
        Self::Socket,
        Self::Anonymous,
        Self::Other,
    ];

    /// For people and programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Device => "device",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Anonymous => "anonymous",
            Self::Other => "other",
        }
    }
}

/// An open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFile {
    /// Its descriptor.
    pub number: u32,
    /// What it is.
    pub kind: FileKind,
    /// Path, or what the kernel writes instead.
    pub target: String,
    /// Whether it may be read.
    pub is_readable: Option<bool>,
    /// Whether it may be written.
    pub is_writable: Option<bool>,
    /// Where the next read or write begins.
    pub position: Option<u64>,
}

/// An open socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its descriptor.
    pub number: u32,
    /// Its inode.
    pub inode: u64,
    /// `tcp`, `tcp6`, `udp`, `udp6` or `unix`; `None` for others.
    pub protocol: Option<String>,
    /// Address and port, or path.
    pub local: Option<String>,
    /// Address and port.
    pub remote: Option<String>,
    /// As `man 8 ss` names it.
    pub state: Option<String>,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// As of a process.
    pub state: char,
    /// Processor time used, in microseconds, to a hundredth of a second.
    pub cpu_micros: u64,
}

/// A control group (`man 7 cgroups`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlGroup {
    /// What it controls; empty for the second version.
    pub controllers: String,
    /// Where it is.
    pub path: String,
}

/// A child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRow {
    /// Its number.
    pub pid: u32,
    /// As in a handle.
    pub start_time: u64,
    /// As in a handle.
    pub pidfd_inode: Option<u64>,
    /// Its name.
    pub name: String,
    /// As of a process.
    pub state: char,
}

impl ChildRow {
    /// Of a row of a list.
    pub fn of(row: &ProcessRow) -> Self {
        Self {
            pid: row.pid,
            start_time: row.start_time,
            pidfd_inode: row.pidfd_inode,
            name: row.name.clone(),
            state: row.state,
        }
    }
}
