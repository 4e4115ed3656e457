//! Runs of services: restarts without the server, over deaths and boots, and health.

use std::time::Duration;

use flota_model::{
    frame::{DownBody, REPLICAS_PER_FRAME, UpBody},
    ids::BootId,
    outcome::Outcome,
    replica::LastLines,
    service::{ProbeNumber, ProbeResult, ReplicaState, ReplicaStatus},
    units::Moment,
};

use super::bench::{
    Bench, KEEPER, Kind, attempt, decode, ended, ended_child, exit, frames, keeper_forgets,
    opening, outcomes, range, run_ended, running_child, started, starts, stopped, stops,
};
use crate::{
    journal::Record,
    keeper::api::{Child, KeeperId, StopReason},
    node::{
        Node,
        api::{Effect, Event, Turn},
    },
};

const LONG: Duration = Duration::from_secs(301);

fn statuses(turn: &Turn) -> Vec<ReplicaStatus> {
    let mut statuses = Vec::new();
    for up in frames(turn) {
        if let UpBody::Replicas(more) = up.body {
            statuses.extend(more);
        }
    }
    statuses
}

fn states(turn: &Turn) -> Vec<(ReplicaState, u32)> {
    let told = statuses(turn);
    told.iter().map(|one| (one.state, one.run)).collect()
}

/// The runs that these effects start.
fn runs(turn: &Turn) -> Vec<u32> {
    let starts = turn.after.iter().filter_map(|effect| match effect {
        Effect::Start { launch, .. } => Some(launch.run),
        _ => None,
    });
    starts.collect()
}

fn of_run(child: (Option<KeeperId>, Child), run: u32) -> (Option<KeeperId>, Child) {
    (child.0, Child { run, ..child.1 })
}

/// A node with one running service, its first run.
fn serving(kind: Kind) -> Bench {
    let mut bench = Bench::ready();
    bench.grant(kind, 1, 1);
    bench.turn(vec![started(1)]);
    bench
}

/// The same in its second run, started and confirmed.
fn serving_again(kind: Kind) -> Bench {
    let mut bench = serving(kind);
    bench.turn(vec![ended(1, exit(1))]);
    bench.pass(LONG);
    bench.turn(vec![started(1)]);
    bench
}

/// Keeps the connection over a long time.
fn rejoin(bench: &mut Bench) {
    bench.join();
}

#[test]
fn a_run_that_ended_is_journalled_forgotten_and_followed_by_the_next() {
    let mut bench = serving(Kind::Service);
    let turn = bench.turn(vec![ended(1, exit(7))]);
    assert!(turn.sync);
    assert!(matches!(&turn.records[..], [Record::RunEnded(rest)]
        if rest.last.outcome == Outcome::Exited { code: 7 } && rest.last.run == 1));
    assert_eq!(keeper_forgets(&turn), [1]);
    assert_eq!(outcomes(&turn), [], "the attempt goes on");
    assert_eq!(states(&turn), [(ReplicaState::BackingOff, 1)]);
    assert!(starts(&turn.after).is_empty());

    let due = bench.node.deadline().unwrap();
    assert!(
        due <= bench.now.moment + Duration::from_secs(1),
        "full jitter"
    );
    let turn = bench.pass(Duration::from_secs(1));
    assert!(turn.sync);
    assert!(matches!(
        &turn.records[..],
        [Record::RunStarting { run: 2, .. }]
    ));
    assert_eq!((starts(&turn.after), runs(&turn)), (vec![1], vec![2]));
    let turn = bench.turn(vec![started(1)]);
    assert_eq!(states(&turn), [(ReplicaState::Ready, 2)]);
    let last = statuses(&turn)[0].last.clone().unwrap();
    assert_eq!((last.run, last.outcome), (1, Outcome::Exited { code: 7 }));
}

#[test]
fn a_run_goes_on_without_a_server() {
    let mut bench = serving(Kind::Service);
    bench.disconnect();
    bench.turn(vec![ended(1, exit(0))]);
    let turn = bench.pass(LONG);
    assert_eq!(runs(&turn), [2]);
}

