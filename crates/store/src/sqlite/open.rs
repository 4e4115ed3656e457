//! Opening: look first, without changing anything; then bring the schema up to date.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use refinery::Runner;
use rusqlite::{Connection, OptionalExtension};
use thiserror::Error;

use super::{
    SqliteHistory, SqliteJournal,
    backup::{self, BackupFault},
    checkpoint::{Checkpointer, Thresholds},
    connection::{self, Pool},
};
use crate::{Cause, DecodeSpec, journal::LoadFault, space::Reserve};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Written by the first migration: `FLOT`.
const APPLICATION_ID: i32 = 0x464C_4F54;

/// A store that is ready.
pub struct Opened {
    /// For the engine's shell.
    pub journal: SqliteJournal,
    /// For readers.
    pub history: SqliteHistory,
    /// The room set aside for a full disk; not yet taken.
    pub reserve: Reserve,
    /// Where the store was copied to before its schema was changed, if it was.
    pub backup: Option<PathBuf>,
}

/// Why a store was not opened.
#[derive(Debug, Error)]
pub enum OpenFault {
    /// It cannot be read; it is unchanged.
    #[error("failed to open the store `{}`", path.display())]
    Load {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: LoadFault,
    },
    /// It is a database, but none of Flota; it is unchanged.
    #[error("`{}` is the database of another program", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// It could not be copied before the change of its schema; it is unchanged.
    #[error("failed to copy the store before the change of its schema")]
    Backup {
        /// Why.
        source: BackupFault,
    },
    /// Its schema could not be changed. It is as it was, or at a schema between the two.
    #[error("failed to change the schema of the store `{}`", path.display())]
    Migrate {
        /// Which file.
        path: PathBuf,
        /// The copy from before, where there was something to copy.
        backup: Option<PathBuf>,
        /// Why.
        source: Cause,
    },
    /// The folder of a new store could not be synced.
    #[error("failed to sync the folder of the store `{}`", path.display())]
    Folder {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Opens the store at `path`; makes it where there is none, and brings an older one up to date,
/// after copying it. `decode` gives the meaning of the sealed specs.
pub fn open(path: &Path, decode: DecodeSpec) -> Result<Opened, OpenFault> {
    let fitting = Fitting {
        decode,
        thresholds: Thresholds::default(),
    };
    open_with(path, fitting, &shipped())
}

/// The migrations of this version.
pub(super) fn shipped() -> Runner {
    embedded::migrations::runner()
}

/// What does not come out of the file.
#[derive(Clone, Copy)]
pub(super) struct Fitting {
    pub(super) decode: DecodeSpec,
    pub(super) thresholds: Thresholds,
}

pub(super) fn open_with(
    path: &Path,
    fitting: Fitting,
    migrations: &Runner,
) -> Result<Opened, OpenFault> {
    let Fitting { decode, thresholds } = fitting;
    let known = newest(migrations);
    let found = look(path, known)?;
    let backup = match found {
        Some(schema) if schema < known => Some(copy(path, schema)?),
        Some(_) | None => None,
    };
    let unreadable = |source| OpenFault::Load {
        path: path.to_owned(),
        source,
    };
    let mut writer = connection::writer(path).map_err(|error| unreadable(error.into()))?;
    if found != Some(known) {
        migrations
            .run(&mut writer)
            .map_err(|error| OpenFault::Migrate {
                path: path.to_owned(),
                backup: backup.clone(),
                source: error.into(),
            })?;
        sync_folder(path).map_err(|source| OpenFault::Folder {
            path: path.to_owned(),
            source,
        })?;
    }
    super::mend::all(&mut writer, decode).map_err(unreadable)?;
    let checkpointer =
        Checkpointer::start(path, thresholds).map_err(|error| unreadable(error.into()))?;
    let pool = Arc::new(Pool::new(path));
    Ok(Opened {
        journal: SqliteJournal {
            checkpointer,
            writer,
            decode,
            is_sealed: false,
        },
        history: SqliteHistory { pool, decode },
        reserve: Reserve::beside(path),
        backup,
    })
}

pub(super) fn newest(migrations: &Runner) -> u32 {
    let versions = migrations
        .get_migrations()
        .iter()
        .map(refinery::Migration::version);
    versions
        .filter_map(|version| u32::try_from(version).ok())
        .max()
        .unwrap_or(0)
}

/// The schema of the store; `None` where there is none yet. Refuses what is not for us, on a
/// connection that cannot write.
pub(super) fn look(path: &Path, known: u32) -> Result<Option<u32>, OpenFault> {
    let unreadable = |source| OpenFault::Load {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(None);
    }
    let seen = connection::reader(path).and_then(|connection| see(&connection));
    match seen.map_err(|error| unreadable(error.into()))? {
        Seen {
            schema: None | Some(0),
            is_empty: true,
            ..
        } => Ok(None),
        Seen { application, .. } if application != APPLICATION_ID => Err(OpenFault::Foreign {
            path: path.to_owned(),
        }),
        Seen {
            schema: Some(found),
            ..
        } if found > known => Err(unreadable(LoadFault::Newer { found, known })),
        Seen {
            schema: Some(found),
            ..
        } => Ok(Some(found)),
        Seen { schema: None, .. } => Err(unreadable(LoadFault::Damaged {
            what: "the record of its schema is missing".to_owned(),
            source: None,
        })),
    }
}

/// What a look at a database shows.
struct Seen {
    application: i32,
    /// `None` without the table; 0 when the table is empty.
    schema: Option<u32>,
    /// Whether there are no tables but that one: the process ended while it made the store.
    is_empty: bool,
}

fn see(connection: &Connection) -> rusqlite::Result<Seen> {
    const TABLES: &str = "SELECT count(*) FROM sqlite_schema \
                          WHERE name NOT LIKE '%refinery_schema_history%'";
    const HISTORY: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    const SCHEMA: &str = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row(TABLES, [], |row| row.get(0))?;
    let has_history = connection
        .query_row(HISTORY, [], |_| Ok(()))
        .optional()?
        .is_some();
    let schema = if has_history {
        Some(connection.query_row(SCHEMA, [], |row| row.get(0))?)
    } else {
        None
    };
    Ok(Seen {
        application,
        schema,
        is_empty: tables == 0,
    })
}

/// Copies the store beside itself, under a name that tells its schema.
fn copy(path: &Path, schema: u32) -> Result<PathBuf, OpenFault> {
    let fault = |source| OpenFault::Backup { source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".schema-{schema}"));
    let to = backup::free_name(&path.with_file_name(name)).map_err(fault)?;
    backup::write(path, &to).map_err(fault)?;
    Ok(to)
}

/// So that the new file has its name also after a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
