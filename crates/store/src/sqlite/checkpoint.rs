//! Checkpoints: moving the log into the database, beside the writer (PROTOCOL 18).

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, config::DbConfig, wal::CheckpointMode};

use super::{connection, fault::is_passing};

/// When checkpoints are made, in pages of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// Not in the database yet, at which the thread makes a checkpoint.
    pub(super) due: i32,
    /// In all, at which the writer lends a hand. The log starts anew only at a moment when all of
    /// it is in the database; beside a writer that never pauses that moment may not come. What is
    /// left to the writer is what it wrote during the last checkpoint.
    pub(super) writer: i32,
}

impl Default for Thresholds {
    /// 16 and 128 MiB. Each checkpoint syncs log and database, so smaller steps cost more syncs
    /// for the same pages; larger ones make the log, which every reader searches, longer.
    fn default() -> Self {
        Self {
            due: 4_096,
            writer: 32_768,
        }
    }
}

/// A thread that makes checkpoints when told that they are due.
pub(super) struct Checkpointer {
    /// One place: a wish that is not served yet stands for all later ones.
    wake: Option<SyncSender<()>>,
    thresholds: Thresholds,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// How far the log had grown when the writer last lent a hand.
    helped_at: i32,
}

/// What the writer and the thread share.
#[derive(Default)]
struct Shared {
    /// Held during a checkpoint. SQLite would refuse a second one at the same time, and a writer
    /// that needs one would then never get it beside a busy thread.
    gate: Mutex<()>,
    /// What went wrong in the thread. A sync that failed there is as bad as one of the writer: the
    /// kernel may have dropped the pages, and a later sync would not say so.
    failure: Mutex<Option<rusqlite::Error>>,
}

impl Checkpointer {
    pub(super) fn start(database: &Path, thresholds: Thresholds) -> rusqlite::Result<Self> {
        let connection = connection::writer(database)?;
        let shared = Arc::<Shared>::default();
        let (wake, woken) = mpsc::sync_channel(1);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || work(&connection, &woken, &theirs))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(Self {
            wake: Some(wake),
            thresholds,
            shared,
            thread: Some(thread),
            helped_at: 0,
        })
    }

    /// What went wrong since the last call; the store must not be written any more then.
    pub(super) fn failure(&self) -> Option<rusqlite::Error> {
        lock(&self.shared.failure).take()
    }

    /// After each commit: has a checkpoint made where one is due.
    pub(super) fn committed(&mut self, writer: &Connection) -> rusqlite::Result<()> {
        let Thresholds {
            due,
            writer: writer_due,
        } = self.thresholds;
        let (log, done) = writer.wal_checkpoint_v2(MAIN, CheckpointMode::NOOP)?;
        if log < self.helped_at {
            self.helped_at = 0;
        }
        if log - done >= due
            && let Some(wake) = &self.wake
        {
            // Full: it is already told. Gone: its failure is found before the next commit.
            wake.try_send(()).ok();
        }
        if log >= writer_due && log > done && log - self.helped_at >= due {
            self.helped_at = log;
            return self.shared.checkpoint(writer);
        }
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by the hook of the process.
            thread.join().ok();
        }
    }
}

const MAIN: Option<&str> = Some("main");

fn work(connection: &Connection, woken: &Receiver<()>, shared: &Shared) {
    while woken.recv().is_ok() {
        if let Err(error) = shared.checkpoint(connection) {
            seal(connection);
            *lock(&shared.failure) = Some(error);
            return;
        }
    }
}

impl Shared {
    /// Copies what no reader still needs from the log. A full disk is no fault here: the log is
    /// kept, and commits say so themselves when they find no room.
    fn checkpoint(&self, connection: &Connection) -> rusqlite::Result<()> {
        let _turn = lock(&self.gate);
        match connection.wal_checkpoint_v2(MAIN, CheckpointMode::PASSIVE) {
            Err(error) if !is_passing(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// What is behind these locks is whole also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After a failed sync: the log must stay as it is, also when the connection is closed.
pub(super) fn seal(connection: &Connection) {
    // It only sets a flag; and where it could not, the process ends without closing anyhow.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .ok();
}