#[test]
fn its_policy_may_end_an_attempt_with_its_run() {
    let mut bench = serving(Kind::ServiceOnce);
    let turn = bench.turn(vec![ended(1, exit(3))]);
    assert_eq!(outcomes(&turn), [(1, Outcome::Exited { code: 3 })]);
    assert!(runs(&bench.pass(LONG)).is_empty());
}

#[test]
fn three_failures_in_a_short_time_are_told_as_a_crash_loop() {
    let mut bench = serving(Kind::Service);
    for run in 1..3 {
        bench.turn(vec![run_ended(1, run, exit(1))]);
        bench.pass(Duration::from_secs(4));
        bench.turn(vec![started(1)]);
    }
    let turn = bench.turn(vec![run_ended(1, 3, exit(1))]);
    assert_eq!(states(&turn), [(ReplicaState::CrashLoop, 3)]);
}

/// A node with a replica that has just failed for the third time.
fn looping() -> Bench {
    let mut bench = serving(Kind::Service);
    for run in 1..3 {
        bench.turn(vec![run_ended(1, run, exit(1))]);
        bench.pass(Duration::from_secs(4));
        bench.turn(vec![started(1)]);
    }
    bench.turn(vec![run_ended(1, 3, exit(1))]);
    bench
}

#[test]
fn a_crash_loop_is_over_when_a_run_has_lasted() {
    let mut bench = looping();
    // It has stopped failing only when it did not for a while: not when it is tried again.
    let turn = bench.pass(Duration::from_secs(9));
    assert_eq!(runs(&turn), [4]);
    assert_eq!(states(&turn), [(ReplicaState::CrashLoop, 4)]);
    assert_eq!(states(&bench.turn(vec![started(1)])), []);
    let mut told = Vec::new();
    for _ in 0..20 {
        rejoin(&mut bench);
        told.extend(states(&bench.pass(Duration::from_secs(5))));
    }
    assert_eq!(told, [(ReplicaState::Ready, 4)]);
}

#[test]
fn a_death_of_the_agent_between_two_runs_changes_nothing() {
    // Killed at each point: which children the keeper then lists, and what follows.
    let resting = || {
        let mut bench = serving(Kind::Service);
        bench.turn(vec![ended(1, exit(1))]);
        bench
    };
    // The end of the first run is journalled, its forget was lost.
    let mut bench = resting();
    bench.restart();
    let turn = bench.recover(vec![ended_child(1, exit(1))]);
    assert_eq!(keeper_forgets(&turn), [1]);
    assert_eq!(outcomes(&turn), []);
    assert_eq!(runs(&bench.pass(LONG)), [2]);

    // The same, and the shell brings the output of that end with it.
    let mut bench = resting();
    bench.restart();
    let recovered = Event::Recovered {
        children: vec![ended_child(1, exit(1))],
        keeper: KEEPER,
    };
    bench.turn(vec![recovered, ended(1, exit(1))]);
    assert_eq!(runs(&bench.pass(LONG)), [2], "it ended once");

    // The second run is journalled, its start was lost, and so was the forget.
    let mut bench = resting();
    bench.pass(LONG);
    bench.restart();
    let turn = bench.recover(vec![ended_child(1, exit(1))]);
    assert!(matches!(&turn.records[..], [Record::RunEnded(rest)]
        if rest.last.run == 2 && rest.last.outcome == Outcome::Unknown));
    assert_eq!(runs(&bench.pass(LONG)), [3]);

    // The second run runs.
    let mut bench = serving_again(Kind::Service);
    bench.restart();
    let turn = bench.recover(vec![of_run(running_child(1), 2)]);
    assert!(turn.records.is_empty() && stops(&turn.at_once).is_empty());
    let turn = bench.turn(vec![run_ended(1, 2, exit(9))]);
    assert!(matches!(&turn.records[..], [Record::RunEnded(rest)]
        if rest.last.run == 2 && rest.last.outcome == Outcome::Exited { code: 9 }));

    // The second run runs under one keeper, the end of the first is held by another.
    let mut bench = serving_again(Kind::Service);
    bench.restart();
    let stale = (Some(KeeperId(7)), ended_child(1, exit(1)).1);
    let turn = bench.recover(vec![stale, of_run(running_child(1), 2)]);
    assert!(turn.records.is_empty());
    assert!(matches!(
        &turn.after[..],
        [Effect::Forget {
            keeper: KeeperId(7),
            ..
        }]
    ));
}

