//! Checkpoints: moving the log into the database, beside the writer (PROTOCOL 18).

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, config::DbConfig, wal::CheckpointMode};

use super::{connection, fault::is_passing};

/// Pages of the log that are not in the database yet, at which a checkpoint is made: 16 MiB. Each
/// one syncs log and database, so smaller steps cost more syncs for the same pages; larger ones
/// make the log, which every reader searches, longer.
const DUE_PAGES: i32 = 4_096;
/// Pages of the log at which the writer lends a hand: 128 MiB. The log starts anew only at a moment
/// when all of it is in the database; beside a writer that never pauses that moment may not come.
/// What is left to the writer is what it wrote during the last checkpoint.
const WRITER_PAGES: i32 = 32_768;

/// A thread that makes checkpoints when told that they are due.
pub(super) struct Checkpointer {
    /// One place: a wish that is not served yet stands for all later ones.
    wake: Option<SyncSender<()>>,
    failure: Failure,
    thread: Option<JoinHandle<()>>,
    /// How far the log had grown when the writer last lent a hand.
    helped_at: i32,
}

/// What went wrong in the thread. A sync that failed there is as bad as one of the writer: the
/// kernel may have dropped the pages, and a later sync would not say so.
type Failure = Arc<Mutex<Option<rusqlite::Error>>>;

impl Checkpointer {
    pub(super) fn start(database: &Path) -> rusqlite::Result<Self> {
        let connection = connection::writer(database)?;
        let failure = Failure::default();
        let (wake, woken) = mpsc::sync_channel(1);
        let noted = Arc::clone(&failure);
        let thread = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || work(&connection, &woken, &noted))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(Self {
            wake: Some(wake),
            failure,
            thread: Some(thread),
            helped_at: 0,
        })
    }

    /// What went wrong since the last call; the store must not be written any more then.
    pub(super) fn failure(&self) -> Option<rusqlite::Error> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// After each commit: has a checkpoint made where one is due.
    pub(super) fn committed(&mut self, writer: &Connection) -> rusqlite::Result<()> {
        let (log, done) = writer.wal_checkpoint_v2(MAIN, CheckpointMode::NOOP)?;
        if log < self.helped_at {
            self.helped_at = 0;
        }
        if log - done >= DUE_PAGES
            && let Some(wake) = &self.wake
        {
            // Full: it is already told. Gone: its failure is found before the next commit.
            wake.try_send(()).ok();
        }
        if log >= WRITER_PAGES && log > done && log - self.helped_at >= DUE_PAGES {
            self.helped_at = log;
            return passive(writer);
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

fn work(connection: &Connection, woken: &Receiver<()>, failure: &Failure) {
    while woken.recv().is_ok() {
        if let Err(error) = passive(connection) {
            seal(connection);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return;
        }
    }
}

/// Copies what no reader still needs from the log. A full disk is no fault here: the log is kept,
/// and commits say so themselves when they find no room.
fn passive(connection: &Connection) -> rusqlite::Result<()> {
    match connection.wal_checkpoint_v2(MAIN, CheckpointMode::PASSIVE) {
        Err(error) if !is_passing(&error) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// After a failed sync: the log must stay as it is, also when the connection is closed.
pub(super) fn seal(connection: &Connection) {
    // It only sets a flag; and where it could not, the process ends without closing anyhow.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .ok();
}
