//! How connections are opened, and how many read at a time.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Cause, journal::LoadFault};

/// Longest wait for a lock of another process (a backup tool, a person's `sqlite3`).
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);
/// Connections for readers. Reads are short pages; on the two cores of a small server more of them
/// at a time only take cores from the writer.
pub(super) const READERS_MAX: usize = 4;
/// Longest wait of a reader for its turn.
const READER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Page cache of the writer: holds the inner pages and the right edge of the tables of some
/// thousand jobs, so that an append reads nothing. It is taken only as far as it is used.
const WRITER_CACHE_KIBIBYTES: i64 = 32 * 1024;
/// Page cache of a reader: a page of rows and the way to it.
const READER_CACHE_KIBIBYTES: i64 = 4 * 1024;
/// Prepared statements kept: more than there are.
const STATEMENTS_MAX: usize = 96;
/// What is kept of the log's file when it starts anew after growing in a rush.
const LOG_KEPT_BYTES: i64 = 64 << 20;

/// Opens a connection that writes. Pages keep SQLite's 4 KiB: a commit writes whole pages to the
/// log, and most of ours change a few rows in few pages.
pub(super) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Checkpoints are made beside the writer (PROTOCOL 18).
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIBIBYTES)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Opens a connection that cannot write. Without memory mapping: a disk error would then be a
/// signal instead of a fault.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIBIBYTES)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// At most [`READERS_MAX`] connections, opened when first needed.
pub(super) struct Pool {
    path: PathBuf,
    wait_max: Duration,
    places: Mutex<Places>,
    freed: Condvar,
}

#[derive(Default)]
struct Places {
    idle: Vec<Connection>,
    taken: usize,
}

impl Pool {
    pub(super) fn new(path: &Path) -> Self {
        Self::with_wait(path, READER_WAIT_MAX)
    }

    pub(super) fn with_wait(path: &Path, wait_max: Duration) -> Self {
        Self {
            path: path.to_owned(),
            wait_max,
            places: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` on one state of the store: all its queries see the same commit.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LoadFault>,
    ) -> Result<T, LoadFault> {
        let mut lent = self.lend()?;
        let connection = lent.connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let answer = read(&transaction)?;
        transaction.finish()?;
        Ok(answer)
    }

    fn lend(&self) -> Result<Lent<'_>, LoadFault> {
        let (mut places, wait) = self
            .freed
            .wait_timeout_while(self.places(), self.wait_max, |places| {
                places.taken >= READERS_MAX
            })
            .unwrap_or_else(PoisonError::into_inner);
        if wait.timed_out() && places.taken >= READERS_MAX {
            let source = Cause::from(format!("all {READERS_MAX} readers of the store are busy"));
            return Err(LoadFault::Busy { source });
        }
        places.taken += 1;
        let connection = places.idle.pop();
        drop(places);
        Ok(Lent {
            pool: self,
            connection,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Nothing that is half done can be left behind: the places are changed in one go.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the pool; given back also when the reader panics.
struct Lent<'pool> {
    pool: &'pool Pool,
    connection: Option<Connection>,
}

impl Lent<'_> {
    fn connection(&mut self) -> Result<&mut Connection, LoadFault> {
        if self.connection.is_none() {
            self.connection = Some(reader(&self.pool.path)?);
        }
        Ok(self.connection.as_mut().expect("it was opened just above"))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut places = self.pool.places();
        places.taken -= 1;
        places.idle.extend(self.connection.take());
        drop(places);
        self.pool.freed.notify_one();
    }
}
