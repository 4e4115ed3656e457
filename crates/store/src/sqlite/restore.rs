//! A copy that becomes the store again.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use thiserror::Error;

use super::{
    backup::{self, BackupFault},
    connection,
    open::{self, OpenFault, sync_folder},
};

/// Behind the name of a store that made room for a copy.
const ASIDE: &str = ".before-restore";
/// Behind the name of a copy on its way to the store's place.
const ARRIVING: &str = ".restoring";

/// Why a store was not copied, or a copy did not become the store.
#[derive(Debug, Error)]
pub enum RestoreFault {
    /// There is nothing to copy.
    #[error("there is no store at `{}`", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read, or is not ours.
    #[error(transparent)]
    Source(#[from] OpenFault),
    /// It can be read in part.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The first thing that SQLite found.
        what: String,
    },
    /// There is a store already.
    #[error("there is a store at `{}` already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The copy could not be written.
    #[error(transparent)]
    Write(#[from] BackupFault),
    /// The files could not be renamed.
    #[error("failed to put `{}` in its place", path.display())]
    Place {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Copies the store at `path`, which a server may be using, to the new file `to`; durable on return.
///
/// As [`SqliteHistory::backup`](super::SqliteHistory::backup), for who does not have the store open.
pub fn back_up(path: &Path, to: &Path) -> Result<(), RestoreFault> {
    look(path)?;
    Ok(backup::write(path, to)?)
}

/// Makes the copy `from` the store at `path`, which nobody may be using. It is checked first, as a
/// whole, and is itself left as it is; the fleet that opens the store asks before it goes on
/// (`Snapshot::restored`).
///
/// A store that is there already is refused, or kept under another name where `replaces` says so:
/// that name is returned.
pub fn restore(from: &Path, path: &Path, replaces: bool) -> Result<Option<PathBuf>, RestoreFault> {
    look(from)?;
    check(from)?;
    let exists = beside(path, "-wal").exists() || path.exists();
    if exists && !replaces {
        return Err(RestoreFault::Exists {
            path: path.to_owned(),
        });
    }
    let place = |source| RestoreFault::Place {
        path: path.to_owned(),
        source,
    };
    let arriving = beside(path, ARRIVING);
    // Left by one that was interrupted.
    remove(&arriving).map_err(place)?;
    backup::write(from, &arriving)?;
    let aside = if exists { Some(set_aside(path)?) } else { None };
    fs::rename(&arriving, path).map_err(place)?;
    sync_folder(path).map_err(place)?;
    Ok(aside)
}

/// Refuses what is not there, not ours, or newer than we are.
fn look(path: &Path) -> Result<(), RestoreFault> {
    match open::look(path, open::newest(&open::shipped()))? {
        Some(_) => Ok(()),
        None => Err(RestoreFault::Missing {
            path: path.to_owned(),
        }),
    }
}

/// Reads all of it.
fn check(path: &Path) -> Result<(), RestoreFault> {
    let damaged = |what: String| RestoreFault::Damaged {
        path: path.to_owned(),
        what,
    };
    let first = connection::reader(path)
        .and_then(|connection| first_problem(&connection))
        .map_err(|error| damaged(error.to_string()))?;
    match first.as_str() {
        "ok" => Ok(()),
        _ => Err(damaged(first)),
    }
}

fn first_problem(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
}

/// Renames a store with its log.
fn set_aside(path: &Path) -> Result<PathBuf, RestoreFault> {
    // Brings the log into the database, so that one file is all there is. Where that fails the
    // store is damaged, and what there is of it is kept as it is.
    if path.exists()
        && let Ok(writer) = connection::writer(path)
    {
        let _ = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let aside = backup::free_name(&beside(path, ASIDE))?;
    // The log first: a database whose log came later would take it for its own.
    for suffix in ["-wal", "-shm", ""] {
        let (old, new) = (beside(path, suffix), beside(&aside, suffix));
        match fs::rename(&old, &new) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(RestoreFault::Place { path: old, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    sync_folder(path).map_err(|source| RestoreFault::Place {
        path: aside.clone(),
        source,
    })?;
    Ok(aside)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
