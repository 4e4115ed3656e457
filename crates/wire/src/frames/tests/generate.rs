//! Frames with all kinds of contents, by a seed.

mod processes;

use std::net::SocketAddr;

use flota_model::{
    containment::{Containment, ContainmentMode, LimitSet},
    frame::{Held, HeldState, Hello, HelloRefusal, Offer, OutputFault, OutputPart},
    ids::{BootId, NodeId, Nonce, RequestId},
    outcome::{Output, StartStage, Stream, StreamName},
    parameters::{Rows, RowsWriter},
    replica::{LastLines, ProbeFailure},
    resources::Resources,
    service::{Purpose, ReplicaState, ReplicaStatus, RunEnd},
    spec::SealedSpec,
    units::{Bytes, Cpus},
};

use super::*;
use crate::spec::{parse_json, seal};

/// Small numbers, numbers around powers of two, and any others.
fn number(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => random.next() % 4,
        1 => (1 << random.below(64)) - random.next() % 2,
        _ => random.next(),
    }
}

fn small(random: &mut Random) -> u32 {
    u32::try_from(number(random) >> 32).unwrap()
}

fn flag(random: &mut Random) -> bool {
    random.below(2) == 0
}

fn list<T>(random: &mut Random, item: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..random.below(5)).map(|_| item(random)).collect()
}

fn maybe<T>(random: &mut Random, value: impl Fn(&mut Random) -> T) -> Option<T> {
    flag(random).then(|| value(random))
}

fn word(random: &mut Random) -> String {
    ["", "a", "n1", "zone", "ñandú", "\0\n"][random.below(6)].to_owned()
}

fn name(random: &mut Random) -> String {
    ["a", "n1", "Zone.b_-"][random.below(3)].to_owned()
}

fn label(random: &mut Random) -> String {
    ["", "a", "n 1", "ñandú"][random.below(4)].to_owned()
}

fn attempt(random: &mut Random) -> AttemptId {
    AttemptId {
        epoch: Epoch(small(random)),
        salt: number(random),
        sequence: number(random),
    }
}

fn attempts(random: &mut Random) -> AttemptRange {
    let mut first = attempt(random);
    first.sequence >>= 1;
    AttemptRange {
        first,
        count: 1 + u32::try_from(random.below(5_000)).unwrap(),
    }
}

fn authority(random: &mut Random) -> Authority {
    Authority {
        term: flota_model::ids::Term(number(random)),
        epoch: Epoch(small(random)),
    }
}

fn resources(random: &mut Random) -> Resources {
    Resources {
        cpus: Cpus(small(random)),
        memory: Bytes(number(random)),
        counters: list(random, |random| (name(random), number(random)))
            .into_iter()
            .collect(),
    }
}

pub(super) fn hello(random: &mut Random) -> Hello {
    Hello {
        protocol: small(random),
        version: label(random),
        name: name(random),
        node: maybe(random, |random| NodeId(small(random))),
        nonce_previous: maybe(random, |random| Nonce(number(random))),
        nonce: Nonce(number(random)),
        boot: BootId(u128::from(number(random)) << 64 | u128::from(number(random))),
        journal: Nonce(number(random)),
        obeyed: authority(random),
        capacity: resources(random),
        labels: list(random, |random| (name(random), label(random)))
            .into_iter()
            .collect(),
        held: list(random, |random| Held {
            attempts: attempts(random),
            state: [HeldState::Granted, HeldState::Running, HeldState::Ended][random.below(3)],
        }),
        containment: maybe(random, |random| Containment {
            mode: ContainmentMode::ALL[random.below(4)],
            enforced: LimitSet::of_bits(small(random)),
        }),
        offer: Offer {
            kernels: maybe(random, |random| list(random, name).into_iter().collect()),
            listeners: list(random, |random| {
                let port = u16::try_from(random.below(65_536)).unwrap();
                (name(random), SocketAddr::from(([127, 0, 0, 1], port)))
            })
            .into_iter()
            .collect(),
        },
    }
}

