//! The agent's journal on disk: one thread that writes what gathered, and syncs once for all of it.
//!
//! The engine goes on while a sync is in flight; effects wait for the ticket of their batch. Space
//! is allocated ahead, so that the outcome of every accepted attempt has room on a full disk
//! (PROTOCOL 16). A failed sync ends the agent: what the kernel then holds is not what is on disk.

mod file;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use flota_engine::journal::{self, Record};

use self::file::JournalFile;

/// Between two tries while the disk is full.
const FULL_RETRY: Duration = Duration::from_secs(1);
/// Batches that wait for the writer. The main loop handles nothing new beyond: a disk that takes
/// longer than this many turns is stuck.
pub(crate) const WAITING_MAX: usize = 10_000;

/// Counts batches and rewrites, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Ticket(pub(crate) u64);

/// Why a journal cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// A step on the file failed.
    #[error("failed to {step} the journal `{}`", path.display())]
    File {
        /// Which.
        step: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How far the writer is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// All up to here is in the journal, and synced where asked.
    pub(crate) done: Ticket,
    /// Whether the disk is full.
    pub(crate) is_full: bool,
    /// Why it stopped for good. Given once.
    pub(crate) fault: Option<JournalFault>,
}

/// A journal that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    /// What it held.
    pub(crate) records: Vec<Record>,
    /// Where a damaged one was put.
    pub(crate) set_aside: Option<PathBuf>,
}

/// Hands batches to the thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    last: Ticket,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Order>,
    progress: Progress,
    is_closing: bool,
}

#[derive(Debug)]
enum Order {
    Append { records: Vec<Record>, sync: bool },
    Rewrite(Vec<Record>),
}

impl Opened {
    /// Opens or creates the journal at `path`. `wake` is called, on the writer's thread, whenever
    /// [`Writer::progress`] has something new.
    pub(crate) fn new(path: &Path, wake: impl Fn() + Send + 'static) -> Result<Self, JournalFault> {
        let found = file::open(path)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            bell: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let file = found.file;
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || theirs.write(file, &wake))
            .map_err(|source| JournalFault::File {
                step: "start the thread of",
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            writer: Writer {
                shared,
                last: Ticket(0),
                thread: Some(thread),
            },
            records: found.records,
            set_aside: found.set_aside,
        })
    }
}

impl Writer {
    /// Appends a batch; an empty one only takes its place in the order.
    pub(crate) fn append(&mut self, records: Vec<Record>, sync: bool) -> Ticket {
        self.order(Order::Append { records, sync })
    }

    /// Writes the journal anew.
    pub(crate) fn rewrite(&mut self, records: Vec<Record>) -> Ticket {
        self.order(Order::Rewrite(records))
    }

    fn order(&mut self, order: Order) -> Ticket {
        self.last.0 += 1;
        self.shared.lock().waiting.push_back(order);
        self.shared.bell.notify_one();
        self.last
    }

    /// The ticket given last.
    pub(crate) fn last(&self) -> Ticket {
        self.last
    }

    pub(crate) fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// How far it is. Takes the fault out.
    pub(crate) fn progress(&self) -> Progress {
        let mut state = self.shared.lock();
        Progress {
            done: state.progress.done,
            is_full: state.progress.is_full,
            fault: state.progress.fault.take(),
        }
    }

    /// Writes what waits, if the disk takes it, and ends the thread.
    pub(crate) fn close(mut self) {
        self.shared.lock().is_closing = true;
        self.shared.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut file: JournalFile, wake: &dyn Fn()) {
        while let Some(orders) = self.next(file.is_full()) {
            let result = self.perform(&mut file, orders);
            let mut state = self.lock();
            state.progress.is_full = file.is_full();
            let failed = result.is_err();
            state.progress.fault = result.err();
            drop(state);
            wake();
            if failed {
                return;
            }
        }
    }

    /// All that waits; empty where it is time to try for space again; `None` when all is over.
    fn next(&self, is_full: bool) -> Option<VecDeque<Order>> {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.is_closing {
            if is_full {
                let waited = self.bell.wait_timeout(state, FULL_RETRY);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                break;
            }
            state = self
                .bell
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closing && (state.waiting.is_empty() || is_full) {
            return None;
        }
        Some(std::mem::take(&mut state.waiting))
    }

    /// Writes batches as one group, up to the next rewrite.
    fn perform(
        &self,
        file: &mut JournalFile,
        mut orders: VecDeque<Order>,
    ) -> Result<(), JournalFault> {
        if orders.is_empty() {
            file.reserve();
        }
        while !orders.is_empty() {
            let mut bytes = Vec::new();
            let (mut count, mut wants_sync) = (0, false);
            while let Some(Order::Append { records, sync }) = orders.front() {
                journal::encode(records, file.synced_length(), &mut bytes);
                file.count(records);
                wants_sync |= sync;
                count += 1;
                orders.pop_front();
            }
            self.until_there_is_room(|| file.append(&bytes))?;
            if wants_sync {
                file.sync()?;
            }
            self.finished(count);
            if let Some(Order::Rewrite(records)) = orders.front() {
                file.rewrite(records)?;
                orders.pop_front();
                self.finished(1);
            }
        }
        Ok(())
    }

    fn finished(&self, count: u64) {
        self.lock().progress.done.0 += count;
    }

    /// Tries again while the disk is full. While it does, nothing behind it is written either: the
    /// order is what makes a journal.
    fn until_there_is_room(
        &self,
        mut attempt: impl FnMut() -> Result<bool, JournalFault>,
    ) -> Result<(), JournalFault> {
        while !attempt()? {
            let mut state = self.lock();
            // The main loop looks every second at the latest.
            state.progress.is_full = true;
            if state.is_closing {
                break;
            }
            drop(self.bell.wait_timeout(state, FULL_RETRY));
        }
        Ok(())
    }
}