#[test]
fn the_journal_written_anew_says_the_same_of_replicas() {
    for bench in [
        serving(Kind::Service),
        serving_again(Kind::Service),
        resting(),
    ] {
        let opening = opening(9, bench.now, &bench.settings);
        let open = |records| Node::open(records, &decode, opening.clone()).0.rewritten();
        assert_eq!(open(bench.node.rewritten()), open(bench.journal.clone()));
    }
}

#[test]
fn after_a_boot_a_service_runs_again_at_once_and_by_itself() {
    for kind in [Kind::Service, Kind::ServiceOnce] {
        let mut bench = serving(kind);
        let mut opening = opening(1, bench.now, &bench.settings);
        opening.boot = BootId(2);
        bench.node = Node::open(bench.journal.clone(), &decode, opening).0;
        let turn = bench.recover(Vec::new());
        if kind == Kind::Service {
            assert_eq!(runs(&turn), [2], "before any server was heard");
        } else {
            assert!(runs(&turn).is_empty());
            bench.connect();
            let turn = bench.welcome(false);
            assert_eq!(outcomes(&turn), [(1, Outcome::Unknown)]);
        }
    }
}

#[test]
fn what_rested_at_a_boot_runs_at_once() {
    let mut bench = serving(Kind::Service);
    bench.turn(vec![ended(1, exit(1))]);
    let mut opening = opening(1, bench.now, &bench.settings);
    opening.boot = BootId(2);
    bench.node = Node::open(bench.journal.clone(), &decode, opening).0;
    let turn = bench.recover(Vec::new());
    assert_eq!(runs(&turn), [2]);
}

fn resting() -> Bench {
    let mut bench = serving(Kind::Service);
    bench.turn(vec![ended(1, exit(1))]);
    bench
}

/// What rested until a moment of the boot before would wait for it anew: for as long as that boot lasted.
#[test]
fn a_boot_is_known_to_the_second_agent_after_it_too() {
    let serving = || serving(Kind::Service);
    let serving_again = || serving_again(Kind::Service);
    let benches: [(&dyn Fn() -> Bench, u32); 3] =
        [(&resting, 2), (&serving, 2), (&serving_again, 3)];
    for (bench, run) in benches {
        for is_written_anew in [false, true] {
            let mut bench = bench();
            bench.now.moment = Moment(2_000_000);
            bench.boot = BootId(2);
            bench.restart();
            if is_written_anew {
                bench.journal = bench.node.rewritten();
            }
            bench.restart();
            let turn = bench.recover(Vec::new());
            assert_eq!(runs(&turn), [run], "at once, {is_written_anew}");
            let mut rests = turn.records.iter().filter_map(|record| match record {
                Record::RunEnded(rest) => Some((rest.streak, rest.failures.len())),
                _ => None,
            });
            assert!(rests.all(|failed| failed == (0, 0)));
        }
    }
}

#[test]
fn a_replica_without_a_run_is_cancelled_at_once() {
    let mut bench = serving(Kind::Service);
    bench.turn(vec![ended(1, exit(1))]);
    let turn = bench.say(DownBody::Cancel(vec![range(1, 1)]));
    assert_eq!(outcomes(&turn), [(1, Outcome::Cancelled)]);
    assert!(runs(&bench.pass(LONG)).is_empty());
}

#[test]
fn a_replica_that_is_cancelled_while_it_runs_does_not_run_again() {
    let mut bench = serving(Kind::ServiceProbed);
    let turn = bench.say(DownBody::Cancel(vec![range(1, 1)]));
    assert!(matches!(turn.at_once[..], [Effect::Stop { signal: 2, .. }]));
    assert_eq!(states(&turn), [(ReplicaState::Stopping, 1)]);
    let end = stopped(StopReason::Cancelled, exit(0));
    let turn = bench.turn(vec![ended(1, end)]);
    assert_eq!(outcomes(&turn), [(1, Outcome::Cancelled)]);
    assert!(runs(&bench.pass(LONG)).is_empty());
}

