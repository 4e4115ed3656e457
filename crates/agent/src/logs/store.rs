//! The folder of all logs of a node: what is in it, and what must go.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use flota_engine::logs::{Extent, Limits, Removable, victims};
use flota_model::{ids::AttemptId, outcome::StreamName, units::Timestamp};
use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use super::names::{self, LogId, Part, STREAMS};
use crate::sys::{clock, files};

/// The folder and its limits.
#[derive(Debug)]
pub(crate) struct Store {
    folder: OwnedFd,
    pub(super) limits: Limits,
}

/// A segment as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) extent: Extent,
    pub(super) written_at: Timestamp,
}

/// One stream of a log as it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether somebody may still write. Looked at before the segments, so that they are complete
    /// where nobody may.
    pub(super) is_open: bool,
    /// In the order of their starts.
    pub(super) segments: Vec<Segment>,
}

impl Found {
    pub(super) fn extents(&self) -> Vec<Extent> {
        self.segments.iter().map(|segment| segment.extent).collect()
    }
}

impl Store {
    /// Makes the folder if there is none.
    pub(crate) fn open(data: &Path, limits: Limits) -> io::Result<Self> {
        let path = data.join(super::FOLDER);
        files::private_folder(&path)?;
        Ok(Self {
            folder: files::folder(&path)?,
            limits,
        })
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// All logs, in order.
    pub(super) fn logs(&self) -> io::Result<Vec<LogId>> {
        let mut logs = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            logs.extend(entry.file_name().to_str().ok().and_then(LogId::parse));
        }
        logs.sort_unstable();
        Ok(logs)
    }

    /// The logs of all runs of an attempt.
    pub(super) fn logs_of(&self, attempt: AttemptId) -> io::Result<Vec<LogId>> {
        let logs = self.logs()?.into_iter();
        Ok(logs.filter(|log| log.attempt == attempt).collect())
    }

    pub(super) fn has(&self, id: LogId) -> bool {
        rustix::fs::statat(&self.folder, id.folder(), AtFlags::empty()).is_ok()
    }

    /// Looks for the parts of a stream.
    pub(super) fn find(&self, id: LogId, stream: StreamName) -> io::Result<Found> {
        let fifo = rustix::fs::statat(&self.folder, names::fifo(id, stream), AtFlags::empty());
        let mut found = Found {
            is_open: fifo.is_ok(),
            segments: Vec::new(),
        };
        for start in self.starts(id, stream)? {
            found.segments.extend(self.segment(id, stream, start)?);
        }
        Ok(found)
    }

    fn starts(&self, id: LogId, stream: StreamName) -> io::Result<Vec<u64>> {
        let mut starts = Vec::new();
        let Some(folder) = self.log_folder(id)? else {
            return Ok(starts);
        };
        for entry in rustix::fs::Dir::read_from(folder)? {
            let entry = entry?;
            let part = entry.file_name().to_str().ok().and_then(Part::parse);
            if let Some(Part::Segment(of, start)) = part
                && of == stream
            {
                starts.push(start);
            }
        }
        starts.sort_unstable();
        Ok(starts)
    }

