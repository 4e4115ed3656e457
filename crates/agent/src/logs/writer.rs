//! One stream of a log, from the FIFO to segments.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use flota_engine::logs::{Mark, Open, needs_mark};
use flota_model::{
    outcome::StreamName,
    units::{Moment, Timestamp},
};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
    pipe::{SpliceFlags, splice},
};

use super::{
    index,
    names::{self, LogId},
    store::Store,
};
use crate::sys::{clock, files};

/// Most bytes moved at once: as much as the largest pipe that a user may have.
const MOVE_MAX: usize = 1 << 20;
/// Bytes that are looked at to find the end of a line: a pipe's worth.
const LOOK_MAX: usize = 64 << 10;
/// Bytes dropped in one read.
const DROP_LENGTH: usize = 64 << 10;
/// A program may wait so long for room on a full disk; then what it writes is dropped.
const HOLD: Duration = Duration::from_secs(1);
/// Others may write to a FIFO, not read it: a program that runs as another user can open its own
/// `/dev/stdout` then. The folder is for its owner alone.
const FIFO_MODE: Mode = Mode::from_raw_mode(0o622);

/// The writer of a stream. It holds the lock of the FIFO, so that there is only one.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) id: LogId,
    stream: StreamName,
    fifo: OwnedFd,
    /// Where the next byte belongs.
    end: u64,
    ends_line: bool,
    /// The one that is written; none before the first byte, and after the end of one.
    segment: Option<Segment>,
    /// Since when nothing can be written.
    stuck: Option<Stuck>,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    start: u64,
    index_length: u64,
    since: Timestamp,
    last: Option<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Stuck {
    since: Moment,
    looked_at: Moment,
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// Nothing was there.
    Nothing,
    /// They are in a segment.
    Written {
        bytes: u64,
        /// Bytes that were there, too, and are not moved yet.
        left: u64,
    },
    /// So many bytes are lost, and counted.
    Dropped(u64),
    /// There is no room; a later turn tries again.
    Held,
}

impl Writer {
    /// Makes a stream in the new folder of its log; also gives the end for the program.
    pub(super) fn create(
        store: &Store,
        id: LogId,
        stream: StreamName,
    ) -> io::Result<(Self, OwnedFd)> {
        let folder = store.folder();
        let new = names::new_fifo(id, stream);
        rustix::fs::mknodat(folder, &new, FileType::Fifo, files::PRIVATE, 0)?;
        let fifo = open_fifo(folder, &new)?;
        files::lock(&fifo)?;
        rustix::fs::fchmod(&fifo, FIFO_MODE)?;
        // Of its own, because a program may not expect writes that fail for want of room. Opened for
        // reading, too: so there is a reader as long as the program lives, whoever else is killed.
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let program = rustix::fs::openat(folder, &new, flags, Mode::empty())?;
        let writer = Self {
            id,
            stream,
            fifo,
            end: 0,
            ends_line: true,
            segment: None,
            stuck: None,
        };
        Ok((writer, program))
    }

