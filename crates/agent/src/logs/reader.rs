//! What readers get of logs.

use std::io;

use flota_engine::logs::{Extent, Mark, Place, resume, since, until};
use flota_model::{
    log::{LOG_MARKS_MAX, LOG_PART_MAX, LOG_TAIL_MAX, LogFrom, LogPart, LogQuestion},
    outcome::StreamName,
    units::Timestamp,
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{
    index::{self, Index},
    names::{self, LogId},
    store::{Found, Store},
};
use crate::sys::files;

/// Bytes read at once when lines are counted from the end.
const BLOCK: u64 = 64 << 10;
/// Most bytes in which lines are counted from the end.
const TAIL_BYTES_MAX: u64 = 16 << 20;
/// A segment may be removed between our finding and our opening it: then we look again.
const LOOKS_MAX: u32 = 8;

/// Reads a part of a log; `None` where there is none.
pub(crate) fn read(store: &Store, question: &LogQuestion) -> io::Result<Option<LogPart>> {
    let run = match question.run {
        Some(run) => Some(run),
        None => store.logs_of(question.attempt)?.last().map(|log| log.run),
    };
    let Some(run) = run else {
        return Ok(None);
    };
    let id = LogId {
        attempt: question.attempt,
        run,
    };
    if !store.has(id) {
        return Ok(None);
    }
    for _ in 1..LOOKS_MAX {
        let reading = Reading::new(store, id, question.stream)?;
        match reading.part(question) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            part => return part.map(Some),
        }
    }
    let reading = Reading::new(store, id, question.stream)?;
    reading.part(question).map(Some)
}

/// The last `lines` lines of a stream of a run, at most `bytes_max` bytes: for people who are told
/// that it ended.
pub(crate) fn last_lines(
    store: &Store,
    (id, stream): (LogId, StreamName),
    lines: u32,
    bytes_max: u32,
) -> io::Result<Vec<u8>> {
    let question = |from| LogQuestion {
        attempt: id.attempt,
        run: Some(id.run),
        stream,
        from,
        until: None,
        length: bytes_max,
        marks: false,
    };
    let part = read(store, &question(LogFrom::Tail(lines)))?.unwrap_or_default();
    if part.at_end {
        return Ok(part.bytes);
    }
    // Longer than what is wanted: its end.
    let end = Reading::new(store, id, stream)?.end();
    let from = LogFrom::Offset(end.saturating_sub(bytes_max.into()));
    Ok(read(store, &question(from))?.unwrap_or_default().bytes)
}

/// Bytes, and from which one on which time holds.
type Taken = (Vec<u8>, Vec<(u64, Timestamp)>);

/// A stream while it is read.
struct Reading<'a> {
    store: &'a Store,
    id: LogId,
    stream: StreamName,
    found: Found,
    extents: Vec<Extent>,
}

impl<'a> Reading<'a> {
    fn new(store: &'a Store, id: LogId, stream: StreamName) -> io::Result<Self> {
        let found = store.find(id, stream)?;
        Ok(Self {
            store,
            id,
            stream,
            extents: found.extents(),
            found,
        })
    }

    fn end(&self) -> u64 {
        self.extents.last().map_or(0, |last| last.end())
    }

    fn part(&self, question: &LogQuestion) -> io::Result<LogPart> {
        let asked = match question.from {
            LogFrom::Offset(offset) => offset,
            LogFrom::Tail(lines) => self.tail(lines.min(LOG_TAIL_MAX))?,
            LogFrom::Since(time) => self.since(time)?,
        };
        let (segment, start) = match resume(&self.extents, asked) {
            Place::Here { segment, offset } => (segment, offset),
            Place::End { offset } => return Ok(self.at_end(asked.max(offset))),
        };
        let stop = match question.until {
            Some(time) => self.until(time, segment, start)?,
            None => u64::MAX,
        };
        if stop <= start {
            return Ok(LogPart {
                growing: false,
                ..self.at_end(start)
            });
        }
        let length = u64::from(question.length.min(LOG_PART_MAX)).min(stop - start);
        let (bytes, marks) = self.take(segment, start, length, question.marks)?;
        let next = start + bytes.len() as u64;
        let is_first = |extent: &Extent| extent.start == start;
        let begins_segment = self.extents.get(segment).is_some_and(is_first);
        let is_behind_gap = start > asked || asked == 0;
        Ok(LogPart {
            run: self.id.run,
            start,
            inside_line: begins_segment && is_behind_gap && self.index(start)?.begins_inside_line,
            at_end: next >= stop || next >= self.end(),
            growing: self.found.is_open && next < stop,
            next,
            end: self.end(),
            bytes,
            marks,
        })
    }

