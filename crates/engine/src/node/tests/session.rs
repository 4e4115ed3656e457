use std::time::Duration;

use flota_model::{
    frame::{Down, DownBody, Held, HeldState, HelloRefusal, UpBody},
    ids::{Authority, ConnectionId, Epoch, NodeId, Nonce, SessionNumber, Term},
    outcome::StartStage,
};

use super::bench::{
    Bench, Kind, attempt, closes, completed, decode, ended, exit, forgotten, frames, opening,
    outcomes, range, reports, short, starts,
};
use crate::{
    journal::Record,
    keeper::api::TAKEN_BACK,
    node::{
        Node,
        api::{Effect, Event, Settings},
    },
};

#[test]
fn no_hello_is_said_before_the_keepers_were_asked() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=2 {
        let turn = bench.turn(vec![Event::Connected {
            connection: ConnectionId(number),
        }]);
        assert_eq!(frames(&turn), []);
        assert_eq!(closes(&turn), number == 2, "only the newest one waits");
    }
    let turn = bench.recover(Vec::new());
    assert!(matches!(frames(&turn)[0].body, UpBody::Hello(_)));
    assert!(turn.sync, "the session is durable before the hello");
    assert_eq!(turn.records, [Record::Session(SessionNumber(1))]);
}

#[test]
fn a_session_number_is_never_used_twice() {
    let mut bench = Bench::ready();
    assert_eq!(bench.session, SessionNumber(1));
    bench.disconnect();
    bench.connect();
    assert_eq!(bench.session, SessionNumber(2));
    bench.restart();
    bench.recover(Vec::new());
    bench.connect();
    assert_eq!(bench.session, SessionNumber(3));
}

#[test]
fn frames_of_another_session_or_connection_are_dropped() {
    let mut bench = Bench::ready();
    let grant = DownBody::Grants {
        specs: vec![Kind::Noop.sealed()],
        orders: vec![super::bench::order(Kind::Noop, 1, 1)],
    };
    let stale = bench.down(grant.clone());
    bench.disconnect();
    bench.connect();
    bench.welcome(false);
    let turn = bench.hear(Down {
        sequence: 1,
        ..stale.clone()
    });
    assert_eq!(
        (turn.records.len(), closes(&turn)),
        (0, false),
        "another session"
    );
    let frame = Down {
        session: bench.session,
        sequence: 1,
        ..stale
    };
    let turn = bench.turn(vec![Event::Frame {
        connection: ConnectionId(1),
        frame,
    }]);
    assert_eq!(
        (turn.records.len(), closes(&turn)),
        (0, false),
        "another connection"
    );
    assert_eq!(starts(&bench.say(grant).after), [1], "the session goes on");
}

#[test]
fn a_repeated_frame_is_dropped_and_a_gap_closes_the_connection() {
    let mut bench = Bench::ready();
    let frame = bench.down(DownBody::Forget(vec![range(1, 1)]));
    assert_eq!(forgotten(&bench.hear(frame.clone())), [range(1, 1)]);
    assert_eq!(bench.hear(frame), crate::node::api::Turn::default());
    bench.sent += 1;
    let turn = bench.say(DownBody::Forget(vec![range(2, 1)]));
    assert!(closes(&turn));
    assert_eq!(forgotten(&turn), []);
    assert_eq!(
        bench.beat_seen(),
        crate::node::api::Turn::default(),
        "nobody is listened to"
    );
}

#[cfg(feature = "sabotage")]
#[test]
fn without_the_session_check_a_stale_grant_starts() {
    let sabotage = crate::sabotage::Sabotage::of(crate::sabotage::Rule::SessionCheck);
    let mut bench = Bench::ready_with(Settings {
        sabotage,
        ..Settings::default()
    });
    let stale = bench.down(DownBody::Grants {
        specs: vec![Kind::Noop.sealed()],
        orders: vec![super::bench::order(Kind::Noop, 1, 1)],
    });
    bench.disconnect();
    bench.connect();
    assert_eq!(starts(&bench.hear(stale).after), [1]);
}

