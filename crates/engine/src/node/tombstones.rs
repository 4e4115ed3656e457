//! Attempts that were refused in a session.

use std::collections::{BTreeMap, VecDeque};

use flota_model::ids::{AttemptId, AttemptRange};

use crate::node::ranges::{last, overlap};

/// Tombstones of a session that are remembered, oldest out first. The order of frames alone keeps a
/// forgotten attempt from being granted again; this is the second lock on that door.
const TOMBSTONES_MAX: usize = 1_024;

/// Attempts that were refused, in ranges.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    ranges: BTreeMap<AttemptId, u32>,
    order: VecDeque<AttemptId>,
}

impl Tombstones {
    pub(super) fn insert(&mut self, range: AttemptRange) {
        if self.ranges.insert(range.first, range.count).is_none() {
            self.order.push_back(range.first);
        }
        if self.order.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ranges.remove(&oldest);
        }
    }

    pub(super) fn within(&self, range: AttemptRange) -> Vec<AttemptRange> {
        let end = last(range);
        let before = self.ranges.range(..range.first).next_back();
        before
            .into_iter()
            .chain(self.ranges.range(range.first..=end))
            .filter_map(|(first, count)| {
                overlap(
                    AttemptRange {
                        first: *first,
                        count: *count,
                    },
                    range,
                )
            })
            .collect()
    }
}
