#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind and ignores the rest"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    change::{Change, Snapshot},
    command::{Ask, Command, Principal, Refusal, Reply, Request},
    frame::{Down, DownBody, GrantOrder, Held, HeldState, Hello, PROTOCOL_VERSION, Up, UpBody},
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

use super::{
    Fleet,
    api::{Effect, Event, Opening, Settings, Turn},
};

fn spec(tasks: u32) -> JobSpec {
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
        on_disconnect: OnDisconnect::Keep {
            lost_after: Duration::from_mins(1),
        },
    }
}

fn sealed(spec: JobSpec) -> SealedSpec {
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
struct Bench {
    fleet: Fleet,
    at: Duration,
    requests: u64,
    /// What came out of the last turn.
    turn: Turn,
    /// Every change so far.
    changes: Vec<Change>,
}

impl Bench {
    fn new() -> Self {
        Self::open(Snapshot::default(), Duration::ZERO)
    }

    fn open(snapshot: Snapshot, at: Duration) -> Self {
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
    fn restarted(&self) -> Self {
        Self::open(self.fleet.durable(BatchNumber(1)), self.at)
    }

    fn handle(&mut self, event: Event) {
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
    }

    fn wait(&mut self, span: Duration) {
        self.at += span;
        self.handle(Event::Tick);
    }

    fn command(&mut self, command: Command) -> Result<Reply, Refusal> {
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

    fn submit(&mut self, spec: JobSpec) -> JobId {
        let command = Command::Submit {
            spec: sealed(spec),
            idempotency_key: None,
        };
        match self.command(command) {
            Ok(Reply::Submitted { job, .. }) => job,
            other => panic!("{other:?}"),
        }
    }

    fn states(&self, job: JobId) -> Vec<TaskState> {
        let entry = self.fleet.jobs.get(job).expect("the job is live");
        let tasks = entry.tasks();
        (tasks.first.0..=tasks.last.0)
            .map(|task| entry.state(TaskIndex(task)))
            .collect()
    }

    fn frames(&self, connection: ConnectionId) -> Vec<DownBody> {
        let sent = self.turn.effects.iter().filter_map(|effect| match effect {
            Effect::Send {
                connection: to,
                frame: Down { body, .. },
            } if *to == connection => Some(body.clone()),
            _ => None,
        });
        sent.collect()
    }

    fn counted(&self) -> Vec<(TaskIndex, Outcome)> {
        let rows = self.changes.iter().filter_map(|change| match change {
            Change::AttemptEnded(row) | Change::AttemptCorrected(row) if row.counted => {
                Some((row.task, row.outcome.clone()))
            }
            _ => None,
        });
        rows.collect()
    }
}

fn now(at: Duration) -> Now {
    let micros = u64::try_from(at.as_micros()).expect("tests are short");
    Now {
        moment: Moment(1_000_000 + micros),
        wall: Timestamp(9_000_000 + micros),
    }
}

/// An agent, played by the test.
struct Agent {
    name: &'static str,
    node: Option<NodeId>,
    nonce: u64,
    previous: Option<u64>,
    session: u64,
    sequence: u64,
    cores: u32,
    held: Vec<(AttemptId, HeldState)>,
    orders: Vec<GrantOrder>,
}

impl Agent {
    fn new(name: &'static str, nonce: u64, cores: u32) -> Self {
        Self {
            name,
            node: None,
            nonce,
            previous: None,
            session: 0,
            sequence: 0,
            cores,
            held: Vec::new(),
            orders: Vec::new(),
        }
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId(self.nonce * 1_000 + self.session)
    }

    fn hello(&mut self, bench: &mut Bench) -> Vec<DownBody> {
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
            boot: BootId(5),
            journal: Nonce(6),
            obeyed: Authority::default(),
            capacity: Resources::of_cpus(Cpus::whole(self.cores)),
            labels: BTreeMap::new(),
            held: held.collect(),
        };
        self.say(bench, UpBody::Hello(Box::new(hello)))
    }

    fn say(&mut self, bench: &mut Bench, body: UpBody) -> Vec<DownBody> {
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
    fn listen(&mut self, bench: &Bench) -> Vec<DownBody> {
        let frames = bench.frames(self.connection());
        for frame in &frames {
            match frame {
                DownBody::Welcome { node, .. } => self.node = Some(*node),
                DownBody::Grants { orders, .. } => self.orders.extend(orders),
                _ => {}
            }
        }
        frames
    }

    fn attempts(&self) -> Vec<(AttemptId, JobId, TaskIndex, SpecHash)> {
        let orders = self.orders.iter().flat_map(|order| {
            (0..order.attempts.count).map(move |offset| {
                let attempt = order.attempts.first.plus(offset);
                (attempt, order.job, order.task(offset), order.spec_hash)
            })
        });
        orders.collect()
    }

    fn report(&mut self, bench: &mut Bench, index: usize, outcome: Outcome) -> Vec<DownBody> {
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

    fn heartbeat(&mut self, bench: &mut Bench) -> Vec<DownBody> {
        self.say(
            bench,
            UpBody::Heartbeat {
                sent_at: Moment(1),
                running: Vec::new(),
            },
        )
    }
}

#[test]
fn work_goes_to_the_roomiest_nodes_and_its_outcomes_are_counted_once() {
    let mut bench = Bench::new();
    let (mut small, mut large) = (Agent::new("small", 1, 1), Agent::new("large", 2, 3));
    small.hello(&mut bench);
    large.hello(&mut bench);
    let job = bench.submit(spec(4));
    small.listen(&bench);
    large.listen(&bench);
    assert_eq!((small.attempts().len(), large.attempts().len()), (1, 3));
    for index in 0..3 {
        let answer = large.report(&mut bench, index, Outcome::Completed);
        assert!(matches!(answer[..], [DownBody::Acknowledge(_)]));
    }
    // A repeat is acknowledged again and counts no second time.
    let answer = large.report(&mut bench, 0, Outcome::Completed);
    assert!(matches!(answer[..], [DownBody::Acknowledge(_)]));
    assert_eq!(bench.counted().len(), 3);
    small.report(&mut bench, 0, Outcome::Exited { code: 3 });
    assert_eq!(bench.counted().len(), 4);
    assert!(
        bench.fleet.jobs.get(job).is_none(),
        "a finished job leaves memory"
    );
}

#[test]
fn a_failed_task_is_retried_after_a_back_off_and_then_fails() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let backoff = Duration::from_secs(4);
    let retry = Retry::Limited {
        retries: 1,
        backoff,
        backoff_max: Duration::from_mins(1),
    };
    let job = bench.submit(JobSpec { retry, ..spec(1) });
    agent.listen(&bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 1 });
    assert_eq!(bench.states(job), [TaskState::Parked]);
    bench.wait(backoff);
    agent.listen(&bench);
    assert_eq!(bench.states(job), [TaskState::Granted]);
    agent.report(&mut bench, 1, Outcome::Signalled { signal: 9 });
    assert_eq!(
        bench.counted(),
        [(TaskIndex(1), Outcome::Signalled { signal: 9 })]
    );
}

#[test]
fn a_key_makes_one_job_and_no_other_spec_may_use_it() {
    let mut bench = Bench::new();
    let submit = |spec| Command::Submit {
        spec: sealed(spec),
        idempotency_key: Some("once".to_owned()),
    };
    let first = bench.command(submit(spec(2)));
    assert_eq!(
        first,
        Ok(Reply::Submitted {
            job: JobId(1),
            existing: false
        })
    );
    let mut bench = bench.restarted();
    let again = bench.command(submit(spec(2)));
    assert_eq!(
        again,
        Ok(Reply::Submitted {
            job: JobId(1),
            existing: true
        })
    );
    let other = bench.command(submit(spec(3)));
    assert_eq!(other, Err(Refusal::KeyReused { job: JobId(1) }));
}

#[test]
fn a_cancel_is_over_only_when_the_agent_confirms() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    let job = bench.submit(spec(5));
    agent.listen(&bench);
    let reply = bench.command(Command::Cancel { job });
    assert!(matches!(reply, Ok(Reply::Cancelling { .. })));
    assert!(matches!(agent.listen(&bench)[..], [DownBody::Cancel(_)]));

    assert_eq!(
        bench.states(job),
        [
            TaskState::Granted,
            TaskState::Granted,
            TaskState::Cancelled,
            TaskState::Cancelled,
            TaskState::Cancelled
        ]
    );
    agent.report(&mut bench, 0, Outcome::Completed);
    agent.report(&mut bench, 1, Outcome::Cancelled);
    assert_eq!(
        bench.counted(),
        [
            (TaskIndex(1), Outcome::Completed),
            (TaskIndex(2), Outcome::Cancelled)
        ]
    );
    assert_eq!(
        bench.command(Command::Cancel { job }),
        Err(Refusal::JobFinished(job))
    );
    assert_eq!(
        bench.command(Command::Cancel { job: JobId(9) }),
        Err(Refusal::JobNotFound(JobId(9)))
    );
}

#[test]
fn a_lost_node_is_replaced_after_the_time_and_the_first_success_wins() {
    let mut bench = Bench::new();
    let mut lost = Agent::new("lost", 1, 1);
    lost.hello(&mut bench);
    let job = bench.submit(spec(1));
    lost.listen(&bench);
    let mut other = Agent::new("other", 2, 1);
    other.hello(&mut bench);
    for _ in 0..20 {
        bench.wait(Duration::from_secs(1));
        other.heartbeat(&mut bench);
    }
    assert!(other.attempts().is_empty(), "suspect, not lost");
    for _ in 0..60 {
        bench.wait(Duration::from_secs(1));
        other.listen(&bench);
        other.heartbeat(&mut bench);
        other.listen(&bench);
    }
    assert_eq!(other.attempts().len(), 1, "granted again after lost_after");
    let (attempt, ..) = lost.attempts()[0];
    lost.held = vec![(attempt, HeldState::Ended)];
    lost.hello(&mut bench);
    lost.report(&mut bench, 0, Outcome::Completed);
    assert_eq!(bench.counted(), [(TaskIndex(1), Outcome::Completed)]);
    assert!(
        other
            .listen(&bench)
            .iter()
            .any(|frame| matches!(frame, DownBody::Forget(_))),
        "the other attempt is called back"
    );
    let (attempt, ..) = other.attempts()[0];
    other.say(
        &mut bench,
        UpBody::Forgotten(vec![AttemptRange::one(attempt)]),
    );
    assert!(bench.fleet.jobs.get(job).is_none());
    assert_eq!(bench.counted().len(), 1);
}

#[test]
fn what_may_start_only_once_becomes_unknown_and_is_corrected_by_its_agent() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(JobSpec {
        retry: Retry::Never,
        ..spec(1)
    });
    agent.listen(&bench);
    bench.wait(Duration::from_secs(30));
    bench.wait(Duration::from_mins(2));
    assert_eq!(bench.states(job), [TaskState::Unknown]);
    let mut bench = bench.restarted();
    agent.held = vec![(agent.attempts()[0].0, HeldState::Ended)];
    agent.hello(&mut bench);
    agent.report(&mut bench, 0, Outcome::Exited { code: 0 });
    assert_eq!(
        bench.counted(),
        [(TaskIndex(1), Outcome::Exited { code: 0 })]
    );
}

