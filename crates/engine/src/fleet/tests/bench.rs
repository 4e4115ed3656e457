//! A fleet with scripted agents, and what its store would hold.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    change::{Change, Snapshot},
    command::{Ask, Command, Principal, Refusal, Reply, Request},
    containment::Containment,
    frame::{
        Down, DownBody, GrantOrder, Held, HeldState, Hello, Offer, PROTOCOL_VERSION, Up, UpBody,
    },
    ids::{
        AttemptId, AttemptRange, Authority, BatchNumber, BootId, ConnectionId, JobId, NodeId,
        Nonce, RequestId, SessionNumber, SpecHash, TaskIndex,
    },
    outcome::{Outcome, Report, Usage},
    resources::Resources,
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Retry, SealedSpec, TaskRange,
        Work,
    },
    state::TaskState,
    units::{Cpus, Moment, Now, Timestamp},
};

use super::super::{
    Fleet,
    api::{Effect, Event, Opening, Settings, Turn},
};

pub(super) fn spec(tasks: u32) -> JobSpec {
    JobSpec {
        name: "test".to_owned(),
        tasks: TaskRange {
            first: TaskIndex(1),
            last: TaskIndex(tasks),
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
        parameters: None,
        on_disconnect: OnDisconnect::Keep {
            lost_after: Duration::from_mins(1),
        },
        rules: Box::default(),
        service: None,
    }
}

pub(super) fn sealed(spec: JobSpec) -> SealedSpec {
    let blob: Arc<[u8]> = format!("{spec:?}").into_bytes().into();
    let hash = blob
        .iter()
        .fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(*byte));
    SealedSpec {
        spec: Arc::new(spec),
        blob,
        hash: SpecHash(hash),
    }
}

