//! All processes of this machine, read from `/proc` with few calls and one buffer.

mod inspect;
mod permission;
mod reader;
#[cfg(test)]
mod reuse;
pub(crate) mod signal;
mod stat;
mod tasks;
#[cfg(test)]
mod tests;
mod tree;
mod users;

use std::{collections::HashMap, fs, io, sync::Mutex};

use flota_model::{
    ids::BootId,
    process::{
        COMMAND_LENGTH_MAX, CONTROL_GROUP_LENGTH_MAX, Columns, PROCESSES_BYTES_MAX, PROCESSES_MAX,
        ProcessList, ProcessRow,
    },
    units::{Bytes, Cpus, Moment, Timestamp},
};

pub(crate) use self::{inspect::Values, tasks::Programs};
use self::{
    reader::{Owner, Reader},
    stat::Line,
    tasks::Kin,
    users::Users,
};
use crate::{
    machine,
    sys::{clock, pidfd::PidFd},
};

/// Microseconds of a clock tick.
const TICK_MICROS: u64 = 10_000;
/// Two readings nearer than this say nothing about use: a tick would be 4 % and more.
const SPAN_MICROS_MIN: u64 = 250_000;
/// Bytes of a row beside its texts, in a frame.
const ROW_BYTES: usize = 128;

/// What is remembered of processes between two lists.
#[derive(Debug)]
pub(crate) struct Processes {
    boot: BootId,
    page_bytes: u64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<u32, Known>,
    users: Users,
    /// Of this list.
    round: u64,
}

/// One process, by its number.
#[derive(Debug)]
struct Known {
    start_time: u64,
    round: u64,
    /// Ticks used at the reading that the use is counted from.
    ticks: u64,
    read_at: Moment,
    cpu: Option<Cpus>,
    details: Option<Details>,
}

/// What stays the same until it executes another program or changes its user.
#[derive(Debug, Clone)]
struct Details {
    name: Vec<u8>,
    owner: Option<Owner>,
    uid: Option<u32>,
    command: Option<String>,
    control_group: Option<String>,
    pidfd_inode: Option<u64>,
}

/// Reads all processes each time it is called, as for a question of the server, and says how many there
/// are. For measurements.
///
/// # Errors
/// When the machine does not tell its boot.
pub fn process_lister() -> io::Result<impl FnMut() -> io::Result<usize>> {
    let (processes, programs) = (Processes::new(machine::boot()?), Programs::default());
    Ok(move || {
        let list = processes.list(Columns::Full, &programs)?;
        Ok(list.rows.len())
    })
}

impl Processes {
    pub(crate) fn new(boot: BootId) -> Self {
        Self {
            boot,
            page_bytes: rustix::param::page_size() as u64,
            table: Mutex::default(),
        }
    }

    /// Reads all of them; `programs` are those of this agent. Takes some milliseconds where there are
    /// thousands.
    pub(crate) fn list(&self, columns: Columns, programs: &Programs) -> io::Result<ProcessList> {
        let mut table = self
            .table
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut reader = Reader::open()?;
        let now = clock::now();
        let booted_at = now.wall.0.saturating_sub(now.moment.0);
        let mut list = ProcessList {
            boot: self.boot,
            read_at: now.wall,
            ..ProcessList::default()
        };
        table.round += 1;
        list.scan = table.round;
        list.cores = cores();
        if columns == Columns::Full {
            table.users.refresh(now.moment);
        }
        let mut bytes = 0;
        let mut kin = Kin::of(programs);
        for pid in reader.pids()? {
            let Some((session, row)) = self.row(&mut table, &mut reader, pid, columns) else {
                continue;
            };
            kin.meet(&row, session);
            list.total += 1;
            bytes += weight(&row);
            if list.rows.len() < PROCESSES_MAX && bytes <= PROCESSES_BYTES_MAX {
                let started_at = Timestamp(booted_at + row.start_time * TICK_MICROS);
                list.rows.push(ProcessRow { started_at, ..row });
            }
        }
        kin.tell(&mut list.rows);
        let round = table.round;
        table.known.retain(|_, known| known.round == round);
        drop(table);
        Ok(list)
    }

