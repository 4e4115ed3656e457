//! Programs handed over ahead of time.

use super::*;

fn start_ahead(sequence: u64, places: u32) -> Event {
    says(ToKeeper::Start(Box::new(Launch {
        places: Some(places),
        ..launch(sequence, None)
    })))
}

#[test]
fn what_was_handed_over_ahead_starts_when_there_is_a_place() {
    check(&[
        (
            1,
            &[start(1), start_ahead(2, 1), start_ahead(3, 1)],
            &["log spawning", "spawn"],
        ),
        (
            2,
            &[executed(1), exited(1, 0)],
            &["log running", "sweep", "started"],
        ),
        (
            3,
            &[empty(1)],
            &["log ended", "log spawning", "spawn", "ended 0"],
        ),
        (4, &[start_ahead(4, 2)], &["log spawning", "spawn"]),
        (
            5,
            &[executed(2), executed(3), exited(2, 0), empty(2)],
            &[
                "log running",
                "log running",
                "sweep",
                "log ended",
                "log spawning",
                "spawn",
                "started",
                "started",
                "ended 0",
            ],
        ),
    ]);
}

#[test]
fn of_another_class_nothing_waits() {
    let other = says(ToKeeper::Start(Box::new(Launch {
        class: 2,
        places: Some(1),
        ..launch(2, None)
    })));
    check(&[
        (1, &[start(1)], &["log spawning", "spawn"]),
        (2, &[other], &["log spawning", "spawn"]),
    ]);
}

#[test]
fn what_waits_for_its_turn_is_listed_so_and_refused_again() {
    let mut keeper = keeper();
    keeper.handle(vec![start(1), start_ahead(2, 1)], at(1));
    let again = keeper.handle(vec![start_ahead(2, 1), forget(2)], at(2));
    assert_eq!(words(&again), ["refused"]);
    let listed = keeper.handle(vec![hello(Peer(2))], at(3));
    let Some(Effect::Send {
        message: FromKeeper::Listed { children, .. },
        ..
    }) = listed.last()
    else {
        panic!("no list: {listed:?}");
    };
    let states: Vec<ChildState> = children.iter().map(|child| child.state).collect();
    assert_eq!(states, [ChildState::Starting, ChildState::Waiting]);
}

#[test]
fn what_waits_for_its_turn_and_is_stopped_never_starts() {
    check(&[
        (
            1,
            &[start(1), start_ahead(2, 1), start_ahead(3, 1)],
            &["log spawning", "spawn"],
        ),
        (
            2,
            &[stop(2, GRACE)],
            &["log not started 125", "not started 125"],
        ),
        (3, &[forget(2)], &["log forgotten", "release"]),
        (
            4,
            &[says(ToKeeper::Quit)],
            &["log not started 125", "not started 125"],
        ),
        (
            5,
            &[executed(1), exited(1, 0)],
            &["log running", "sweep", "started"],
        ),
        (6, &[empty(1)], &["log ended", "ended 0"]),
        (
            7,
            &[forget(1), forget(3)],
            &[
                "log forgotten",
                "release",
                "log forgotten",
                "release",
                "end",
            ],
        ),
    ]);
}

#[test]
fn ends_are_told_together_while_enough_programs_wait() {
    let mut keeper = keeper();
    let mut events = vec![start(1)];
    events.extend((2..=10).map(|sequence| start_ahead(sequence, 1)));
    keeper.handle(events, at(1));
    for sequence in 1..=4 {
        let ended = vec![executed(sequence), exited(sequence, 0), empty(sequence)];
        let effects = keeper.handle(ended, at(1 + sequence));
        let told = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Send { .. }));
        assert!(!told, "{sequence}: {effects:?}");
        assert_eq!(keeper.deadline(), Some(at(17).moment));
    }
    let told = keeper.handle(vec![Event::Tick], at(17));
    assert_eq!(
        words(&told),
        [
            "started", "ended 0", "started", "ended 0", "started", "ended 0", "started", "ended 0"
        ]
    );
    // With two left, the agent is told at once, so that it can send more.
    let told = (5..=9).map(|sequence| {
        let ended = vec![executed(sequence), exited(sequence, 0), empty(sequence)];
        words(&keeper.handle(ended, at(18)))
            .iter()
            .filter(|word| word.starts_with("ended"))
            .count()
    });
    assert_eq!(told.collect::<Vec<_>>(), [0, 0, 3, 1, 1]);
}

#[test]
fn a_new_agent_is_told_by_the_list_alone() {
    let mut keeper = keeper();
    let mut events = vec![start(1)];
    events.extend((2..=10).map(|sequence| start_ahead(sequence, 1)));
    events.extend([executed(1), exited(1, 0), empty(1)]);
    keeper.handle(events, at(1));
    let effects = keeper.handle(vec![hello(Peer(2)), Event::Tick], at(9));
    assert_eq!(words(&effects), ["close 1", "list 10 true"]);
    assert_eq!(keeper.deadline(), None);
}
