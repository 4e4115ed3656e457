//! What is asked of rotated logs on a node, and what it answers.

use crate::{ids::AttemptId, outcome::StreamName, units::Timestamp};

/// Most bytes of one part of a log.
pub const LOG_PART_MAX: u32 = 256 * 1024;
/// Most marks in one part of a log: a part ends before the next one.
pub const LOG_MARKS_MAX: usize = 256;
/// Most lines that can be asked for from the end.
pub const LOG_TAIL_MAX: u32 = 100_000;

/// Which part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuestion {
    /// Of which attempt.
    pub attempt: AttemptId,
    /// Which run of it, from 1; the last one where absent.
    pub run: Option<u32>,
    /// [`StreamName::Stdout`] or [`StreamName::Stderr`].
    pub stream: StreamName,
    /// From where on.
    pub from: LogFrom,
    /// Nothing that was written after that.
    pub until: Option<Timestamp>,
    /// At most this many bytes; at most [`LOG_PART_MAX`].
    pub length: u32,
    /// Whether the times are wanted.
    pub marks: bool,
}

/// Where a part of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFrom {
    /// At that byte, or at the first one behind it that is still there.
    Offset(u64),
    /// So many lines before the end; at most [`LOG_TAIL_MAX`].
    Tail(u32),
    /// At the first byte that may have been written then.
    Since(Timestamp),
}

/// A part of a log. Offsets count all bytes that the program wrote, also those that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPart {
    /// Which run it is of.
    pub run: u32,
    /// Offset of the first byte; larger than what was asked for where bytes are gone.
    pub start: u64,
    /// At most as many as were asked for, without a gap.
    pub bytes: Vec<u8>,
    /// Where to go on.
    pub next: u64,
    /// The offset behind the last byte that was written.
    pub end: u64,
    /// Whether there is nothing behind `next` now.
    pub at_end: bool,
    /// Whether the run may still write.
    pub growing: bool,
    /// Whether the first byte continues a line whose beginning is gone.
    pub inside_line: bool,
    /// From which byte on which time holds, in order. At most [`LOG_MARKS_MAX`].
    pub marks: Vec<(u64, Timestamp)>,
}
