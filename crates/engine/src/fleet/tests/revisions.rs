//! What a service remembers, the way back, updates at another pace, and changes of what was seen.

use std::time::Duration;

use flota_model::{
    command::{Command, Refusal, Reply},
    frame::UpBody,
    ids::{JobId, SpecHash},
    replica::LastLines,
    revision::{Applied, Expected, RevisionCause, ServiceVersion},
    service::{OnUpdateFailure, REVISIONS_MAX, ReplicaState, ReplicaStatus, ServicePhase},
    spec::JobSpec,
    units::{Cpus, Timestamp},
};

use super::{
    bench::{Bench, sealed},
    services::{Host, apply, detail, order, plain, service, stop},
};
use crate::fleet::{
    api::{Effect, FleetEvent},
    services::lines::LINES_HELD_MAX,
};

fn version(number: u8) -> JobSpec {
    service(6, |service| service.stop_signal = Some(number))
}

fn hash(number: u8) -> SpecHash {
    sealed(version(number)).hash
}

fn settle(bench: &mut Bench, host: &mut Host) {
    for _ in 0..20 {
        host.run(bench);
        bench.wait(Duration::from_secs(1));
        host.run(bench);
        host.agent.heartbeat(bench);
    }
    host.run(bench);
}

fn roll_back(bench: &mut Bench, to: Option<JobId>) -> Result<Reply, Refusal> {
    bench.command(Command::RollBackService {
        name: "web".to_owned(),
        to,
        at_a_time: None,
    })
}

fn remembered(bench: &mut Bench) -> Vec<SpecHash> {
    let past = detail(bench, "web").revisions;
    past.iter().map(|known| known.spec.hash).collect()
}

#[test]
fn a_service_goes_back_to_what_it_had_before_and_forward_again() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    let gone = Refusal::RevisionNotFound {
        name: "web".to_owned(),
        revision: None,
    };
    for number in 1..=3 {
        apply(&mut bench, version(number));
        settle(&mut bench, &mut one);
        if number == 1 {
            assert_eq!(roll_back(&mut bench, None), Err(gone.clone()));
        }
    }
    assert_eq!(remembered(&mut bench), [hash(1), hash(2), hash(3)]);
    one.fewest = usize::MAX;
    assert!(roll_back(&mut bench, None).is_ok());
    settle(&mut bench, &mut one);
    assert_eq!(one.hashes(), [hash(2); 6]);
    assert!(one.fewest >= 5, "one at a time, {} served", one.fewest);
    assert_eq!(remembered(&mut bench), [hash(1), hash(3), hash(2)]);
    let past = detail(&mut bench, "web").revisions;
    let causes: Vec<RevisionCause> = past.iter().map(|known| known.cause).collect();
    let expected = [
        RevisionCause::Applied,
        RevisionCause::Applied,
        RevisionCause::RolledBack,
    ];
    assert_eq!(causes, expected);
    // Once more leads to where it came from; a number leads anywhere.
    assert!(roll_back(&mut bench, None).is_ok());
    settle(&mut bench, &mut one);
    assert_eq!(one.hashes(), [hash(3); 6]);
    let first = detail(&mut bench, "web").revisions[0].job;
    let mut bench = bench.restarted();
    assert!(roll_back(&mut bench, Some(first)).is_ok());
    assert_eq!(detail(&mut bench, "web").spec.hash, hash(1));
    let unknown = roll_back(&mut bench, Some(first));
    assert!(matches!(unknown, Err(Refusal::RevisionNotFound { .. })));
}

