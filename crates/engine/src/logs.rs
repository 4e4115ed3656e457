//! What is decided about rotated logs: when a segment ends, what is removed, where a reader goes on.
//!
//! A stream of a run is ONE sequence of bytes, counted from 0, also those that were dropped or
//! removed. Segments are where parts of it lie; a reader does not see their borders. Where bytes are
//! missing there is a gap: the offsets go on behind it, so that a reader that knows how far it came
//! knows how much it missed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use flota_model::units::Timestamp;

/// Bytes of a segment beyond which a new one begins, wherever lines end: a line that is longer than
/// this lies in two.
pub const LINE_NEAR_MAX: u64 = 256 << 10;
/// Smallest segment that a full node makes of streams, in bytes.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// Longest index of the times of a segment, in bytes: bounds what a search by time reads.
pub const INDEX_BYTES_MAX: u64 = 1 << 20;
/// Two marks of an index are at least this far apart. What is written within it has one time.
pub const MARK_INTERVAL: Duration = Duration::from_millis(100);

/// Limits of the logs of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A segment ends at this length, in bytes.
    pub segment_bytes: u64,
    /// A segment ends at this age.
    pub segment_age: Duration,
    /// Most segments of a stream of a run, the one that is written included; at least 2.
    pub segments_max: u32,
    /// Segments that nobody has written to for so long are removed.
    pub age_max: Duration,
    /// Most bytes of all logs of the node together.
    pub node_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            segment_age: Duration::from_hours(24),
            segments_max: 8,
            age_max: Duration::from_hours(14 * 24),
            node_bytes_max: 2 << 30,
        }
    }
}

/// The segment that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its bytes.
    pub length: u64,
    /// Bytes of its index.
    pub index_length: u64,
    /// Since when it is written.
    pub since: Timestamp,
    /// Whether its last byte ends a line.
    pub ends_line: bool,
}

impl Limits {
    /// The length at which a segment ends while a keeper writes so many streams: those that are
    /// written, which nobody may remove, must fit into half of what the node may hold.
    pub fn segment_bytes(&self, streams: usize) -> u64 {
        let share = self.node_bytes_max / (2 * streams.max(1) as u64);
        self.segment_bytes.min(share.max(SEGMENT_BYTES_MIN))
    }

    /// Whether a new segment begins before more is written, at the end of a line where one is near.
    pub fn ends(&self, open: Open, streams: usize, now: Timestamp) -> bool {
        let bytes = self.segment_bytes(streams);
        let age = Duration::from_micros(now.0.saturating_sub(open.since.0));
        let is_due = open.length >= bytes
            || open.index_length >= INDEX_BYTES_MAX
            || (open.length > 0 && age >= self.segment_age);
        is_due && (open.ends_line || open.length >= bytes.saturating_add(LINE_NEAR_MAX))
    }

    /// How many of the oldest segments of a stream go, when those are all, oldest first, each with
    /// the time of its last write. The last one stays while it `is_open`.
    pub fn surplus(&self, written_at: &[Timestamp], is_open: bool, now: Timestamp) -> usize {
        let removable = written_at.len() - usize::from(is_open && !written_at.is_empty());
        let too_many = written_at
            .len()
            .saturating_sub(self.segments_max.max(2) as usize);
        let is_old =
            |at: &Timestamp| Duration::from_micros(now.0.saturating_sub(at.0)) > self.age_max;
        let old = written_at.iter().take_while(|at| is_old(at)).count();
        too_many.max(old).min(removable)
    }
}

/// A segment that could be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removable<T> {
    /// Which.
    pub name: T,
    /// Its bytes, with its index.
    pub bytes: u64,
    /// When it was written last.
    pub written_at: Timestamp,
}

/// Which of `removable` go so that a node with `bytes` in all holds at most `bytes_max`: the oldest
/// ones of all its streams.
pub fn victims<T: Ord>(
    mut removable: Vec<Removable<T>>,
    bytes: u64,
    bytes_max: u64,
) -> Vec<Removable<T>> {
    removable.sort_by(|a, b| (a.written_at, &a.name).cmp(&(b.written_at, &b.name)));
    let mut excess = bytes.saturating_sub(bytes_max);
    let taken = removable.into_iter().take_while(|segment| {
        let is_needed = excess > 0;
        excess = excess.saturating_sub(segment.bytes);
        is_needed
    });
    taken.collect()
}

/// The bytes of a stream that a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset of its first byte.
    pub start: u64,
    /// How many.
    pub length: u64,
}

impl Extent {
    /// The offset behind its last byte.
    pub fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// Where a reader finds its next bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There.
    Here {
        /// Position in the list of segments.
        segment: usize,
        /// The offset of the byte: the one asked for, or the first behind a gap.
        offset: u64,
    },
    /// Nothing is there yet.
    End {
        /// Behind the last byte that was ever written.
        offset: u64,
    },
}

/// Where a reader that has all up to `offset` goes on; `segments` in the order of their starts.
pub fn resume(segments: &[Extent], offset: u64) -> Place {
    let found = segments
        .iter()
        .position(|segment| segment.length > 0 && segment.end() > offset);
    match found.and_then(|segment| Some((segment, segments.get(segment)?))) {
        Some((segment, extent)) => Place::Here {
            segment,
            offset: offset.max(extent.start),
        },
        None => Place::End {
            offset: segments.last().map_or(0, |last| last.end()),
        },
    }
}

/// The bytes from an offset on were written at that time or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which byte.
    pub offset: u64,
    /// When.
    pub at: Timestamp,
}

/// Whether bytes at `offset` need a mark of their own.
pub fn needs_mark(last: Option<Mark>, now: Timestamp) -> bool {
    last.is_none_or(|last| {
        // Also where the clock was set back.
        now < last.at || Duration::from_micros(now.0 - last.at.0) >= MARK_INTERVAL
    })
}

/// The first byte that may have been written at `since` or later; `end` where there is none.
pub fn since(marks: &[Mark], since: Timestamp, end: u64) -> u64 {
    let reach = u64::try_from(MARK_INTERVAL.as_micros()).unwrap_or(u64::MAX);
    let found = marks
        .iter()
        .find(|mark| mark.at.0.saturating_add(reach) > since.0);
    found.map_or(end, |mark| mark.offset)
}

/// The first byte that was written after `until`; `None` where there is none.
pub fn until(marks: &[Mark], until: Timestamp) -> Option<u64> {
    marks
        .iter()
        .find(|mark| mark.at > until)
        .map(|mark| mark.offset)
}