    fn log_folder(&self, id: LogId) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.folder, id.folder(), flags, Mode::empty()) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// `None` where it was removed meanwhile.
    fn segment(&self, id: LogId, stream: StreamName, start: u64) -> io::Result<Option<Segment>> {
        let name = names::segment(id, stream, start);
        match rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(Segment {
                extent: Extent {
                    start,
                    length: u64::try_from(status.st_size).unwrap_or(0),
                },
                written_at: written_at(&status),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the segments of a stream that are too many or too old.
    pub(super) fn prune_stream(&self, id: LogId, stream: StreamName) -> io::Result<()> {
        let found = self.find(id, stream)?;
        let written: Vec<Timestamp> = found.segments.iter().map(|it| it.written_at).collect();
        let surplus = self.limits.surplus(&written, found.is_open, clock::wall());
        for segment in found.segments.iter().take(surplus) {
            self.remove(id, stream, segment.extent.start);
        }
        Ok(())
    }

    /// Removes the oldest segments of all logs until they hold at most so many bytes. Returns how
    /// many bytes went.
    pub(super) fn prune_node(&self, bytes_max: u64) -> io::Result<u64> {
        let (mut removable, mut bytes) = (Vec::new(), 0);
        for id in self.logs()? {
            for stream in STREAMS {
                let found = self.find(id, stream)?;
                let count = found.segments.len();
                for (position, segment) in found.segments.iter().enumerate() {
                    let start = segment.extent.start;
                    let total = segment.extent.length + self.index_length(id, stream, start);
                    bytes += total;
                    if !(found.is_open && position + 1 == count) {
                        removable.push(Removable {
                            name: (id, stream, start),
                            bytes: total,
                            written_at: segment.written_at,
                        });
                    }
                }
            }
        }
        let mut removed = 0;
        for victim in victims(removable, bytes, bytes_max) {
            let (id, stream, start) = victim.name;
            self.remove(id, stream, start);
            removed += victim.bytes;
        }
        Ok(removed)
    }

    /// Removes at least one segment, the oldest of all logs, to make room on a full disk. `false`
    /// where there is none that nobody writes.
    pub(super) fn make_room(&self) -> io::Result<bool> {
        /// So that the next one is not needed at once.
        const ROOM: u64 = 1 << 20;
        let used = self.bytes()?;
        Ok(self.prune_node(used.saturating_sub(ROOM))? > 0)
    }

    /// Bytes of all logs.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for id in self.logs()? {
            for stream in STREAMS {
                for segment in self.find(id, stream)?.segments {
                    let Extent { start, length } = segment.extent;
                    bytes += length + self.index_length(id, stream, start);
                }
            }
        }
        Ok(bytes)
    }

    /// What must be done now and then: what is too old goes, and folders of closed logs with it.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        for id in self.logs()? {
            let mut is_empty = true;
            for stream in STREAMS {
                self.prune_stream(id, stream)?;
                let found = self.find(id, stream)?;
                is_empty &= !found.is_open && found.segments.is_empty();
            }
            if is_empty && self.is_old(&id.folder()) {
                // Not empty where somebody is about to make a log there.
                let _ = rustix::fs::unlinkat(&self.folder, id.folder(), AtFlags::REMOVEDIR);
            }
        }
        self.remove_unfinished()?;
        self.prune_node(self.limits.node_bytes_max)?;
        Ok(())
    }

    /// Removes folders of logs whose keeper died while it made them.
    fn remove_unfinished(&self) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            let id = name.strip_suffix(names::NEW).and_then(LogId::parse);
            let Some(id) = id.filter(|_| self.is_old(name)) else {
                continue;
            };
            for stream in STREAMS {
                let fifo = names::new_fifo(id, stream);
                let _ = rustix::fs::unlinkat(&self.folder, fifo, AtFlags::empty());
            }
            rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }

    /// A log that is being made has an empty folder for a moment, too.
    fn is_old(&self, folder: &str) -> bool {
        const MOMENT_MICROS: u64 = 60_000_000;
        let status = rustix::fs::statat(&self.folder, folder, AtFlags::empty());
        status.is_ok_and(|status| {
            clock::wall().0.saturating_sub(written_at(&status).0) > MOMENT_MICROS
        })
    }

    fn index_length(&self, id: LogId, stream: StreamName, start: u64) -> u64 {
        let name = names::index(id, stream, start);
        let status = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW);
        status.map_or(0, |status| u64::try_from(status.st_size).unwrap_or(0))
    }

    fn remove(&self, id: LogId, stream: StreamName, start: u64) {
        for name in [
            names::segment(id, stream, start),
            names::index(id, stream, start),
        ] {
            // Another writer of this node may have removed it.
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

fn written_at(status: &rustix::fs::Stat) -> Timestamp {
    let seconds = u64::try_from(status.st_mtime).unwrap_or(0);
    let nanos = status.st_mtime_nsec;
    Timestamp(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanos / 1_000),
    )
}
