//! Which replicas of a revision are wanted.

use std::ops::Range;

use flota_model::{
    change::{Left, ServiceRecord},
    ids::{JobId, TaskIndex},
};

/// Ranges of replicas, ascending and apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted(Vec<Range<u32>>);

impl Wanted {
    /// What is wanted of the revision `job`.
    pub(super) fn of(record: &ServiceRecord, job: JobId) -> Self {
        if record.stopped {
            return Self::default();
        }
        let all = 0..record.replicas;
        let left = record
            .update
            .as_ref()
            .map_or(&[][..], |update| &update.left);
        if record.job == job {
            return Self(without(all, left));
        }
        let own = left.iter().filter(|left| left.job == job);
        let own = own.map(|left| left.first..left.range().end.min(all.end));
        Self(own.filter(|range| !range.is_empty()).collect())
    }

    pub(crate) fn contains(&self, task: TaskIndex) -> bool {
        let after = self.0.partition_point(|range| range.end <= task.0);
        self.0.get(after).is_some_and(|range| range.start <= task.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        self.0.iter().cloned().flatten().map(TaskIndex)
    }

    pub(crate) fn count(&self) -> u32 {
        let lengths = self.0.iter().map(|range| range.end - range.start);
        lengths.sum()
    }
}

/// `all` without what is left to be moved.
fn without(all: Range<u32>, left: &[Left]) -> Vec<Range<u32>> {
    let mut ranges = Vec::new();
    let mut start = all.start;
    for gap in left {
        ranges.push(start..gap.first.min(all.end));
        start = start.max(gap.range().end);
    }
    ranges.push(start..all.end);
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// Who has which replica while an update is under way, by replica; nothing of the current revision.
pub(super) fn owners(left: &[Left]) -> impl Iterator<Item = (u32, JobId)> + '_ {
    left.iter()
        .flat_map(|left| left.range().map(move |replica| (replica, left.job)))
}

/// The same as ranges, from ascending replicas.
pub(super) fn gather(owners: impl IntoIterator<Item = (u32, JobId)>) -> Vec<Left> {
    let mut left: Vec<Left> = Vec::new();
    for (first, job) in owners {
        if let Some(last) = left.last_mut()
            && last.job == job
            && last.range().end == first
        {
            last.count += 1;
            continue;
        }
        let count = 1;
        left.push(Left { first, count, job });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_and_what_is_moved_are_all_replicas_and_nothing_twice() {
        let left = [(2, 3, 7), (6, 1, 9), (8, 9, 7)];
        let left = left.map(|(first, count, job)| Left {
            first,
            count,
            job: JobId(job),
        });
        assert_eq!(without(0..10, &left), [0..2, 5..6, 7..8]);
        assert_eq!(without(0..6, &left), [0..2, 5..6]);
        assert_eq!(without(0..0, &left), []);
        assert_eq!(gather(owners(&left)), left);
        let moved = Wanted(without(0..10, &left));
        let known: Vec<u32> = moved.iter().map(|task| task.0).collect();
        assert_eq!(known, [0, 1, 5, 7]);
        assert_eq!(moved.count(), 4);
        for task in 0..12 {
            assert_eq!(moved.contains(TaskIndex(task)), known.contains(&task));
        }
    }
}