/// A fleet, its time, and what its store would hold.
pub(super) struct Bench {
    pub(super) fleet: Fleet,
    pub(super) at: Duration,
    pub(super) requests: u64,
    /// What came out of the last turn.
    pub(super) turn: Turn,
    /// Every change so far.
    pub(super) changes: Vec<Change>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::open(Snapshot::default(), Duration::ZERO)
    }

    pub(super) fn open(snapshot: Snapshot, at: Duration) -> Self {
        let opening = Opening {
            salt: 77,
            seed: 1,
            boot: BootId(1),
            now: now(at),
            settings: Settings::default(),
        };
        let (fleet, turn) = Fleet::open(snapshot, opening).expect("the snapshot is sound");
        Self {
            fleet,
            at,
            requests: 0,
            changes: turn.changes.clone(),
            turn,
        }
    }

    /// A new start of the server on what the store holds.
    pub(super) fn restarted(&self) -> Self {
        Self::open(self.fleet.durable(BatchNumber(1)), self.at)
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.turn = self.fleet.handle(vec![event], now(self.at));
        self.changes.extend(self.turn.changes.iter().cloned());
        let held = self.fleet.durable(BatchNumber(1));
        let opening = Opening {
            salt: 1,
            seed: 1,
            boot: BootId(1),
            now: now(self.at),
            settings: Settings::default(),
        };
        Fleet::open(held, opening).expect("what the store holds can be loaded at any time");
        assert_eq!(self.fleet.unexplained(), None);
    }

    pub(super) fn wait(&mut self, span: Duration) {
        self.at += span;
        self.handle(Event::Tick);
    }

    pub(super) fn command(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.requests += 1;
        let principal = Principal {
            name: "local".to_owned(),
        };
        let id = RequestId(self.requests);
        self.handle(Event::Request(Request {
            id,
            principal,
            ask: Ask::Command(command),
        }));
        let reply = self.turn.effects.iter().find_map(|effect| match effect {
            Effect::Reply { request, reply } if *request == id => Some(reply.clone()),
            _ => None,
        });
        reply.expect("every request is answered")
    }

    pub(super) fn submit(&mut self, spec: JobSpec) -> JobId {
        let command = Command::Submit {
            spec: sealed(spec),
            rows: None,
            idempotency_key: None,
        };
        match self.command(command) {
            Ok(Reply::Submitted { job, .. }) => job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn states(&self, job: JobId) -> Vec<TaskState> {
        let entry = self.fleet.jobs.get(job).expect("the job is live");
        let tasks = entry.tasks();
        (tasks.first.0..=tasks.last.0)
            .map(|task| entry.state(TaskIndex(task)))
            .collect()
    }

    pub(super) fn frames(&self, connection: ConnectionId) -> Vec<DownBody> {
        let sent = self.turn.effects.iter().filter_map(|effect| match effect {
            Effect::Send {
                connection: to,
                frame: Down { body, .. },
            } if *to == connection => Some(body.clone()),
            _ => None,
        });
        sent.collect()
    }

    pub(super) fn counted(&self) -> Vec<(TaskIndex, Outcome)> {
        let rows = self.changes.iter().filter_map(|change| match change {
            Change::AttemptEnded(row) | Change::AttemptCorrected(row) if row.counted => {
                Some((row.task, row.outcome.clone()))
            }
            _ => None,
        });
        rows.collect()
    }
}

pub(super) fn now(at: Duration) -> Now {
    let micros = u64::try_from(at.as_micros()).expect("tests are short");
    Now {
        moment: Moment(1_000_000 + micros),
        wall: Timestamp(9_000_000 + micros),
    }
}

/// An agent, played by the test.
pub(super) struct Agent {
    pub(super) name: &'static str,
    pub(super) node: Option<NodeId>,
    pub(super) nonce: u64,
    pub(super) previous: Option<u64>,
    pub(super) session: u64,
    pub(super) sequence: u64,
    pub(super) cores: u32,
    pub(super) boot: u128,
    pub(super) containment: Option<Containment>,
    pub(super) offer: Offer,
    pub(super) held: Vec<(AttemptId, HeldState)>,
    pub(super) orders: Vec<GrantOrder>,
}

impl Agent {
    pub(super) fn new(name: &'static str, nonce: u64, cores: u32) -> Self {
        Self {
            name,
            node: None,
            nonce,
            previous: None,
            session: 0,
            sequence: 0,
            cores,
            boot: 5,
            containment: None,
            offer: Offer::default(),
            held: Vec::new(),
            orders: Vec::new(),
        }
    }

    pub(super) fn connection(&self) -> ConnectionId {
        ConnectionId(self.nonce * 1_000 + self.session)
    }

    pub(super) fn hello(&mut self, bench: &mut Bench) -> Vec<DownBody> {
        self.session += 1;
        self.sequence = 0;
        let held = self.held.iter().map(|(attempt, state)| Held {
            attempts: AttemptRange::one(*attempt),
            state: *state,
        });
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            version: "test".to_owned(),
            name: self.name.to_owned(),
            node: self.node,
            nonce_previous: self.previous.map(Nonce),
            nonce: Nonce(self.nonce),
            boot: BootId(self.boot),
            journal: Nonce(6),
            obeyed: Authority::default(),
            capacity: Resources::of_cpus(Cpus::whole(self.cores)),
            labels: BTreeMap::new(),
            held: held.collect(),
            containment: self.containment,
            offer: self.offer.clone(),
        };
        self.say(bench, UpBody::Hello(Box::new(hello)))
    }

    pub(super) fn say(&mut self, bench: &mut Bench, body: UpBody) -> Vec<DownBody> {
        let frame = Up {
            session: SessionNumber(self.session),
            sequence: self.sequence,
            body,
        };
        self.sequence += 1;
        bench.handle(Event::Frame {
            connection: self.connection(),
            frame,
        });
        self.listen(bench)
    }

    /// Takes in what the last turn sent to it.
    pub(super) fn listen(&mut self, bench: &Bench) -> Vec<DownBody> {
        let frames = bench.frames(self.connection());
        for frame in &frames {
            match frame {
                DownBody::Welcome { node, .. } => self.node = Some(*node),
                DownBody::Grants { orders, .. } => self.orders.extend(orders.iter().cloned()),
                _ => {}
            }
        }
        frames
    }

    pub(super) fn attempts(&self) -> Vec<(AttemptId, JobId, TaskIndex, SpecHash)> {
        let orders = self.orders.iter().flat_map(|order| {
            (0..order.attempts.count).map(move |offset| {
                let attempt = order.attempts.first.plus(offset);
                (attempt, order.job, order.task(offset), order.spec_hash)
            })
        });
        orders.collect()
    }

    pub(super) fn report(
        &mut self,
        bench: &mut Bench,
        index: usize,
        outcome: Outcome,
    ) -> Vec<DownBody> {
        let (attempt, job, task, spec_hash) = self.attempts()[index];
        let report = Report {
            attempt,
            job,
            task,
            spec_hash,
            outcome,
            started_at: None,
            ended_at: Timestamp(5),
            usage: Usage::default(),
            output: None,
        };
        self.say(bench, UpBody::Reports(vec![report]))
    }

    pub(super) fn heartbeat(&mut self, bench: &mut Bench) -> Vec<DownBody> {
        self.say(
            bench,
            UpBody::Heartbeat {
                sent_at: Moment(1),
                running: Vec::new(),
                sample: None,
            },
        )
    }
}
