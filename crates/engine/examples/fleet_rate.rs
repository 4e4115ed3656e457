//! How many no-op tasks a second the fleet's decisions alone allow: grants, reports, chunks.
//!
//! `cargo run --release -p flota-engine --example fleet_rate`
#![expect(clippy::print_stdout, reason = "a measurement for people")]
#![expect(clippy::disallowed_types, reason = "measures real time")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_engine::fleet::{
    Fleet,
    api::{Effect, Event, Opening, Settings},
};
use flota_model::{
    change::Snapshot,
    command::{Ask, Command, Principal, Request},
    frame::{DownBody, GrantOrder, Hello, Offer, PROTOCOL_VERSION, Up, UpBody},
    ids::{Authority, BootId, ConnectionId, Nonce, RequestId, SessionNumber, SpecHash, TaskIndex},
    outcome::{Outcome, Report, Usage},
    resources::Resources,
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Retry, SealedSpec, TaskRange,
        Work,
    },
    units::{Cpus, Moment, Now, Timestamp},
};

const TASKS: u32 = 1_000_000;
const AGENTS: u64 = 3;
/// Reports of one frame.
const BATCH: usize = 300;

fn spec() -> SealedSpec {
    let spec = JobSpec {
        name: "rate".to_owned(),
        tasks: TaskRange {
            first: TaskIndex(1),
            last: TaskIndex(TASKS),
        },
        work: Work::Kernel(KernelCall {
            name: "noop".to_owned(),
            parameters: BTreeMap::new(),
        }),
        priority: Priority::MEDIUM,
        resources: Resources::of_cpus(Cpus::whole(1)),
        constraints: Constraints::default(),
        retry: Retry::default(),
        timeout: None,
        grace: Duration::from_secs(1),
        on_disconnect: OnDisconnect::default(),
        parameters: None,
        rules: Box::default(),
        service: None,
    };
    SealedSpec {
        spec: Arc::new(spec),
        blob: Arc::from(&b"spec"[..]),
        hash: SpecHash(1),
    }
}

fn hello(agent: u64) -> Up {
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        version: String::new(),
        name: format!("n{agent}"),
        node: None,
        nonce_previous: None,
        nonce: Nonce(agent),
        boot: BootId(1),
        journal: Nonce(agent),
        obeyed: Authority::default(),
        capacity: Resources::of_cpus(Cpus::whole(1)),
        labels: BTreeMap::new(),
        held: Vec::new(),
        containment: None,
        offer: Offer::default(),
    };
    Up {
        session: SessionNumber(1),
        sequence: 0,
        body: UpBody::Hello(Box::new(hello)),
    }
}

fn report(order: &GrantOrder, offset: u32) -> Report {
    Report {
        attempt: order.attempts.first.plus(offset),
        job: order.job,
        task: order.task(offset),
        spec_hash: order.spec_hash,
        outcome: Outcome::Completed,
        started_at: Some(Timestamp(1)),
        ended_at: Timestamp(2),
        usage: Usage::default(),
        output: None,
    }
}

#[expect(clippy::too_many_lines, reason = "a measurement from top to bottom")]
fn main() {
    let mut at = 1_000_000_u64;
    let now = |at: u64| Now {
        moment: Moment(at),
        wall: Timestamp(at),
    };
    let opening = Opening {
        salt: 1,
        seed: 1,
        boot: BootId(1),
        now: now(at),
        settings: Settings::default(),
    };
    let (mut fleet, _) = Fleet::open(Snapshot::default(), opening).expect("an empty store");
    let principal = Principal {
        name: "local".to_owned(),
    };
    let submit = Command::Submit {
        spec: spec(),
        rows: None,
        idempotency_key: None,
    };
    let submit = Request {
        id: RequestId(1),
        principal,
        ask: Ask::Command(submit),
    };
    let mut inbox: Vec<Event> = (1..=AGENTS)
        .map(|agent| Event::Frame {
            connection: ConnectionId(agent),
            frame: hello(agent),
        })
        .collect();
    inbox.push(Event::Request(submit));
    let mut sequence = [1_u64; 4];
    let (mut done, mut turns, mut changes) = (0_u32, 0_u32, 0_usize);
    let started = std::time::Instant::now();
    while done < TASKS {
        // Turns of one millisecond, as on a disk that syncs in that time.
        at += 1_000;
        let turn = fleet.handle(std::mem::take(&mut inbox), now(at));
        turns += 1;
        changes += turn.changes.len();
        for effect in turn.effects {
            let Effect::Send { connection, frame } = effect else {
                continue;
            };
            let DownBody::Grants { orders, .. } = frame.body else {
                continue;
            };
            let reports: Vec<Report> = orders
                .iter()
                .flat_map(|order| (0..order.attempts.count).map(|offset| report(order, offset)))
                .collect();
            for part in reports.chunks(BATCH) {
                done += u32::try_from(part.len()).expect("a frame is small");
                let place = &mut sequence[usize::try_from(connection.0).expect("three agents")];
                let body = UpBody::Reports(part.to_vec());
                let frame = Up {
                    session: SessionNumber(1),
                    sequence: *place,
                    body,
                };
                *place += 1;
                inbox.push(Event::Frame { connection, frame });
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{TASKS} tasks in {seconds:.3} s: {:.0}/s; {turns} turns, {changes} changes",
        f64::from(TASKS) / seconds
    );
}
