//! A node with a clock, a journal and the server's side of its session.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    frame::{Down, DownBody, GrantOrder, Hello, Up, UpBody},
    ids::{
        AttemptId, AttemptRange, Authority, BootId, ConnectionId, Epoch, JobId, NodeId, Nonce,
        SessionNumber, SpecHash, TaskIndex, Term,
    },
    outcome::{Outcome, Report, Usage},
    resources::Resources,
    service::{Check, ProbeSettings, ProbeSpec, Purpose, RestartPolicy, RestartSettings, Service},
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Program, Retry, SealedSpec,
        TaskRange, Work,
    },
    units::{Cpus, Moment, Now, Timestamp},
};

use crate::{
    journal::Record,
    keeper::api::{Child, ChildState, End, Identity, KeeperId, StopReason},
    node::{
        Node,
        api::{Effect, Event, Forgotten, KernelEnd, Opening, Settings, Turn},
    },
};

pub(super) const KEEPER: KeeperId = KeeperId(1);
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// What the tests run. The blob of a spec is its number here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Noop = 0,
    NoopOnce = 1,
    NoopLeased = 2,
    Program = 3,
    ProgramOnce = 4,
    ProgramLeased = 5,
    /// Five seconds.
    ProgramTimed = 6,
    /// Both cores.
    Wide = 7,
    /// More than the machine has.
    Huge = 8,
    /// A tenth of a core.
    Narrow = 9,
    /// Arguments that fit into no packet.
    Long = 10,
    /// A service that always runs again.
    Service = 11,
    /// One that runs once.
    ServiceOnce = 12,
    /// One that runs under a lease only.
    ServiceLeased = 13,
    /// One with a liveness and a readiness probe, and SIGINT to stop it.
    ServiceProbed = 14,
    /// One of which two thousand find room.
    ServiceTiny = 15,
}

impl Kind {
    pub(super) const ALL: [Self; 16] = [
        Self::Noop,
        Self::NoopOnce,
        Self::NoopLeased,
        Self::Program,
        Self::ProgramOnce,
        Self::ProgramLeased,
        Self::ProgramTimed,
        Self::Wide,
        Self::Huge,
        Self::Narrow,
        Self::Long,
        Self::Service,
        Self::ServiceOnce,
        Self::ServiceLeased,
        Self::ServiceProbed,
        Self::ServiceTiny,
    ];

    fn blob(self) -> [u8; 1] {
        [self as u8]
    }

    pub(super) fn hash(self) -> SpecHash {
        SpecHash(1_000 + u64::from(self as u8))
    }

    pub(super) fn is_kernel(self) -> bool {
        matches!(self, Self::Noop | Self::NoopOnce | Self::NoopLeased)
    }

    fn spec(self) -> JobSpec {
        let noop = Work::Kernel(KernelCall {
            name: "noop".to_owned(),
            ..KernelCall::default()
        });
        let argument = if self == Self::Long {
            "x".repeat(200_000)
        } else {
            "{index}".to_owned()
        };
        let argv = vec!["true".to_owned(), argument];
        let program = Work::Program(Program {
            argv,
            ..Program::default()
        });
        let cpus = match self {
            Self::Wide => Cpus::whole(2),
            Self::Huge => Cpus::whole(100),
            Self::Narrow => Cpus(100),
            Self::ServiceTiny => Cpus(1),
            _ => Cpus::whole(1),
        };
        let is_once = matches!(self, Self::NoopOnce | Self::ProgramOnce);
        let is_leased = matches!(
            self,
            Self::NoopLeased | Self::ProgramLeased | Self::ServiceLeased
        );
        JobSpec {
            name: "test".to_owned(),
            tasks: TaskRange {
                first: TaskIndex(0),
                last: TaskIndex(1_000_000),
            },
            work: if self.is_kernel() { noop } else { program },
            priority: Priority::MEDIUM,
            resources: Resources::of_cpus(cpus),
            constraints: Constraints::default(),
            retry: if is_once {
                Retry::Never
            } else {
                Retry::default()
            },
            timeout: (self == Self::ProgramTimed).then_some(Duration::from_secs(5)),
            grace: Duration::from_secs(10),
            parameters: None,
            on_disconnect: if is_leased {
                OnDisconnect::Stop
            } else {
                OnDisconnect::default()
            },
            rules: Box::default(),
            service: self.service().map(Box::new),
        }
    }

