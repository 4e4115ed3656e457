//! Bytes of a log as they come, as lines with their times. Pure.

use std::collections::VecDeque;

use crate::client::LogPart;

/// A longer line is shown in pieces of this many bytes: what is kept of a log in memory is bounded.
pub(super) const LINE_LENGTH_MAX: usize = 1 << 20;

/// A line, or a piece of one that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Unix time in microseconds; that of the line before where it is unknown.
    pub(super) at: u64,
    /// With its end, where it has one.
    pub(super) bytes: Vec<u8>,
}

/// What is shown next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Line(Line),
    /// So many bytes are not there any more.
    Missing {
        at: u64,
        bytes: u64,
    },
}

impl Item {
    pub(super) fn at(&self) -> u64 {
        match self {
            Self::Line(line) => line.at,
            Self::Missing { at, .. } => *at,
        }
    }
}

/// The lines of one stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    items: VecDeque<Item>,
    /// What has no end yet.
    open: Vec<u8>,
    /// When that began, then the last time that is known.
    at: u64,
    /// The rest of a line whose beginning is gone is not shown.
    skips: bool,
}

impl Lines {
    /// Takes a part in; `missing` bytes before it are gone.
    pub(super) fn take(&mut self, part: &LogPart, missing: u64) {
        if missing > 0 {
            self.close();
        }
        let mut missing = missing;
        let mut bytes = part.bytes.as_slice();
        if part.inside_line {
            self.skips = true;
        }
        if self.skips {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(bytes.len(), |end| end + 1);
            self.skips = end.is_none();
            missing += count as u64;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        if missing > 0 {
            let at = part.times.first().map_or(self.at, |(_, at)| *at);
            self.items.push_back(Item::Missing { at, bytes: missing });
        }
        let mut offset = part.next - bytes.len() as u64;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.add(piece, time_at(&part.times, offset));
            offset += piece.len() as u64;
        }
    }

    fn add(&mut self, piece: &[u8], at: Option<u64>) {
        if self.open.is_empty() {
            self.at = at.unwrap_or(self.at);
        }
        for piece in piece.chunks(LINE_LENGTH_MAX) {
            self.open.extend_from_slice(piece);
            if self.open.len() >= LINE_LENGTH_MAX {
                self.close();
            }
        }
        if self.open.last() == Some(&b'\n') {
            self.close();
        }
    }

    /// Gives up waiting for the end of the last line.
    pub(super) fn close(&mut self) {
        if !self.open.is_empty() {
            let line = Line {
                at: self.at,
                bytes: std::mem::take(&mut self.open),
            };
            self.items.push_back(Item::Line(line));
        }
    }

    pub(super) fn first(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        self.items.pop_front()
    }
}

fn time_at(times: &[(u64, u64)], offset: u64) -> Option<u64> {
    let count = times.partition_point(|(from, _)| *from <= offset);
    times.get(count.checked_sub(1)?).map(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: u64, text: &str, times: &[(u64, u64)]) -> LogPart {
        LogPart {
            start,
            bytes: text.as_bytes().to_vec(),
            next: start + text.len() as u64,
            times: times.to_vec(),
            ..LogPart::default()
        }
    }

    fn line(at: u64, text: &str) -> Item {
        Item::Line(Line {
            at,
            bytes: text.as_bytes().to_vec(),
        })
    }

    fn all(lines: &mut Lines) -> Vec<Item> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn a_line_that_comes_in_parts_is_whole_and_has_the_time_of_its_beginning() {
        let mut lines = Lines::default();
        lines.take(&part(0, "a\nb", &[(0, 5), (2, 6)]), 0);
        assert_eq!(all(&mut lines), [line(5, "a\n")]);
        lines.take(&part(3, "c\nd", &[(3, 9)]), 0);
        assert_eq!(all(&mut lines), [line(6, "bc\n")]);
        lines.close();
        assert_eq!(all(&mut lines), [line(9, "d")]);
    }

    #[test]
    fn a_gap_is_told_with_the_rest_of_the_line_that_it_tore() {
        let mut lines = Lines::default();
        lines.take(&part(0, "a\nb", &[(0, 5)]), 0);
        let torn = LogPart {
            inside_line: true,
            ..part(10, "rest", &[(10, 7)])
        };
        lines.take(&torn, 7);
        lines.take(&part(14, " of it\nwhole\n", &[(14, 8)]), 0);
        let missing = |at, bytes| Item::Missing { at, bytes };
        assert_eq!(
            all(&mut lines),
            [
                line(5, "a\n"),
                line(5, "b"),
                missing(7, 11),
                missing(8, 7),
                line(8, "whole\n")
            ]
        );
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let mut lines = Lines::default();
        let half = "x".repeat(LINE_LENGTH_MAX / 2 + 1);
        for _ in 0..4 {
            lines.take(&part(0, &half, &[]), 0);
        }
        let pieces: Vec<usize> = all(&mut lines)
            .into_iter()
            .map(|item| match item {
                Item::Line(line) => line.bytes.len(),
                Item::Missing { .. } => 0,
            })
            .collect();
        assert_eq!(pieces, [half.len() * 2, half.len() * 2]);
    }
}
