//! A copy of a store that goes on working.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::{SqliteHistory, connection, open::sync_folder};
use crate::Cause;

/// Most copies of one name beside a store; see [`free_name`].
const COPIES_MAX: u32 = 100;

/// Why a store was not copied.
#[derive(Debug, Error)]
pub enum BackupFault {
    /// Nothing is ever overwritten.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// SQLite could not write the copy.
    #[error("failed to copy the store to `{}`", path.display())]
    Copy {
        /// To which file.
        path: PathBuf,
        /// What it said.
        source: Cause,
    },
    /// The copy could not be made durable.
    #[error("failed to sync the copy `{}` of the store", path.display())]
    Sync {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SqliteHistory {
    /// Copies the store as of now to the new file `to`, durable on return, while the writer goes
    /// on. The copy carries the mark `restored`, so that a fleet started on it asks before it goes
    /// on (`Snapshot::restored`). Takes about as long as reading and writing the whole file.
    pub fn backup(&self, to: &Path) -> Result<(), BackupFault> {
        write(self.pool.path(), to)
    }
}

/// Writes a copy of the store at `path`, which may be in use.
pub(super) fn write(path: &Path, to: &Path) -> Result<(), BackupFault> {
    if to.exists() {
        return Err(BackupFault::Exists {
            path: to.to_owned(),
        });
    }
    // Under another name until it is whole.
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let result = write_part(path, &part, to);
    if result.is_err() {
        // The first fault is the one to tell.
        fs::remove_file(&part).ok();
    }
    result
}

fn write_part(path: &Path, part: &Path, to: &Path) -> Result<(), BackupFault> {
    let fault = |error: rusqlite::Error| BackupFault::Copy {
        path: to.to_owned(),
        source: error.into(),
    };
    let unsynced = |source| BackupFault::Sync {
        path: to.to_owned(),
        source,
    };
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unsynced(error)),
        Ok(()) | Err(_) => {}
    }
    // Empty, so that the copy has the rights of this file: a store tells a lot about its fleet.
    private(part).map_err(unsynced)?;
    copy(path, part).map_err(fault)?;
    mark(part).map_err(fault)?;
    // VACUUM INTO leaves the syncing to us.
    File::open(part)
        .and_then(|file| file.sync_all())
        .map_err(unsynced)?;
    // Unlike a rename, a link never replaces what somebody else made there meanwhile.
    fs::hard_link(part, to).map_err(unsynced)?;
    fs::remove_file(part).map_err(unsynced)?;
    sync_folder(to).map_err(unsynced)
}

fn private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map(drop)
}

fn copy(path: &Path, part: &Path) -> rusqlite::Result<()> {
    let connection = connection::reader(path)?;
    // It would refuse the copy too; the connection still cannot write to the store.
    connection.pragma_update(None, "query_only", false)?;
    connection.execute("VACUUM INTO ?1", [&*part.to_string_lossy()])?;
    Ok(())
}

/// A copy is not in WAL mode until it is opened as a store, so this leaves nothing beside it.
fn mark(copy: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("UPDATE authority SET restored = 1", [])?;
    Ok(())
}

/// The first of `path`, `path-2`, `path-3`, … that does not exist.
pub(super) fn free_name(path: &Path) -> Result<PathBuf, BackupFault> {
    if !path.exists() {
        return Ok(path.to_owned());
    }
    let numbered = (2..=COPIES_MAX).map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    });
    let mut free = numbered.filter(|candidate| !candidate.exists());
    free.next().ok_or_else(|| BackupFault::Exists {
        path: path.to_owned(),
    })
}
