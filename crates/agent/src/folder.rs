//! The agent's data folder: one agent at a time.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{
    keeper::{self, OUTPUT_FOLDER},
    sys::files,
};

/// Longest description of the holder that is read back.
const HOLDER_LENGTH_MAX: usize = 512;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderFault {
    /// Another agent has it.
    #[error("the data folder `{}` is in use by {holder}", path.display())]
    Held {
        /// Which.
        path: PathBuf,
        /// Process id and command of the other agent.
        holder: String,
    },
    /// A file or folder in it could not be used.
    #[error("failed to use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A data folder under our lock. The lock is close-on-exec, so that no keeper or program has it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    this: OwnedFd,
    output: OwnedFd,
    keepers: OwnedFd,
    _lock: OwnedFd,
}

impl Folder {
    /// Makes the folder if there is none, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderFault> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| FolderFault::File { path, source }
        };
        let output = path.join(OUTPUT_FOLDER);
        let keepers = path.join(keeper::FOLDER);
        for folder in [path, &output, &keepers] {
            files::private_folder(folder).map_err(fault(folder))?;
        }
        let lock_path = path.join("agent.lock");
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&lock_path, flags, files::PRIVATE)
            .map_err(|error| fault(&lock_path)(error.into()))?;
        if !files::lock(&lock).map_err(fault(&lock_path))? {
            return Err(FolderFault::Held {
                path: path.to_owned(),
                holder: read_holder(&lock),
            });
        }
        write_holder(&lock).map_err(fault(&lock_path))?;
        Ok(Self {
            path: path.to_owned(),
            this: files::folder(path).map_err(fault(path))?,
            output: files::folder(&output).map_err(fault(&output))?,
            keepers: files::folder(&keepers).map_err(fault(&keepers))?,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn this(&self) -> BorrowedFd<'_> {
        self.this.as_fd()
    }

    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Of their sockets, logs and locks.
    pub(crate) fn keepers(&self) -> BorrowedFd<'_> {
        self.keepers.as_fd()
    }

    pub(crate) fn keepers_path(&self) -> PathBuf {
        self.path.join(keeper::FOLDER)
    }
}

fn read_holder(lock: &OwnedFd) -> String {
    let mut bytes = [0; HOLDER_LENGTH_MAX];
    let length = rustix::io::pread(lock, &mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
    match text.trim() {
        "" => "another process".to_owned(),
        holder => holder.to_owned(),
    }
}

fn write_holder(lock: &OwnedFd) -> io::Result<()> {
    let command = fs::read("/proc/self/cmdline").unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let mut text = format!("process {} ({})", std::process::id(), command.trim());
    text.truncate(text.floor_char_boundary(HOLDER_LENGTH_MAX - 1));
    rustix::fs::ftruncate(lock, 0)?;
    rustix::io::pwrite(lock, text.as_bytes(), 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_told_who_has_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/data");
        let first = Folder::open(&path).unwrap();
        let FolderFault::Held { holder, .. } = Folder::open(&path).unwrap_err() else {
            panic!("not refused for its holder");
        };
        assert!(
            holder.starts_with(&format!("process {} (", std::process::id())),
            "{holder}"
        );
        drop(first);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let FolderFault::File { path, .. } = Folder::open(Path::new("/dev/null/x")).unwrap_err()
        else {
            panic!("not a fault of a file");
        };
        assert_eq!(path, Path::new("/dev/null/x"));
    }
}
