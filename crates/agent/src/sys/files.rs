//! Files without a name, private folders, and locks.

use std::{
    fs::DirBuilder,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::DirBuilderExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags},
    io::Errno,
};

/// Only the owner reads and writes.
pub(crate) const PRIVATE: Mode = Mode::from_raw_mode(0o600);

/// Makes a file without a name in `folder`, for reading and appending. `None` where the file system
/// has no such files (`man 2 open`).
pub(crate) fn unnamed(folder: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, PRIVATE) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes the file `name` in `folder`, which must not exist.
pub(crate) fn exclusive(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, PRIVATE)?)
}

/// Makes a new file `name` in `folder`, for reading and appending.
pub(crate) fn named(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, PRIVATE)?)
}

/// Gives a file a name in `folder`. Needs `/proc` (`man 2 open`, `O_TMPFILE`).
pub(crate) fn link(file: impl AsFd, folder: impl AsFd, name: &str) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(rustix::fs::linkat(
        CWD,
        path,
        folder,
        name,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

/// Makes a folder that only its owner enters, with those above it.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)
}

/// Opens a folder.
pub(crate) fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Locks a file for this process alone; `false` if another one has it.
pub(crate) fn lock(file: impl AsFd) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads up to `wanted` bytes; fewer only at the end.
pub(crate) fn read_at(file: impl AsFd, offset: u64, wanted: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; wanted];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(&file, rest, offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
