use std::time::Duration;

use flota_model::{frame::DownBody, outcome::Outcome, units::Timestamp};

use super::bench::{
    Bench, KEEPER, Kind, completed, ended, exit, forgotten, keeper_forgets, outcomes, range,
    started, starts, stopped, stops,
};
use crate::{
    journal::Record,
    keeper::api::{End, KeeperId, StopReason},
    node::api::{Effect, Event},
};

fn forget(bench: &mut Bench, first: u64, count: u32) -> crate::node::api::Turn {
    bench.say(DownBody::Forget(vec![range(first, count)]))
}

fn cancel(bench: &mut Bench, first: u64, count: u32) -> crate::node::api::Turn {
    bench.say(DownBody::Cancel(vec![range(first, count)]))
}

/// 1 has ended, 2 and 3 run, 4 to 9 are granted.
fn busy() -> Bench {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 9);
    bench.turn(vec![started(1), started(2), ended(1, exit(0))]);
    bench.turn(vec![started(3)]);
    bench
}

#[test]
fn forget_confirms_each_attempt_by_tombstone_or_report() {
    let mut bench = busy();
    let turn = forget(&mut bench, 1, 20);
    assert_eq!(
        outcomes(&turn),
        [(1, Outcome::Exited { code: 0 })],
        "it had ended"
    );
    assert_eq!(
        forgotten(&turn),
        [range(4, 17)],
        "granted, or not held at all"
    );
    assert_eq!(turn.records, [Record::Refused(vec![range(4, 17)])]);
    assert!(turn.sync);
    assert_eq!(stops(&turn.at_once).len(), 2);
    let turn = bench.turn(vec![ended(2, exit(0))]);
    assert_eq!(outcomes(&turn), []);
    assert_eq!(turn.records, [Record::Refused(vec![range(2, 1)])]);
    assert_eq!(
        forgotten(&turn),
        [range(2, 1)],
        "only once its tree is gone"
    );
    assert_eq!(keeper_forgets(&turn), [2]);
    assert_eq!(starts(&turn.after), []);
}

#[test]
fn cancel_reports_what_was_stopped_and_what_never_started() {
    let mut bench = busy();
    let turn = cancel(&mut bench, 1, 20);
    let mut expected = vec![(1, Outcome::Exited { code: 0 })];
    expected.extend((4..=9).map(|sequence| (sequence, Outcome::Cancelled)));
    assert_eq!(
        outcomes(&turn),
        expected,
        "a success before the cancel is kept"
    );
    assert_eq!(forgotten(&turn), [range(10, 11)]);
    assert_eq!(stops(&turn.at_once).len(), 2);
    let turn = bench.turn(vec![ended(2, exit(0))]);
    assert_eq!(outcomes(&turn), [(2, Outcome::Cancelled)]);
    let unknown = End::Unknown {
        started_at: None,
        found_at: Timestamp(5),
    };
    assert_eq!(
        outcomes(&bench.turn(vec![ended(3, unknown)])),
        [(3, Outcome::Unknown)]
    );
}

#[test]
fn a_stop_is_ordered_once_for_each_reason_and_forget_wins() {
    let mut bench = busy();
    assert_eq!(stops(&cancel(&mut bench, 2, 1).at_once).len(), 1);
    assert_eq!(stops(&cancel(&mut bench, 2, 1).at_once).len(), 0);
    assert_eq!(stops(&forget(&mut bench, 2, 1).at_once).len(), 1);
    assert_eq!(stops(&forget(&mut bench, 2, 1).at_once).len(), 0);
    assert_eq!(stops(&cancel(&mut bench, 2, 1).at_once).len(), 0);
    let turn = bench.turn(vec![ended(2, exit(0))]);
    assert_eq!(
        (forgotten(&turn), outcomes(&turn)),
        (vec![range(2, 1)], vec![])
    );
}

#[test]
fn a_kernel_is_stopped_by_its_flag() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Noop, 1, 2);
    let turn = cancel(&mut bench, 1, 1);
    assert_eq!(
        (stops(&turn.at_once), stops(&turn.after)),
        (vec![], vec![(1, None)])
    );
    assert_eq!(
        outcomes(&bench.turn(vec![completed(1)])),
        [(1, Outcome::Cancelled)]
    );
}

