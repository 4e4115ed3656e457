//! Names of files of logs.

use flota_model::{ids::AttemptId, outcome::StreamName};

/// Behind the name of a log that is being made.
pub(super) const NEW: &str = ".new";
/// Both streams of a program.
pub(super) const STREAMS: [StreamName; 2] = [StreamName::Stdout, StreamName::Stderr];

/// A log: one run of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogId {
    pub(crate) attempt: AttemptId,
    /// From 1.
    pub(crate) run: u32,
}

impl LogId {
    pub(super) fn folder(self) -> String {
        format!("{}.{}", self.attempt, self.run)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (attempt, run) = name.rsplit_once('.')?;
        let id = Self {
            attempt: attempt.parse().ok()?,
            run: run.parse().ok()?,
        };
        (id.folder() == name).then_some(id)
    }
}

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// There while somebody may write.
    Fifo(StreamName),
    /// The bytes from that offset on.
    Segment(StreamName, u64),
    /// Their times.
    Index(StreamName, u64),
}

impl Part {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (stream, rest) = name.split_once('.')?;
        let stream = STREAMS.into_iter().find(|known| known.word() == stream)?;
        if rest == "fifo" {
            return Some(Self::Fifo(stream));
        }
        let (start, kind) = rest.split_once('.')?;
        let start = start.parse().ok()?;
        match kind {
            "log" => Some(Self::Segment(stream, start)),
            "times" => Some(Self::Index(stream, start)),
            _ => None,
        }
    }
}

pub(super) fn fifo(id: LogId, stream: StreamName) -> String {
    format!("{}/{}.fifo", id.folder(), stream.word())
}

/// The folder of a log until its FIFOs are locked: nobody takes them over, and no reader takes the
/// log for one that has ended.
pub(super) fn new_folder(id: LogId) -> String {
    format!("{}{NEW}", id.folder())
}

pub(super) fn new_fifo(id: LogId, stream: StreamName) -> String {
    format!("{}/{}.fifo", new_folder(id), stream.word())
}

/// With zeros in front, so that names sort as offsets do.
pub(super) fn segment(id: LogId, stream: StreamName, start: u64) -> String {
    format!("{}/{}.{start:020}.log", id.folder(), stream.word())
}

pub(super) fn index(id: LogId, stream: StreamName, start: u64) -> String {
    format!("{}/{}.{start:020}.times", id.folder(), stream.word())
}
