//! Updates that overtake others or go back, boots that start what was stopped, long ways of
//! dependencies.

use std::time::Duration;

use flota_model::{
    command::{Command, Refusal},
    frame::HeldState,
    outcome::Outcome,
    revision::Expected,
    service::{Condition, Dependency, OnUpdateFailure, RestartPolicy, ServiceDetail, ServicePhase},
    spec::JobSpec,
};

use super::{
    bench::{Bench, sealed},
    services::{Host, apply, detail, order, plain, service, stop},
};
use crate::fleet::{api::Event, services::commands::CYCLE_NAMES_MAX};

fn version(number: u8) -> JobSpec {
    service(6, |service| service.stop_signal = Some(number))
}

fn settle(bench: &mut Bench, host: &mut Host) -> ServiceDetail {
    for _ in 0..40 {
        host.run(bench);
        bench.wait(Duration::from_secs(1));
    }
    detail(bench, "web")
}

/// Its connection breaks, and its agent comes back from another boot.
fn boots(bench: &mut Bench, host: &mut Host, nonce: u64) {
    let connection = host.agent.connection();
    bench.handle(Event::Disconnected { connection });
    (host.agent.previous, host.agent.nonce) = (Some(host.agent.nonce), nonce);
    host.agent.boot += 1;
    host.agent.hello(bench);
}

#[test]
fn an_update_that_overtakes_another_takes_what_is_down_first_and_no_more_at_a_time() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(&mut bench, version(1));
    one.run(&mut bench);
    // The second one hangs at its third replica: five of the six serve.
    let mut second = version(2);
    if let Some(service) = &mut second.service {
        service.update.deadline = Duration::from_hours(1);
    }
    let second_hash = sealed(second.clone()).hash;
    one.bad = Some((second_hash, 3));
    apply(&mut bench, second);
    for _ in 0..3 {
        one.run(&mut bench);
        bench.wait(Duration::from_secs(1));
    }
    let count = |host: &Host, hash| host.hashes().iter().filter(|one| **one == hash).count();
    assert!(count(&one, second_hash) < 6);
    one.bad = None;
    one.fewest = usize::MAX;
    let third_hash = sealed(version(3)).hash;
    apply(&mut bench, version(3));
    let after = settle(&mut bench, &mut one);
    assert_eq!(one.hashes(), [third_hash; 6]);
    assert_eq!(after.service.phase, ServicePhase::Running);
    assert!(one.fewest >= 5, "{} served", one.fewest);
}

#[test]
fn a_store_that_is_opened_within_overtaking_updates_goes_on_with_them() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    for number in 1..=4 {
        apply(&mut bench, version(number));
        one.run(&mut bench);
    }
    let mut bench = bench.restarted();
    one.agent.held = one
        .holds
        .iter()
        .map(|(attempt, _)| (*attempt, HeldState::Running))
        .collect();
    one.agent.hello(&mut bench);
    let after = settle(&mut bench, &mut one);
    assert_eq!(one.hashes(), [sealed(version(4)).hash; 6]);
    assert_eq!(after.service.phase, ServicePhase::Running);
}

#[test]
fn the_way_back_takes_no_more_at_a_time_than_the_way_there() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    let goes_back = |number| {
        let mut spec = version(number);
        if let Some(service) = &mut spec.service {
            service.update.on_failure = OnUpdateFailure::RollBack;
        }
        spec
    };
    let first = sealed(goes_back(1)).hash;
    apply(&mut bench, goes_back(1));
    one.run(&mut bench);
    one.run(&mut bench);
    // The fifth of the second one fails; then the four before it serve all the same.
    let second = sealed(goes_back(2)).hash;
    one.bad = Some((second, 5));
    one.fewest = usize::MAX;
    apply(&mut bench, goes_back(2));
    let mut went_back = false;
    for _ in 0..40 {
        one.run(&mut bench);
        bench.wait(Duration::from_secs(1));
        let phase = detail(&mut bench, "web").service.phase;
        if phase == ServicePhase::RollingBack {
            went_back = true;
            one.bad = None;
        }
    }
    assert!(went_back || one.hashes() == [first; 6]);
    assert_eq!(one.hashes(), [first; 6]);
    let after = detail(&mut bench, "web").service;
    assert_eq!((after.phase, after.updated), (ServicePhase::Running, None));
}

