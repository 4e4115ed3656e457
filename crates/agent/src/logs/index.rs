//! The times of a segment: pairs of an offset and the time from which on its bytes were written.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use flota_engine::logs::{INDEX_BYTES_MAX, Mark};
use flota_model::units::Timestamp;
use rustix::fs::OFlags;

use crate::sys::files;

/// Bytes of an entry: an offset and a time, both in little-endian order.
pub(super) const ENTRY_LENGTH: u64 = ENTRY.len() as u64;
const ENTRY: [u8; 16] = [0; 16];
/// In the time of the first entry: the segment begins in the middle of a line.
const INSIDE_LINE: u64 = 1 << 63;

/// What the index of a segment says.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) marks: Vec<Mark>,
    /// Whether the segment begins in the middle of a line.
    pub(super) begins_inside_line: bool,
}

/// Adds an entry behind `length` bytes; returns how many bytes there are then. Without room on the
/// disk there is no entry: then a time is less exact.
pub(super) fn append(
    folder: impl AsFd,
    name: &str,
    length: u64,
    mark: Mark,
    begins_inside_line: bool,
) -> u64 {
    let flag = if begins_inside_line { INSIDE_LINE } else { 0 };
    let mut entry = ENTRY;
    let (offset, at) = entry.split_at_mut(8);
    offset.copy_from_slice(&mark.offset.to_le_bytes());
    at.copy_from_slice(&(mark.at.0 | flag).to_le_bytes());
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(folder, name, flags, files::PRIVATE);
    let written = file.and_then(|file| rustix::io::pwrite(&file, &entry, length));
    if written.is_ok_and(|count| count == entry.len()) {
        length + ENTRY_LENGTH
    } else {
        length
    }
}

/// Reads an index; one that is not there is empty.
pub(super) fn read(folder: impl AsFd, name: &str) -> io::Result<Index> {
    let Some(file) = open(folder, name)? else {
        return Ok(Index::default());
    };
    let length = rustix::fs::fstat(&file)?.st_size;
    let length = u64::try_from(length).unwrap_or(0).min(2 * INDEX_BYTES_MAX);
    let bytes = files::read_at(&file, 0, usize::try_from(length).unwrap_or(0))?;
    let mut index = Index::default();
    for entry in bytes.chunks_exact(ENTRY.len()) {
        let (offset, at) = entry.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        if index.marks.is_empty() {
            index.begins_inside_line = number(at) & INSIDE_LINE != 0;
        }
        index.marks.push(Mark {
            offset: number(offset),
            at: Timestamp(number(at) & !INSIDE_LINE),
        });
    }
    Ok(index)
}

fn open(folder: impl AsFd, name: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::openat(folder, name, flags, rustix::fs::Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