#[test]
fn a_boot_within_a_stop_does_not_start_a_replica_again() {
    for (frame, told) in [
        (
            DownBody::Cancel(vec![range(1, 1)]),
            vec![(1, Outcome::Unknown)],
        ),
        (DownBody::Forget(vec![range(1, 1)]), vec![]),
    ] {
        for bench in [serving(Kind::Service), serving_again(Kind::Service)] {
            let mut bench = bench;
            let turn = bench.say(frame.clone());
            assert!(turn.sync);
            assert!(matches!(turn.records[..], [Record::Stopping { .. }]));
            assert!(
                !stops(&turn.at_once).is_empty(),
                "a full disk delays no stop"
            );
            for records in [bench.journal.clone(), bench.node.rewritten()] {
                let mut opening = opening(1, bench.now, &bench.settings);
                opening.boot = BootId(2);
                bench.node = Node::open(records, &decode, opening).0;
                let turn = bench.recover(Vec::new());
                assert!(runs(&turn).is_empty());
                assert!(runs(&bench.pass(LONG)).is_empty());
                bench.connect();
                assert_eq!(outcomes(&bench.welcome(false)), told);
            }
        }
    }
}

#[test]
fn a_stop_is_ordered_again_by_an_agent_that_finds_its_replica_alive() {
    let mut bench = serving(Kind::ServiceProbed);
    bench.say(DownBody::Cancel(vec![range(1, 1)]));
    bench.restart();
    let turn = bench.recover(vec![running_child(1)]);
    let ordered: Vec<_> = [&turn.at_once, &turn.after].into_iter().flatten().collect();
    let is_stop = |effect: &&&Effect| matches!(effect, Effect::Stop { signal: 2, .. });
    assert_eq!(ordered.iter().filter(is_stop).count(), 1);
}

#[test]
fn more_replicas_than_a_frame_takes_are_told_in_several() {
    let mut bench = Bench::ready_with(crate::node::api::Settings::default());
    let count = u32::try_from(REPLICAS_PER_FRAME).unwrap() + 1;
    bench.grant(Kind::ServiceTiny, 1, count);
    let events = (1..=u64::from(count)).map(started).collect();
    let turn = bench.turn(events);
    let sizes = frames(&turn).into_iter().filter_map(|up| match up.body {
        UpBody::Replicas(statuses) => Some(statuses.len()),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [REPLICAS_PER_FRAME, 1]);
}

#[test]
fn a_leased_replica_does_not_rest_beyond_its_lease() {
    let mut bench = serving(Kind::ServiceLeased);
    bench.turn(vec![ended(1, exit(1))]);
    let turn = bench.pass(LONG);
    assert!(runs(&turn).is_empty());
    rejoin(&mut bench);
    assert!(runs(&bench.pass(Duration::from_secs(2))).is_empty());
}

#[test]
fn a_full_disk_delays_the_next_run() {
    let mut bench = serving(Kind::Service);
    bench.turn(vec![ended(1, exit(1))]);
    bench.turn(vec![Event::DiskFull]);
    assert!(runs(&bench.pass(Duration::from_secs(5))).is_empty());
    bench.turn(vec![Event::DiskFree]);
    assert_eq!(runs(&bench.pass(Duration::from_secs(2))), [2]);
}

fn probes(turn: &Turn) -> Vec<(u32, ProbeNumber)> {
    let probes = turn.at_once.iter().filter_map(|effect| match effect {
        Effect::Probe { probe, number, .. } => Some((*probe, *number)),
        _ => None,
    });
    probes.collect()
}

fn probed(run: u32, (probe, number): (u32, ProbeNumber), result: ProbeResult) -> Event {
    Event::ProbeEnded {
        attempt: attempt(1),
        run,
        probe,
        number,
        result,
        detail: "why".to_owned(),
    }
}

#[test]
fn probes_make_a_replica_ready_and_restart_one_that_does_not_live() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ServiceProbed, 1, 1);
    let turn = bench.turn(vec![started(1)]);
    assert_eq!(states(&turn), [(ReplicaState::Running, 1)]);
    let asked = probes(&turn);
    assert_eq!(asked.len(), 2, "both are due from the start on");
    let turn = bench.turn(vec![probed(1, asked[1], ProbeResult::Connected)]);
    assert_eq!(states(&turn), [(ReplicaState::Ready, 1)]);

    let late = bench.turn(vec![probed(2, asked[0], ProbeResult::Failed)]);
    assert!(
        stops(&late.at_once).is_empty(),
        "of a run that is not there"
    );
    let turn = bench.turn(vec![probed(1, asked[0], ProbeResult::Failed)]);
    assert!(matches!(
        turn.at_once[..],
        [Effect::Stop {
            reason: StopReason::Unhealthy,
            ..
        }]
    ));
    let end = stopped(StopReason::Unhealthy, exit(0));
    let turn = bench.turn(vec![ended(1, end)]);
    let told = statuses(&turn);
    let last = told[0].last.as_ref().unwrap();
    assert!(last.unhealthy && last.outcome == Outcome::Exited { code: 0 });
    assert_eq!(runs(&bench.pass(Duration::from_secs(1))), [2]);
}