    fn at_end(&self, offset: u64) -> LogPart {
        LogPart {
            run: self.id.run,
            start: offset,
            next: offset,
            end: self.end(),
            at_end: true,
            growing: self.found.is_open,
            ..LogPart::default()
        }
    }

    /// Up to `length` bytes from `start` on, which lies in `segment`; also from those that follow
    /// without a gap.
    fn take(
        &self,
        segment: usize,
        start: u64,
        length: u64,
        wants_marks: bool,
    ) -> io::Result<Taken> {
        let (mut bytes, mut marks) = (Vec::new(), Vec::new());
        let mut next = start;
        let mut stop = start + length;
        for extent in self.extents.iter().skip(segment) {
            if extent.start > next || next >= stop {
                break;
            }
            if wants_marks {
                let index = self.index(extent.start)?;
                stop = add_marks(&mut marks, &index, next, stop);
            }
            let wanted = stop.min(extent.end()).saturating_sub(next);
            let file = self.file(extent.start)?;
            let wanted = usize::try_from(wanted).unwrap_or(0);
            bytes.extend(files::read_at(&file, next - extent.start, wanted)?);
            next = start + bytes.len() as u64;
        }
        Ok((bytes, marks))
    }

    fn file(&self, start: u64) -> Result<std::os::fd::OwnedFd, Errno> {
        let name = names::segment(self.id, self.stream, start);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(self.store.folder(), name, flags, Mode::empty())
    }

    fn index(&self, start: u64) -> io::Result<Index> {
        let name = names::index(self.id, self.stream, start);
        index::read(self.store.folder(), &name)
    }

    /// The offset of the last `lines` lines; what stands behind the last line end is one, too.
    fn tail(&self, lines: u32) -> io::Result<u64> {
        let end = self.end();
        if lines == 0 {
            return Ok(end);
        }
        let mut left = u64::from(lines);
        let mut first = end;
        for extent in self.extents.iter().rev().filter(|extent| extent.length > 0) {
            // Behind a gap a line would not be whole.
            if extent.end() != first {
                break;
            }
            let file = self.file(extent.start)?;
            while first > extent.start && end - first < TAIL_BYTES_MAX {
                let from = first.saturating_sub(BLOCK).max(extent.start);
                let wanted = usize::try_from(first - from).unwrap_or(0);
                let block = files::read_at(&file, from - extent.start, wanted)?;
                for (position, _) in block.iter().enumerate().rev().filter(|it| *it.1 == b'\n') {
                    let behind = from + position as u64 + 1;
                    // The last line end of all ends the last line; it does not begin one.
                    if behind == end {
                        continue;
                    }
                    left = left.saturating_sub(1);
                    if left == 0 {
                        return Ok(behind);
                    }
                }
                first = from;
            }
        }
        Ok(first)
    }

    fn since(&self, time: Timestamp) -> io::Result<u64> {
        for (extent, segment) in self.extents.iter().zip(&self.found.segments) {
            // All of it is older.
            if segment.written_at < time && extent.end() < self.end() {
                continue;
            }
            let found = since(&self.index(extent.start)?.marks, time, extent.end());
            if found < extent.end() {
                return Ok(found);
            }
        }
        Ok(self.end())
    }

    /// The first byte from `start` on that was written after `time`.
    fn until(&self, time: Timestamp, segment: usize, start: u64) -> io::Result<u64> {
        for extent in self.extents.iter().skip(segment) {
            let marks = self.index(extent.start)?.marks;
            if let Some(offset) = until(&marks, time) {
                return Ok(offset.max(start));
            }
        }
        Ok(u64::MAX)
    }
}

/// Adds what holds from `next` on; returns where the part ends, so that there are not too many.
pub(super) fn add_marks(
    marks: &mut Vec<(u64, Timestamp)>,
    index: &Index,
    next: u64,
    stop: u64,
) -> u64 {
    let before = index.marks.iter().rev().find(|mark| mark.offset <= next);
    let behind = index.marks.iter().filter(|mark| mark.offset > next);
    let before = before.map(|mark| Mark {
        offset: next,
        at: mark.at,
    });
    for mark in before.iter().chain(behind) {
        if mark.offset >= stop {
            break;
        }
        if marks.len() >= LOG_MARKS_MAX {
            return mark.offset;
        }
        marks.push((mark.offset, mark.at));
    }
    stop
}
