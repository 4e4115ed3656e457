use std::time::Duration;

use flota_model::{
    ids::{JobId, TaskIndex},
    outcome::{Outcome, Output, Report, StartStage, Stream, Usage},
    units::Timestamp,
};

use super::bench::{
    Bench, Kind, attempt, completed, ended, exit, keeper_forgets, kernel_ended, outcomes, range,
    reports, short, started, stopped,
};
use crate::{
    journal::Record,
    keeper::api::{End, KeeperId, StopReason, TAKEN_BACK},
    node::api::{Event, KernelEnd},
};

fn end(status: i32) -> End {
    End::Known {
        status,
        usage: Usage::default(),
        out_of_memory: false,
        started_at: Timestamp(1),
        ended_at: Timestamp(2),
        fenced: false,
        stopped: None,
    }
}

fn with(end: End, change: impl FnOnce(&mut bool, &mut bool)) -> End {
    let End::Known {
        status,
        usage,
        mut out_of_memory,
        started_at,
        ended_at,
        mut fenced,
        stopped,
    } = end
    else {
        return end;
    };
    change(&mut out_of_memory, &mut fenced);
    End::Known {
        status,
        usage,
        out_of_memory,
        started_at,
        ended_at,
        fenced,
        stopped,
    }
}

#[test]
fn the_outcome_of_a_program_is_what_was_seen() {
    let cases = [
        (exit(0), Outcome::Exited { code: 0 }),
        (exit(255), Outcome::Exited { code: 255 }),
        (end(9), Outcome::Signalled { signal: 9 }),
        (end(0x80 | 6), Outcome::Signalled { signal: 6 }),
        (
            with(end(9), |memory, _| *memory = true),
            Outcome::OutOfMemory,
        ),
        (with(end(9), |_, fenced| *fenced = true), Outcome::Lost),
        (
            End::Unknown {
                started_at: None,
                found_at: Timestamp(5),
            },
            Outcome::Unknown,
        ),
    ];
    for (end, expected) in cases {
        let mut bench = Bench::ready();
        bench.grant(Kind::Program, 1, 1);
        assert_eq!(
            outcomes(&bench.turn(vec![ended(1, end)])),
            [(1, expected)],
            "{end:?}"
        );
    }
}

#[test]
fn a_report_is_durable_before_it_is_sent_and_before_the_keeper_forgets() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 41, 2);
    bench.turn(vec![started(42)]);
    let output = Output {
        stdout: Stream::Inline(b"hi".to_vec()),
        ..Output::default()
    };
    let event = Event::Ended {
        run: 1,
        attempt: attempt(42),
        end: exit(3),
        output: Some(Box::new(output.clone())),
    };
    let turn = bench.turn(vec![event.clone()]);
    let report = Report {
        attempt: attempt(42),
        job: JobId(5),
        task: TaskIndex(42),
        spec_hash: Kind::Program.hash(),
        outcome: Outcome::Exited { code: 3 },
        started_at: Some(Timestamp(100)),
        ended_at: Timestamp(30_000_200),
        usage: Usage::default(),
        output: Some(Box::new(output)),
    };
    assert_eq!(turn.records, [Record::Done(report.clone())]);
    assert!(turn.sync);
    assert_eq!(reports(&turn), [report]);
    assert_eq!(keeper_forgets(&turn), [42]);
    assert_eq!(
        bench.turn(vec![event]),
        crate::node::api::Turn::default(),
        "only once"
    );
}

#[test]
fn the_report_of_a_kernel_is_synced_only_where_it_must_not_run_again() {
    for (kind, is_synced) in [(Kind::Noop, false), (Kind::NoopOnce, true)] {
        let mut bench = Bench::ready();
        bench.grant(kind, 1, 1);
        let turn = bench.turn(vec![completed(1)]);
        assert!(matches!(turn.records.as_slice(), [Record::Done(_)]));
        assert_eq!(turn.sync, is_synced, "{kind:?}");
        assert_eq!(turn.after.len(), 1, "sent behind the record: {turn:?}");
    }
}

#[test]
fn a_program_that_could_not_be_started_says_why() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    let (stage, errno) = (StartStage::ChangeDirectory, 2);
    let turn = bench.turn(vec![Event::NotStarted {
        attempt: attempt(1),
        stage,
        errno,
    }]);
    assert_eq!(outcomes(&turn), [(1, Outcome::NotStarted { stage, errno })]);
    assert_eq!(keeper_forgets(&turn), [1]);
}

#[test]
fn the_outcome_of_a_kernel_is_what_it_returned() {
    let long = "é".repeat(1_000);
    let cases = [
        (KernelEnd::Completed(None), Outcome::Completed),
        (
            KernelEnd::Failed("bad".to_owned()),
            Outcome::Failed {
                message: "bad".to_owned(),
            },
        ),
        (
            KernelEnd::Failed(long),
            Outcome::Failed {
                message: "é".repeat(512),
            },
        ),
        (KernelEnd::Stopped, Outcome::Lost),
    ];
    for (end, expected) in cases {
        let mut bench = Bench::ready();
        bench.grant(Kind::Noop, 1, 1);
        let turn = bench.turn(vec![kernel_ended(1, end)]);
        assert_eq!(outcomes(&turn), [(1, expected)]);
        assert_eq!(keeper_forgets(&turn), [0; 0]);
    }
}

