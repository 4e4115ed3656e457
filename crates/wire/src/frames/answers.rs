//! Answers of an agent to questions.

use flota_model::{
    ids::{BootId, JobId, RequestId, TaskIndex},
    policy::Rule,
    process::{
        Answer, AskFault, COMMAND_LENGTH_MAX, CONTROL_GROUP_LENGTH_MAX, PROCESSES_MAX, ProcessList,
        ProcessRow, ProcessTask, Protection,
    },
    units::{Bytes, Cpus, Timestamp},
};

use super::{
    DecodeFault, at_most,
    common::{decode_attempt, decode_enum, encode_attempt, unknown},
    detail, logs,
    proto::{self, AskFaultKind as Kind, answer::Answer as Answered},
    up::halves,
};

/// Longest name of a program or a user, in bytes: far more than any system gives.
const NAME_LENGTH_MAX: usize = 256;

pub(super) fn encode(request: RequestId, answer: &Result<Answer, AskFault>) -> proto::Answer {
    let answer = match answer {
        Ok(Answer::Processes(list)) => Answered::Processes(encode_list(list)),
        Ok(Answer::Inspected(detail)) => Answered::Inspected(Box::new(detail::encode(detail))),
        Ok(Answer::Signalled) => Answered::Signalled(true),
        Ok(Answer::Stopped { processes, killed }) => Answered::Stopped(proto::Stopped {
            processes: *processes,
            killed: *killed,
        }),
        Ok(Answer::Log(part)) => Answered::Log(logs::encode_part(part)),
        Err(fault) => Answered::Fault(encode_fault(*fault)),
    };
    proto::Answer {
        request: request.0,
        answer: Some(answer),
    }
}

pub(super) fn decode(answer: proto::Answer) -> Result<Result<Answer, AskFault>, DecodeFault> {
    Ok(
        match answer.answer.ok_or(DecodeFault::Missing("answer.answer"))? {
            Answered::Processes(list) => Ok(Answer::Processes(decode_list(list)?)),
            Answered::Inspected(detail) => {
                Ok(Answer::Inspected(Box::new(detail::decode(*detail)?)))
            }
            Answered::Signalled(_) => Ok(Answer::Signalled),
            Answered::Stopped(stopped) => Ok(Answer::Stopped {
                processes: stopped.processes,
                killed: stopped.killed,
            }),
            Answered::Log(part) => Ok(Answer::Log(logs::decode_part(part)?)),
            Answered::Fault(fault) => Err(decode_fault(fault)?),
        },
    )
}

fn encode_list(list: &ProcessList) -> proto::ProcessList {
    let [boot_high, boot_low] = halves(list.boot);
    proto::ProcessList {
        boot_high,
        boot_low,
        rows: list.rows.iter().map(encode_row).collect(),
        total: list.total,
        read_at: list.read_at.0,
        cores: list.cores,
        scan: list.scan,
    }
}

fn decode_list(list: proto::ProcessList) -> Result<ProcessList, DecodeFault> {
    at_most("processes.rows", list.rows.len(), PROCESSES_MAX)?;
    Ok(ProcessList {
        boot: BootId(u128::from(list.boot_high) << 64 | u128::from(list.boot_low)),
        rows: list
            .rows
            .into_iter()
            .map(decode_row)
            .collect::<Result<_, _>>()?,
        total: list.total,
        read_at: Timestamp(list.read_at),
        cores: list.cores,
        scan: list.scan,
    })
}

pub(super) fn encode_row(row: &ProcessRow) -> proto::ProcessRow {
    proto::ProcessRow {
        pid: row.pid,
        parent: row.parent,
        name: row.name.clone(),
        state: row.state.into(),
        is_kernel: row.is_kernel,
        cpu: row.cpu.map(|cpu| cpu.0),
        cpu_micros: row.cpu_micros,
        memory: row.memory.map(|memory| memory.0),
        threads: row.threads,
        start_time: row.start_time,
        started_at: row.started_at.0,
        uid: row.uid,
        user: row.user.clone(),
        command: row.command.clone(),
        control_group: row.control_group.clone(),
        pidfd_inode: row.pidfd_inode,
        task: row.task.map(encode_task),
    }
}

