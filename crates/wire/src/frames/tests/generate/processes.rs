//! Processes and samples with all kinds of contents.

mod detail;

use flota_model::{
    local::{LocalOrder, LocalRefusal, LocalReply},
    log::{LOG_PART_MAX, LOG_TAIL_MAX, LogFrom, LogPart, LogQuestion},
    policy::Rule,
    process::{
        Answer, AskFault, Columns, GRACE_MAX, ProcessHandle, ProcessList, ProcessRow,
        ProcessTarget, ProcessTask, Protection, Question,
    },
    sample::{DeviceSample, MemorySample, NodeSample, Pressure, Remnant, SpaceSample, Unkillable},
    spec::KernelCall,
};

use super::*;

pub(super) fn boot(random: &mut Random) -> BootId {
    BootId(u128::from(number(random)) << 64 | u128::from(number(random)))
}

fn target(random: &mut Random) -> ProcessTarget {
    let (node, pid) = (NodeId(small(random)), small(random));
    if flag(random) {
        return ProcessTarget::Pid { node, pid };
    }
    ProcessTarget::Handle(ProcessHandle {
        node,
        boot: boot(random),
        pid,
        start_time: number(random),
        pidfd_inode: number(random),
    })
}

pub(super) fn question(random: &mut Random) -> Question {
    match random.below(5) {
        4 => Question::Inspect {
            target: target(random),
            with_values: flag(random),
        },
        0 => Question::Processes {
            columns: [Columns::Basic, Columns::Full][random.below(2)],
        },
        1 => Question::Signal {
            target: target(random),
            signal: u8::try_from(1 + random.below(64)).unwrap(),
        },
        2 => Question::Log(log_question(random)),
        _ => Question::Stop {
            target: target(random),
            grace: Duration::from_micros(number(random)).min(GRACE_MAX),
        },
    }
}

fn log_question(random: &mut Random) -> LogQuestion {
    LogQuestion {
        attempt: attempt(random),
        run: maybe(random, small),
        stream: [StreamName::Stdout, StreamName::Stderr][random.below(2)],
        from: match random.below(3) {
            0 => LogFrom::Offset(number(random)),
            1 => LogFrom::Tail(small(random).min(LOG_TAIL_MAX)),
            _ => LogFrom::Since(Timestamp(number(random))),
        },
        until: maybe(random, |random| Timestamp(number(random))),
        length: small(random).min(LOG_PART_MAX),
        marks: flag(random),
    }
}

pub(super) fn local_order(random: &mut Random) -> LocalOrder {
    match random.below(3) {
        0 => {
            return LocalOrder::Start {
                name: word(random),
                argv: list(random, word),
            };
        }
        1 => {
            return LocalOrder::Compute {
                name: word(random),
                call: KernelCall {
                    name: word(random),
                    parameters: list(random, |random| (word(random), word(random)))
                        .into_iter()
                        .collect(),
                },
            };
        }
        _ => {}
    }
    LocalOrder::Stop {
        target: target(random),
        grace: Duration::from_micros(number(random)).min(GRACE_MAX),
    }
}

pub(super) fn local_answer(random: &mut Random) -> Result<LocalReply, LocalRefusal> {
    match random.below(3) {
        0 => Ok(LocalReply::Accepted {
            job: JobId(number(random)),
        }),
        1 => Ok(LocalReply::Stopped),
        _ => Err(LocalRefusal {
            code: word(random),
            detail: word(random),
        }),
    }
}

fn task(random: &mut Random) -> ProcessTask {
    ProcessTask {
        attempt: attempt(random),
        job: JobId(number(random)),
        task: TaskIndex(small(random)),
    }
}