#[test]
fn a_grant_that_the_agent_never_got_is_free_only_after_its_tombstone() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let job = bench.submit(spec(1));
    agent.listen(&bench);
    let frames = agent.hello(&mut bench);
    assert!(matches!(
        frames[..],
        [DownBody::Welcome { .. }, DownBody::Forget(_)]
    ));
    assert_eq!(bench.states(job), [TaskState::Granted]);
    let (attempt, ..) = agent.attempts()[0];
    let frames = agent.say(
        &mut bench,
        UpBody::Forgotten(vec![AttemptRange::one(attempt)]),
    );
    assert!(
        matches!(frames[..], [DownBody::Grants { .. }]),
        "granted again: {frames:?}"
    );
}

#[test]
fn a_copied_folder_joins_as_another_node_and_a_second_agent_is_refused() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let node = agent.node;
    let mut second = Agent {
        nonce: 2,
        previous: Some(1),
        session: 5,
        node,
        ..Agent::new("a", 2, 1)
    };
    let frames = second.hello(&mut bench);
    assert!(matches!(frames[..], [DownBody::Refused(_)]));
    let mut old = Agent {
        nonce: 4,
        previous: Some(3),
        session: 5,
        node,
        ..Agent::new("a", 4, 1)
    };
    let frames = old.hello(&mut bench);
    assert!(matches!(
        frames[..],
        [DownBody::Welcome { fresh: true, .. }]
    ));
    assert_ne!(old.node, node);
    let mut taken = Agent::new("a", 9, 1);
    assert!(matches!(
        taken.hello(&mut bench)[..],
        [DownBody::Refused(_)]
    ));
}

