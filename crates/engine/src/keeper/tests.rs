use std::time::Duration;

use flota_model::{ids::Nonce, outcome::Usage, units::Timestamp};

use super::*;
use crate::keeper::api::{ChildState, End, Guard, LogMode, StopReason};

mod lines;
mod reasons;
mod unkillable;

const AGENT: Peer = Peer(1);
const GRACE: Duration = Duration::from_secs(10);

fn at(millis: u64) -> Now {
    Now {
        moment: Moment(millis * 1_000),
        wall: Timestamp(millis * 1_000),
    }
}

fn attempt(sequence: u64) -> AttemptId {
    AttemptId {
        sequence,
        ..AttemptId::default()
    }
}

fn identity(pid: u32) -> Identity {
    Identity {
        boot: BootId(7),
        pid_namespace: 1,
        pid,
        start_time: 2,
        pidfd_inode: 3,
    }
}

fn launch(sequence: u64, fence: Option<Moment>) -> Launch {
    Launch {
        run: 1,
        attempt: attempt(sequence),
        argv: vec!["true".to_owned()],
        environment: Vec::new(),
        working_directory: "/".to_owned(),
        stdin: None,
        fence,
        class: 1,
        places: None,
        logs: LogMode::Captured,
        execution: None,
        guard: Guard::default(),
    }
}

fn says(message: ToKeeper) -> Event {
    Event::Message {
        peer: AGENT,
        message,
    }
}

fn hello(peer: Peer) -> Event {
    Event::Message {
        peer,
        message: ToKeeper::Hello { nonce: Nonce(1) },
    }
}

fn start(sequence: u64) -> Event {
    says(ToKeeper::Start(Box::new(launch(sequence, None))))
}

fn start_fenced(sequence: u64, millis: u64) -> Event {
    says(ToKeeper::Start(Box::new(launch(
        sequence,
        Some(at(millis).moment),
    ))))
}

fn stop(sequence: u64, grace: Duration) -> Event {
    says(ToKeeper::Stop {
        signal: 15,
        attempt: attempt(sequence),
        grace,
        reason: StopReason::Cancelled,
    })
}

fn executed(sequence: u64) -> Event {
    Event::Executed {
        attempt: attempt(sequence),
        identity: identity(10),
    }
}

fn exited(sequence: u64, status: i32) -> Event {
    let usage = Usage::default();
    Event::LeaderExited {
        attempt: attempt(sequence),
        status,
        usage,
        out_of_memory: false,
    }
}

fn empty(sequence: u64) -> Event {
    Event::TreeEmpty {
        attempt: attempt(sequence),
    }
}

fn forget(sequence: u64) -> Event {
    says(ToKeeper::Forget {
        attempt: attempt(sequence),
    })
}

/// One word an effect, so that tables stay readable.
fn words(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(word).collect()
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::Log(record) => match record {
            LogRecord::Spawning { .. } => "log spawning".to_owned(),
            LogRecord::Running { .. } => "log running".to_owned(),
            LogRecord::Stopping { .. } => "log stopping".to_owned(),
            LogRecord::NotStarted { errno, .. } => format!("log not started {errno}"),
            LogRecord::Ended { .. } => "log ended".to_owned(),
            LogRecord::Forgotten { .. } => "log forgotten".to_owned(),
        },
        Effect::Send { message, .. } => match message {
            FromKeeper::Listed { children, last } => format!("list {} {last}", children.len()),
            FromKeeper::Started { .. } => "started".to_owned(),
            FromKeeper::NotStarted { errno, .. } => format!("not started {errno}"),
            FromKeeper::Ended {
                end: End::Known { status, fenced, .. },
                ..
            } => {
                format!("ended {status}{}", if *fenced { " fenced" } else { "" })
            }
            FromKeeper::Ended {
                end: End::Unknown { .. },
                ..
            } => "ended unknown".to_owned(),
            FromKeeper::Refused { .. } => "refused".to_owned(),
            FromKeeper::Unkillable(unkillable) => format!("unkillable {}", unkillable.count),
        },
        Effect::Close { peer } => format!("close {}", peer.0),
        Effect::Spawn(_) => "spawn".to_owned(),
        Effect::Signal { signal, .. } => format!("signal {signal}"),
        Effect::Sweep { .. } => "sweep".to_owned(),
        Effect::Release { .. } => "release".to_owned(),
        Effect::End => "end".to_owned(),
    }
}

