//! One process seen from all sides.

use std::{collections::BTreeMap, io};

use flota_model::{
    ids::NodeId,
    inspect::{self, ChildRow, Part, ProcessDetail, Seen},
    process::ProcessRow,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    convert::{micros_as_seconds, seconds},
    process::{Place, Process},
};

/// `GET /api/v1/processes/{handle}` and `GET /api/v1/nodes/{node}/processes/{pid}`: what a list says
/// of it, and the rest. What could not be read is null, with the reason in `unreadable`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessDetails {
    /// As in a list.
    #[serde(flatten)]
    pub process: Process,
    /// When it was read, by the clock of its node.
    pub read_at: f64,
    /// Its arguments, at most 1,024 and 64 KiB.
    pub arguments: Option<Rows<String>>,
    /// The variables that its program was executed with, at most 1,024 and 64 KiB.
    pub environment: Option<Rows<Variable>>,
    /// Where it works.
    pub folder: Option<String>,
    /// What it takes for the root of the file system.
    pub root: Option<String>,
    /// What it executes.
    pub program: Option<Program>,
    /// Its limits.
    pub limits: Option<Vec<Limit>>,
    /// What it holds open, at most 1,024.
    pub files: Option<Rows<OpenFile>>,
    /// The sockets among `files.rows`.
    pub sockets: Option<Rows<Socket>>,
    /// Its threads, at most 1,024.
    pub thread_list: Option<Rows<Thread>>,
    /// Its control group in every hierarchy.
    pub control_groups: Option<Vec<ControlGroup>>,
    /// Counters by the names of the kernel (`man 5 proc_pid_io`).
    pub io: Option<BTreeMap<String, u64>>,
    /// Numbers by kind (`man 7 namespaces`).
    pub namespaces: Option<BTreeMap<String, u64>>,
    /// Bytes by the names of the kernel (`smaps_rollup`).
    pub memory_detail: Option<BTreeMap<String, u64>>,
    /// Some lines of `status` as the kernel writes them (`man 5 proc_pid_status`).
    pub status: Option<BTreeMap<String, String>>,
    /// Its children, at most 1,024.
    pub children: Rows<Child>,
    /// Why a field is null, by its name.
    pub unreadable: BTreeMap<String, String>,
}

/// The first ones of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FirstOf{T}")]
pub struct Rows<T> {
    /// As many as fit.
    pub rows: Vec<T>,
    /// How many there are.
    pub total: u32,
}

/// A variable of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessVariable")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Null where it was not asked for with `environment=true`.
    pub value: Option<String>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessProgram")]
pub struct Program {
    /// Where it is, or was.
    pub path: String,
    /// Whether it is not there any more.
    pub deleted: bool,
}

/// A limit. Null is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessLimit")]
pub struct Limit {
    /// As the kernel names it.
    pub name: String,
    /// What holds.
    pub soft: Option<u64>,
    /// How far it may be raised.
    pub hard: Option<u64>,
    /// Of what; may be empty.
    pub unit: String,
}

/// An open file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessOpenFile")]
pub struct OpenFile {
    /// Its descriptor.
    pub number: u32,
    /// `file`, `folder`, `device`, `pipe`, `socket`, `anonymous` or `other`.
    pub kind: String,
    /// Path, or what the kernel writes instead; at most 512 bytes.
    pub target: String,
    /// Whether it may be read.
    pub readable: Option<bool>,
    /// Whether it may be written.
    pub writable: Option<bool>,
    /// Where the next read or write begins.
    pub position: Option<u64>,
}

