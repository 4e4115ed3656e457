//! Processes of nodes.

use flota_model::{
    ids::{BootId, NodeId},
    process::ProcessRow,
    units::Cpus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convert::{cores, micros_as_seconds, seconds};

/// Most processes of one page: all that a node may list.
pub const LIMIT_MAX: u32 = 16_384;
/// Processes of a page where the caller does not say.
pub const LIMIT_DEFAULT: u32 = 1_000;
/// Most groups of an answer.
pub const GROUPS_MAX: u32 = 16_384;
/// Groups of an answer where the caller does not say.
pub const GROUPS_DEFAULT: u32 = 1_000;

/// `GET /api/v1/processes` and `GET /api/v1/nodes/{node}/processes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_field_names,
    reason = "the key of a list says what it holds"
)]
pub struct Processes {
    /// At most `limit`, in the order that was asked for.
    pub processes: Vec<Process>,
    /// How many match, on all nodes that answered, whatever the page.
    pub matching: u64,
    /// Give it as `after`, with the same `sort`, for the next page; absent on the last one.
    pub next: Option<String>,
    /// Nodes that answered, by number.
    pub answered: Vec<AnsweredNode>,
    /// Nodes that did not, by number: their processes are missing above.
    pub unanswered: Vec<SilentNode>,
}

/// A node whose processes are in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnsweredNode {
    /// Its number.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// When it looked, by its own clock.
    pub read_at: f64,
    /// How many processes it has, whether they match or not.
    pub processes: u32,
    /// How many of these it could not send: a machine with more than 16,384, say.
    pub left_out: u32,
    /// How many lists its agent has read since its start, this one included.
    pub scan: u64,
}

/// A node whose processes are not in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SilentNode {
    /// Its number.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// `up`, `away` or `lost`.
    pub phase: String,
    /// Code of the error, as in a problem.
    pub code: String,
    /// What exactly.
    pub detail: String,
}

/// A process of a node, and `GET /api/v1/processes/{handle}`. What is not known is null, never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Names it for signals and stops, and no other process, also when its number is used again.
    /// Take it as a whole.
    pub handle: String,
    /// Whether the kernel of the node can tell it from a later process of its number; if not, its
    /// handle is refused by signals and stops.
    pub unique: bool,
    /// Number of its node.
    pub node: u32,
    /// Name of its node.
    pub node_name: String,
    /// Its number on that node.
    pub pid: u32,
    /// That of its parent; 0 where that is outside.
    pub parent: u32,
    /// Name of its program as the kernel knows it.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, … (`man 5 proc_pid_stat`)
    pub state: String,
    /// Whether it is a thread of the kernel.
    pub kernel: bool,
    /// Cores that it used since somebody looked before; null at the first look.
    pub cpu: Option<f64>,
    /// The same in percent of one core: 250 are two cores and a half.
    pub cpu_core_percent: Option<f64>,
    /// The same in percent of all cores of its machine.
    pub cpu_machine_percent: Option<f64>,
    /// Processor time used in all.
    pub cpu_seconds: f64,
    /// Resident memory in bytes.
    pub memory: Option<u64>,
    /// Its threads.
    pub threads: u32,
    /// When it was started, by the clock of its node.
    pub started_at: f64,
    /// Number of its user.
    pub uid: Option<u32>,
    /// Name of its user.
    pub user: Option<String>,
    /// Its arguments, joined by blanks; at most 1,024 bytes.
    pub command: Option<String>,
    /// Its control group; at most 512 bytes.
    pub control_group: Option<String>,
    /// What it runs for, where Flota started it.
    pub task: Option<ProcessTask>,
}

/// `GET /api/v1/processes/groups`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessGroups {
    /// At most `limit`, in the order that was asked for.
    pub groups: Vec<ProcessGroup>,
    /// How many there are.
    pub matching: u64,
    /// Processes of groups beyond the 65,536 that are told apart.
    pub left_out: u64,
    /// Nodes that answered, by number.
    pub answered: Vec<AnsweredNode>,
    /// Nodes that did not, by number: their processes are no part of the sums.
    pub unanswered: Vec<SilentNode>,
}

/// Processes with something in common, over all nodes. A sum is of what could be read; null where
/// nothing could.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessGroup {
    /// What they have in common; null for those of which it is not known, or that have none.
    pub group: Option<String>,
    /// How many.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// What they use, in percent of one core.
    pub cpu_core_percent: Option<f64>,
    /// Processes whose use is not known.
    pub cpu_unknown: u64,
    /// Processor time used in all.
    pub cpu_seconds: f64,
    /// Resident memory in bytes; what several share is counted for each.
    pub memory: Option<u64>,
    /// Processes whose memory is not known, or that have none.
    pub memory_unknown: u64,
}

/// Event `snapshot` of `GET /api/v1/processes/watch`: everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSnapshot {
    /// At most 16,384, by node and number.
    pub processes: Vec<Process>,
    /// How many match beyond these.
    pub left_out: u64,
    /// Nodes that answered, by number.
    pub answered: Vec<AnsweredNode>,
    /// Nodes that did not, by number.
    pub unanswered: Vec<SilentNode>,
}

