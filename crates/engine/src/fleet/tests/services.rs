//! Services: replicas, scale, stop, updates, dependencies, nodes that are lost.

use std::time::Duration;

use flota_model::{
    command::{Ask, Command, Principal, Query, Refusal, Reply, Request},
    frame::{DownBody, HeldState, UpBody},
    ids::{AttemptId, AttemptRange, RequestId, SpecHash, TaskIndex},
    outcome::Outcome,
    revision::{Applied, Expected},
    service::{
        Condition, Dependency, OnUpdateFailure, Placement, REPLICAS_MAX, ReplicaState,
        ReplicaStatus, Service, ServiceDetail, ServicePhase, ServiceView, UpdateSettings,
    },
    spec::{JobSpec, Program, TaskRange, Work},
    units::Timestamp,
};

use super::bench::{Agent, Bench, sealed, spec};
use crate::fleet::api::{Effect, Event};

pub(super) fn service(replicas: u32, change: impl FnOnce(&mut Service)) -> JobSpec {
    let mut service = Service {
        replicas,
        update: UpdateSettings {
            stable: Duration::ZERO,
            ..UpdateSettings::default()
        },
        ..Service::default()
    };
    change(&mut service);
    JobSpec {
        name: "web".to_owned(),
        tasks: TaskRange {
            first: TaskIndex(0),
            last: TaskIndex(REPLICAS_MAX - 1),
        },
        work: Work::Program(Program {
            argv: vec!["web".to_owned()],
            ..Program::default()
        }),
        service: Some(Box::new(service)),
        ..spec(1)
    }
}

pub(super) fn plain(replicas: u32) -> JobSpec {
    service(replicas, |_| {})
}

pub(super) fn apply(bench: &mut Bench, spec: JobSpec) -> (Applied, ServiceView) {
    match bench.command(Command::ApplyService {
        spec: sealed(spec),
        expected: Expected::Anything,
        at_a_time: None,
    }) {
        Ok(Reply::Applied { applied, service }) => (applied, *service),
        other => panic!("{other:?}"),
    }
}

pub(super) fn order(bench: &mut Bench, command: Command) -> ServiceView {
    match bench.command(command) {
        Ok(Reply::Service(service)) => *service,
        other => panic!("{other:?}"),
    }
}

pub(super) fn stop(bench: &mut Bench) -> ServiceView {
    let name = "web".to_owned();
    order(bench, Command::StopService { name })
}

fn scale(bench: &mut Bench, replicas: u32) -> ServiceView {
    let name = "web".to_owned();
    order(bench, Command::ScaleService { name, replicas })
}

pub(super) fn detail(bench: &mut Bench, name: &str) -> ServiceDetail {
    let id = RequestId(9_999);
    bench.handle(Event::Request(Request {
        id,
        principal: Principal {
            name: "local".to_owned(),
        },
        ask: Ask::Query(Query::Service {
            name: name.to_owned(),
        }),
    }));
    let reply = bench.turn.effects.iter().find_map(|effect| match effect {
        Effect::Reply { reply, .. } => Some(reply.clone()),
        _ => None,
    });
    match reply {
        Some(Ok(Reply::ServiceDetail(Some(detail)))) => *detail,
        other => panic!("{other:?}"),
    }
}

fn count(bench: &mut Bench, state: ReplicaState) -> u32 {
    let states = detail(bench, "web").service.states;
    states.get(&state).copied().unwrap_or(0)
}

fn status(attempt: AttemptId, state: ReplicaState) -> ReplicaStatus {
    ReplicaStatus {
        attempt,
        run: 1,
        state,
        since: Timestamp(1),
        restarts: 0,
        last: None,
        failure: None,
        lines: None,
    }
}

/// What an agent runs: granted, and neither reported nor cancelled.
pub(super) struct Host {
    pub(super) agent: Agent,
    pub(super) holds: Vec<(AttemptId, SpecHash)>,
    gone: Vec<AttemptId>,
    /// Replicas of this spec do not come up, from this one of them on.
    pub(super) bad: Option<(SpecHash, usize)>,
    /// The fewest that it held beside a bad one.
    pub(super) fewest: usize,
}