    /// Takes over a stream whose writer is dead. `None` where it is not, or the stream is closed.
    pub(super) fn adopt(store: &Store, id: LogId, stream: StreamName) -> io::Result<Option<Self>> {
        let fifo = match open_fifo(store.folder(), &names::fifo(id, stream)) {
            Ok(fifo) => fifo,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_linked = |fifo: &OwnedFd| rustix::fs::fstat(fifo).is_ok_and(|it| it.st_nlink > 0);
        // It may have been closed between our opening and our locking it.
        if !files::lock(&fifo)? || !is_linked(&fifo) {
            return Ok(None);
        }
        let mut writer = Self {
            id,
            stream,
            fifo,
            end: 0,
            ends_line: true,
            segment: None,
            stuck: None,
        };
        if let Some(last) = store.find(id, stream)?.segments.last() {
            writer.go_on(store, last.extent.start, last.extent.end())?;
        }
        Ok(Some(writer))
    }

    fn go_on(&mut self, store: &Store, start: u64, end: u64) -> io::Result<()> {
        let index = index::read(store.folder(), &names::index(self.id, self.stream, start))?;
        let now = clock::wall();
        self.end = end;
        self.segment = Some(Segment {
            start,
            index_length: index.marks.len() as u64 * index::ENTRY_LENGTH,
            since: index.marks.first().map_or(now, |mark| mark.at),
            last: index.marks.last().copied(),
        });
        self.ends_line = if end > start {
            ends_line(&self.file(store, start)?, end - start)?
        } else {
            !index.begins_inside_line
        };
        Ok(())
    }

    pub(super) fn fifo(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }

    /// Moves what there is, once. `streams` are written by this process.
    pub(super) fn turn(&mut self, store: &Store, streams: usize) -> io::Result<Moved> {
        match self.write(store, streams) {
            Ok(moved) => {
                self.stuck = None;
                Ok(moved)
            }
            Err(error) => {
                tracing::debug!(%error, attempt = %self.id.attempt, "a log cannot be written");
                self.write_no_more(store, streams)
            }
        }
    }

    fn write(&mut self, store: &Store, streams: usize) -> io::Result<Moved> {
        let there = rustix::io::ioctl_fionread(&self.fifo)?;
        if there == 0 {
            return Ok(Moved::Nothing);
        }
        let now = clock::wall();
        let mut to_line_end = false;
        if let Some(segment) = self.segment {
            let open = |ends_line| Open {
                length: self.end - segment.start,
                index_length: segment.index_length,
                since: segment.since,
                ends_line,
            };
            if store.limits.ends(open(self.ends_line), streams, now) {
                self.segment = None;
            } else if store.limits.ends(open(true), streams, now) {
                to_line_end = true;
            }
        }
        let segment = match self.segment {
            Some(segment) => segment,
            None => self.begin(store)?,
        };
        self.mark(store, now);
        let file = self.file(store, segment.start)?;
        let mut at = self.end - segment.start;
        let room = store.limits.segment_bytes(streams).saturating_sub(at);
        let length = if to_line_end {
            self.to_line_end()?.unwrap_or(LOOK_MAX)
        } else {
            usize::try_from(room).unwrap_or(MOVE_MAX).clamp(1, MOVE_MAX)
        };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        match splice(&self.fifo, None, &file, Some(&mut at), length, flags) {
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Ok(Moved::Nothing),
            Ok(count) => {
                self.end += count as u64;
                self.ends_line = ends_line(&file, self.end - segment.start)?;
                Ok(Moved::Written {
                    bytes: count as u64,
                    left: there.saturating_sub(count as u64),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes up to the end of the line that is begun, where they are in the FIFO. Looks at a
    /// copy: what is taken out of a FIFO and not written would be lost with us.
    fn to_line_end(&self) -> io::Result<Option<usize>> {
        let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
        let (copy, into) = rustix::pipe::pipe_with(flags)?;
        let looked = rustix::pipe::tee(&self.fifo, &into, LOOK_MAX, SpliceFlags::NONBLOCK);
        let Ok(count) = looked else {
            return Ok(None);
        };
        let mut bytes = vec![0; count];
        let read = rustix::io::read(&copy, &mut bytes)?;
        let line = bytes.iter().take(read).position(|byte| *byte == b'\n');
        Ok(line.map(|position| position + 1))
    }

    /// Begins a segment at the present end.
    fn begin(&mut self, store: &Store) -> io::Result<Segment> {
        let name = names::segment(self.id, self.stream, self.end);
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(store.folder(), &name, flags, files::PRIVATE)?;
        let segment = Segment {
            start: self.end,
            index_length: 0,
            since: clock::wall(),
            last: None,
        };
        self.segment = Some(segment);
        store.prune_stream(self.id, self.stream)?;
        Ok(segment)
    }

    fn mark(&mut self, store: &Store, now: Timestamp) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        if !needs_mark(segment.last, now) {
            return;
        }
        let mark = Mark {
            offset: self.end,
            at: now,
        };
        let name = names::index(self.id, self.stream, segment.start);
        let is_inside = segment.last.is_none() && !self.ends_line;
        let length = segment.index_length;
        segment.index_length = index::append(store.folder(), &name, length, mark, is_inside);
        if segment.index_length > length {
            segment.last = Some(mark);
        }
    }

    fn file(&self, store: &Store, start: u64) -> io::Result<OwnedFd> {
        let name = names::segment(self.id, self.stream, start);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(
            store.folder(),
            name,
            flags,
            Mode::empty(),
        )?)
    }

    /// There is no room: older segments go first, then the program waits for a moment, then what it
    /// writes is dropped.
    fn write_no_more(&mut self, store: &Store, streams: usize) -> io::Result<Moved> {
        let now = clock::moment();
        let is_new = self.stuck.is_none();
        let stuck = self.stuck.get_or_insert(Stuck {
            since: now,
            looked_at: now,
        });
        let is_due = now.since(stuck.looked_at) >= HOLD;
        let since = stuck.since;
        if is_new || is_due {
            stuck.looked_at = now;
            if store.make_room()?
                && let Ok(moved) = self.write(store, streams)
            {
                self.stuck = None;
                return Ok(moved);
            }
        }
        if now.since(since) < HOLD {
            return Ok(Moved::Held);
        }
        self.drop_some(store)
    }

    /// Takes out what is in the FIFO and counts it.
    pub(super) fn drop_some(&mut self, store: &Store) -> io::Result<Moved> {
        let mut bytes = vec![0; DROP_LENGTH];
        let count = match rustix::io::read(&self.fifo, &mut bytes) {
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => return Ok(Moved::Nothing),
            Ok(count) => count,
            Err(error) => return Err(error.into()),
        };
        self.ends_line = bytes.get(count - 1) == Some(&b'\n');
        self.leave_out(store, count as u64);
        Ok(Moved::Dropped(count as u64))
    }

    /// Leaves out `count` bytes: an empty segment begins behind them, and says so also to whoever
    /// writes after us. Names can often be changed where no byte can be written.
    fn leave_out(&mut self, store: &Store, count: u64) {
        let folder = store.folder();
        let old = self.segment.filter(|segment| segment.start == self.end);
        self.end += count;
        self.segment = None;
        if let Some(old) = old {
            let name = |start| names::segment(self.id, self.stream, start);
            let _ = rustix::fs::renameat(folder, name(old.start), folder, name(self.end));
            let times = names::index(self.id, self.stream, old.start);
            let _ = rustix::fs::unlinkat(folder, times, AtFlags::empty());
        }
        // Without it the gap is known to us alone, until there is room.
        let _ = self.begin(store);
    }

    /// Moves what was written up to now and closes the stream. What comes later is nobody's: the
    /// program and all that it started are gone.
    pub(super) fn finish(mut self, store: &Store, streams: usize) -> io::Result<()> {
        let mut left = rustix::pipe::fcntl_getpipe_size(&self.fifo).unwrap_or(MOVE_MAX) as u64;
        while left > 0 {
            let moved = match self.turn(store, streams)? {
                Moved::Held => self.drop_some(store)?,
                moved @ (Moved::Nothing | Moved::Written { .. } | Moved::Dropped(_)) => moved,
            };
            match moved {
                Moved::Nothing | Moved::Held => break,
                Moved::Written { bytes: count, .. } | Moved::Dropped(count) => {
                    left = left.saturating_sub(count);
                }
            }
        }
        let name = names::fifo(self.id, self.stream);
        Ok(rustix::fs::unlinkat(
            store.folder(),
            name,
            AtFlags::empty(),
        )?)
    }
}

fn open_fifo(folder: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?)
}

fn ends_line(file: &OwnedFd, length: u64) -> io::Result<bool> {
    let mut byte = [0];
    let count = rustix::io::pread(file, &mut byte, length.saturating_sub(1))?;
    Ok(count == 0 || byte == [b'\n'])
}
