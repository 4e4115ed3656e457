//! Room on the disk: how much is left, and a reserve to give back when there is none.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::FallocateFlags;
use thiserror::Error;

/// Size of the reserve in bytes: enough for the outcomes of 10,000 nodes that were told to stop
/// (some 100 bytes each, and as many pages again of log and database), with a margin.
pub const RESERVE_LENGTH: u64 = 8 << 20;

/// Room on one file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What we may still use (`f_bavail` of `man 3 statvfs`).
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// Why the room could not be found out, taken or given back.
#[derive(Debug, Error)]
pub enum SpaceFault {
    /// The file system does not answer.
    #[error("failed to ask for the free space of `{}`", path.display())]
    Ask {
        /// On which file system.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The reserve could not be allocated; often because the disk is full.
    #[error("failed to allocate the reserve `{}`", path.display())]
    Allocate {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The reserve could not be removed.
    #[error("failed to remove the reserve `{}`", path.display())]
    Remove {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The room on the file system of `path`, which must exist.
pub fn space(path: &Path) -> Result<Space, SpaceFault> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| SpaceFault::Ask {
        path: path.to_owned(),
        source: errno.into(),
    })?;
    Ok(Space {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// A file of [`RESERVE_LENGTH`] bytes beside a database, to be removed when the disk is full, so
/// that results can still be committed (PROTOCOL 19): SQLite needs room even to delete.
#[derive(Debug, Clone)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The reserve of `database`: the file `reserve` in the same folder.
    pub fn beside(database: &Path) -> Self {
        Self {
            path: database.with_file_name("reserve"),
        }
    }

    /// Whether the room is held.
    pub fn is_held(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= RESERVE_LENGTH)
    }

    /// Gives the room back; `false` when none was held. Fast, and needs no room itself.
    pub fn release(&self) -> Result<bool, SpaceFault> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(SpaceFault::Remove {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Takes the room again, really allocated (`man 2 fallocate`); `false` when that would leave
    /// less than another reserve free, because the next commit would then fail at once.
    pub fn restore(&self) -> Result<bool, SpaceFault> {
        if self.is_held() {
            return Ok(true);
        }
        let folder = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        if space(folder.unwrap_or(Path::new(".")))?.free < 2 * RESERVE_LENGTH {
            return Ok(false);
        }
        // Under another name until it is whole, so that half a reserve is never taken for one.
        let part = self.path.with_extension("part");
        self.allocate(&part).map(|()| true).map_err(|source| {
            // It is overwritten by the next attempt; what matters is the first fault.
            fs::remove_file(&part).ok();
            SpaceFault::Allocate {
                path: self.path.clone(),
                source,
            }
        })
    }

    fn allocate(&self, part: &Path) -> io::Result<()> {
        let file = File::create(part)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_LENGTH)?;
        file.sync_all()?;
        fs::rename(part, &self.path)
    }
}
