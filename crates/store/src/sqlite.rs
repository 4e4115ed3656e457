//! The store of a real server: one SQLite file in WAL mode.
//!
//! One connection writes, and syncs every commit; a few others read, each on the state of one
//! commit; one more moves the log into the database beside them. The caller keeps two servers from
//! opening the same file (a lock on the data folder); should that fail, the row `authority` lets
//! only the later one write (PROTOCOL 20).

mod apply;
mod attempts;
mod backup;
mod checkpoint;
mod columns;
mod connection;
mod controls;
mod fault;
mod ill;
mod load;
mod mend;
mod notes;
mod open;
mod read;
mod restore;
mod rows;
mod services;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use flota_model::{
    change::{Batch, Snapshot},
    ids::BatchNumber,
};
use rusqlite::Connection;

pub use self::{
    backup::BackupFault,
    open::{OpenFault, Opened, open},
    restore::{RestoreFault, back_up, restore},
};
use self::{
    checkpoint::{Checkpointer, seal},
    connection::Pool,
};
use crate::{
    Cause, DecodeSpec,
    journal::{ApplyFault, Journal, LoadFault},
};

/// The writer of a SQLite store.
pub struct SqliteJournal {
    // Dropped in this order: the last connection to be closed empties the log, and it should be
    // the writer's.
    checkpointer: Checkpointer,
    writer: Connection,
    decode: DecodeSpec,
    /// Set by the first failed write or sync, after which nothing may be written any more.
    is_sealed: bool,
}

/// The readers of a SQLite store. Cheap to clone; all clones share a few connections.
#[derive(Clone)]
pub struct SqliteHistory {
    pool: Arc<Pool>,
    decode: DecodeSpec,
}

impl Journal for SqliteJournal {
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ApplyFault> {
        if batches.is_empty() {
            return Ok(());
        }
        let result = self
            .healthy()
            .and_then(|()| apply::commit(&mut self.writer, batches));
        if let Err(ApplyFault::Sync { .. }) = &result {
            self.is_sealed = true;
            seal(&self.writer);
        }
        result?;
        // What goes wrong in a checkpoint concerns the next commit; this one is durable.
        if self.checkpointer.committed(&self.writer).is_err() {
            self.is_sealed = true;
            seal(&self.writer);
        }
        Ok(())
    }

    fn load(&mut self) -> Result<Snapshot, LoadFault> {
        let transaction = self.writer.transaction()?;
        let snapshot = load::snapshot(&transaction, self.decode)?;
        transaction.finish()?;
        Ok(snapshot)
    }

    fn last_batch(&mut self) -> Result<BatchNumber, LoadFault> {
        Ok(apply::read_head(&self.writer)?.batch)
    }
}

impl SqliteJournal {
    fn healthy(&self) -> Result<(), ApplyFault> {
        if self.is_sealed {
            let source = Cause::from("an earlier write to this store failed");
            return Err(ApplyFault::Sync { source });
        }
        match self.checkpointer.failure() {
            Some(error) => Err(ApplyFault::Sync {
                source: error.into(),
            }),
            None => Ok(()),
        }
    }
}
