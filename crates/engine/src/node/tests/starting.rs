use std::time::Duration;

use flota_model::{
    frame::DownBody,
    outcome::{Outcome, StartStage},
};

use super::bench::{
    Bench, KEEPER, Kind, attempt, completed, ended, exit, kernel_ended, outcomes, range,
    running_child, short, started, starts, stops,
};
use crate::{
    journal::Record,
    keeper::api::{Child, ChildState, KeeperId, TAKEN_BACK},
    node::api::{Effect, Event, KernelEnd, Settings},
};

#[test]
fn a_program_starts_behind_its_records() {
    let mut bench = Bench::ready();
    let turn = bench.grant(Kind::Program, 1, 1);
    let starting = Record::Starting {
        attempt: attempt(1),
        at: bench.now.wall,
    };
    assert_eq!(turn.records.last(), Some(&starting));
    assert_eq!(starts(&turn.after), [1]);
    assert_eq!(starts(&turn.at_once), []);
    let Some(Effect::Start { launch, .. }) = turn.after.first() else {
        panic!("a start")
    };
    assert_eq!(launch.argv, ["true", "1"]);
}

#[test]
fn a_start_at_most_once_is_synced_before() {
    for kind in [Kind::ProgramOnce, Kind::NoopOnce] {
        let mut bench = Bench::ready();
        bench.grant(kind, 1, 3);
        let turn = bench.turn(vec![ended(1, exit(0)), completed(1)]);
        let starting = Record::Starting {
            attempt: attempt(3),
            at: bench.now.wall,
        };
        assert!(turn.records.contains(&starting));
        assert!(turn.sync);
        assert_eq!(starts(&turn.after), [3], "{kind:?}");
    }
}

#[test]
fn a_kernel_starts_at_once_when_its_grant_is_known_to_be_durable() {
    let mut bench = Bench::ready();
    let turn = bench.grant(Kind::Noop, 1, 4);
    assert_eq!(
        (starts(&turn.at_once), starts(&turn.after)),
        (vec![], vec![1, 2])
    );
    let turn = bench.turn(vec![completed(1)]);
    // The end of a kernel that ran behind the batch of the grant proves it durable.
    assert!(starts(&turn.at_once).contains(&3));
    assert_eq!(starts(&turn.after), []);
}

#[test]
fn what_does_not_fit_waits() {
    let mut bench = Bench::ready();
    assert_eq!(starts(&bench.grant(Kind::Program, 1, 5).after), [1, 2]);
    assert_eq!(starts(&bench.pass(Duration::from_secs(1)).after), []);
    assert_eq!(starts(&bench.turn(vec![ended(1, exit(0))]).after), [3]);
    assert_eq!(
        starts(&bench.turn(vec![ended(2, exit(0)), ended(3, exit(1))]).after),
        [4, 5]
    );
}

#[test]
fn small_work_passes_large_work_for_a_while_only() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    assert_eq!(starts(&bench.grant(Kind::Wide, 10, 1).after), []);
    assert_eq!(
        starts(&bench.grant(Kind::Narrow, 20, 1).after),
        [20],
        "it fills the gap"
    );
    bench.pass(Duration::from_secs(2));
    assert_eq!(
        starts(&bench.grant(Kind::Narrow, 21, 1).after),
        [],
        "the large one has waited"
    );
    assert_eq!(starts(&bench.turn(vec![ended(1, exit(0))]).after), []);
    assert_eq!(starts(&bench.turn(vec![ended(20, exit(0))]).after), [10]);
    assert_eq!(starts(&bench.turn(vec![ended(10, exit(0))]).after), [21]);
}

#[test]
fn no_more_run_than_the_limit() {
    let mut bench = Bench::ready_with(Settings {
        running_max: 3,
        ..Settings::default()
    });
    assert_eq!(starts(&bench.grant(Kind::Narrow, 1, 10).after), [1, 2, 3]);
    assert_eq!(starts(&bench.turn(vec![ended(2, exit(0))]).after), [4]);
}

