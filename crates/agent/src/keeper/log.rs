//! The keeper's own log: what an agent reads when the keeper is dead.
//!
//! Not synced: it must survive processes, not the machine (after a boot no child is left). It is
//! written anew when it has grown, with only those attempts that are not forgotten.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
};

use flota_engine::keeper::{api::LogRecord, codec::encode_log};
use flota_model::ids::AttemptId;
use rustix::fs::OFlags;

use crate::sys::files;

/// The log is written anew at this length. About ten thousand attempts.
const LENGTH_MAX: u64 = 2 << 20;
/// Records kept in memory while the disk is full; what comes beyond is lost for a keeper that dies
/// before there is room.
const UNWRITTEN_MAX: usize = 256 * 1024;

/// An appending log.
#[derive(Debug)]
pub(super) struct Log {
    folder: OwnedFd,
    name: String,
    file: OwnedFd,
    length: u64,
    /// Encoded records of all attempts that are not forgotten.
    live: BTreeMap<AttemptId, Vec<u8>>,
    unwritten: Vec<u8>,
}

impl Log {
    pub(super) fn create(folder: impl AsFd, name: String) -> io::Result<Self> {
        let folder = folder.as_fd().try_clone_to_owned()?;
        let file = create(&folder, &name)?;
        Ok(Self {
            folder,
            name,
            file,
            length: 0,
            live: BTreeMap::new(),
            unwritten: Vec::new(),
        })
    }

    /// Puts a record behind those that wait for [`Self::flush`].
    pub(super) fn append(&mut self, record: &LogRecord) {
        let start = self.unwritten.len();
        encode_log(record, &mut self.unwritten);
        let (attempt, is_forgotten) = subject(record);
        if is_forgotten {
            self.live.remove(&attempt);
        } else if let Some(bytes) = self.unwritten.get(start..) {
            self.live
                .entry(attempt)
                .or_default()
                .extend_from_slice(bytes);
        }
    }

    /// Writes what waits. Before a program is spawned, and before anybody is told.
    pub(super) fn flush(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        self.write();
        if self.length > LENGTH_MAX {
            self.write_anew();
        }
    }

    /// All or nothing: a part of a record in the middle would hide all that follows.
    fn write(&mut self) {
        match rustix::io::write(&self.file, &self.unwritten) {
            Ok(count) if count == self.unwritten.len() => {
                self.length += count as u64;
                self.unwritten.clear();
            }
            result => {
                tracing::warn!(
                    ?result,
                    name = self.name,
                    "the keeper's log cannot be written"
                );
                let _ = rustix::fs::ftruncate(&self.file, self.length);
                if self.unwritten.len() > UNWRITTEN_MAX {
                    self.unwritten.clear();
                }
            }
        }
    }

    /// Failure leaves the old file as it is.
    fn write_anew(&mut self) {
        let bytes: Vec<u8> = self.live.values().flatten().copied().collect();
        match replace(&self.folder, &self.name, &bytes) {
            Ok(file) => {
                self.file = file;
                self.length = bytes.len() as u64;
                self.unwritten.clear();
            }
            Err(error) => {
                tracing::warn!(%error, name = self.name, "the keeper's log cannot be written anew");
            }
        }
    }
}

fn subject(record: &LogRecord) -> (AttemptId, bool) {
    match *record {
        LogRecord::Spawning { attempt, .. }
        | LogRecord::Running { attempt, .. }
        | LogRecord::Stopping { attempt, .. }
        | LogRecord::NotStarted { attempt, .. }
        | LogRecord::Ended { attempt, .. } => (attempt, false),
        LogRecord::Forgotten { attempt } => (attempt, true),
    }
}

fn create(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, files::PRIVATE)?)
}

fn replace(folder: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let new = format!("{name}.new");
    let file = create(folder, &new)?;
    if rustix::io::write(&file, bytes)? != bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    rustix::fs::renameat(folder, new, folder, name)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flota_engine::keeper::codec::recover_log;
    use flota_model::units::Timestamp;

    use super::*;

    fn attempt(sequence: u64) -> AttemptId {
        AttemptId {
            sequence,
            ..AttemptId::default()
        }
    }

    #[test]
    fn the_log_is_bounded_and_keeps_what_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let handle = files::folder(folder.path()).unwrap();
        let mut log = Log::create(&handle, "1.log".to_owned()).unwrap();
        let path = folder.path().join("1.log");
        let spawning = |sequence| LogRecord::Spawning {
            run: 1,
            attempt: attempt(sequence),
            at: Timestamp(5),
        };
        log.append(&spawning(1));
        log.flush();
        let mut was_written_anew = false;
        for sequence in 2..100_000 {
            let before = log.length;
            log.append(&spawning(sequence));
            log.flush();
            log.append(&LogRecord::Forgotten {
                attempt: attempt(sequence),
            });
            was_written_anew |= log.length < before;
        }
        assert!(was_written_anew, "the limit was not reached");
        let bytes = fs::read(path).unwrap();
        assert!(bytes.len() as u64 <= LENGTH_MAX + 1024);
        let (records, valid) = recover_log(&bytes);
        assert_eq!(valid, bytes.len());
        assert_eq!(records.first(), Some(&spawning(1)));
    }
}
