//! What SQLite says, in our words.

use rusqlite::{Error, ffi};

use crate::journal::{ApplyFault, LoadFault};

/// The family of an error of SQLite; see <https://sqlite.org/rescode.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Full,
    Disk,
    Damaged,
    Busy,
    Other,
}

fn family(error: &Error) -> Family {
    if let Some(raised) = error.sqlite_error() {
        return of_code(raised.extended_code);
    }
    // A value that no version writes: the bytes are not ours, or no longer.
    let is_strange = matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::QueryReturnedNoRows
            | Error::Utf8Error(..)
    );
    if is_strange {
        Family::Damaged
    } else {
        Family::Other
    }
}

fn of_code(extended: i32) -> Family {
    // Growing the index of the log is the one place where SQLite hides ENOSPC behind an I/O error.
    if extended == ffi::SQLITE_IOERR_SHMSIZE {
        return Family::Full;
    }
    match extended & 0xff {
        ffi::SQLITE_FULL => Family::Full,
        ffi::SQLITE_IOERR => Family::Disk,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Family::Damaged,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Family::Busy,
        _ => Family::Other,
    }
}

/// Whether it is a row that is there already.
pub(super) fn is_constraint(error: &Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|raised| raised.extended_code & 0xff == ffi::SQLITE_CONSTRAINT)
}

/// Whether nothing is wrong with the disk, only with the moment or the room.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(family(error), Family::Busy | Family::Full)
}

impl From<Error> for ApplyFault {
    fn from(error: Error) -> Self {
        let family = family(&error);
        let source = error.into();
        match family {
            Family::Full => Self::DiskFull { source },
            Family::Disk => Self::Sync { source },
            Family::Damaged => Self::Damaged { source },
            Family::Busy => Self::Busy { source },
            Family::Other => Self::Refused { source },
        }
    }
}

impl From<Error> for LoadFault {
    fn from(error: Error) -> Self {
        let family = family(&error);
        match family {
            Family::Damaged => Self::Damaged {
                what: "SQLite cannot make sense of it".to_owned(),
                source: Some(error.into()),
            },
            Family::Busy => Self::Busy {
                source: error.into(),
            },
            Family::Full | Family::Disk | Family::Other => Self::Unreadable {
                source: error.into(),
            },
        }
    }
}