fn keeper() -> Keeper {
    let mut keeper = Keeper::open(BootId(7), at(0), Settings::default());
    assert_eq!(
        words(&keeper.handle(vec![hello(AGENT)], at(0))),
        ["list 0 true"]
    );
    keeper
}

/// Steps of a time in milliseconds, events, and the effects expected.
fn check(steps: &[(u64, &[Event], &[&str])]) {
    let mut keeper = keeper();
    for (millis, events, expected) in steps {
        let effects = keeper.handle(events.to_vec(), at(*millis));
        assert_eq!(words(&effects), *expected, "at {millis} ms: {events:?}");
    }
}

#[test]
fn a_program_is_logged_before_it_is_spawned_and_told_when_it_runs_and_ended() {
    check(&[
        (1, &[start(1)], &["log spawning", "spawn"]),
        (2, &[executed(1)], &["log running", "started"]),
        (3, &[exited(1, 256)], &["sweep"]),
        (4, &[empty(1)], &["log ended", "ended 256"]),
        (5, &[forget(1)], &["log forgotten", "release"]),
    ]);
}

#[test]
fn a_program_that_cannot_be_executed_is_held_until_it_is_forgotten() {
    let failed = Event::NotExecuted {
        attempt: attempt(1),
        stage: StartStage::Execute,
        errno: 2,
    };
    check(&[
        (1, &[start(1)], &["log spawning", "spawn"]),
        (2, &[failed], &["log not started 2", "not started 2"]),
        (3, &[start(1)], &["refused"]),
        (4, &[forget(1)], &["log forgotten", "release"]),
        (5, &[forget(1)], &[]),
    ]);
}

#[test]
fn an_attempt_that_was_seen_is_refused_until_it_is_forgotten() {
    check(&[
        (
            1,
            &[start(1), start(1)],
            &["log spawning", "spawn", "refused"],
        ),
        (
            2,
            &[executed(1), start(1)],
            &["log running", "started", "refused"],
        ),
        (3, &[forget(1), start(1)], &["refused"]),
        (
            4,
            &[exited(1, 0), empty(1), start(1)],
            &["sweep", "log ended", "ended 0", "refused"],
        ),
        (
            5,
            &[forget(1), start(1)],
            &["log forgotten", "release", "log spawning", "spawn"],
        ),
    ]);
}

#[test]
fn a_stop_signals_and_kills_after_the_grace() {
    check(&[
        (
            1,
            &[start(1), executed(1)],
            &["log spawning", "spawn", "log running", "started"],
        ),
        (1_000, &[stop(1, GRACE)], &["log stopping", "signal 15"]),
        (2_000, &[stop(1, GRACE)], &[]),
        (10_999, &[Event::Tick], &[]),
        (11_000, &[Event::Tick], &["signal 9", "sweep"]),
        (11_500, &[Event::Tick, stop(1, GRACE)], &[]),
        (12_000, &[empty(1)], &[]),
        (12_001, &[exited(1, 9)], &["log ended", "ended 9"]),
    ]);
}

#[test]
fn a_stop_holds_before_the_program_is_executed() {
    check(&[
        (
            1,
            &[start(1), stop(1, GRACE)],
            &["log spawning", "spawn", "log stopping", "signal 15"],
        ),
        (2, &[executed(1)], &["log running", "started"]),
        (10_001, &[Event::Tick], &["signal 9", "sweep"]),
        (10_002, &[exited(1, 9), empty(1)], &["log ended", "ended 9"]),
    ]);
}

#[test]
fn a_second_stop_shortens_the_grace_and_never_extends_it() {
    check(&[
        (
            0,
            &[start(1), stop(1, GRACE)],
            &["log spawning", "spawn", "log stopping", "signal 15"],
        ),
        (
            1,
            &[stop(1, GRACE * 5), stop(1, Duration::from_secs(1))],
            &[],
        ),
        (1_001, &[Event::Tick], &["signal 9", "sweep"]),
    ]);
    check(&[
        (
            0,
            &[start(1), stop(1, GRACE)],
            &["log spawning", "spawn", "log stopping", "signal 15"],
        ),
        (1, &[stop(1, Duration::ZERO)], &["signal 9", "sweep"]),
    ]);
}

