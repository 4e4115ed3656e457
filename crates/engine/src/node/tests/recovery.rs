use std::time::Duration;

use flota_model::{
    frame::{DownBody, HeldState},
    ids::{Nonce, SpecHash},
    outcome::{Outcome, Output, StartStage, Stream},
    units::Timestamp,
};

use super::bench::{
    Bench, KEEPER, Kind, attempt, completed, decode, ended, ended_child, exit, forgotten,
    keeper_forgets, opening, order, outcomes, range, reports, running_child, started, starts,
    stopped, stops,
};
use crate::{
    journal::Record,
    keeper::api::{Child, ChildState, End, StopReason, TAKEN_BACK, TOO_LATE},
    node::{
        Node,
        api::{Event, Settings},
    },
};

#[test]
fn a_new_journal_begins_with_its_identity() {
    let bench = Bench::new(Settings::default());
    let created = Record::Created {
        journal: Nonce(1_000),
    };
    assert_eq!(bench.journal[0], created);
    assert!(matches!(
        bench.journal[1],
        Record::Opened {
            nonce: Nonce(100),
            ..
        }
    ));
    let mut bench = bench;
    let (turn, _) = bench.restart();
    assert!(turn.sync);
    assert_eq!(turn.records.len(), 1, "only the new start");
}

#[test]
fn what_was_granted_before_a_restart_starts_only_after_the_server_had_its_say() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 5);
    bench.restart();
    let turn = bench.recover(vec![running_child(1), running_child(2)]);
    assert_eq!(starts(&turn.after), []);
    bench.connect();
    assert_eq!(starts(&bench.welcome(false).after), []);
    let turn = bench.say(DownBody::Forget(vec![range(3, 1)]));
    assert_eq!(forgotten(&turn), [range(3, 1)]);
    assert_eq!(starts(&bench.turn(vec![ended(1, exit(0))]).after), []);
    assert_eq!(starts(&bench.beat_seen().after), [4]);
    assert_eq!(starts(&bench.turn(vec![ended(2, exit(0))]).after), [5]);
}

#[test]
fn running_programs_are_taken_over() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.turn(vec![started(1)]);
    let hello = bench.come_back(vec![running_child(1)]);
    assert_eq!(hello.held.len(), 1);
    assert_eq!(hello.held[0].state, HeldState::Running);
    // It was born a second after boot, so that its five seconds are long over.
    assert_eq!(stops(&bench.pass(Duration::ZERO).at_once), []);
    let turn = bench.turn(vec![ended(1, stopped(StopReason::TimedOut, exit(0)))]);
    assert_eq!(outcomes(&turn), [(1, Outcome::TimedOut)]);
    assert_eq!(keeper_forgets(&turn), [1]);
}

#[test]
fn what_a_program_did_when_it_was_stopped_before_a_restart_is_no_result() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench.turn(vec![started(1)]);
    let hello = bench.come_back(vec![running_child(1)]);
    assert_eq!(hello.held.len(), 1);
    let turn = bench.turn(vec![ended(1, stopped(StopReason::Cancelled, exit(0)))]);
    assert_eq!(outcomes(&turn), [(1, Outcome::Cancelled)]);
}

#[test]
fn a_timeout_goes_on_over_a_restart() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.restart();
    let turn = bench.recover(vec![running_child(1)]);
    assert_eq!(stops(&turn.at_once).len() + stops(&turn.after).len(), 1);
}

/// Found by the simulator: `execve` took four seconds, the next agent counted them too and stopped the
/// program early, and the one after that saw that it had not had its time and took it for cancelled.
#[test]
fn a_timeout_counts_from_the_start_of_the_program_and_not_of_its_process() {
    let second = 1_000_000;
    // Seconds ago: the process was made, and the program started, on a clock that may have jumped.
    let cases = [
        (9, 4, 0),
        (9, 6, 1),
        (4, 9, 0),
        (6, 9, 1),
        (9, -3_600, 0),
        (90, -3_600, 1),
    ];
    for (made, began, stopped) in cases {
        let mut bench = Bench::ready();
        bench.grant(Kind::ProgramTimed, 1, 1);
        bench.restart();
        let (keeper, child) = running_child(1);
        let ChildState::Running { mut identity, .. } = child.state else {
            panic!("it runs")
        };
        identity.start_time = (bench.now.moment.0 - made * second) / 10_000;
        let began = began * 1_000_000_i64;
        let started_at = Timestamp(bench.now.wall.0.saturating_add_signed(-began));
        let state = ChildState::Running {
            identity,
            started_at,
        };
        let turn = bench.recover(vec![(keeper, Child { state, ..child })]);
        let stops = stops(&turn.at_once).len() + stops(&turn.after).len();
        assert_eq!(stops, stopped, "made {made} s, began {began} us ago");
    }
}

#[test]
fn what_no_keeper_knows_ends_as_unknown() {
    for kind in [Kind::Program, Kind::ProgramOnce, Kind::NoopOnce] {
        let mut bench = Bench::ready();
        bench.grant(kind, 1, 2);
        bench.come_back(Vec::new());
        let turn = bench.say(DownBody::Forget(vec![range(1, 1)]));
        assert_eq!(outcomes(&turn), [(1, Outcome::Unknown)], "{kind:?}");
        assert_eq!(reports(&turn)[0].started_at, None, "nobody knows");
    }
}