#[test]
fn children_of_a_dead_keeper_end_as_the_shell_tells() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 2);
    bench.turn(vec![started(1), started(2)]);
    let gone = Event::KeeperGone {
        keeper: super::bench::KEEPER,
        replacement: KeeperId(2),
    };
    bench.turn(vec![gone]);
    let unknown = End::Unknown {
        started_at: None,
        found_at: Timestamp(5),
    };
    let turn = bench.turn(vec![ended(1, unknown)]);
    assert_eq!(outcomes(&turn), [(1, Outcome::Unknown)]);
    assert_eq!(
        reports(&turn)[0].started_at,
        Some(Timestamp(100)),
        "that much was known"
    );
    assert_eq!(keeper_forgets(&turn), [0; 0]);
    let turn = bench.grant(Kind::Program, 3, 1);
    let keepers: Vec<KeeperId> = turn
        .after
        .iter()
        .filter_map(|effect| match effect {
            crate::node::api::Effect::Start { keeper, .. } => Some(*keeper),
            _ => None,
        })
        .collect();
    assert_eq!(keepers, [KeeperId(2)]);
}

#[test]
fn a_program_whose_lease_ended_on_the_way_to_the_keeper_is_lost_and_has_not_failed() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramLeased, 1, 1);
    let (stage, errno) = (StartStage::Spawn, crate::keeper::api::TOO_LATE);
    let turn = bench.turn(vec![Event::NotStarted {
        attempt: attempt(1),
        stage,
        errno,
    }]);
    assert_eq!(outcomes(&turn), [(1, Outcome::Lost)]);
}

/// Found by the simulator: a program that cleaned up and exited with 0 on the SIGTERM of a keeper that
/// was killed then was counted as a success.
#[test]
fn a_program_that_a_dead_keeper_was_told_to_stop_has_no_result_of_its_own() {
    let cases = [
        (end(0), Outcome::Unknown),
        (end(15), Outcome::Unknown),
        (stopped(StopReason::TimedOut, end(0)), Outcome::TimedOut),
    ];
    for (end, expected) in cases {
        let mut bench = Bench::ready();
        bench.grant(Kind::ProgramTimed, 1, 1);
        bench.turn(vec![started(1)]);
        bench.pass(Duration::from_secs(6));
        bench.turn(vec![Event::KeeperGone {
            keeper: super::bench::KEEPER,
            replacement: KeeperId(2),
        }]);
        let turn = bench.turn(vec![ended(1, end)]);
        assert_eq!(outcomes(&turn), [(1, expected)], "{end:?}");
    }
}

/// Found by the simulator: the keeper killed a leased program at its deadline and died, and the task
/// had failed by signal 9.
#[test]
fn a_leased_program_that_dies_with_its_keeper_is_lost_and_has_not_failed() {
    let signalled = Outcome::Signalled { signal: 9 };
    let cases = [
        (Kind::ProgramLeased, end(9), Outcome::Lost),
        (Kind::ProgramLeased, end(0), Outcome::Exited { code: 0 }),
        (Kind::Program, end(9), signalled),
    ];
    for (kind, end, expected) in cases {
        let mut bench = Bench::ready();
        bench.grant(kind, 1, 1);
        bench.turn(vec![started(1)]);
        bench.turn(vec![Event::KeeperGone {
            keeper: super::bench::KEEPER,
            replacement: KeeperId(2),
        }]);
        let turn = bench.turn(vec![ended(1, end)]);
        assert_eq!(outcomes(&turn), [(1, expected)], "{kind:?} {end:?}");
    }
}

/// Found by the simulator: an agent told it by how long the program had run on a wall clock, which
/// jumped.
#[test]
fn why_an_earlier_agent_stopped_a_program_is_what_the_keeper_tells_whatever_the_clock_did() {
    let cases = [
        (StopReason::TimedOut, Outcome::TimedOut),
        (StopReason::Cancelled, Outcome::Cancelled),
        (StopReason::Fenced, Outcome::Lost),
        (StopReason::Stray, Outcome::Unknown),
    ];
    for (reason, expected) in cases {
        for kind in [Kind::Program, Kind::ProgramTimed] {
            for end in [exit(0), short(exit(0)), end(15)] {
                let mut bench = Bench::ready();
                bench.grant(kind, 1, 1);
                let turn = bench.turn(vec![ended(1, stopped(reason, end))]);
                assert_eq!(
                    outcomes(&turn),
                    [(1, expected.clone())],
                    "{kind:?} {reason:?} {end:?}"
                );
            }
        }
    }
}

#[test]
fn what_an_earlier_agent_stopped_for_the_server_has_a_tombstone_and_no_report() {
    let mut bench = Bench::ready();
    bench.grant(Kind::Program, 1, 1);
    let turn = bench.turn(vec![ended(1, stopped(StopReason::Forgotten, exit(0)))]);
    assert_eq!(turn.records, [Record::Refused(vec![range(1, 1)])]);
    assert_eq!(outcomes(&turn), []);
    assert_eq!(keeper_forgets(&turn), [1]);
}

#[test]
fn a_program_that_waited_too_long_for_its_turn_is_given_back_and_was_not_cancelled() {
    let mut bench = Bench::ready();
    bench.grant(Kind::ProgramTimed, 1, 1);
    bench.pass(Duration::from_secs(6));
    let turn = bench.turn(vec![Event::NotStarted {
        attempt: attempt(1),
        stage: StartStage::Spawn,
        errno: TAKEN_BACK,
    }]);
    assert_eq!(turn.records, [Record::Refused(vec![range(1, 1)])]);
    assert_eq!(outcomes(&turn), []);
}