/// Event `delta` of `GET /api/v1/processes/watch`: what differs from the event before. What a node had
/// that is `unanswered` is not known any more; when it is back, all of it is in `changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessDelta {
    /// New ones, and those of which anything is another, as they are now.
    pub changed: Vec<Process>,
    /// Handles of those that ended, or do not match any more.
    pub gone: Vec<String>,
    /// As in the snapshot.
    pub left_out: u64,
    /// Nodes that answered, by number.
    pub answered: Vec<AnsweredNode>,
    /// Nodes that did not, by number.
    pub unanswered: Vec<SilentNode>,
}

/// What a process runs for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessTask {
    /// The job's number.
    pub job: u64,
    /// Index of the task.
    pub task: u32,
    /// `EPOCH-SALT-SEQUENCE`.
    pub attempt: String,
}

/// Answer of `POST …/signal`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signalled {
    /// The handle, or `NODE/PID`.
    pub process: String,
    /// Which signal was sent.
    pub signal: u8,
}

/// Answer of `POST …/stop`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// The handle, or `NODE/PID`.
    pub process: String,
    /// How many processes ended: it and its descendants.
    pub processes: u32,
    /// Whether any of them had to be killed.
    pub killed: bool,
}

/// Where a process was seen.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// On which node.
    pub node: NodeId,
    /// Its name.
    pub name: &'a str,
    /// The boot of its machine.
    pub boot: BootId,
    /// Cores of its machine.
    pub cores: Option<u32>,
}

impl Process {
    /// The process of `row` on a node.
    pub fn new(place: Place<'_>, row: &ProcessRow) -> Self {
        let Place {
            node, name, boot, ..
        } = place;
        Self {
            handle: row.handle(node, boot).to_string(),
            unique: row.pidfd_inode.is_some_and(|inode| inode != 0),
            node: node.0,
            node_name: name.to_owned(),
            pid: row.pid,
            parent: row.parent,
            name: row.name.clone(),
            state: row.state.to_string(),
            kernel: row.is_kernel,
            cpu: row.cpu.map(cores),
            cpu_core_percent: row.cpu.map(core_percent),
            cpu_machine_percent: row
                .cpu
                .zip(place.cores)
                .map(|(cpu, cores)| machine_percent(cpu, cores)),
            cpu_seconds: micros_as_seconds(row.cpu_micros),
            memory: row.memory.map(|memory| memory.0),
            threads: row.threads,
            started_at: seconds(row.started_at),
            uid: row.uid,
            user: row.user.clone(),
            command: row.command.clone(),
            control_group: row.control_group.clone(),
            task: row.task.map(|task| ProcessTask {
                job: task.job.0,
                task: task.task.0,
                attempt: task.attempt.to_string(),
            }),
        }
    }
}

/// To a tenth.
pub fn core_percent(cpu: Cpus) -> f64 {
    f64::from(cpu.0) / 10.0
}

/// To a hundredth: a core of a large machine is less than one percent of it.
fn machine_percent(cpu: Cpus, cores: u32) -> f64 {
    let percent = core_percent(cpu) / f64::from(cores.max(1));
    (percent * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use flota_model::{
        ids::{AttemptId, Epoch, JobId, TaskIndex},
        process,
        units::{Bytes, Cpus, Timestamp},
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn a_process_shows_what_is_known_and_null_for_the_rest() {
        let mut row = ProcessRow {
            pid: 1234,
            parent: 1,
            name: "sim".into(),
            state: 'S',
            cpu_micros: 2_500_000,
            threads: 3,
            start_time: 98_765,
            started_at: Timestamp(1_700_000_000_500_000),
            ..ProcessRow::default()
        };
        let shown = |row: &ProcessRow| {
            let place = Place {
                node: NodeId(3),
                name: "n3",
                boot: BootId(0xab),
                cores: Some(8),
            };
            serde_json::to_value(Process::new(place, row)).unwrap()
        };
        let mut expected = json!({
            "handle": "3-000000000000000000000000000000ab-1234-98765-0", "unique": false,
            "node": 3, "node_name": "n3", "pid": 1234, "parent": 1, "name": "sim", "state": "S",
            "kernel": false, "cpu": null, "cpu_core_percent": null, "cpu_machine_percent": null,
            "cpu_seconds": 2.5, "memory": null, "threads": 3,
            "started_at": 1_700_000_000.5, "uid": null, "user": null, "command": null,
            "control_group": null, "task": null,
        });
        assert_eq!(shown(&row), expected);

        row.cpu = Some(Cpus(250));
        row.memory = Some(Bytes(4096));
        row.pidfd_inode = Some(7);
        row.task = Some(process::ProcessTask {
            attempt: AttemptId {
                epoch: Epoch(1),
                salt: 255,
                sequence: 9,
            },
            job: JobId(5),
            task: TaskIndex(2),
        });
        expected["handle"] = json!("3-000000000000000000000000000000ab-1234-98765-7");
        expected["unique"] = json!(true);
        expected["cpu"] = json!(0.25);
        expected["cpu_core_percent"] = json!(25.0);
        expected["cpu_machine_percent"] = json!(3.13);
        expected["memory"] = json!(4096);
        expected["task"] = json!({"job": 5, "task": 2, "attempt": "1-00000000000000ff-9"});
        assert_eq!(shown(&row), expected);
    }
}