#[test]
fn after_the_welcome_the_server_is_told_of_all_replicas() {
    let mut bench = serving_again(Kind::Service);
    bench.disconnect();
    bench.connect();
    let turn = bench.welcome(false);
    assert_eq!(states(&turn), [(ReplicaState::Ready, 2)]);
}

#[test]
fn what_is_void_is_not_run_again() {
    let mut bench = serving(Kind::Service);
    bench.turn(vec![ended(1, exit(1))]);
    bench.disconnect();
    bench.connect();
    bench.welcome(true);
    assert!(runs(&bench.pass(LONG)).is_empty());
}

#[test]
fn why_a_probe_fails_is_told_once_and_taken_back_by_a_success() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ServiceProbed, 1, 1);
    let asked = probes(&bench.turn(vec![started(1)]));
    let readiness = *asked.last().unwrap();
    // The other one succeeds throughout.
    let lives = |bench: &mut Bench, asked: &[(u32, ProbeNumber)]| {
        let others = asked.iter().filter(|(probe, _)| *probe != readiness.0);
        let ends = others.map(|other| probed(1, *other, ProbeResult::Connected));
        bench.turn(ends.collect());
    };
    lives(&mut bench, &asked);
    let details = |turn: &Turn| -> Vec<Option<String>> {
        let told = statuses(turn).into_iter();
        told.map(|one| one.failure.map(|failure| failure.detail))
            .collect()
    };
    let turn = bench.turn(vec![probed(1, readiness, ProbeResult::Failed)]);
    assert_eq!(details(&turn), [Some("why".to_owned())]);
    let next = |bench: &mut Bench| {
        rejoin(bench);
        let asked = probes(&bench.pass(Duration::from_secs(10)));
        lives(bench, &asked);
        *asked
            .iter()
            .find(|(probe, _)| *probe == readiness.0)
            .unwrap()
    };
    let second = next(&mut bench);
    let turn = bench.turn(vec![probed(1, second, ProbeResult::Failed)]);
    assert_eq!(details(&turn), [], "the same again is no news");
    let third = next(&mut bench);
    let turn = bench.turn(vec![probed(1, third, ProbeResult::Exited { code: 3 })]);
    assert_eq!(details(&turn), [Some("exit 3: why".to_owned())]);
    let fourth = next(&mut bench);
    let turn = bench.turn(vec![probed(1, fourth, ProbeResult::Connected)]);
    assert_eq!(details(&turn).last(), Some(&None));
}

#[test]
fn what_a_run_of_a_crash_loop_wrote_last_is_told() {
    let mut bench = looping();
    let lines = |run, text: &str| LastLines {
        run,
        stderr: text.to_owned(),
        ..LastLines::default()
    };
    let tailed = |lines| Event::Tailed {
        attempt: attempt(1),
        lines,
    };
    let turn = bench.turn(vec![tailed(lines(3, "boom"))]);
    assert_eq!(statuses(&turn)[0].lines, Some(lines(3, "boom")));
    // An older answer, and one of a run that is not there.
    for late in [lines(2, "old"), lines(9, "never")] {
        assert!(statuses(&bench.turn(vec![tailed(late)])).is_empty());
    }
    // The next agent reads it again.
    bench.restart();
    bench.recover(Vec::new());
    let turn = bench.join();
    let asked = turn.after.iter().any(
        |effect| matches!(effect, Effect::Tail { attempt: one, run: 3 } if *one == attempt(1)),
    );
    assert!(asked, "{:?}", turn.after);
}
