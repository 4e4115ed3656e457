use std::sync::Arc;

use flota_model::ids::AttemptRange;

use super::bench::{Kind, attempt, order, range};
use crate::node::{
    queue::Queue,
    ranges::{overlap, without},
};

fn queue(ranges: &[(u64, u32)]) -> Queue {
    let mut queue = Queue::default();
    for (first, count) in ranges {
        queue.push(
            order(Kind::Noop, *first, *count),
            Arc::new(Kind::Noop.sealed()),
            1,
        );
    }
    queue
}

fn left(queue: &Queue) -> Vec<AttemptRange> {
    let mut left: Vec<AttemptRange> = queue.pieces().map(|piece| piece.order.attempts).collect();
    left.sort_unstable();
    let total: u64 = left.iter().map(|range| u64::from(range.count)).sum();
    assert_eq!(total, queue.attempts());
    left
}

#[test]
fn holes_are_taken_out_of_a_range() {
    let cases: [(Vec<AttemptRange>, Vec<AttemptRange>); 5] = [
        (vec![], vec![range(10, 10)]),
        (vec![range(10, 10)], vec![]),
        (vec![range(10, 1), range(19, 1)], vec![range(11, 8)]),
        (
            vec![range(15, 2), range(12, 1)],
            vec![range(10, 2), range(13, 2), range(17, 3)],
        ),
        (
            vec![range(12, 4), range(13, 1)],
            vec![range(10, 2), range(16, 4)],
        ),
    ];
    for (holes, expected) in cases {
        assert_eq!(without(range(10, 10), holes.clone()), expected, "{holes:?}");
    }
}

#[test]
fn ranges_of_other_salts_do_not_overlap() {
    let mut other = range(10, 10);
    other.first.salt = 8;
    assert_eq!(overlap(range(10, 10), range(15, 20)), Some(range(15, 5)));
    assert_eq!(overlap(range(10, 10), range(20, 5)), None);
    assert_eq!(overlap(range(10, 10), other), None);
    assert_eq!(overlap(other, range(10, 10)), None);
}

#[test]
fn the_front_of_a_piece_is_taken_first() {
    let mut queue = queue(&[(10, 5)]);
    let taken = queue.take(attempt(10), 2);
    assert_eq!(taken.order, order(Kind::Noop, 10, 2));
    assert_eq!(left(&queue), [range(12, 3)]);
    let taken = queue.take(attempt(10), 3);
    assert_eq!(taken.order, order(Kind::Noop, 12, 3));
    assert_eq!(left(&queue), []);
    assert_eq!(queue.classes.heads().count(), 0);
}

#[test]
fn a_piece_is_carved_in_the_middle_and_keeps_its_place_in_line() {
    let mut queue = queue(&[(10, 10), (30, 1)]);
    queue.take(attempt(10), 2);
    let carved = queue.carve(range(14, 3));
    assert_eq!(carved.len(), 1);
    assert_eq!(carved[0].order, order(Kind::Noop, 14, 3));
    assert_eq!(left(&queue), [range(12, 2), range(17, 3), range(30, 1)]);
    let ((_, head), _) = queue.classes.heads().next().unwrap();
    assert_eq!(head, attempt(12));
    assert_eq!(queue.within(range(13, 5)), [range(13, 1), range(17, 1)]);
    assert_eq!(queue.carve(range(0, 100)).len(), 3);
    assert_eq!(left(&queue), []);
}

#[test]
fn a_settled_attempt_that_is_granted_again_does_not_displace_what_is_left() {
    let mut queue = queue(&[(10, 10)]);
    queue.take(attempt(10), 5);
    queue.push(order(Kind::Noop, 10, 2), Arc::new(Kind::Noop.sealed()), 1);
    queue.push(order(Kind::Noop, 13, 1), Arc::new(Kind::Noop.sealed()), 1);
    assert_eq!(left(&queue), [range(10, 2), range(13, 1), range(15, 5)]);
    assert_eq!(queue.within(range(17, 1)), [range(17, 1)]);
    assert_eq!(queue.carve(range(17, 1)).len(), 1);
}