#[test]
fn a_restart_is_no_other_spec_and_takes_the_place_of_the_one_before() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(&mut bench, version(1));
    settle(&mut bench, &mut one);
    apply(&mut bench, version(2));
    settle(&mut bench, &mut one);
    let before = detail(&mut bench, "web").revisions;
    let restart = Command::RestartService {
        name: "web".to_owned(),
        at_a_time: None,
    };
    let after = order(&mut bench, restart);
    settle(&mut bench, &mut one);
    let past = detail(&mut bench, "web").revisions;
    assert_eq!(past.len(), 2);
    assert_eq!(past[1].job, after.job);
    assert_ne!(past[1].job, before[1].job);
    assert_eq!(past[1].at, before[1].at, "it was applied then");
    settle(&mut bench, &mut one);
    stop(&mut bench);
    settle(&mut bench, &mut one);
    assert!(matches!(
        roll_back(&mut bench, None),
        Err(Refusal::ServiceStopped(_))
    ));
    let name = "web".to_owned();
    order(&mut bench, Command::RemoveService { name });
    assert_eq!(
        bench
            .restarted()
            .fleet
            .durable(flota_model::ids::BatchNumber(1))
            .revisions,
        []
    );
}

#[test]
fn as_many_specs_are_remembered_as_may_be_and_never_fewer_than_are_in_use() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(&mut bench, version(1));
    settle(&mut bench, &mut one);
    // None of these comes up: the first one is what all replicas had last.
    for number in 2..=14 {
        apply(&mut bench, version(number));
    }
    let known = remembered(&mut bench);
    assert_eq!(known.len(), REVISIONS_MAX);
    assert_eq!(known[0], hash(1));
    assert_eq!(known.last(), Some(&hash(14)));
    assert_eq!(remembered(&mut bench.restarted()), known);
}

#[test]
fn an_update_takes_as_many_at_a_time_as_was_asked_for() {
    for (at_a_time, expected) in [(Some(3), 3), (None, 1), (Some(100), 6)] {
        let mut bench = Bench::new();
        let mut one = Host::new(&mut bench, "one", 1, 8);
        apply(&mut bench, version(1));
        settle(&mut bench, &mut one);
        let name = "web".to_owned();
        order(&mut bench, Command::RestartService { name, at_a_time });
        let mut opened = bench.restarted();
        for bench in [&mut bench, &mut opened] {
            assert_eq!(detail(bench, "web").service.updated, Some(expected));
        }
    }
}

#[test]
fn a_restart_that_does_not_come_up_stops_whatever_the_spec_says() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    let spec = service(6, |service| {
        service.update.on_failure = OnUpdateFailure::RollBack;
    });
    apply(&mut bench, spec.clone());
    settle(&mut bench, &mut one);
    one.bad = Some((sealed(spec).hash, 0));
    let restart = Command::RestartService {
        name: "web".to_owned(),
        at_a_time: Some(2),
    };
    order(&mut bench, restart);
    settle(&mut bench, &mut one);
    let after = detail(&mut bench, "web").service;
    assert_eq!(after.phase, ServicePhase::UpdateFailed);
    assert_eq!(after.updated, Some(2), "it stopped at the first two");
}