fn encode_task(task: ProcessTask) -> proto::ProcessTask {
    proto::ProcessTask {
        attempt: Some(encode_attempt(task.attempt)),
        job: task.job.0,
        task: task.task.0,
    }
}

pub(super) fn decode_row(row: proto::ProcessRow) -> Result<ProcessRow, DecodeFault> {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    at_most("process.name", row.name.len(), NAME_LENGTH_MAX)?;
    at_most("process.user", length(&row.user), NAME_LENGTH_MAX)?;
    at_most("process.command", length(&row.command), COMMAND_LENGTH_MAX)?;
    at_most(
        "process.control_group",
        length(&row.control_group),
        CONTROL_GROUP_LENGTH_MAX,
    )?;
    let state = char::from_u32(row.state).filter(char::is_ascii_alphabetic);
    Ok(ProcessRow {
        pid: row.pid,
        parent: row.parent,
        name: row.name,
        state: state.ok_or(DecodeFault::Invalid {
            field: "process.state",
            what: "is no letter",
        })?,
        is_kernel: row.is_kernel,
        cpu: row.cpu.map(Cpus),
        cpu_micros: row.cpu_micros,
        memory: row.memory.map(Bytes),
        threads: row.threads,
        start_time: row.start_time,
        started_at: Timestamp(row.started_at),
        uid: row.uid,
        user: row.user,
        command: row.command,
        control_group: row.control_group,
        pidfd_inode: row.pidfd_inode,
        task: row.task.map(decode_task).transpose()?,
    })
}

fn decode_task(task: proto::ProcessTask) -> Result<ProcessTask, DecodeFault> {
    Ok(ProcessTask {
        attempt: decode_attempt("process.task.attempt", task.attempt)?,
        job: JobId(task.job),
        task: TaskIndex(task.task),
    })
}

fn encode_fault(fault: AskFault) -> proto::AskFault {
    let (kind, errno) = match fault {
        AskFault::Gone => (Kind::Gone, 0),
        AskFault::Reused => (Kind::Reused, 0),
        AskFault::Uncertain => (Kind::Uncertain, 0),
        AskFault::Protected(Protection::First) => (Kind::ProtectedFirst, 0),
        AskFault::Protected(Protection::Kernel) => (Kind::ProtectedKernel, 0),
        AskFault::Protected(Protection::Flota) => (Kind::ProtectedFlota, 0),
        AskFault::NotPermitted => (Kind::NotPermitted, 0),
        AskFault::Refused { rule, pid } => {
            return proto::AskFault {
                kind: Kind::Refused.into(),
                rule: rule.number(),
                pid,
                ..proto::AskFault::default()
            };
        }
        AskFault::Alive {
            processes,
            pid,
            in_kernel,
        } => {
            return proto::AskFault {
                kind: Kind::Alive.into(),
                processes,
                pid,
                in_kernel,
                ..proto::AskFault::default()
            };
        }
        AskFault::Unreadable { errno } => (Kind::Unreadable, errno),
        AskFault::Unreachable => (Kind::Unreachable, 0),
    };
    proto::AskFault {
        kind: kind.into(),
        errno,
        ..proto::AskFault::default()
    }
}

fn decode_fault(fault: proto::AskFault) -> Result<AskFault, DecodeFault> {
    Ok(match decode_enum("answer.fault", fault.kind)? {
        Kind::Unspecified => return Err(unknown("answer.fault", 0)),
        Kind::Gone => AskFault::Gone,
        Kind::Reused => AskFault::Reused,
        Kind::Uncertain => AskFault::Uncertain,
        Kind::ProtectedFirst => AskFault::Protected(Protection::First),
        Kind::ProtectedKernel => AskFault::Protected(Protection::Kernel),
        Kind::ProtectedFlota => AskFault::Protected(Protection::Flota),
        Kind::NotPermitted => AskFault::NotPermitted,
        Kind::Refused => AskFault::Refused {
            rule: Rule::of_number(fault.rule)
                .ok_or_else(|| unknown("answer.fault.rule", fault.rule))?,
            pid: fault.pid,
        },
        Kind::Alive => AskFault::Alive {
            processes: fault.processes,
            pid: fault.pid,
            in_kernel: fault.in_kernel,
        },
        Kind::Unreadable => AskFault::Unreadable { errno: fault.errno },
        Kind::Unreachable => AskFault::Unreachable,
    })
}