/// An open socket. What is null does not apply, or is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessSocket")]
pub struct Socket {
    /// Its descriptor.
    pub number: u32,
    /// Its inode.
    pub inode: u64,
    /// `tcp`, `tcp6`, `udp`, `udp6` or `unix`.
    pub protocol: Option<String>,
    /// Address and port, or path.
    pub local: Option<String>,
    /// Address and port.
    pub remote: Option<String>,
    /// `listening`, `established`, … as `man 8 ss` names it.
    pub state: Option<String>,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessThread")]
pub struct Thread {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// As of a process.
    pub state: String,
    /// Processor time used in all.
    pub cpu_seconds: f64,
}

/// A control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessControlGroup")]
pub struct ControlGroup {
    /// What it controls; empty for the second version.
    pub controllers: String,
    /// Where it is.
    pub path: String,
}

/// A child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProcessChild")]
pub struct Child {
    /// Names it, as in a list.
    pub handle: String,
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// As of a process.
    pub state: String,
}

impl ProcessDetails {
    /// What a node told.
    pub fn new(node: NodeId, name: &str, detail: ProcessDetail) -> Self {
        let place = Place {
            node,
            name,
            boot: detail.boot,
            cores: detail.cores,
        };
        let child = |row: ChildRow| child(&place, &row);
        let mut reasons = Reasons::default();
        Self {
            process: Process::new(place, &detail.row),
            read_at: seconds(detail.read_at),
            arguments: reasons.of("arguments", detail.arguments, |part| {
                rows(part, |text| text)
            }),
            environment: reasons.of("environment", detail.environment, |part| {
                rows(part, |variable| Variable {
                    name: variable.name,
                    value: variable.value,
                })
            }),
            folder: reasons.of("folder", detail.folder, |path| path),
            root: reasons.of("root", detail.root, |path| path),
            program: reasons.of("program", detail.program, |program| Program {
                path: program.path,
                deleted: program.is_deleted,
            }),
            limits: reasons.of("limits", detail.limits, |limits| {
                limits.into_iter().map(limit).collect()
            }),
            files: reasons.of("files", detail.files, |part| rows(part, file)),
            sockets: reasons.of("sockets", detail.sockets, |part| rows(part, socket)),
            thread_list: reasons.of("thread_list", detail.threads, |part| rows(part, thread)),
            control_groups: reasons.of("control_groups", detail.control_groups, |groups| {
                groups.into_iter().map(group).collect()
            }),
            io: reasons.of("io", detail.io, |numbers| numbers),
            namespaces: reasons.of("namespaces", detail.namespaces, |numbers| numbers),
            memory_detail: reasons.of("memory_detail", detail.memory, |numbers| numbers),
            status: reasons.of("status", detail.status, |lines| lines),
            children: rows(detail.children, child),
            unreadable: reasons.0,
        }
    }
}

/// Why fields are null.
#[derive(Default)]
struct Reasons(BTreeMap<String, String>);

impl Reasons {
    fn of<T, U>(&mut self, name: &str, seen: Seen<T>, show: impl FnOnce(T) -> U) -> Option<U> {
        match seen {
            Ok(value) => Some(show(value)),
            Err(unseen) => {
                let reason = io::Error::from_raw_os_error(unseen.errno).to_string();
                self.0.insert(name.to_owned(), reason);
                None
            }
        }
    }
}

fn rows<T, U>(part: Part<T>, show: impl Fn(T) -> U) -> Rows<U> {
    Rows {
        rows: part.rows.into_iter().map(show).collect(),
        total: part.total,
    }
}

fn limit(limit: inspect::Limit) -> Limit {
    Limit {
        name: limit.name,
        soft: limit.soft,
        hard: limit.hard,
        unit: limit.unit,
    }
}

fn file(file: inspect::OpenFile) -> OpenFile {
    OpenFile {
        number: file.number,
        kind: file.kind.word().to_owned(),
        target: file.target,
        readable: file.is_readable,
        writable: file.is_writable,
        position: file.position,
    }
}

fn socket(socket: inspect::Socket) -> Socket {
    Socket {
        number: socket.number,
        inode: socket.inode,
        protocol: socket.protocol,
        local: socket.local,
        remote: socket.remote,
        state: socket.state,
    }
}

fn thread(thread: inspect::Thread) -> Thread {
    Thread {
        number: thread.number,
        name: thread.name,
        state: thread.state.to_string(),
        cpu_seconds: micros_as_seconds(thread.cpu_micros),
    }
}

fn group(group: inspect::ControlGroup) -> ControlGroup {
    ControlGroup {
        controllers: group.controllers,
        path: group.path,
    }
}

fn child(place: &Place<'_>, child: &ChildRow) -> Child {
    let row = ProcessRow {
        pid: child.pid,
        start_time: child.start_time,
        pidfd_inode: child.pidfd_inode,
        ..ProcessRow::default()
    };
    Child {
        handle: row.handle(place.node, place.boot).to_string(),
        pid: child.pid,
        name: child.name.clone(),
        state: child.state.to_string(),
    }
}