#[test]
fn what_a_leader_leaves_behind_is_swept_also_after_a_stop() {
    check(&[
        (
            0,
            &[start(1), executed(1), stop(1, GRACE)],
            &[
                "log spawning",
                "spawn",
                "log running",
                "log stopping",
                "signal 15",
                "started",
            ],
        ),
        (5, &[exited(1, 15)], &["sweep"]),
        (20_000, &[Event::Tick], &[]),
        (20_001, &[empty(1)], &["log ended", "ended 15"]),
    ]);
}

#[test]
fn a_fence_that_is_not_moved_kills() {
    let moved = says(ToKeeper::Fence {
        attempt: attempt(1),
        deadline: at(9_000).moment,
    });
    check(&[
        (0, &[start_fenced(1, 5_000)], &["log spawning", "spawn"]),
        (1, &[executed(1)], &["log running", "started"]),
        (4_000, &[moved], &[]),
        (5_000, &[Event::Tick], &[]),
        (9_000, &[Event::Tick], &["signal 9", "sweep"]),
        (
            9_001,
            &[exited(1, 9), empty(1)],
            &["log ended", "ended 9 fenced"],
        ),
    ]);
}

#[test]
fn a_fence_is_kept_without_an_agent_and_during_a_grace() {
    check(&[
        (
            0,
            &[
                start_fenced(1, 5_000),
                executed(1),
                Event::PeerGone { peer: AGENT },
            ],
            &["log spawning", "spawn", "log running"],
        ),
        (5_000, &[Event::Tick], &["signal 9", "sweep"]),
    ]);
    check(&[
        (
            0,
            &[start_fenced(1, 5_000), stop(1, GRACE)],
            &["log spawning", "spawn", "log stopping", "signal 15"],
        ),
        (5_000, &[Event::Tick], &["signal 9", "sweep"]),
        (
            5_001,
            &[exited(1, 9), empty(1)],
            &["log ended", "ended 9 fenced"],
        ),
    ]);
}

#[test]
fn a_kill_after_a_grace_is_no_fence() {
    check(&[
        (
            0,
            &[start_fenced(1, 50_000), stop(1, GRACE)],
            &["log spawning", "spawn", "log stopping", "signal 15"],
        ),
        (10_000, &[Event::Tick], &["signal 9", "sweep"]),
        (
            60_000,
            &[Event::Tick, exited(1, 9), empty(1)],
            &["log ended", "ended 9"],
        ),
    ]);
}

#[test]
fn a_program_whose_fence_has_passed_is_not_started() {
    check(&[
        (
            6_000,
            &[start_fenced(1, 5_000)],
            &["log not started 62", "not started 62"],
        ),
        (6_001, &[start(1)], &["refused"]),
        (6_002, &[forget(1)], &["log forgotten", "release"]),
    ]);
}

#[test]
fn the_newest_hello_closes_the_older_connection_unread() {
    let newer = Peer(2);
    let of_newer = |message| Event::Message {
        peer: newer,
        message,
    };
    check(&[
        (1, &[hello(newer), start(1)], &["close 1", "list 0 true"]),
        (
            2,
            &[of_newer(ToKeeper::Start(Box::new(launch(1, None))))],
            &["log spawning", "spawn"],
        ),
        (
            3,
            &[Event::PeerGone { peer: AGENT }, executed(1)],
            &["log running", "started"],
        ),
        (4, &[hello(AGENT)], &["close 1"]),
        (5, &[hello(newer)], &["list 1 true"]),
    ]);
}

#[test]
fn a_connection_without_a_hello_is_not_obeyed() {
    let stranger = Event::Message {
        peer: Peer(9),
        message: ToKeeper::Quit,
    };
    check(&[(1, &[stranger, start(1)], &["log spawning", "spawn"])]);
}

