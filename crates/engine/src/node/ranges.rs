//! Arithmetic on ranges of attempts. All ranges given here are sound (checked where they arrive).

use std::collections::BTreeMap;

use flota_model::ids::{AttemptId, AttemptRange};

/// The last attempt of the range.
pub(super) fn last(range: AttemptRange) -> AttemptId {
    range.first.plus(range.count - 1)
}

/// What both ranges have in common.
pub(super) fn overlap(left: AttemptRange, right: AttemptRange) -> Option<AttemptRange> {
    let first = left.first.max(right.first);
    let end = last(left).min(last(right));
    (first <= end).then(|| AttemptRange {
        first,
        count: distance(first, end) + 1,
    })
}

/// How many places `later` is after `earlier`, in one range.
pub(super) fn distance(earlier: AttemptId, later: AttemptId) -> u32 {
    u32::try_from(later.sequence - earlier.sequence).expect("a range has at most 2^32 attempts")
}

/// The keys of `map` that are in the range, in ascending order.
pub(super) fn keys_within<T>(map: &BTreeMap<AttemptId, T>, range: AttemptRange) -> Vec<AttemptId> {
    map.range(range.first..=last(range))
        .map(|(attempt, _)| *attempt)
        .collect()
}

/// What is left of `range` without `holes`, which lie within it, in any order.
pub(super) fn without(range: AttemptRange, mut holes: Vec<AttemptRange>) -> Vec<AttemptRange> {
    holes.sort_unstable();
    let (mut left, mut next, end) = (Vec::new(), 0, range.count);
    for hole in holes {
        let start = distance(range.first, hole.first);
        if start > next {
            left.push(AttemptRange {
                first: range.first.plus(next),
                count: start - next,
            });
        }
        next = next.max(start + hole.count);
    }
    if next < end {
        left.push(AttemptRange {
            first: range.first.plus(next),
            count: end - next,
        });
    }
    left
}
