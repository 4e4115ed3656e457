//! Files for what programs write.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use flota_model::{ids::AttemptId, outcome::StreamName};
use rustix::fs::Mode;

use super::{CUT, partial_name};
use crate::sys::files;

/// Empty files kept for the next programs: enough for a burst of short ones on a large machine.
const SPARE_MAX: usize = 256;

/// Makes output files, and takes back empty ones.
#[derive(Debug)]
pub(super) struct Outputs {
    folder: OwnedFd,
    spare: Vec<OwnedFd>,
    has_unnamed: bool,
    bytes_max: u64,
}

impl Outputs {
    pub(super) fn new(folder: OwnedFd, bytes_max: u64) -> Self {
        Self {
            folder,
            spare: Vec::new(),
            has_unnamed: true,
            bytes_max,
        }
    }

    /// An empty file for one stream of an attempt; without a name where the file system can.
    pub(super) fn take(&mut self, attempt: AttemptId, stream: StreamName) -> io::Result<OwnedFd> {
        if let Some(file) = self.spare.pop() {
            return Ok(file);
        }
        if self.has_unnamed {
            match files::unnamed(&self.folder)? {
                Some(file) => return Ok(file),
                None => self.has_unnamed = false,
            }
        }
        files::named(&self.folder, &partial_name(attempt, stream))
    }

    /// Takes a file back once no process of the attempt is left and the agent has read it.
    /// Nobody writes to it any more, so an empty one is as good as new.
    pub(super) fn give_back(&mut self, file: OwnedFd) {
        let is_fresh = rustix::fs::fstat(&file).is_ok_and(|status| {
            status.st_size == 0 && status.st_nlink == 0 && status.st_mode & 0o7777 == 0o600
        });
        if is_fresh && self.spare.len() < SPARE_MAX {
            self.spare.push(file);
        }
    }

    /// Cuts a file that has grown beyond the limit, and marks it as cut. The program may write on:
    /// it appends, so what it writes starts at the limit and is cut again the next time.
    pub(super) fn limit(&self, file: impl AsFd) {
        let is_over = |status: rustix::fs::Stat| {
            u64::try_from(status.st_size).is_ok_and(|length| length > self.bytes_max)
        };
        if rustix::fs::fstat(&file).is_ok_and(is_over) {
            // Failure shows as a file that is still too long; it is tried again.
            let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(0o600 | CUT));
            let _ = rustix::fs::ftruncate(&file, self.bytes_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write, os::unix::fs::MetadataExt};

    use super::*;

    fn outputs() -> (Outputs, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(files::folder(folder.path()).unwrap(), 100);
        (outputs, folder)
    }

    fn inode(file: &OwnedFd) -> u64 {
        rustix::fs::fstat(file).unwrap().st_ino
    }

    #[test]
    fn an_empty_file_is_used_again_and_a_written_one_is_not() {
        let (mut outputs, _folder) = outputs();
        let attempt = AttemptId::default();
        let first = outputs.take(attempt, StreamName::Stdout).unwrap();
        let second = outputs.take(attempt, StreamName::Stderr).unwrap();
        let first_inode = inode(&first);
        rustix::io::write(&second, b"x").unwrap();
        outputs.give_back(first);
        outputs.give_back(second);
        assert_eq!(outputs.spare.len(), 1);
        let third = outputs.take(attempt, StreamName::Stdout).unwrap();
        assert_eq!(inode(&third), first_inode);
    }

    #[test]
    fn a_file_beyond_the_limit_is_cut_and_marked_while_the_program_writes_on() {
        let (mut outputs, _folder) = outputs();
        let file = outputs
            .take(AttemptId::default(), StreamName::Stdout)
            .unwrap();
        let mut writer = File::from(file.try_clone().unwrap());
        writer.write_all(&[b'a'; 100]).unwrap();
        outputs.limit(&file);
        assert_eq!(
            writer.metadata().unwrap().mode() & 0o7777,
            0o600,
            "the limit itself is allowed"
        );
        writer.write_all(b"bb").unwrap();
        outputs.limit(&file);
        writer.write_all(b"cc").unwrap();
        outputs.limit(&file);
        let status = writer.metadata().unwrap();
        assert_eq!((status.len(), status.mode() & 0o7777), (100, 0o600 | CUT));
        outputs.give_back(file);
        assert!(
            outputs.spare.is_empty(),
            "a marked file must not be used again"
        );
    }

    #[test]
    fn without_unnamed_files_an_output_has_a_name() {
        let (mut outputs, folder) = outputs();
        outputs.has_unnamed = false;
        let attempt = AttemptId::default();
        let file = outputs.take(attempt, StreamName::Stdout).unwrap();
        assert!(
            folder
                .path()
                .join(partial_name(attempt, StreamName::Stdout))
                .exists()
        );
        outputs.give_back(file);
        assert!(
            outputs.spare.is_empty(),
            "a file with a name belongs to its attempt"
        );
    }
}