#[test]
fn a_store_older_than_the_fleet_places_nothing_until_a_person_says_so() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    bench.submit(spec(1));
    let mut restored = Bench::open(
        Snapshot {
            restored: true,
            ..bench.fleet.durable(BatchNumber(1))
        },
        bench.at,
    );
    assert!(agent.hello(&mut restored).is_empty());
    restored.wait(Duration::from_mins(5));
    assert!(matches!(
        restored.command(Command::Recover),
        Ok(Reply::Recovered(_))
    ));
    let frames = agent.hello(&mut restored);
    assert!(matches!(frames[0], DownBody::Welcome { .. }));
    assert_eq!(
        restored.command(Command::Recover),
        Err(Refusal::NothingToRecover)
    );
}

#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 2);
    agent.hello(&mut bench);
    bench.submit(spec(2));
    agent.listen(&bench);
    let large = JobSpec {
        resources: Resources::of_cpus(Cpus::whole(2)),
        ..spec(1)
    };
    let large = bench.submit(large);
    let small = bench.submit(spec(50));
    agent.report(&mut bench, 0, Outcome::Completed);
    assert_eq!(
        bench.states(small)[0],
        TaskState::Waiting,
        "the free core is kept"
    );
    agent.report(&mut bench, 1, Outcome::Completed);
    assert_eq!(bench.states(large), [TaskState::Granted]);
}