impl Host {
    pub(super) fn new(bench: &mut Bench, name: &'static str, nonce: u64, cores: u32) -> Self {
        let mut agent = Agent::new(name, nonce, cores);
        agent.hello(bench);
        Self {
            agent,
            holds: Vec::new(),
            gone: Vec::new(),
            bad: None,
            fewest: usize::MAX,
        }
    }

    /// Starts what was granted, ends what was cancelled, until nothing more happens.
    pub(super) fn run(&mut self, bench: &mut Bench) {
        let mut frames = self.agent.listen(bench);
        loop {
            for (attempt, _, _, hash) in self.agent.attempts() {
                let known = self.holds.iter().any(|(held, _)| *held == attempt);
                if !known && !self.gone.contains(&attempt) {
                    self.holds.push((attempt, hash));
                }
            }
            let statuses = self.holds.iter();
            let ready = statuses.map(|(attempt, hash)| status(*attempt, self.state(*hash)));
            let ready = UpBody::Replicas(ready.collect());
            let mut next = self.agent.say(bench, ready);
            for frame in frames {
                if let DownBody::Cancel(ranges) | DownBody::Forget(ranges) = frame {
                    next.extend(self.cancel(bench, &ranges));
                }
            }
            if next.is_empty() {
                return;
            }
            frames = next;
        }
    }

    fn cancel(&mut self, bench: &mut Bench, ranges: &[AttemptRange]) -> Vec<DownBody> {
        let mut frames = Vec::new();
        for attempt in ranges.iter().flat_map(|range| range.iter()) {
            self.holds.retain(|(held, _)| *held != attempt);
            self.gone.push(attempt);
            let good = self.holds.iter();
            let good = good.filter(|(_, hash)| self.state(*hash) == ReplicaState::Ready);
            self.fewest = self.fewest.min(good.count());
            let all = self.agent.attempts();
            let index = all.iter().position(|(one, ..)| *one == attempt).unwrap();
            frames.extend(self.agent.report(bench, index, Outcome::Cancelled));
        }
        frames
    }

    fn state(&self, hash: SpecHash) -> ReplicaState {
        let held = self.holds.iter().filter(|(_, held)| *held == hash).count();
        match self.bad {
            Some((bad, from)) if bad == hash && held >= from => ReplicaState::CrashLoop,
            Some(_) | None => ReplicaState::Ready,
        }
    }

    pub(super) fn hashes(&self) -> Vec<SpecHash> {
        self.holds.iter().map(|(_, hash)| *hash).collect()
    }
}

#[test]
fn replicas_are_spread_and_seen_and_scaled() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    let mut two = Host::new(&mut bench, "two", 2, 4);
    let (applied, _) = apply(&mut bench, plain(4));
    assert_eq!(applied, Applied::Created);
    let replay = bench.turn.clone();
    one.run(&mut bench);
    bench.turn = replay;
    two.run(&mut bench);
    assert_eq!((one.holds.len(), two.holds.len()), (2, 2));
    assert_eq!(count(&mut bench, ReplicaState::Ready), 4);

    let view = scale(&mut bench, 1);
    assert_eq!(view.replicas, 1);
    let replay = bench.turn.clone();
    one.run(&mut bench);
    bench.turn = replay;
    two.run(&mut bench);
    assert_eq!(one.holds.len() + two.holds.len(), 1);
    let after = detail(&mut bench, "web").service;
    assert_eq!(after.states.values().sum::<u32>(), 1);

    scale(&mut bench, 3);
    let replay = bench.turn.clone();
    one.run(&mut bench);
    bench.turn = replay;
    two.run(&mut bench);
    assert_eq!(one.holds.len() + two.holds.len(), 3);
}

#[test]
fn one_per_node_leaves_the_others_waiting() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(
        &mut bench,
        service(3, |service| service.placement = Placement::OnePerNode),
    );
    one.run(&mut bench);
    assert_eq!(one.holds.len(), 1);
    assert_eq!(count(&mut bench, ReplicaState::Waiting), 2);
    // What waits for ever keeps no node free.
    bench.submit(spec(2));
    one.agent.listen(&bench);
    assert_eq!(one.agent.attempts().len(), 3);
}