#[test]
fn nothing_is_taken_before_the_welcome() {
    let mut bench = Bench::new(Settings::default());
    bench.recover(Vec::new());
    bench.connect();
    assert!(closes(&bench.say(DownBody::Forget(vec![range(1, 1)]))));
    bench.connect();
    bench.welcome(false);
    assert!(closes(&bench.welcome(false)), "and no second welcome");
}

#[test]
fn a_lower_authority_is_refused_also_after_a_restart() {
    let mut bench = Bench::ready();
    let higher = Authority {
        term: Term(1),
        epoch: Epoch(2),
    };
    let old = std::mem::replace(&mut bench.authority, higher);
    let turn = bench.beat_seen();
    assert_eq!(turn.records, [Record::Obeyed(higher)]);
    assert!(turn.sync);
    bench.authority = old;
    assert!(closes(&bench.beat_seen()));
    bench.restart();
    bench.recover(Vec::new());
    assert_eq!(bench.connect().1.obeyed, higher);
    assert!(closes(&bench.welcome(false)));
}

#[test]
fn nothing_is_done_at_once_before_a_new_authority_is_durable() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench.turn(vec![super::bench::started(1)]);
    bench.authority.epoch = Epoch(2);
    let turn = bench.say(DownBody::Cancel(vec![range(1, 1)]));
    assert_eq!(super::bench::stops(&turn.at_once), []);
    assert_eq!(super::bench::stops(&turn.after).len(), 1);
}

#[test]
fn a_refused_hello_ends_the_session() {
    let mut bench = Bench::new(Settings::default());
    bench.recover(Vec::new());
    bench.connect();
    let turn = bench.say(DownBody::Refused(HelloRefusal::NameTaken));
    assert_eq!(turn.at_once[0], Effect::Refused(HelloRefusal::NameTaken));
    assert!(closes(&turn));
}

#[test]
fn a_start_that_was_welcomed_gives_its_nonce_on_and_one_that_was_not_leaves_it() {
    let mut bench = Bench::new(Settings::default());
    let pair = |bench: &mut Bench| {
        bench.recover(Vec::new());
        let hello = bench.connect().1;
        (hello.nonce_previous, hello.nonce)
    };
    assert_eq!(pair(&mut bench), (None, Nonce(100)));
    bench.welcome(false);
    bench.disconnect();
    assert_eq!(
        bench.connect().1.nonce_previous,
        None,
        "one pair for all sessions of a start"
    );
    bench.restart();
    assert_eq!(pair(&mut bench), (Some(Nonce(100)), Nonce(101)));
    // The server was never reached, or its answer was lost.
    bench.restart();
    assert_eq!(pair(&mut bench), (Some(Nonce(100)), Nonce(101)));
    bench.welcome(false);
    bench.restart();
    assert_eq!(pair(&mut bench), (Some(Nonce(101)), Nonce(103)));
    bench.journal = bench.node.rewritten();
    bench.restart();
    assert_eq!(
        pair(&mut bench),
        (Some(Nonce(101)), Nonce(103)),
        "also after a rewrite"
    );
}

#[test]
fn a_hello_tells_all_that_is_held() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 10);
    bench.turn(vec![ended(1, exit(0))]);
    bench.disconnect();
    let hello = bench.connect().1;
    let held = |first, count, state| Held {
        attempts: range(first, count),
        state,
    };
    let expected = [
        held(4, 7, HeldState::Granted),
        held(2, 2, HeldState::Running),
        held(1, 1, HeldState::Ended),
    ];
    assert_eq!(hello.held, expected);
    assert_eq!(hello.node, Some(NodeId(3)));
}

#[test]
fn reports_are_sent_in_each_session_until_they_are_acknowledged() {
    let mut bench = Bench::ready_with(Settings {
        reports_per_frame: 2,
        ..Settings::default()
    });
    bench.grant(Kind::Noop, 1, 3);
    bench.turn(vec![completed(1), completed(2)]);
    bench.turn(vec![completed(3)]);
    bench.disconnect();
    bench.connect();
    let turn = bench.welcome(false);
    assert_eq!(outcomes(&turn).len(), 3);
    assert_eq!(
        frames(&turn).len(),
        3,
        "two frames of reports and a heartbeat"
    );
    let turn = bench.say(DownBody::Acknowledge(vec![range(1, 2), range(50, 9)]));
    assert_eq!(turn.records, [Record::Acknowledged(vec![range(1, 2)])]);
    assert!(!turn.sync);
    bench.restart();
    bench.recover(Vec::new());
    bench.connect();
    let turn = bench.welcome(false);
    assert_eq!(reports(&turn).len(), 1);
    assert_eq!(reports(&turn)[0].attempt, attempt(3));
}

