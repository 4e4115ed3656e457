//! All streams that a process writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use flota_model::{ids::AttemptId, units::Moment};
use rustix::event::{Timespec, epoll};

use super::{
    names::{self, LogId, STREAMS},
    store::Store,
    writer::{Moved, Writer},
};
use crate::sys::clock;

/// Most streams served in one turn.
const READY_MAX: usize = 64;
/// A stream that had less than this is left alone for [`REST`]: a program that writes line by line
/// would wake us for each.
const LITTLE_BYTES: u64 = 16 << 10;
const REST: Duration = Duration::from_millis(10);
/// Until a stream for which there is no room is tried again.
const HELD_REST: Duration = Duration::from_millis(100);
/// The same where it is unknown what went wrong.
const FAULT_REST: Duration = Duration::from_secs(1);
/// The node's limit is enforced whenever this part of it was written.
const PRUNE_PART: u64 = 64;

/// Writers, and an epoll that is readable while one of them has something to do.
#[derive(Debug)]
pub(crate) struct Pump {
    store: Store,
    epoll: OwnedFd,
    writers: BTreeMap<u64, Writer>,
    /// Streams that are not watched before then.
    resting: BTreeSet<(Moment, u64)>,
    last: u64,
    unpruned: u64,
}

impl Pump {
    pub(crate) fn new(store: Store) -> io::Result<Self> {
        Ok(Self {
            store,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            writers: BTreeMap::new(),
            resting: BTreeSet::new(),
            last: 0,
            unpruned: 0,
        })
    }

    /// Readable when a turn is due.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// When a turn is due though nothing became readable.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.resting.first().map(|(at, _)| *at)
    }

    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }

    /// Makes a log; gives the ends for stdout and stderr of its program.
    ///
    /// # Errors
    /// Also where there is such a log already.
    pub(crate) fn open(&mut self, id: LogId) -> io::Result<[OwnedFd; 2]> {
        let mode = rustix::fs::Mode::from_raw_mode(0o700);
        let new = names::new_folder(id);
        rustix::fs::mkdirat(self.store.folder(), &new, mode)?;
        let mut open = |stream| {
            let (writer, program) = Writer::create(&self.store, id, stream)?;
            self.add(writer)?;
            io::Result::Ok(program)
        };
        let [stdout, stderr] = STREAMS;
        let ends = [open(stdout)?, open(stderr)?];
        let folder = self.store.folder();
        rustix::fs::renameat(folder, &new, folder, id.folder())?;
        Ok(ends)
    }

    /// Takes over all streams that nobody writes.
    pub(crate) fn adopt_all(&mut self) -> io::Result<()> {
        for id in self.store.logs()? {
            self.adopt(id)?;
        }
        Ok(())
    }

    fn adopt(&mut self, id: LogId) -> io::Result<()> {
        for stream in STREAMS {
            // Locked also where it is ours.
            if let Some(writer) = Writer::adopt(&self.store, id, stream)? {
                self.add(writer)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, writer: Writer) -> io::Result<()> {
        self.last += 1;
        let token = epoll::EventData::new_u64(self.last);
        epoll::add(&self.epoll, writer.fifo(), token, epoll::EventFlags::IN)?;
        self.writers.insert(self.last, writer);
        Ok(())
    }

    /// Moves what there is.
    pub(crate) fn turn(&mut self) {
        self.wake();
        for token in self.ready() {
            let streams = self.writers.len();
            let Some(writer) = self.writers.get_mut(&token) else {
                continue;
            };
            let rest = match writer.turn(&self.store, streams) {
                Ok(Moved::Written { bytes, left }) => {
                    self.unpruned += bytes;
                    (bytes + left < LITTLE_BYTES).then_some(REST)
                }
                Ok(Moved::Dropped(count)) => {
                    let attempt = writer.id.attempt;
                    tracing::warn!(%attempt, count, "output was dropped: there is no room");
                    None
                }
                Ok(Moved::Nothing) => None,
                Ok(Moved::Held) => Some(HELD_REST),
                Err(error) => {
                    tracing::error!(%error, attempt = %writer.id.attempt, "a log is stuck");
                    Some(FAULT_REST)
                }
            };
            if let Some(rest) = rest {
                self.rest(token, clock::moment() + rest);
            }
        }
        self.prune();
    }

    fn ready(&self) -> Vec<u64> {
        const AT_ONCE: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut ready = Vec::with_capacity(READY_MAX);
        let buffer = rustix::buffer::spare_capacity(&mut ready);
        // Failure leaves it to the next turn.
        let _ = epoll::wait(&self.epoll, buffer, Some(&AT_ONCE));
        ready.iter().map(|event| event.data.u64()).collect()
    }

    fn rest(&mut self, token: u64, until: Moment) {
        if self.watch(token, epoll::EventFlags::empty()) {
            self.resting.insert((until, token));
        }
    }

    fn wake(&mut self) {
        let now = clock::moment();
        while let Some(due) = self.resting.pop_first() {
            if due.0 > now {
                self.resting.insert(due);
                break;
            }
            self.watch(due.1, epoll::EventFlags::IN);
        }
    }

    fn watch(&self, token: u64, flags: epoll::EventFlags) -> bool {
        let data = epoll::EventData::new_u64(token);
        self.writers
            .get(&token)
            .is_some_and(|writer| epoll::modify(&self.epoll, writer.fifo(), data, flags).is_ok())
    }

    fn prune(&mut self) {
        let bytes_max = self.store.limits.node_bytes_max;
        if self.unpruned <= bytes_max / PRUNE_PART {
            return;
        }
        self.unpruned = 0;
        if let Err(error) = self.store.prune_node(bytes_max) {
            tracing::error!(%error, "logs cannot be held to their limit");
        }
    }

    /// Closes the logs of an attempt of which no process is left, also those that nobody writes.
    pub(crate) fn finish(&mut self, attempt: AttemptId) {
        let tokens: Vec<u64> = self
            .writers
            .iter()
            .filter(|(_, writer)| writer.id.attempt == attempt)
            .map(|(token, _)| *token)
            .collect();
        let streams = self.writers.len();
        for token in tokens {
            let Some(writer) = self.writers.remove(&token) else {
                continue;
            };
            // Closing alone would not do: a program that was just cloned may have a copy.
            let _ = epoll::delete(&self.epoll, writer.fifo());
            if let Err(error) = writer.finish(&self.store, streams) {
                tracing::error!(%error, %attempt, "a log cannot be closed");
            }
        }
    }

    /// As [`Self::finish`], where the writer may be dead.
    pub(crate) fn finish_orphaned(&mut self, attempt: AttemptId) {
        let adopted = self.store.logs_of(attempt).and_then(|logs| {
            for id in logs {
                self.adopt(id)?;
            }
            Ok(())
        });
        if let Err(error) = adopted {
            tracing::error!(%error, %attempt, "the log of a dead keeper cannot be used");
        }
        self.finish(attempt);
    }

    /// The attempts of which streams are written here.
    pub(crate) fn attempts(&self) -> BTreeSet<AttemptId> {
        let writers = self.writers.values();
        writers.map(|writer| writer.id.attempt).collect()
    }

    pub(crate) fn tidy(&self) {
        if let Err(error) = self.store.tidy() {
            tracing::error!(%error, "old logs cannot be removed");
        }
    }
}