fn bytes(random: &mut Random) -> Vec<u8> {
    let length = [0, 1, 100, 16 * 1024][random.below(4)];
    (0..length).map(|_| random.byte()).collect()
}

fn stream(random: &mut Random) -> Stream {
    match random.below(3) {
        0 => Stream::Empty,
        1 => Stream::Inline(bytes(random)),
        _ => Stream::OnNode {
            length: number(random),
            truncated: flag(random),
        },
    }
}

fn outcome(random: &mut Random) -> Outcome {
    match random.below(12) {
        0 => Outcome::Exited {
            code: random.byte(),
        },
        1 => Outcome::Signalled {
            signal: random.byte(),
        },
        2 => Outcome::OutOfMemory,
        3 => Outcome::TimedOut,
        4 => Outcome::Cancelled,
        5 => Outcome::NotStarted {
            stage: StartStage::ALL[random.below(StartStage::ALL.len())],
            errno: small(random).cast_signed(),
        },
        6 => Outcome::Failed {
            message: word(random),
        },
        7 => Outcome::Lost,
        8 => Outcome::Unknown,
        _ => Outcome::Completed,
    }
}

/// Mostly the neighbour of the report before.
fn report(random: &mut Random, before: Option<&Report>) -> Report {
    let mut report = match before.filter(|_| random.below(4) > 0) {
        Some(before) => before.clone(),
        None => Report {
            attempt: attempt(random),
            job: JobId(number(random)),
            task: TaskIndex(small(random)),
            spec_hash: SpecHash(number(random)),
            outcome: Outcome::Completed,
            started_at: None,
            ended_at: Timestamp(number(random)),
            usage: Usage::default(),
            output: None,
        },
    };
    report.attempt.sequence = report.attempt.sequence.wrapping_add(number(random) % 3);
    report.outcome = outcome(random);
    report.ended_at = Timestamp(report.ended_at.0.wrapping_add(number(random) >> 1));
    // Less than 2^62 apart in either direction; see `encode_ran`.
    let span = (number(random) >> 2).cast_signed() * [1, -1][random.below(2)];
    let started_at = Timestamp(report.ended_at.0.wrapping_add_signed(span));
    report.started_at = flag(random).then_some(started_at);
    if flag(random) {
        report.usage = Usage {
            user_micros: number(random),
            system_micros: number(random),
            memory_bytes_max: maybe(random, |random| number(random) >> 1),
        };
    }
    report.output = maybe(random, |random| {
        Box::new(Output {
            stdout: stream(random),
            stderr: stream(random),
            result: stream(random),
        })
    });
    report
}

fn reports(random: &mut Random) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    for _ in 0..random.below(12) {
        let next = report(random, reports.last());
        reports.push(next);
    }
    reports
}

pub(super) fn up(random: &mut Random) -> Up {
    let body = match random.below(8) {
        6 => UpBody::Replicas(list(random, replica)),
        7 => UpBody::LocalOrder {
            request: RequestId(number(random)),
            order: processes::local_order(random),
        },
        5 => UpBody::Answer {
            request: RequestId(number(random)),
            answer: processes::answer(random),
        },
        0 => UpBody::Hello(Box::new(hello(random))),
        1 => UpBody::Heartbeat {
            sent_at: Moment(number(random)),
            running: list(random, attempts),
            sample: maybe(random, |random| Box::new(processes::sample(random))),
        },
        2 => UpBody::Reports(reports(random)),
        3 => UpBody::Forgotten(list(random, attempts)),
        _ => UpBody::OutputPart {
            request: RequestId(number(random)),
            part: part(random),
        },
    };
    Up {
        session: SessionNumber(number(random)),
        sequence: number(random),
        body,
    }
}

