//! The trait of the writer.

use flota_model::{
    change::{Batch, Snapshot},
    ids::{Authority, BatchNumber, JobId},
};
use thiserror::Error;

use crate::Cause;

/// Makes batches durable. One writer per store; blocks, so it belongs on a thread of its own.
pub trait Journal: Send {
    /// Commits all batches in one transaction, durable (synced to the disk) on return.
    ///
    /// All or nothing: after any fault but [`ApplyFault::Sync`] nothing of it is stored, and the
    /// same call may be made once more. No batches: does nothing.
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ApplyFault>;

    /// Reads everything that is not finished.
    fn load(&mut self) -> Result<Snapshot, LoadFault>;

    /// The number of the last committed batch, read back; 0 for a new store. For a commit whose
    /// answer was lost (PROTOCOL 19).
    fn last_batch(&mut self) -> Result<BatchNumber, LoadFault>;
}

/// Why batches were not committed.
#[derive(Debug, Error)]
pub enum ApplyFault {
    /// The disk is full. Free the reserve and apply the same batches once more (PROTOCOL 19).
    #[error("the disk of the store is full")]
    DiskFull {
        /// What the engine said.
        source: Cause,
    },
    /// Another server has taken the store (PROTOCOL 20). This one must end.
    #[error(
        "the store obeys term {} epoch {}, not term {} epoch {} of batch {number}",
        stored.term, stored.epoch, carried.term, carried.epoch
    )]
    Superseded {
        /// Which batch was refused.
        number: BatchNumber,
        /// Whom the store obeys.
        stored: Authority,
        /// For whom the batch spoke, or what it wanted to take without being above `stored`.
        carried: Authority,
    },
    /// The batch, or a later one, is already there.
    #[error("batch {number} is already committed, the last one is {last}")]
    AlreadyCommitted {
        /// Which batch was refused.
        number: BatchNumber,
        /// The last committed one.
        last: BatchNumber,
    },
    /// A batch between the last committed one and this one is missing.
    #[error("batch {number} does not follow on {last}")]
    Gap {
        /// Which batch was refused.
        number: BatchNumber,
        /// The one before it.
        last: BatchNumber,
    },
    /// A change speaks of something that the store does not have, or has already: a bug.
    #[error("batch {number} does not fit the store: {what}")]
    Unfit {
        /// Which batch was refused.
        number: BatchNumber,
        /// Which change, e.g. `job 7 progressed, but was never added`.
        what: String,
    },
    /// Writing or syncing failed. Whether the batches are there is not known until the store is
    /// opened anew: the process must end (PROTOCOL 19).
    #[error("writing the store to its disk failed")]
    Sync {
        /// What the engine said.
        source: Cause,
    },
    /// Another process holds the store's write lock.
    #[error("another process is writing to the store")]
    Busy {
        /// What the engine said.
        source: Cause,
    },
    /// The store is damaged.
    #[error("the store is damaged")]
    Damaged {
        /// What the engine said.
        source: Cause,
    },
    /// Anything else that the engine may say: no memory, no permission, a bug.
    #[error("the store refused the batches")]
    Refused {
        /// What the engine said.
        source: Cause,
    },
}

/// Why a store could not be opened or read. It is unchanged then.
#[derive(Debug, Error)]
pub enum LoadFault {
    /// It holds something that no version of Flota writes.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What exactly, e.g. `the spec of job 7 cannot be read`.
        what: String,
        /// What the engine said, where it was the one to notice.
        source: Option<Cause>,
    },
    /// A newer Flota has written it.
    #[error("the store has schema {found}, and this version of flota knows up to {known}")]
    Newer {
        /// The schema of the store.
        found: u32,
        /// The newest schema of this binary.
        known: u32,
    },
    /// Another process holds a lock for too long.
    #[error("another process keeps the store locked")]
    Busy {
        /// What the engine said.
        source: Cause,
    },
    /// The disk, the permissions or the memory of the machine do not allow it.
    #[error("the store cannot be read")]
    Unreadable {
        /// What the engine said.
        source: Cause,
    },
}

impl LoadFault {
    /// The spec of `job` is not one.
    pub(crate) fn spec(job: JobId) -> Self {
        Self::Damaged {
            what: format!("the spec of job {job} cannot be read"),
            source: None,
        }
    }
}