#[test]
fn a_kernel_that_died_with_the_agent_is_granted_still() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Noop, 1, 2);
    let hello = bench.come_back(Vec::new());
    assert_eq!(hello.held[0].state, HeldState::Granted);
    assert_eq!(hello.held[0].attempts, range(1, 2));
    assert_eq!(starts(&bench.beat_seen().at_once).len(), 2);
}

#[test]
fn children_that_ended_meanwhile_are_reported_with_the_output_of_the_batch() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 2);
    bench.restart();
    let output = Box::new(Output {
        stdout: Stream::Inline(b"out".to_vec()),
        ..Output::default()
    });
    let children = vec![ended_child(1, exit(4)), ended_child(2, exit(5))];
    let recovered = Event::Recovered {
        children,
        keeper: super::bench::KEEPER,
    };
    let with_output = Event::Ended {
        run: 1,
        attempt: attempt(1),
        end: exit(4),
        output: Some(output.clone()),
    };
    let turn = bench.turn(vec![recovered, with_output]);
    assert_eq!(keeper_forgets(&turn), [1, 2]);
    assert_eq!(bench.connect().1.held[0].state, HeldState::Ended);
    let turn = bench.welcome(false);
    let codes = [
        (1, Outcome::Exited { code: 4 }),
        (2, Outcome::Exited { code: 5 }),
    ];
    assert_eq!(outcomes(&turn), codes);
    let outputs: Vec<_> = reports(&turn)
        .into_iter()
        .map(|report| report.output)
        .collect();
    assert_eq!(outputs, [Some(output), None]);
}

#[test]
fn children_that_the_journal_does_not_know_are_stopped_and_forgotten() {
    let mut bench = Bench::new(Settings::default());
    let turn = bench.recover(vec![running_child(8), ended_child(9, exit(0))]);
    assert_eq!(stops(&turn.at_once), [(8, Some(Duration::from_secs(5)))]);
    assert_eq!(keeper_forgets(&turn), [9]);
    let turn = bench.turn(vec![ended(8, exit(0))]);
    assert_eq!(keeper_forgets(&turn), [8]);
    assert_eq!(turn.records, []);
    assert_eq!(bench.connect().1.held, []);
}

#[test]
fn a_child_whose_start_was_not_synced_is_known_all_the_same() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench
        .journal
        .retain(|record| !matches!(record, Record::Starting { .. }));
    let hello = bench.come_back(vec![running_child(1)]);
    assert_eq!(hello.held[0].state, HeldState::Running);
    assert!(matches!(
        bench.journal.iter().rev().find(|record| matches!(record, Record::Starting { .. })),
        Some(Record::Starting { attempt: id, .. }) if *id == attempt(1)
    ));
}

#[test]
fn a_child_that_was_reported_is_forgotten_at_last() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench.turn(vec![ended(1, exit(0))]);
    bench.restart();
    let turn = bench.recover(vec![ended_child(1, exit(0))]);
    assert_eq!(keeper_forgets(&turn), [1]);
    assert_eq!(turn.records, []);
}

#[test]
fn the_real_outcome_replaces_an_unknown_one() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramOnce, 1, 1);
    bench.restart();
    bench.recover(Vec::new());
    bench.restart();
    let turn = bench.recover(vec![ended_child(1, exit(0))]);
    assert!(matches!(&turn.records[..], [Record::Done(_)]));
    bench.connect();
    assert_eq!(
        outcomes(&bench.welcome(false)),
        [(1, Outcome::Exited { code: 0 })]
    );
}

#[test]
fn a_start_that_failed_meanwhile_is_reported() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench.restart();
    let (stage, errno) = (flota_model::outcome::StartStage::Execute, 13);
    let state = ChildState::NotStarted { stage, errno };
    bench.recover(vec![(
        Some(super::bench::KEEPER),
        Child {
            run: 1,
            attempt: attempt(1),
            state,
        },
    )]);
    bench.connect();
    assert_eq!(
        outcomes(&bench.welcome(false)),
        [(1, Outcome::NotStarted { stage, errno })]
    );
}

#[test]
fn attempts_whose_spec_does_not_decode_are_given_back() {
    let blob = vec![99].into();
    let hash = SpecHash(7);
    let records = vec![
        Record::Created { journal: Nonce(1) },
        Record::Spec { hash, blob },
        Record::Granted(flota_model::frame::GrantOrder {
            spec_hash: hash,
            ..order(Kind::Noop, 1, 5)
        }),
        Record::Refused(vec![range(5, 1)]),
    ];
    let bench = Bench::new(Settings::default());
    let opening = opening(1, bench.now, &bench.settings);
    let (node, turn, forgotten) = Node::open(records, &decode, opening);
    assert_eq!(forgotten.attempts, [range(1, 4)]);
    assert!(turn.records.contains(&Record::Refused(vec![range(1, 4)])));
    assert_eq!(
        node.rewritten()
            .iter()
            .filter(|r| matches!(r, Record::Granted(_)))
            .count(),
        0
    );
}