#[test]
fn a_new_agent_is_told_everything_in_parts() {
    let mut keeper = keeper();
    let count = LIST_PART_MAX as u64 + 3;
    keeper.handle((0..count).map(start).collect(), at(1));
    keeper.handle(
        vec![executed(0), executed(1), Event::PeerGone { peer: AGENT }],
        at(2),
    );
    let unheard = keeper.handle(vec![exited(1, 0), empty(1)], at(3));
    assert_eq!(words(&unheard), ["sweep", "log ended"]);
    let effects = keeper.handle(vec![hello(Peer(2))], at(4));
    assert_eq!(
        words(&effects),
        [
            format!("list {LIST_PART_MAX} false"),
            "list 3 true".to_owned()
        ]
    );
    let Effect::Send {
        message: FromKeeper::Listed { children, .. },
        ..
    } = &effects[0]
    else {
        panic!("a list")
    };
    let running = ChildState::Running {
        identity: identity(10),
        started_at: at(2).wall,
    };
    assert_eq!(children[0].state, running);
    assert!(matches!(
        children[1].state,
        ChildState::Ended(End::Known { status: 0, .. })
    ));
    assert_eq!(children[2].state, ChildState::Starting);
}

#[test]
fn starts_beyond_the_limit_are_answered_and_not_remembered() {
    let settings = Settings {
        children_max: 2,
        ..Settings::default()
    };
    let mut keeper = Keeper::open(BootId(7), at(0), settings);
    keeper.handle(vec![hello(AGENT), start(1), start(2)], at(0));
    assert_eq!(
        words(&keeper.handle(vec![start(3)], at(1))),
        ["not started 11"]
    );
    keeper.handle(vec![exited(1, 0), empty(1), forget(1)], at(2));
    assert_eq!(
        words(&keeper.handle(vec![start(3)], at(3))),
        ["log spawning", "spawn"]
    );
}

#[test]
fn an_idle_keeper_without_an_agent_ends() {
    let mut keeper = keeper();
    assert_eq!(keeper.deadline(), None);
    keeper.handle(vec![Event::PeerGone { peer: AGENT }], at(1_000));
    assert_eq!(keeper.deadline(), Some(at(31_000).moment));
    assert_eq!(
        words(&keeper.handle(vec![Event::Tick], at(30_999))),
        [""; 0]
    );
    assert_eq!(
        words(&keeper.handle(vec![Event::Tick], at(31_000))),
        ["end"]
    );
    assert_eq!(
        words(&keeper.handle(vec![Event::Tick], at(99_000))),
        [""; 0]
    );
    assert_eq!(keeper.deadline(), None);
}

#[test]
fn a_keeper_with_a_child_that_nobody_forgot_stays() {
    let mut keeper = keeper();
    keeper.handle(
        vec![start(1), executed(1), Event::PeerGone { peer: AGENT }],
        at(0),
    );
    keeper.handle(vec![exited(1, 0), empty(1)], at(1));
    assert_eq!(
        words(&keeper.handle(vec![Event::Tick], at(99_000))),
        [""; 0]
    );
}

#[test]
fn quit_takes_no_more_and_ends_when_nothing_is_held() {
    check(&[
        (
            1,
            &[start(1), executed(1)],
            &["log spawning", "spawn", "log running", "started"],
        ),
        (2, &[says(ToKeeper::Quit), start(2)], &["refused"]),
        (
            3,
            &[exited(1, 0), empty(1)],
            &["sweep", "log ended", "ended 0"],
        ),
        (4, &[forget(1)], &["log forgotten", "release", "end"]),
        (5, &[start(3)], &["refused"]),
    ]);
    check(&[(1, &[says(ToKeeper::Quit)], &["end"])]);
}

#[cfg(feature = "sabotage")]
#[test]
fn a_keeper_without_fencing_does_not_kill() {
    let sabotage = crate::sabotage::Sabotage::of(Rule::Fencing);
    let settings = Settings {
        sabotage,
        ..Settings::default()
    };
    let mut keeper = Keeper::open(BootId(7), at(0), settings);
    keeper.handle(vec![hello(AGENT), start_fenced(1, 5_000)], at(0));
    let fence = says(ToKeeper::Fence {
        attempt: attempt(1),
        deadline: at(6_000).moment,
    });
    assert_eq!(words(&keeper.handle(vec![fence], at(1))), [""; 0]);
    assert_eq!(words(&keeper.handle(vec![Event::Tick], at(9_000))), [""; 0]);
}