#[test]
fn limits_are_refused_with_their_number() {
    let mut bench = Bench::new();
    bench.fleet.office.settings.jobs_max = 1;
    bench.fleet.office.settings.tasks_max = 5;
    let submit = |spec| Command::Submit {
        spec: sealed(spec),
        idempotency_key: None,
    };
    assert_eq!(
        bench.command(submit(spec(6))),
        Err(Refusal::TooManyTasks { limit: 5 })
    );
    bench.submit(spec(1));
    assert_eq!(
        bench.command(submit(spec(1))),
        Err(Refusal::TooManyJobs { limit: 1 })
    );
    let pinned = Constraints {
        node: Some("nowhere".to_owned()),
        ..Constraints::default()
    };
    bench.fleet.office.settings.jobs_max = 9;
    assert_eq!(
        bench.command(submit(JobSpec {
            constraints: pinned,
            ..spec(1)
        })),
        Err(Refusal::NodeUnknown("nowhere".to_owned()))
    );
}

#[test]
fn a_task_that_takes_its_node_down_is_found_among_innocents() {
    let mut bench = Bench::new();
    let job = bench.submit(JobSpec {
        on_disconnect: OnDisconnect::Keep {
            lost_after: Duration::ZERO,
        },
        ..spec(3)
    });
    let poison = TaskIndex(2);
    for start in 1..20 {
        let mut agent = Agent::new("a", start, 3);
        agent.hello(&mut bench);
        for _ in 0..5 {
            bench.wait(Duration::from_secs(1));
            let running = agent.orders.iter().map(|order| order.attempts).collect();
            agent.say(
                &mut bench,
                UpBody::Heartbeat {
                    sent_at: Moment(1),
                    running,
                },
            );
        }
        let tasks: Vec<TaskIndex> = agent.attempts().iter().map(|attempt| attempt.2).collect();
        if !tasks.contains(&poison) {
            for index in 0..tasks.len() {
                agent.report(&mut bench, index, Outcome::Completed);
            }
        }
        bench.handle(Event::Disconnected {
            connection: agent.connection(),
        });
        bench.wait(Duration::from_mins(1));
        if bench.fleet.jobs.get(job).is_none() {
            break;
        }
    }
    let mut counted = bench.counted();
    counted.sort_by_key(|(task, _)| *task);
    let expected = [
        (TaskIndex(1), Outcome::Completed),
        (poison, Outcome::Lost),
        (TaskIndex(3), Outcome::Completed),
    ];
    assert_eq!(counted, expected);
}

#[test]
fn work_sent_ahead_is_taken_back_when_another_node_is_idle() {
    let mut bench = Bench::new();
    let mut busy = Agent::new("busy", 1, 1);
    busy.hello(&mut bench);
    let job = bench.submit(spec(40));
    busy.listen(&bench);
    // Short tasks: the fleet takes the rest for short, too, and sends it ahead.
    for index in 0..40 {
        if !bench.states(job).contains(&TaskState::Waiting) {
            break;
        }
        bench.at += Duration::from_millis(2);
        busy.report(&mut bench, index, Outcome::Completed);
    }
    assert!(
        !bench.states(job).contains(&TaskState::Waiting),
        "all is granted"
    );
    // Then one takes long.
    let rate = Duration::from_secs(1);
    bench.wait(rate);
    busy.heartbeat(&mut bench);
    let mut idle = Agent::new("idle", 2, 3);
    idle.hello(&mut bench);
    let back = busy
        .listen(&bench)
        .into_iter()
        .find_map(|frame| match frame {
            DownBody::Retract(ranges) => Some(ranges),
            _ => None,
        });
    let back = back.expect("the idle node's three cores are worth it");
    assert_eq!(back.iter().map(|range| range.count).sum::<u32>(), 3);
    assert!(idle.attempts().is_empty(), "still the other one's");
    busy.say(&mut bench, UpBody::Forgotten(back));
    idle.listen(&bench);
    assert_eq!(idle.attempts().len(), 3);
}