#[test]
fn a_fresh_welcome_voids_everything() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 10);
    bench.turn(vec![super::bench::started(1), super::bench::started(2)]);
    bench.turn(vec![ended(1, exit(0))]);
    bench.disconnect();
    bench.connect();
    let turn = bench.welcome(true);
    assert!(turn.records.contains(&Record::Reset));
    assert_eq!(outcomes(&turn), []);
    let stopped: Vec<u64> = [turn.at_once, turn.after]
        .iter()
        .flat_map(|effects| super::bench::stops(effects))
        .map(|(sequence, _)| sequence)
        .collect();
    assert_eq!(stopped, [2, 3]);
    let turn = bench.turn(vec![ended(2, exit(0))]);
    assert_eq!(outcomes(&turn), [], "no reports for what is void");
    assert_eq!(super::bench::keeper_forgets(&turn), [2]);
    bench.disconnect();
    assert_eq!(bench.connect().1.held, []);
    let (node, _, _) = Node::open(
        bench.journal.clone(),
        &decode,
        opening(9, bench.now, &bench.settings),
    );
    assert_eq!(
        node.rewritten()
            .iter()
            .filter(|record| is_work(record))
            .count(),
        0
    );
}

fn is_work(record: &Record) -> bool {
    matches!(
        record,
        Record::Granted(_) | Record::Starting { .. } | Record::Done(_)
    )
}

#[test]
fn outputs_are_read_for_the_connection_that_asked() {
    use flota_model::{frame::OutputFault, ids::RequestId, outcome::StreamName};
    let mut bench = Bench::ready();
    let turn = bench.say(DownBody::ReadOutput {
        request: RequestId(4),
        attempt: attempt(1),
        stream: StreamName::Stdout,
        offset: 10,
        length: u32::MAX,
    });
    let Effect::ReadOutput {
        connection,
        request,
        length,
        ..
    } = turn.at_once[0].clone()
    else {
        panic!("a read");
    };
    assert_eq!(length, flota_model::frame::OUTPUT_PART_MAX);
    let part = Err(OutputFault::Gone);
    let answer = Event::OutputRead {
        connection,
        request,
        part,
    };
    assert_eq!(frames(&bench.turn(vec![answer.clone()])).len(), 1);
    bench.disconnect();
    bench.connect();
    bench.welcome(false);
    assert_eq!(frames(&bench.turn(vec![answer])), []);
}

#[test]
fn heartbeats_are_sent_at_their_interval_and_name_what_runs() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 3);
    assert_eq!(frames(&bench.pass(Duration::from_millis(999))), []);
    assert_eq!(
        bench.node.deadline(),
        Some(bench.now.moment + Duration::from_millis(1))
    );
    let turn = bench.pass(Duration::from_millis(1));
    let expected = UpBody::Heartbeat {
        sent_at: bench.now.moment,
        running: vec![range(1, 2)],
        sample: None,
    };
    assert_eq!(frames(&turn)[0].body, expected);
    assert!(!turn.sync);
}

/// Found by the simulator: the hello said that the attempt was held, and its tombstone was never sent.
#[test]
fn what_is_given_back_between_hello_and_welcome_is_told_with_the_welcome() {
    for fresh in [false, true] {
        let mut bench = Bench::ready();
        bench.grant(Kind::Program, 1, 100);
        bench.turn(vec![ended(1, short(exit(0)))]);
        bench.disconnect();
        bench.connect();
        let taken_back = Event::NotStarted {
            attempt: attempt(4),
            stage: StartStage::Spawn,
            errno: TAKEN_BACK,
        };
        assert_eq!(frames(&bench.turn(vec![taken_back])), []);
        let told = if fresh { vec![] } else { vec![range(4, 1)] };
        assert_eq!(forgotten(&bench.welcome(fresh)), told, "fresh: {fresh}");
    }
}