#[test]
fn a_stop_is_over_when_the_agents_have_confirmed_and_a_start_begins_anew() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 4);
    apply(&mut bench, plain(2));
    one.run(&mut bench);
    assert_eq!(stop(&mut bench).phase, ServicePhase::Stopping);
    let replay = bench.turn.clone();
    let name = || "web".to_owned();
    let early = bench.command(Command::StartService { name: name() });
    assert_eq!(early, Err(Refusal::ServiceRunning(name())));
    bench.turn = replay;
    one.run(&mut bench);
    assert!(one.holds.is_empty());
    assert_eq!(
        detail(&mut bench, "web").service.phase,
        ServicePhase::Stopped
    );
    let mut bench = bench.restarted();
    one.agent.hello(&mut bench);
    order(&mut bench, Command::StartService { name: name() });
    one.run(&mut bench);
    assert_eq!(one.holds.len(), 2);
    stop(&mut bench);
    one.run(&mut bench);
    order(&mut bench, Command::RemoveService { name: name() });
    let gone = bench.command(Command::StartService { name: name() });
    assert_eq!(gone, Err(Refusal::ServiceNotFound(name())));
}

#[test]
fn an_update_moves_one_replica_after_the_other_and_never_holds_one_too_many() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(&mut bench, plain(3));
    one.run(&mut bench);
    let other = service(3, |service| service.stop_signal = Some(2));
    let hash = sealed(other.clone()).hash;
    let (applied, view) = apply(&mut bench, other);
    assert_eq!(
        (applied, view.phase),
        (Applied::Updated, ServicePhase::Updating)
    );
    assert_eq!(one.agent.listen(&bench).len(), 1, "the old one goes first");
    for _ in 0..20 {
        one.run(&mut bench);
        assert!(one.holds.len() <= 3);
        bench.wait(Duration::from_secs(1));
    }
    assert_eq!(one.hashes(), [hash; 3]);
    assert_eq!(
        detail(&mut bench, "web").service.phase,
        ServicePhase::Running
    );
}

#[test]
fn an_update_that_does_not_come_up_stops_or_goes_back() {
    for (on_failure, phase) in [
        (OnUpdateFailure::Stop, ServicePhase::UpdateFailed),
        (OnUpdateFailure::RollBack, ServicePhase::Running),
    ] {
        let mut bench = Bench::new();
        let mut one = Host::new(&mut bench, "one", 1, 8);
        apply(&mut bench, plain(2));
        one.run(&mut bench);
        let before = one.hashes();
        apply(
            &mut bench,
            service(2, |service| service.update.on_failure = on_failure),
        );
        let other = service(2, |service| {
            service.stop_signal = Some(2);
            service.update.on_failure = on_failure;
        });
        for _ in 0..10 {
            one.run(&mut bench);
            bench.wait(Duration::from_secs(1));
        }
        let settled = one.hashes();
        apply(&mut bench, other);
        let frames = one.agent.listen(&bench);
        for frame in frames {
            if let DownBody::Cancel(ranges) = frame {
                one.cancel(&mut bench, &ranges);
            }
        }
        let newest = one.agent.attempts().last().unwrap().0;
        one.holds.retain(|(held, _)| *held != newest);
        let loops = UpBody::Replicas(vec![status(newest, ReplicaState::CrashLoop)]);
        let frames = one.agent.say(&mut bench, loops);
        for frame in frames {
            if let DownBody::Cancel(ranges) = frame {
                one.cancel(&mut bench, &ranges);
            }
        }
        bench.wait(Duration::from_secs(1));
        assert_eq!(detail(&mut bench, "web").service.phase, phase);
        assert_eq!(before.len(), settled.len());
    }
}

#[test]
fn replicas_of_a_lost_node_are_replaced_and_stopped_when_it_comes_back() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(&mut bench, plain(1));
    one.run(&mut bench);
    let lost = one.holds[0].0;
    let mut two = Host::new(&mut bench, "two", 2, 8);
    for _ in 0..20 {
        bench.wait(Duration::from_secs(6));
        two.agent.listen(&bench);
        two.agent.heartbeat(&mut bench);
        two.run(&mut bench);
    }
    assert_eq!(two.holds.len(), 1);
    one.agent.held = vec![(lost, HeldState::Running)];
    let frames = one.agent.hello(&mut bench);
    assert!(
        frames
            .iter()
            .any(|frame| *frame == DownBody::Forget(vec![AttemptRange::one(lost)])),
        "{frames:?}"
    );
}