    /// With its session. `None` when it is gone.
    fn row(
        &self,
        table: &mut Table,
        reader: &mut Reader,
        pid: u32,
        columns: Columns,
    ) -> Option<(u32, ProcessRow)> {
        let (line, owner) = reader.stat(pid, columns == Columns::Full)?;
        let session = line.session;
        let has_memory = !line.is_kernel && line.state != b'Z';
        let mut row = ProcessRow {
            pid,
            parent: line.parent,
            name: String::from_utf8_lossy(line.name).into_owned(),
            state: char::from(line.state),
            is_kernel: line.is_kernel,
            cpu_micros: line.ticks.saturating_mul(TICK_MICROS),
            memory: has_memory.then_some(Bytes(line.resident.saturating_mul(self.page_bytes))),
            threads: line.threads,
            start_time: line.start_time,
            ..ProcessRow::default()
        };
        let round = table.round;
        let known = table.known.entry(pid).or_insert_with(|| Known::new(&line));
        if known.start_time != line.start_time {
            *known = Known::new(&line);
        }
        known.round = round;
        row.cpu = known.measure(line.ticks);
        if columns == Columns::Full {
            let is_current = known
                .details
                .as_ref()
                .is_some_and(|details| details.name == line.name && details.owner == owner);
            if !is_current {
                let name = line.name.to_vec();
                known.details = Some(details(reader, &row, name, owner));
            }
            if let Some(details) = &known.details {
                row.uid = details.uid;
                row.user = details.uid.and_then(|uid| table.users.name(uid));
                row.command.clone_from(&details.command);
                row.control_group.clone_from(&details.control_group);
                row.pidfd_inode = details.pidfd_inode;
            }
        }
        Some((session, row))
    }
}

impl Known {
    fn new(line: &Line<'_>) -> Self {
        Self {
            start_time: line.start_time,
            round: 0,
            ticks: line.ticks,
            read_at: Moment(0),
            cpu: None,
            details: None,
        }
    }

    /// Use since the reading before: ticks and clock are read next to each other, for each process.
    fn measure(&mut self, ticks: u64) -> Option<Cpus> {
        let now = clock::moment();
        let span = now.0.saturating_sub(self.read_at.0);
        let is_first = self.read_at == Moment(0);
        if !is_first && span < SPAN_MICROS_MIN {
            return self.cpu;
        }
        if !is_first {
            let used = ticks.saturating_sub(self.ticks);
            let thousandths = used.saturating_mul(TICK_MICROS * 1_000) / span;
            self.cpu = Some(Cpus(u32::try_from(thousandths).unwrap_or(u32::MAX)));
        }
        self.read_at = now;
        self.ticks = ticks;
        self.cpu
    }
}

fn details(reader: &mut Reader, row: &ProcessRow, name: Vec<u8>, owner: Option<Owner>) -> Details {
    // The files of a process that may not be dumped belong to root, whoever runs it.
    let uid = match owner.map(|owner| owner.uid) {
        owner @ (Some(0) | None) => reader.uid(row.pid).or(owner),
        owner => owner,
    };
    Details {
        name,
        owner,
        uid,
        command: reader
            .command(row.pid)
            .map(|text| cut(text, COMMAND_LENGTH_MAX)),
        control_group: reader
            .control_group(row.pid)
            .map(|text| cut(text, CONTROL_GROUP_LENGTH_MAX)),
        pidfd_inode: pidfd_inode(reader, row),
    }
}

/// `None` where it is not unique, or the process is another one by now.
fn pidfd_inode(reader: &mut Reader, row: &ProcessRow) -> Option<u64> {
    let pidfd = PidFd::open(row.pid).ok()?;
    if !pidfd.inode_is_unique() {
        return None;
    }
    let inode = pidfd.inode().ok()?;
    // Read after the descriptor was opened: only now it is sure to be of this process.
    let (line, _) = reader.stat(row.pid, false)?;
    (line.start_time == row.start_time).then_some(inode)
}

/// Cores that the machine has in use, whichever of them we may run on. `None` where it does not say.
fn cores() -> Option<u32> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    count(text.trim())
}

/// Numbers of a list such as `0-3,5`.
fn count(list: &str) -> Option<u32> {
    let mut parts = list.split(',').map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    parts.try_fold(0_u32, |sum, part| sum.checked_add(part?))
}

fn cut(mut text: String, length: usize) -> String {
    text.truncate(text.floor_char_boundary(length));
    text
}

fn weight(row: &ProcessRow) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    ROW_BYTES
        + row.name.len()
        + length(&row.user)
        + length(&row.command)
        + length(&row.control_group)
}