pub(super) fn row(random: &mut Random) -> ProcessRow {
    ProcessRow {
        pid: small(random),
        parent: small(random),
        name: word(random),
        state: ['R', 'S', 'Z'][random.below(3)],
        is_kernel: flag(random),
        cpu: maybe(random, |random| Cpus(small(random))),
        cpu_micros: number(random),
        memory: maybe(random, |random| Bytes(number(random))),
        threads: small(random),
        start_time: number(random),
        started_at: Timestamp(number(random)),
        uid: maybe(random, small),
        user: maybe(random, word),
        command: maybe(random, word),
        control_group: maybe(random, word),
        pidfd_inode: maybe(random, number),
        task: maybe(random, task),
    }
}

pub(super) fn answer(random: &mut Random) -> Result<Answer, AskFault> {
    let faults = [
        AskFault::Gone,
        AskFault::Reused,
        AskFault::Uncertain,
        AskFault::Protected(Protection::First),
        AskFault::Protected(Protection::Kernel),
        AskFault::Protected(Protection::Flota),
        AskFault::NotPermitted,
        AskFault::Refused {
            rule: Rule::Signals,
            pid: small(random),
        },
        AskFault::Alive {
            processes: small(random),
            pid: small(random),
            in_kernel: flag(random),
        },
        AskFault::Unreachable,
        AskFault::Unreadable {
            errno: small(random).cast_signed(),
        },
    ];
    match random.below(6) {
        5 => Ok(Answer::Inspected(Box::new(detail::detail(random)))),
        0 => Ok(Answer::Processes(ProcessList {
            boot: boot(random),
            rows: list(random, row),
            total: small(random),
            read_at: Timestamp(number(random)),
            cores: maybe(random, small),
            scan: number(random),
        })),
        1 => Ok(Answer::Signalled),
        2 => Ok(Answer::Stopped {
            processes: small(random),
            killed: flag(random),
        }),
        3 => Ok(Answer::Log(LogPart {
            run: small(random),
            start: number(random),
            bytes: word(random).into_bytes(),
            next: number(random),
            end: number(random),
            at_end: flag(random),
            growing: flag(random),
            inside_line: flag(random),
            marks: list(random, |random| (number(random), Timestamp(number(random)))),
        })),
        _ => Err(faults[random.below(faults.len())]),
    }
}

fn device(random: &mut Random) -> DeviceSample {
    DeviceSample {
        name: word(random),
        incoming: Bytes(number(random)),
        outgoing: Bytes(number(random)),
        incoming_rate: maybe(random, |random| Bytes(number(random))),
        outgoing_rate: maybe(random, |random| Bytes(number(random))),
    }
}

fn pressure(random: &mut Random) -> Pressure {
    let mut share = || u16::try_from(random.below(10_001)).unwrap();
    Pressure {
        some: share(),
        full: share(),
    }
}

pub(super) fn sample(random: &mut Random) -> NodeSample {
    NodeSample {
        taken_at: Timestamp(number(random)),
        uptime: Duration::from_micros(number(random)),
        cpu: maybe(random, |random| Cpus(small(random))),
        cores: list(random, |random| Cpus(small(random))),
        load: maybe(random, |random| {
            [small(random), small(random), small(random)]
        }),
        memory: maybe(random, |random| MemorySample {
            total: Bytes(number(random)),
            available: Bytes(number(random)),
            swap_total: Bytes(number(random)),
            swap_free: Bytes(number(random)),
        }),
        data: maybe(random, |random| SpaceSample {
            total: Bytes(number(random)),
            free: Bytes(number(random)),
        }),
        disks: list(random, device),
        networks: list(random, device),
        cpu_pressure: maybe(random, pressure),
        memory_pressure: maybe(random, pressure),
        io_pressure: maybe(random, pressure),
        unkillable: list(random, unkillable),
    }
}

fn unkillable(random: &mut Random) -> Unkillable {
    Unkillable {
        attempt: attempt(random),
        since: Timestamp(number(random)),
        count: small(random),
        remnants: list(random, |random| Remnant {
            pid: small(random),
            state: if flag(random) { b'D' } else { b'R' },
        }),
    }
}