#[test]
fn a_service_waits_for_those_that_it_depends_on() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    let on = |name: &str| Dependency {
        service: name.to_owned(),
        condition: Condition::Healthy,
    };
    apply(
        &mut bench,
        service(1, |service| service.dependencies = vec![on("store")]),
    );
    one.run(&mut bench);
    assert!(one.holds.is_empty());
    assert_eq!(detail(&mut bench, "web").service.waits_for, [on("store")]);
    let named = |name: &str, spec: JobSpec| JobSpec {
        name: name.to_owned(),
        ..spec
    };
    let cycle = service(1, |service| service.dependencies = vec![on("web")]);
    let refused = bench.command(Command::ApplyService {
        spec: sealed(named("store", cycle)),
        expected: Expected::Anything,
        at_a_time: None,
    });
    let names = ["store", "web"].map(str::to_owned).to_vec();
    assert_eq!(refused, Err(Refusal::ServiceCycle(names)));
    apply(&mut bench, named("store", plain(1)));
    one.run(&mut bench);
    bench.wait(Duration::from_secs(1));
    one.run(&mut bench);
    assert_eq!(one.holds.len(), 2);
}

fn on(name: &str, condition: Condition) -> Dependency {
    Dependency {
        service: name.to_owned(),
        condition,
    }
}

#[test]
fn a_turn_costs_nothing_for_services_that_wait() {
    const WAITING: u32 = 300;
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 400);
    for number in 0..WAITING {
        let waits = service(1, |service| {
            service.dependencies = vec![
                on("first", Condition::Started),
                on("second", Condition::Started),
            ];
        });
        let name = format!("waits-{number:03}");
        apply(&mut bench, JobSpec { name, ..waits });
    }
    let looks = |bench: &mut Bench| std::mem::take(&mut bench.fleet.jobs.services.held.looks);
    assert_eq!(looks(&mut bench), u64::from(WAITING), "once each");
    for _ in 0..5 {
        bench.wait(Duration::from_secs(1));
        one.run(&mut bench);
    }
    let others = spec_named("other");
    apply(&mut bench, others);
    one.run(&mut bench);
    assert_eq!(looks(&mut bench), 0, "nobody waits for what has changed");
    apply(&mut bench, spec_named("first"));
    one.run(&mut bench);
    one.run(&mut bench);
    let counted = looks(&mut bench);
    // Every one again when the first is there; for each change of it, itself.
    assert!(
        (WAITING..WAITING + 20).contains(&u32::try_from(counted).unwrap()),
        "{counted}"
    );
    assert_eq!(one.holds.len(), 2);
    apply(&mut bench, spec_named("second"));
    for _ in 0..3 {
        one.run(&mut bench);
    }
    assert_eq!(one.holds.len(), 3 + WAITING as usize);
}

fn spec_named(name: &str) -> JobSpec {
    JobSpec {
        name: name.to_owned(),
        ..plain(1)
    }
}

#[test]
fn what_is_no_service_is_not_applied_and_a_service_is_not_submitted() {
    let mut bench = Bench::new();
    let refused = Err(Refusal::ServiceKind);
    let spec_of_batch = sealed(spec(1));
    assert_eq!(
        bench.command(Command::ApplyService {
            spec: spec_of_batch,
            expected: Expected::Anything,
            at_a_time: None
        }),
        refused
    );
    let submit = Command::Submit {
        spec: sealed(plain(1)),
        rows: None,
        idempotency_key: None,
    };
    assert_eq!(bench.command(submit), refused);
    apply(&mut bench, plain(1));
    let (name, replicas) = ("web".to_owned(), REPLICAS_MAX + 1);
    assert_eq!(
        bench.command(Command::ScaleService { name, replicas }),
        Err(Refusal::TooManyReplicas {
            limit: REPLICAS_MAX
        })
    );
}
