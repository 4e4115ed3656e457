use flota_model::sample::{Remnant, Unkillable};

use super::*;

fn left(sequence: u64, count: u32) -> Event {
    Event::Unkillable(Unkillable {
        attempt: attempt(sequence),
        since: Timestamp(3_000),
        count,
        remnants: vec![Remnant {
            pid: 10,
            state: b'D',
        }],
    })
}

#[test]
fn what_does_not_die_is_told_when_it_changes_and_is_over_with_its_end() {
    check(&[
        (1, &[start(1)], &["log spawning", "spawn"]),
        (2, &[executed(1)], &["log running", "started"]),
        (
            3,
            &[stop(1, Duration::ZERO)],
            &["log stopping", "signal 9", "sweep"],
        ),
        (8, &[left(1, 2)], &["unkillable 2"]),
        (9, &[left(1, 2)], &[]),
        (10, &[left(1, 1)], &["unkillable 1"]),
        (11, &[exited(1, 9), empty(1)], &["log ended", "ended 9"]),
        (12, &[left(1, 1)], &[]),
        (13, &[forget(1)], &["log forgotten", "release"]),
        (14, &[left(1, 1)], &[]),
    ]);
}

#[test]
fn the_next_agent_is_told_what_does_not_die_behind_the_list() {
    let mut keeper = keeper();
    keeper.handle(vec![start(1), executed(1)], at(1));
    keeper.handle(vec![stop(1, Duration::ZERO), left(1, 3)], at(2));
    let effects = keeper.handle(vec![hello(Peer(2))], at(3));
    assert_eq!(words(&effects), ["close 1", "list 1 true", "unkillable 3"]);
    keeper.handle(vec![exited(1, 9), empty(1)], at(4));
    let effects = keeper.handle(vec![hello(Peer(3))], at(5));
    assert_eq!(words(&effects), ["close 2", "list 1 true"]);
}