#[test]
fn short_kernels_are_handed_out_ahead_of_time_and_long_ones_are_not() {
    let mut bench = Bench::ready_with(Settings {
        kernels_ahead: 5,
        ..Settings::default()
    });
    assert_eq!(
        starts(&bench.grant(Kind::Noop, 1, 100).after),
        [1, 2],
        "not measured yet"
    );
    let turn = bench.turn(vec![completed(1)]);
    assert_eq!(
        starts(&turn.at_once),
        (3..=8).collect::<Vec<u64>>(),
        "one free slot and five"
    );
    // Each that ends makes room for one more.
    let turn = bench.turn(vec![completed(2), completed(3)]);
    assert_eq!(starts(&turn.at_once), [9, 10]);
    assert_eq!(
        stops(&bench.say(DownBody::Cancel(vec![range(8, 1)])).at_once).len(),
        1
    );
    let ran = (
        flota_model::units::Timestamp(0),
        flota_model::units::Timestamp(900_000),
    );
    let slow = |sequence| Event::KernelEnded {
        attempt: attempt(sequence),
        end: KernelEnd::Completed(None),
        ran,
        usage: flota_model::outcome::Usage::default(),
    };
    let turn = bench.turn((4..=10).map(slow).collect());
    assert_eq!(starts(&turn.at_once), [11, 12], "as many as fit");
}

/// How many of these starts are ahead of time, and the places they were told.
fn places(effects: &[Effect]) -> Vec<Option<u32>> {
    let places = effects.iter().filter_map(|effect| match effect {
        Effect::Start { launch, .. } => Some(launch.places),
        _ => None,
    });
    places.collect()
}

#[test]
fn short_programs_are_handed_out_ahead_of_time_within_their_places() {
    let mut bench = Bench::ready_with(Settings {
        programs_ahead: 3,
        ..Settings::default()
    });
    let turn = bench.grant(Kind::Program, 1, 100);
    assert_eq!(places(&turn.after), [None, None], "not measured yet");
    let turn = bench.turn(vec![ended(1, short(exit(0)))]);
    assert_eq!(starts(&turn.after), [3, 4, 5, 6]);
    assert_eq!(places(&turn.after), [None, Some(2), Some(2), Some(2)]);
    // A place that is free again goes to one that was handed out.
    let turn = bench.turn(vec![ended(2, short(exit(0))), ended(3, short(exit(0)))]);
    assert_eq!(places(&turn.after), [Some(2), Some(2)]);
}

#[test]
fn long_programs_and_those_that_must_start_once_wait_here() {
    let cases = [
        (Kind::Program, exit(0)),
        (Kind::ProgramOnce, short(exit(0))),
        (Kind::ProgramLeased, short(exit(0))),
    ];
    for (kind, end) in cases {
        let mut bench = Bench::ready();
        bench.grant(kind, 1, 100);
        let turn = bench.turn(vec![ended(1, end)]);
        assert_eq!(places(&turn.after), [None], "{kind:?}");
    }
}

#[test]
fn a_keeper_gets_nothing_ahead_while_another_one_has_programs_of_the_class() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 100);
    bench.turn(vec![Event::KeeperGone {
        keeper: KEEPER,
        replacement: KeeperId(KEEPER.0 + 1),
    }]);
    let turn = bench.turn(vec![ended(1, short(exit(0)))]);
    assert_eq!(places(&turn.after), [None]);
    let turn = bench.turn(vec![ended(2, short(exit(0)))]);
    assert!(places(&turn.after).contains(&Some(2)));
}

/// Found by the simulator: the keeper lets nothing start when a program of an earlier start of the
/// agent ends, whose place counted all the same.
#[test]
fn what_an_earlier_start_left_running_is_nothing_to_wait_behind() {
    let mut bench = Bench::ready_with(Settings {
        programs_ahead: 3,
        ..Settings::default()
    });
    bench.grant(Kind::Program, 1, 100);
    bench.come_back(vec![running_child(1)]);
    assert_eq!(starts(&bench.beat_seen().after), [3]);
    let turn = bench.turn(vec![ended(3, short(exit(0)))]);
    assert_eq!(places(&turn.after)[..2], [None, Some(1)]);
    let turn = bench.turn(vec![ended(1, short(exit(0)))]);
    assert_eq!(places(&turn.after), [None], "its place is free now");
}

/// What is stopped when so many seconds have passed.
fn stopped_after(bench: &mut Bench, seconds: u64) -> Vec<u64> {
    let turn = bench.pass(Duration::from_secs(seconds));
    let stops = stops(&turn.at_once).into_iter().chain(stops(&turn.after));
    stops.map(|stop| stop.0).collect()
}