#[test]
fn a_boot_starts_an_always_that_was_stopped_and_leaves_an_unless_stopped_alone() {
    for (policy, starts) in [
        (RestartPolicy::Always, true),
        (RestartPolicy::UnlessStopped, false),
        (RestartPolicy::OnFailure, false),
    ] {
        let mut bench = Bench::new();
        let mut one = Host::new(&mut bench, "one", 1, 8);
        apply(
            &mut bench,
            service(2, |service| service.restart.policy = policy),
        );
        one.run(&mut bench);
        let mut elsewhere = Host::new(&mut bench, "elsewhere", 2, 8);
        stop(&mut bench);
        one.run(&mut bench);
        assert!(one.holds.is_empty());
        let mut bench = bench.restarted();
        // Neither a new agent on the same boot, nor a boot of a machine that had none of it.
        (one.agent.previous, one.agent.nonce) = (Some(1), 11);
        one.agent.hello(&mut bench);
        (elsewhere.agent.previous, elsewhere.agent.nonce) = (Some(2), 12);
        elsewhere.agent.boot += 1;
        elsewhere.agent.hello(&mut bench);
        bench.wait(Duration::from_secs(1));
        one.run(&mut bench);
        assert!(one.holds.is_empty());
        let phase = detail(&mut bench, "web").service.phase;
        assert_eq!(phase, ServicePhase::Stopped);

        boots(&mut bench, &mut one, 21);
        bench.wait(Duration::from_secs(1));
        one.run(&mut bench);
        let phase = detail(&mut bench, "web").service.phase;
        assert_eq!(phase == ServicePhase::Running, starts, "{policy:?}");
    }
}

#[test]
fn a_boot_within_a_stop_starts_an_always_once_the_stop_is_over() {
    let mut bench = Bench::new();
    let mut one = Host::new(&mut bench, "one", 1, 8);
    apply(
        &mut bench,
        service(1, |service| service.restart.policy = RestartPolicy::Always),
    );
    one.run(&mut bench);
    let held = one.holds[0].0;
    stop(&mut bench);
    one.agent.held = vec![(held, HeldState::Running)];
    boots(&mut bench, &mut one, 11);
    let phase = detail(&mut bench, "web").service.phase;
    assert_eq!(phase, ServicePhase::Stopping);
    let index = one.agent.attempts().iter().position(|it| it.0 == held);
    let outcome = Outcome::Unknown;
    one.agent.report(&mut bench, index.unwrap(), outcome);
    bench.wait(Duration::from_secs(1));
    let phase = detail(&mut bench, "web").service.phase;
    assert_eq!(phase, ServicePhase::Running);
}

#[test]
fn a_cycle_of_any_length_is_found_without_a_deep_stack() {
    const SERVICES: usize = 400;
    let mut bench = Bench::new();
    let on = |number: usize, next: usize| {
        let mut spec = plain(1);
        spec.name = format!("s{number}");
        if let Some(service) = &mut spec.service {
            service.dependencies = vec![Dependency {
                service: format!("s{next}"),
                condition: Condition::Started,
            }];
        }
        Command::ApplyService {
            spec: sealed(spec),
            expected: Expected::Anything,
            at_a_time: None,
        }
    };
    for number in 0..SERVICES {
        bench.command(on(number, number + 1)).unwrap();
    }
    let refused = bench.command(on(SERVICES, 0));
    let Err(Refusal::ServiceCycle(names)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(names.len(), CYCLE_NAMES_MAX);
    assert_eq!(names[..2], [format!("s{SERVICES}"), "s0".to_owned()]);
    let name = "s0".to_owned();
    order(&mut bench, Command::StopService { name });
}