    fn service(self) -> Option<Service> {
        let policy = match self {
            Self::Service | Self::ServiceLeased | Self::ServiceProbed => RestartPolicy::Always,
            Self::ServiceOnce | Self::ServiceTiny => RestartPolicy::Never,
            _ => return None,
        };
        let tcp = |purpose| ProbeSpec {
            settings: ProbeSettings {
                failure_threshold: 1,
                ..ProbeSettings::of(purpose)
            },
            check: Check::Tcp {
                host: "h{index}".to_owned(),
                port: 80,
            },
        };
        let is_probed = self == Self::ServiceProbed;
        let probes = [Purpose::Liveness, Purpose::Readiness].map(tcp);
        Some(Service {
            replicas: 1,
            restart: RestartSettings {
                policy,
                loop_failures: 3,
                ..RestartSettings::default()
            },
            probes: if is_probed {
                probes.to_vec()
            } else {
                Vec::new()
            },
            stop_signal: is_probed.then_some(2),
            ..Service::default()
        })
    }

    pub(super) fn sealed(self) -> SealedSpec {
        let (spec, blob) = (Arc::new(self.spec()), self.blob().into());
        SealedSpec {
            spec,
            blob,
            hash: self.hash(),
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Option<Arc<JobSpec>> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.blob() == bytes)?;
    Some(Arc::new(kind.spec()))
}

pub(super) fn attempt(sequence: u64) -> AttemptId {
    AttemptId {
        epoch: Epoch(1),
        salt: 9,
        sequence,
    }
}

pub(super) fn range(first: u64, count: u32) -> AttemptRange {
    AttemptRange {
        first: attempt(first),
        count,
    }
}

pub(super) fn order(kind: Kind, first: u64, count: u32) -> GrantOrder {
    GrantOrder {
        attempts: range(first, count),
        job: JobId(5),
        first_task: TaskIndex(u32::try_from(first).unwrap()),
        spec_hash: kind.hash(),
        rows: None,
    }
}

/// After half a minute.
pub(super) fn exit(code: u8) -> End {
    End::Known {
        status: i32::from(code) << 8,
        usage: Usage::default(),
        out_of_memory: false,
        started_at: Timestamp(100),
        ended_at: Timestamp(30_000_200),
        fenced: false,
        stopped: None,
    }
}

/// The same end after a tenth of a millisecond.
pub(super) fn short(mut end: End) -> End {
    if let End::Known { ended_at, .. } = &mut end {
        *ended_at = Timestamp(200);
    }
    end
}

/// The same end of a program that was told to stop before.
pub(super) fn stopped(reason: StopReason, mut end: End) -> End {
    if let End::Known { stopped, .. } = &mut end {
        *stopped = Some(reason);
    }
    end
}

/// The end of a run of a replica.
pub(super) fn run_ended(sequence: u64, run: u32, end: End) -> Event {
    Event::Ended {
        run,
        attempt: attempt(sequence),
        end,
        output: None,
    }
}

pub(super) fn ended(sequence: u64, end: End) -> Event {
    Event::Ended {
        run: 1,
        attempt: attempt(sequence),
        end,
        output: None,
    }
}

pub(super) fn started(sequence: u64) -> Event {
    Event::Started {
        attempt: attempt(sequence),
        at: Timestamp(100),
    }
}

pub(super) fn kernel_ended(sequence: u64, end: KernelEnd) -> Event {
    let ran = (Timestamp(100), Timestamp(150));
    Event::KernelEnded {
        attempt: attempt(sequence),
        end,
        ran,
        usage: Usage::default(),
    }
}

pub(super) fn completed(sequence: u64) -> Event {
    kernel_ended(sequence, KernelEnd::Completed(None))
}

pub(super) fn running_child(sequence: u64) -> (Option<KeeperId>, Child) {
    let identity = Identity {
        boot: BootId(1),
        pid_namespace: 1,
        pid: 2,
        start_time: 100,
        pidfd_inode: 3,
    };
    let state = ChildState::Running {
        identity,
        started_at: Timestamp(77),
    };
    (
        Some(KEEPER),
        Child {
            run: 1,
            attempt: attempt(sequence),
            state,
        },
    )
}

pub(super) fn ended_child(sequence: u64, end: End) -> (Option<KeeperId>, Child) {
    (
        Some(KEEPER),
        Child {
            run: 1,
            attempt: attempt(sequence),
            state: ChildState::Ended(end),
        },
    )
}

/// A node under test.
pub(super) struct Bench {
    pub(super) node: Node,
    pub(super) now: Now,
    pub(super) boot: BootId,
    /// All that was ever journalled.
    pub(super) journal: Vec<Record>,
    pub(super) settings: Settings,
    pub(super) authority: Authority,
    pub(super) connection: ConnectionId,
    pub(super) session: SessionNumber,
    /// Frames sent down in the session.
    pub(super) sent: u64,
    /// Frames seen up in the session.
    seen: u64,
    starts: u64,
}

impl Bench {
    /// A first start, before the keepers were asked.
    pub(super) fn new(settings: Settings) -> Self {
        let now = Now {
            moment: Moment(1_000_000_000),
            wall: Timestamp(1_000_000_000),
        };
        let (node, turn, _) = Node::open(Vec::new(), &decode, opening(0, now, &settings));
        Self {
            node,
            now,
            boot: BootId(1),
            journal: turn.records,
            settings,
            authority: Authority {
                term: Term(1),
                epoch: Epoch(1),
            },
            connection: ConnectionId(0),
            session: SessionNumber(0),
            sent: 0,
            seen: 0,
            starts: 0,
        }
    }

