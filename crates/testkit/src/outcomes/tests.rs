//! What may be told of a replica that is cancelled.

use flota_model::outcome::Outcome;

use super::{Case, StopReasons, judge};
use crate::{
    script::ScriptedEnding,
    time::Time,
    truth::{Ending, Execution},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Task,
    Replica,
    StoppedReplica,
}

fn is_true(ending: Option<Ending>, told: Told) -> bool {
    let execution = Execution {
        machine: 0,
        run: 1,
        started: Time(1),
        leader_ended: ending.map(|ending| (Time(2), ending)),
        ended: ending.map(|_| Time(2)),
        abandoned: false,
    };
    let case = Case {
        counted: true,
        cancelled: true,
        job_timed_out: false,
        timeout: None,
        is_program: true,
        is_service: told != Told::Task,
        stopped_for: StopReasons {
            time: false,
            person: told == Told::StoppedReplica,
            health: false,
        },
        execution: Some(&execution),
        spawned: Some(Time(1)),
        now: Time(3),
        never_ran: false,
        never_executed: false,
        excused: false,
        end_seen: None,
        cancel_seen: Some(1),
        cancel_lost: false,
    };
    judge(&Outcome::Cancelled, &case).is_ok()
}

/// Seeds 1437 (with its keeper) and 16633 (with its machine).
#[test]
fn a_replica_is_cancelled_without_a_stop_if_no_order_ended_its_run() {
    for (ending, rests) in [
        (Some(Ending::Scripted(ScriptedEnding::Exit(1))), true),
        (Some(Ending::ParentDied), true),
        (Some(Ending::PowerCut), true),
        (Some(Ending::Killed(15)), false),
        (Some(Ending::ExitedOnTerm(3)), false),
        (None, false),
    ] {
        assert_eq!(is_true(ending, Told::Replica), rests, "{ending:?}");
        assert!(!is_true(ending, Told::Task), "a batch attempt has one run");
        assert!(is_true(ending, Told::StoppedReplica), "a person stopped it");
    }
}