fn replica(random: &mut Random) -> ReplicaStatus {
    ReplicaStatus {
        attempt: attempt(random),
        run: small(random),
        state: ReplicaState::ALL[random.below(9)],
        since: Timestamp(number(random)),
        restarts: small(random),
        last: maybe(random, |random| RunEnd {
            run: small(random),
            outcome: outcome(random),
            unhealthy: flag(random),
            ended_at: Timestamp(number(random)),
        }),
        failure: maybe(random, |random| ProbeFailure {
            probe: small(random),
            purpose: if flag(random) {
                Purpose::Readiness
            } else {
                Purpose::Liveness
            },
            detail: "HTTP 503".to_owned(),
            since: Timestamp(number(random)),
        }),
        lines: maybe(random, |random| LastLines {
            run: small(random),
            stdout: "one\ntwo".to_owned(),
            stderr: String::new(),
        }),
    }
}

fn part(random: &mut Random) -> Result<OutputPart, OutputFault> {
    match random.below(4) {
        0 => Err(OutputFault::Gone),
        1 => Err(OutputFault::Unreadable {
            errno: small(random).cast_signed(),
        }),
        2 => Err(OutputFault::Unreachable),
        _ => Ok(OutputPart {
            bytes: bytes(random),
            length: number(random),
            growing: flag(random),
        }),
    }
}

pub(super) fn spec(random: &mut Random) -> SealedSpec {
    let text = format!(
        r#"{{"name": "job-{}", "kernel": {{"name": "sleep", "parameters": {{"ms": {}}}}}}}"#,
        random.below(1_000),
        random.below(1_000)
    );
    seal(parse_json(text.as_bytes()).unwrap())
}

pub(super) fn down(random: &mut Random) -> Down {
    let body = match random.below(11) {
        10 => DownBody::LocalAnswer {
            request: RequestId(number(random)),
            answer: processes::local_answer(random),
        },
        8 => DownBody::Ask {
            request: RequestId(number(random)),
            question: processes::question(random),
        },
        0 => DownBody::Welcome {
            node: NodeId(small(random)),
            lease: Duration::from_micros(number(random)),
            fresh: flag(random),
        },
        1 => DownBody::Refused(
            [
                HelloRefusal::Protocol(small(random)),
                HelloRefusal::NameTaken,
                HelloRefusal::SecondSession,
                HelloRefusal::TooManyNodes,
            ][random.below(4)]
            .clone(),
        ),
        2 => DownBody::HeartbeatSeen {
            sent_at: Moment(number(random)),
        },
        3 => DownBody::Grants {
            specs: list(random, spec),
            orders: list(random, |random| GrantOrder {
                job: JobId(number(random)),
                spec_hash: SpecHash(number(random)),
                ..order_with_rows(random)
            }),
        },
        4 => DownBody::Forget(list(random, attempts)),
        5 => DownBody::Cancel(list(random, attempts)),
        6 => DownBody::Acknowledge(list(random, attempts)),
        7 => DownBody::Retract(list(random, attempts)),
        _ => DownBody::ReadOutput {
            request: RequestId(number(random)),
            attempt: attempt(random),
            stream: [StreamName::Stdout, StreamName::Stderr, StreamName::Result][random.below(3)],
            offset: number(random),
            length: u32::try_from(random.below(262_145)).unwrap(),
        },
    };
    Down {
        session: SessionNumber(number(random)),
        sequence: number(random),
        authority: authority(random),
        body,
    }
}

/// One order in three has rows, as far as its attempts are few enough for a test.
fn order_with_rows(random: &mut Random) -> GrantOrder {
    let mut order = order(small(random) >> 1, attempts(random));
    if random.below(3) > 0 {
        return order;
    }
    order.attempts.count = order.attempts.count.clamp(1, 50);
    let mut writer = RowsWriter::default();
    for row in 0..order.attempts.count {
        writer.push([row.to_string().as_str(), "é"]);
    }
    order.rows = Rows::parse(writer.finish().into(), 2).ok();
    order
}