    /// A node that is connected and has a lease.
    pub(super) fn ready() -> Self {
        Self::ready_with(Settings::default())
    }

    pub(super) fn ready_with(settings: Settings) -> Self {
        let mut bench = Self::new(settings);
        bench.recover(Vec::new());
        bench.join();
        bench
    }

    pub(super) fn recover(&mut self, children: Vec<(Option<KeeperId>, Child)>) -> Turn {
        self.turn(vec![Event::Recovered {
            children,
            keeper: KEEPER,
        }])
    }

    /// Connects, is welcomed and has its first heartbeat answered.
    pub(super) fn join(&mut self) -> Turn {
        self.connect();
        let turn = self.welcome(false);
        self.beat_seen();
        turn
    }

    pub(super) fn connect(&mut self) -> (Turn, Hello) {
        self.connection.0 += 1;
        let connection = self.connection;
        let turn = self.turn(vec![Event::Connected { connection }]);
        let hello = frames(&turn).into_iter().find_map(|up| match up.body {
            UpBody::Hello(hello) => Some((up.session, *hello)),
            _ => None,
        });
        let (session, hello) = hello.expect("a hello");
        (self.session, self.sent) = (session, 0);
        (turn, hello)
    }

    pub(super) fn disconnect(&mut self) -> Turn {
        let connection = self.connection;
        self.turn(vec![Event::Disconnected { connection }])
    }

    pub(super) fn welcome(&mut self, fresh: bool) -> Turn {
        self.say(DownBody::Welcome {
            node: NodeId(3),
            lease: LEASE,
            fresh,
        })
    }

    /// The server has seen the heartbeat that was sent now.
    pub(super) fn beat_seen(&mut self) -> Turn {
        let sent_at = self.now.moment;
        self.say(DownBody::HeartbeatSeen { sent_at })
    }

    pub(super) fn grant(&mut self, kind: Kind, first: u64, count: u32) -> Turn {
        let orders = vec![order(kind, first, count)];
        self.say(DownBody::Grants {
            specs: vec![kind.sealed()],
            orders,
        })
    }

    /// The next frame of the server.
    pub(super) fn say(&mut self, body: DownBody) -> Turn {
        let frame = self.down(body);
        self.hear(frame)
    }

    pub(super) fn down(&mut self, body: DownBody) -> Down {
        self.sent += 1;
        let (session, sequence, authority) = (self.session, self.sent - 1, self.authority);
        Down {
            session,
            sequence,
            authority,
            body,
        }
    }

    pub(super) fn hear(&mut self, frame: Down) -> Turn {
        let connection = self.connection;
        self.turn(vec![Event::Frame { connection, frame }])
    }

    pub(super) fn pass(&mut self, span: Duration) -> Turn {
        self.now.moment = self.now.moment + span;
        self.now.wall = Timestamp(self.now.moment.0);
        self.turn(vec![Event::Tick])
    }