#[test]
fn attempts_that_do_not_fit_the_machine_any_more_are_given_back() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench.grant(Kind::Wide, 10, 3);
    let mut opening = opening(1, bench.now, &bench.settings);
    opening.capacity = flota_model::resources::Resources::of_cpus(flota_model::units::Cpus(1_500));
    let (node, turn, _) = Node::open(bench.journal, &decode, opening);
    assert!(turn.records.contains(&Record::Refused(vec![range(10, 3)])));
    let granted: Vec<Record> = node
        .rewritten()
        .into_iter()
        .filter(|record| matches!(record, Record::Granted(_)))
        .collect();
    assert_eq!(granted, [Record::Granted(order(Kind::Program, 1, 1))]);
}

#[test]
fn a_journal_that_has_grown_is_written_anew() {
    let mut bench = Bench::ready_with(Settings {
        rewrite_bytes: 2_000,
        ..Settings::default()
    });
    bench.grant(Kind::Noop, 1, 1_000);
    let (mut rewrites, mut next) = (0, 1);
    for _ in 0..100 {
        let turn = bench.turn(vec![completed(next)]);
        next += 1;
        let acknowledged = bench.say(DownBody::Acknowledge(vec![range(1, 1_000)]));
        if turn.rewrite || acknowledged.rewrite {
            rewrites += 1;
            let records = bench.node.rewritten();
            assert!(records.len() < 12, "{records:?}");
        }
    }
    assert!((1..=10).contains(&rewrites), "{rewrites}");
    bench.journal = bench.node.rewritten();
    let hello = bench.come_back(Vec::new());
    let held: u32 = hello.held.iter().map(|held| held.attempts.count).sum();
    assert_eq!(held, 900);
}

/// Found by the simulator: it had failed to start, of which the keeper had told the agent that was
/// there, and not the next one.
#[test]
fn a_listed_program_whose_lease_ended_before_its_start_is_lost_and_has_not_failed() {
    let (stage, errno) = (StartStage::Spawn, TOO_LATE);
    let cases = [
        (stage, errno, Outcome::Lost),
        (stage, 11, Outcome::NotStarted { stage, errno: 11 }),
    ];
    for (stage, errno, expected) in cases {
        let mut bench = Bench::ready();
        bench.grant(Kind::ProgramLeased, 1, 1);
        bench.restart();
        let child = Child {
            run: 1,
            attempt: attempt(1),
            state: ChildState::NotStarted { stage, errno },
        };
        bench.recover(vec![(Some(KEEPER), child)]);
        bench.connect();
        assert_eq!(outcomes(&bench.welcome(false)), [(1, expected)], "{errno}");
    }
}

/// Found by the simulator: an agent took a program's end for unknown and died; the next one found in the
/// keeper's log that it had exited, but not that it had been stopped for a reason.
#[test]
fn an_unknown_end_is_superseded_by_the_reason_of_a_stop_and_not_by_what_the_program_did_then() {
    let cases = [
        (exit(0), Outcome::Exited { code: 0 }),
        (stopped(StopReason::TimedOut, exit(0)), Outcome::TimedOut),
        (stopped(StopReason::Cancelled, exit(0)), Outcome::Cancelled),
        (stopped(StopReason::Forgotten, exit(0)), Outcome::Unknown),
        (stopped(StopReason::Stray, exit(0)), Outcome::Unknown),
    ];
    for (end, expected) in cases {
        let mut bench = Bench::ready();
        bench.grant(Kind::Program, 1, 1);
        let found_at = Timestamp(5);
        let unknown = End::Unknown {
            started_at: None,
            found_at,
        };
        bench.turn(vec![ended(1, unknown)]);
        bench.restart();
        bench.recover(vec![ended_child(1, end)]);
        bench.connect();
        assert_eq!(outcomes(&bench.welcome(false)), [(1, expected)], "{end:?}");
    }
}

#[test]
fn unknown_ends_of_listed_children_stay_unknown() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    let unknown = End::Unknown {
        started_at: Some(Timestamp(3)),
        found_at: Timestamp(5),
    };
    bench.restart();
    bench.recover(vec![(
        None,
        Child {
            run: 1,
            attempt: attempt(1),
            state: ChildState::Ended(unknown),
        },
    )]);
    bench.connect();
    assert_eq!(outcomes(&bench.welcome(false)), [(1, Outcome::Unknown)]);
}

/// It waited behind others of an earlier agent, which took it back; why is not known, but it never ran.
#[test]
fn what_an_earlier_agent_took_back_before_its_turn_is_given_back() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    bench.restart();
    let child = Child {
        run: 1,
        attempt: attempt(1),
        state: ChildState::NotStarted {
            stage: StartStage::Spawn,
            errno: TAKEN_BACK,
        },
    };
    let turn = bench.recover(vec![(Some(KEEPER), child)]);
    assert_eq!(turn.records, [Record::Refused(vec![range(1, 1)])]);
    bench.connect();
    assert_eq!(outcomes(&bench.welcome(false)), []);
}
