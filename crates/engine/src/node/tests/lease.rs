use std::time::Duration;

use flota_model::{frame::DownBody, ids::ConnectionId, outcome::Outcome, units::Moment};

use super::bench::{
    Bench, KEEPER, Kind, LEASE, attempt, kernel_ended, outcomes, started, starts, stops,
};
use crate::{
    keeper::api::{KeeperId, StopReason},
    node::api::{Effect, Event, KernelEnd, Settings},
};

const MARGIN: Duration = Duration::from_millis(500);

fn fences(effects: &[Effect]) -> Vec<(u64, Moment)> {
    let fences = effects.iter().filter_map(|effect| match effect {
        Effect::Fence {
            attempt, deadline, ..
        } => Some((attempt.sequence, *deadline)),
        _ => None,
    });
    fences.collect()
}

#[test]
fn leased_work_waits_for_a_lease() {
    for kind in [Kind::ProgramLeased, Kind::NoopLeased] {
        let mut bench = Bench::new(Settings::default());
        bench.recover(Vec::new());
        bench.connect();
        bench.welcome(false);
        assert_eq!(starts(&bench.grant(kind, 1, 1).after), []);
        assert_eq!(
            starts(&bench.grant(Kind::Narrow, 5, 1).after),
            [5],
            "other work does not"
        );
        assert_eq!(starts(&bench.beat_seen().after), [1], "{kind:?}");
    }
}

#[test]
fn a_launch_carries_the_deadline_and_each_answered_heartbeat_moves_it() {
    let mut bench = Bench::ready();
    let begin = bench.now.moment;
    let turn = bench.grant(Kind::ProgramLeased, 1, 1);
    let fence = turn.after.iter().find_map(|effect| match effect {
        Effect::Start { launch, .. } => launch.fence,
        _ => None,
    });
    assert_eq!(fence, Some(begin + LEASE - MARGIN));
    bench.pass(Duration::from_secs(1));
    let renewed = (1, bench.now.moment + LEASE - MARGIN);
    let turn = bench.beat_seen();
    assert_eq!(fences(&turn.at_once), [], "it might overtake the start");
    let turn = bench.turn(vec![started(1)]);
    assert_eq!(fences(&turn.at_once), [renewed]);
    bench.pass(Duration::from_secs(1));
    assert_eq!(
        fences(&bench.beat_seen().at_once),
        [(1, bench.now.moment + LEASE - MARGIN)]
    );
}

#[test]
fn the_lease_runs_from_the_sending_of_the_heartbeat() {
    let mut bench = Bench::ready();
    bench.grant(Kind::NoopLeased, 1, 1);
    let sent_at = bench.now.moment;
    bench.pass(Duration::from_secs(10));
    bench.say(DownBody::HeartbeatSeen { sent_at });
    bench.disconnect();
    assert_eq!(bench.node.deadline(), Some(sent_at + LEASE - MARGIN));
    let turn = bench.pass(Duration::from_millis(4_500));
    assert_eq!(
        stops(&turn.at_once),
        [(1, None)],
        "not behind a journal that may be full"
    );
    bench.turn(vec![kernel_ended(1, KernelEnd::Stopped)]);
    bench.connect();
    assert_eq!(outcomes(&bench.welcome(false)), [(1, Outcome::Lost)]);
}

#[cfg(feature = "sabotage")]
#[test]
fn a_lease_from_receipt_lasts_too_long() {
    let sabotage = crate::sabotage::Sabotage::of(crate::sabotage::Rule::LeaseFromSending);
    let mut bench = Bench::ready_with(Settings {
        sabotage,
        ..Settings::default()
    });
    bench.grant(Kind::NoopLeased, 1, 1);
    let sent_at = bench.now.moment;
    bench.pass(Duration::from_secs(10));
    bench.say(DownBody::HeartbeatSeen { sent_at });
    bench.disconnect();
    assert_eq!(
        bench.node.deadline(),
        Some(bench.now.moment + LEASE - MARGIN)
    );
}

#[test]
fn a_leased_program_without_a_keeper_is_killed_here_when_the_lease_ends() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramLeased, 1, 1);
    bench.turn(vec![started(1)]);
    assert_eq!(
        stops(&bench.pass(LEASE).at_once),
        [],
        "the keeper does that"
    );
    bench.beat_seen();
    bench.turn(vec![Event::KeeperGone {
        keeper: KEEPER,
        replacement: KeeperId(2),
    }]);
    assert_eq!(fences(&bench.beat_seen().at_once), []);
    let turn = bench.pass(LEASE);
    let expected = Effect::Stop {
        signal: 15,
        keeper: None,
        attempt: attempt(1),
        grace: Duration::ZERO,
        reason: StopReason::Fenced,
    };
    assert_eq!(turn.at_once, [expected]);
    assert_eq!(stops(&bench.pass(LEASE).at_once), [], "once");
}

#[test]
fn a_server_that_does_not_answer_is_left_and_dialed_anew() {
    let close = [Effect::Close {
        connection: ConnectionId(1),
    }];
    let mut bench = Bench::new(Settings::default());
    bench.recover(vec![]);
    bench.connect();
    assert_eq!(bench.pass(Duration::from_millis(9_999)).at_once, []);
    assert_eq!(
        bench.pass(Duration::from_millis(1)).at_once,
        close,
        "no welcome"
    );
    let mut bench = Bench::ready();
    bench.pass(Duration::from_secs(1));
    assert_eq!(
        bench
            .pass(LEASE.saturating_sub(Duration::from_millis(1)))
            .at_once,
        []
    );
    assert_eq!(
        bench.pass(Duration::from_millis(1)).at_once,
        close,
        "no answer to a heartbeat"
    );
}

#[test]
fn leased_work_does_not_start_after_the_lease() {
    let mut bench = Bench::ready();
    bench.pass(Duration::from_millis(14_500));
    assert_eq!(starts(&bench.grant(Kind::ProgramLeased, 1, 1).after), []);
    assert_eq!(starts(&bench.beat_seen().after), [1]);
}