#[test]
fn who_has_not_seen_the_last_change_changes_nothing() {
    let mut bench = Bench::new();
    Host::new(&mut bench, "one", 1, 8);
    let ask = |bench: &mut Bench, number: u8, expected: Expected| {
        let command = Command::ApplyService {
            spec: sealed(version(number)),
            expected,
            at_a_time: None,
        };
        match bench.command(command) {
            Ok(Reply::Applied { service, applied }) => Ok((applied, service.version)),
            Err(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    };
    let changed = |version: Option<ServiceVersion>| {
        let name = "web".to_owned();
        Err(Refusal::ServiceChanged { name, version })
    };
    let none = ask(&mut bench, 1, Expected::Present);
    assert_eq!(none, changed(None));
    let (applied, first) = ask(&mut bench, 1, Expected::Absent).expect("it is new");
    assert_eq!(applied, Applied::Created);
    assert_eq!(ask(&mut bench, 2, Expected::Absent), changed(Some(first)));
    let seen = Expected::OneOf(vec![first]);
    let (_, second) = ask(&mut bench, 2, seen.clone()).expect("nothing came between");
    assert_ne!(first, second);
    assert_eq!(ask(&mut bench, 3, seen.clone()), changed(Some(second)));
    assert_eq!(detail(&mut bench, "web").spec.hash, hash(2));
    // What replicas do is no change; the same again is none either.
    bench.wait(Duration::from_mins(1));
    let again = ask(&mut bench, 2, Expected::OneOf(vec![first, second]));
    assert_eq!(again, Ok((Applied::Unchanged, second)));
    // Another service of that name is never taken for the first.
    stop(&mut bench);
    let name = "web".to_owned();
    bench.wait(Duration::from_mins(5));
    if bench.command(Command::RemoveService { name }).is_ok() {
        ask(&mut bench, 1, Expected::Absent).expect("it is gone");
    }
    assert!(ask(&mut bench, 3, seen).is_err());
    assert_eq!(first.to_string().parse(), Ok(first));
    assert_eq!("7".parse::<ServiceVersion>(), Err(()));
}

#[test]
fn last_lines_are_kept_up_to_a_limit_for_all_replicas() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 2_000);
    let half = 8 << 10;
    let fit = LINES_HELD_MAX / (2 * half);
    let count = u32::try_from(fit + 2).expect("few");
    let mut spec = plain(count);
    spec.resources.cpus = Cpus(1_000);
    apply(&mut bench, spec);
    one.agent.listen(&bench);
    let loops = one
        .agent
        .attempts()
        .into_iter()
        .map(|(attempt, ..)| ReplicaStatus {
            attempt,
            run: 9,
            state: ReplicaState::CrashLoop,
            since: Timestamp(1),
            restarts: 8,
            last: None,
            failure: None,
            lines: Some(LastLines {
                run: 8,
                stdout: "o".repeat(half),
                stderr: "e".repeat(half),
            }),
        });
    let loops: Vec<ReplicaStatus> = loops.collect();
    assert_eq!(loops.len(), fit + 2);
    // The same again changes nothing.
    for _ in 0..2 {
        one.agent.say(&mut bench, UpBody::Replicas(loops.clone()));
        let views = detail(&mut bench, "web").replicas;
        let kept = views.iter().filter(|view| view.lines.is_some());
        assert_eq!(kept.count(), fit);
    }
}

fn told(bench: &Bench) -> Vec<String> {
    let events = bench.turn.effects.iter();
    let told = events.filter_map(|effect| match effect {
        Effect::Publish {
            event: FleetEvent::Service { news, .. },
            ..
        } => Some(news.word().to_owned()),
        Effect::Publish {
            event: FleetEvent::Replica { replica, news, .. },
            ..
        } => Some(format!("{replica} {}", news.word())),
        _ => None,
    });
    told.collect()
}

#[test]
fn watchers_are_told_what_happens_to_a_service_and_to_each_replica() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(&mut bench, plain(2));
    assert_eq!(told(&bench), ["created"]);
    one.agent.listen(&bench);
    let attempts = one.agent.attempts();
    let status = |index: usize, run, state| ReplicaStatus {
        attempt: attempts[index].0,
        run,
        state,
        since: Timestamp(1),
        restarts: 0,
        last: None,
        failure: None,
        lines: None,
    };
    let mut say = |bench: &mut Bench, statuses: Vec<ReplicaStatus>| {
        one.agent.say(bench, UpBody::Replicas(statuses));
        told(bench)
    };
    let up = vec![
        status(0, 1, ReplicaState::Ready),
        status(1, 1, ReplicaState::Running),
    ];
    let first = say(&mut bench, up.clone());
    assert_eq!(first, ["0 started", "0 ready", "1 started"]);
    assert_eq!(say(&mut bench, up), [""; 0]);
    let down = vec![status(1, 1, ReplicaState::BackingOff)];
    assert_eq!(say(&mut bench, down), ["1 ended"]);
    apply(&mut bench, plain(1));
    assert_eq!(told(&bench), ["scaled"]);
    stop(&mut bench);
    assert_eq!(told(&bench), ["stopped"]);
    let index = attempts
        .iter()
        .position(|one| one.2.0 == 0)
        .expect("it was granted");
    one.agent
        .report(&mut bench, index, flota_model::outcome::Outcome::Cancelled);
    assert_eq!(told(&bench), ["0 ended"]);
}