/// Found by the simulator: the one before it hung in `execve`, and it was stopped although it had
/// not even begun.
#[test]
fn the_time_of_what_is_handed_over_ahead_begins_with_its_turn() {
    let mut bench = Bench::ready_with(Settings {
        programs_ahead: 2,
        ..Settings::default()
    });
    bench.grant(Kind::ProgramTimed, 1, 4);
    bench.turn(vec![ended(1, short(exit(0)))]);
    assert_eq!(stopped_after(&mut bench, 5), [2, 3], "4 waits behind them");
    bench.turn(vec![ended(2, short(exit(0)))]);
    assert_eq!(stopped_after(&mut bench, 4), [] as [u64; 0]);
    assert_eq!(stopped_after(&mut bench, 1), [4]);
}

/// Found by the simulator: what has ended gave its place away before the agent came, and what waits
/// has none.
#[test]
fn only_what_runs_holds_a_place_after_a_restart() {
    let child = |sequence, state| {
        let attempt = attempt(sequence);
        (
            Some(KEEPER),
            Child {
                attempt,
                run: 1,
                state,
            },
        )
    };
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 100);
    bench.turn(vec![ended(1, short(exit(0)))]);
    bench.restart();
    bench.recover(vec![
        child(2, ChildState::Ended(short(exit(0)))),
        child(3, ChildState::Starting),
        child(4, ChildState::Starting),
        child(5, ChildState::Waiting),
        child(6, ChildState::Waiting),
    ]);
    assert_eq!(stopped_after(&mut bench, 5), [3, 4]);
    bench.turn(vec![ended(3, short(exit(0)))]);
    assert_eq!(stopped_after(&mut bench, 5), [5]);
}

#[test]
fn a_program_that_is_taken_back_by_its_keeper_was_cancelled() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 100);
    bench.turn(vec![ended(1, short(exit(0)))]);
    bench.say(DownBody::Cancel(vec![range(4, 1)]));
    let taken_back = Event::NotStarted {
        attempt: attempt(4),
        stage: StartStage::Spawn,
        errno: TAKEN_BACK,
    };
    assert_eq!(
        outcomes(&bench.turn(vec![taken_back])),
        [(4, Outcome::Cancelled)]
    );
}

#[test]
fn nothing_starts_while_too_many_bytes_of_reports_wait() {
    let settings = Settings {
        unacknowledged_bytes_max: 1_100,
        ..Settings::default()
    };
    let mut bench = Bench::ready_with(settings);
    bench.grant(Kind::Noop, 1, 10);
    let message = "x".repeat(1_100);
    let turn = bench.turn(vec![kernel_ended(1, KernelEnd::Failed(message))]);
    assert_eq!(starts(&turn.at_once), []);
    let turn = bench.say(DownBody::Acknowledge(vec![range(1, 1)]));
    assert!(starts(&turn.at_once).contains(&3));
}

#[test]
fn arguments_that_fit_into_no_packet_are_reported_as_such() {
    let turn = Bench::ready().grant(Kind::Long, 1, 1);
    let outcome = Outcome::NotStarted {
        stage: StartStage::Execute,
        errno: 7,
    };
    assert_eq!(outcomes(&turn), [(1, outcome)]);
    assert_eq!(starts(&turn.after), []);
}

#[test]
fn a_stop_never_overtakes_the_start() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 2);
    bench.turn(vec![started(2)]);
    let turn = bench.say(DownBody::Cancel(vec![range(1, 2)]));
    assert_eq!(
        stops(&turn.after),
        [(1, Some(Duration::from_secs(10)))],
        "not confirmed"
    );
    assert_eq!(stops(&turn.at_once), [(2, Some(Duration::from_secs(10)))]);
}

#[test]
fn a_large_queue_costs_little_per_kernel() {
    // Not a benchmark: it ends in a blink, or the test runs into its time limit.
    let mut bench = Bench::ready();
    for piece in 0..9_u64 {
        bench.grant(Kind::Noop, 1 + piece * 10_000, 10_000);
    }
    let mut running: std::collections::VecDeque<u64> = [1, 2].into();
    let mut ran = 0;
    while !running.is_empty() {
        let batch: Vec<Event> = running.drain(..).map(completed).collect();
        ran += batch.len();
        let turn = bench.node.handle(batch, bench.now);
        running.extend(starts(&turn.at_once));
        running.extend(starts(&turn.after));
    }
    assert_eq!(ran, 90_000);
}