    pub(super) fn turn(&mut self, events: Vec<Event>) -> Turn {
        let turn = self.node.handle(events, self.now);
        self.journal.extend(turn.records.iter().cloned());
        for up in frames(&turn) {
            if matches!(up.body, UpBody::Hello(_)) {
                self.seen = 0;
            }
            assert_eq!(
                up.sequence, self.seen,
                "frames are numbered in the order of sending"
            );
            self.seen += 1;
        }
        for effect in &turn.at_once {
            assert!(
                !matches!(effect, Effect::Send { .. }),
                "a frame overtakes others"
            );
        }
        turn
    }

    /// The agent is killed and starts again with what is in its journal.
    pub(super) fn restart(&mut self) -> (Turn, Forgotten) {
        self.starts += 1;
        let mut opening = opening(self.starts, self.now, &self.settings);
        opening.boot = self.boot;
        let (node, turn, forgotten) = Node::open(self.journal.clone(), &decode, opening);
        self.node = node;
        self.journal.extend(turn.records.iter().cloned());
        (turn, forgotten)
    }

    /// Restarts, finds these children, and reconnects up to the welcome.
    pub(super) fn come_back(&mut self, children: Vec<(Option<KeeperId>, Child)>) -> Hello {
        self.restart();
        self.recover(children);
        let hello = self.connect().1;
        self.welcome(false);
        hello
    }
}

pub(super) fn opening(start: u64, now: Now, settings: &Settings) -> Opening {
    Opening {
        nonce: Nonce(100 + start),
        journal: Nonce(1_000 + start),
        boot: BootId(1),
        name: "one".to_owned(),
        version: "0".to_owned(),
        capacity: Resources::of_cpus(Cpus::whole(2)),
        labels: BTreeMap::new(),
        now,
        settings: settings.clone(),
    }
}

pub(super) fn frames(turn: &Turn) -> Vec<Up> {
    let frames = turn.after.iter().filter_map(|effect| match effect {
        Effect::Send { frame, .. } => Some(frame.clone()),
        _ => None,
    });
    frames.collect()
}

pub(super) fn reports(turn: &Turn) -> Vec<Report> {
    let mut reports = Vec::new();
    for up in frames(turn) {
        if let UpBody::Reports(more) = up.body {
            reports.extend(more);
        }
    }
    reports
}

/// The attempts and outcomes of the reports sent.
pub(super) fn outcomes(turn: &Turn) -> Vec<(u64, Outcome)> {
    let of = |report: Report| (report.attempt.sequence, report.outcome);
    reports(turn).into_iter().map(of).collect()
}

/// The tombstones confirmed.
pub(super) fn forgotten(turn: &Turn) -> Vec<AttemptRange> {
    let mut ranges = Vec::new();
    for up in frames(turn) {
        if let UpBody::Forgotten(more) = up.body {
            ranges.extend(more);
        }
    }
    ranges
}

/// The attempts that these effects start.
pub(super) fn starts(effects: &[Effect]) -> Vec<u64> {
    let starts = effects.iter().filter_map(|effect| match effect {
        Effect::Start { launch, .. } => Some(launch.attempt.sequence),
        Effect::RunKernel { attempt, .. } => Some(attempt.sequence),
        _ => None,
    });
    starts.collect()
}

/// The attempts that these effects stop, with the grace of programs.
pub(super) fn stops(effects: &[Effect]) -> Vec<(u64, Option<Duration>)> {
    let stops = effects.iter().filter_map(|effect| match effect {
        Effect::Stop { attempt, grace, .. } => Some((attempt.sequence, Some(*grace))),
        Effect::StopKernel { attempt } => Some((attempt.sequence, None)),
        _ => None,
    });
    stops.collect()
}

/// The attempts that keepers may forget.
pub(super) fn keeper_forgets(turn: &Turn) -> Vec<u64> {
    let forgets = turn.after.iter().filter_map(|effect| match effect {
        Effect::Forget { attempt, .. } => Some(attempt.sequence),
        _ => None,
    });
    forgets.collect()
}

pub(super) fn closes(turn: &Turn) -> bool {
    turn.at_once
        .iter()
        .any(|effect| matches!(effect, Effect::Close { .. }))
}