#[test]
fn a_run_that_is_too_long_is_stopped_and_timed_out() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.turn(vec![started(1)]);
    bench.disconnect();
    let five = Duration::from_secs(5);
    assert_eq!(bench.node.deadline(), Some(bench.now.moment + five));
    assert_eq!(
        stops(&bench.pass(five).at_once),
        [(1, Some(Duration::from_secs(10)))]
    );
    assert_eq!(bench.node.deadline(), None);
    bench.turn(vec![ended(1, stopped(StopReason::TimedOut, exit(0)))]);
    bench.connect();
    assert_eq!(outcomes(&bench.welcome(false)), [(1, Outcome::TimedOut)]);
}

#[test]
fn a_run_that_ended_before_its_stop_arrived_was_not_too_long() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.turn(vec![started(1)]);
    bench.pass(Duration::from_secs(5));
    assert_eq!(
        outcomes(&bench.turn(vec![ended(1, exit(0))])),
        [(1, Outcome::Exited { code: 0 })]
    );
}

#[test]
fn stops_are_ordered_again_when_the_keeper_dies() {
    let mut bench = busy();
    cancel(&mut bench, 2, 1);
    let gone = Event::KeeperGone {
        keeper: KEEPER,
        replacement: KeeperId(2),
    };
    let turn = bench.turn(vec![gone]);
    let stops: Vec<&Effect> = turn
        .after
        .iter()
        .filter(|effect| matches!(effect, Effect::Stop { .. }))
        .collect();
    assert!(matches!(stops[..], [Effect::Stop { keeper: None, .. }]));
    let turn = cancel(&mut bench, 3, 1);
    assert!(matches!(
        turn.at_once[..],
        [Effect::Stop { keeper: None, .. }]
    ));
}

#[test]
fn stopping_everything_gives_back_what_has_not_started_and_quits_when_nothing_runs() {
    let mut bench = busy();
    let turn = bench.turn(vec![Event::StopAll]);
    assert_eq!(forgotten(&turn), [range(4, 6)]);
    assert_eq!(stops(&turn.at_once).len(), 2);
    assert_eq!(forgotten(&bench.grant(Kind::Noop, 20, 1)), [range(20, 1)]);
    let turn = bench.turn(vec![ended(2, exit(0))]);
    assert!(!turn.after.contains(&Effect::Quit));
    let turn = bench.turn(vec![ended(3, exit(0))]);
    assert_eq!(outcomes(&turn), [(3, Outcome::Cancelled)]);
    assert_eq!(turn.after.last(), Some(&Effect::Quit));
    assert!(
        !bench
            .turn(vec![Event::StopAll])
            .after
            .contains(&Effect::Quit),
        "once"
    );
}

#[test]
fn stopping_everything_waits_for_the_keepers() {
    let mut bench = Bench::new(crate::node::api::Settings::default());
    let turn = bench.turn(vec![Event::StopAll]);
    assert_eq!(turn.after, []);
    assert_eq!(bench.recover(Vec::new()).after, [Effect::Quit]);
}

#[test]
fn a_timeout_runs_from_the_start_and_not_from_its_order() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.pass(Duration::from_secs(4));
    bench.turn(vec![started(1)]);
    let turn = bench.pass(Duration::from_secs(4));
    assert_eq!((stops(&turn.at_once), stops(&turn.after)), (vec![], vec![]));
    assert_eq!(stops(&bench.pass(Duration::from_secs(1)).at_once).len(), 1);
}

#[test]
fn only_what_has_not_started_is_given_back_to_run_elsewhere() {
    let mut bench = busy();
    let turn = bench.say(DownBody::Retract(vec![range(1, 6)]));
    assert_eq!(forgotten(&turn), [range(4, 3)]);
    assert_eq!(turn.records, [Record::Refused(vec![range(4, 3)])]);
    assert!(turn.sync);
    assert_eq!(outcomes(&turn), []);
    assert_eq!(stops(&turn.at_once), []);
    let turn = bench.turn(vec![ended(2, exit(0))]);
    assert_eq!(starts(&turn.after), [7], "the rest stays");
}

#[test]
fn a_cancel_of_what_has_run_too_long_is_told_to_the_keeper_once() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.turn(vec![started(1)]);
    let reasons = |turn: &crate::node::api::Turn| -> Vec<StopReason> {
        let effects = turn.at_once.iter().chain(&turn.after);
        let reasons = effects.filter_map(|effect| match effect {
            Effect::Stop { reason, .. } => Some(*reason),
            _ => None,
        });
        reasons.collect()
    };
    let turn = bench.pass(Duration::from_secs(5));
    assert_eq!(reasons(&turn), [StopReason::TimedOut]);
    let turn = cancel(&mut bench, 1, 1);
    assert_eq!(reasons(&turn), [StopReason::Cancelled]);
    let turn = cancel(&mut bench, 1, 1);
    assert_eq!(reasons(&turn), []);
}
