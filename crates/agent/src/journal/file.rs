//! The journal's file: appending, space ahead, writing anew, setting aside.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flota_engine::journal::{self, Record};
use flota_model::ids::AttemptRange;
use rustix::{fs::FallocateFlags, io::Errno};

use super::JournalFault;

/// Space is allocated in steps of this many bytes.
const STEP: u64 = 4 << 20;
/// Kept free for all that is no outcome, and for output inside of outcomes.
const SLACK: u64 = 2 << 20;
/// An outcome without output: ids, times, usage and the header of a batch take less.
const OUTCOME_LENGTH: u64 = 256;
/// Journals set aside; more is a disk that should not be trusted.
const SET_ASIDE_MAX: u32 = 1_000;

/// The file and what is known of it.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    /// End of the last whole batch.
    length: u64,
    synced_length: u64,
    /// Up to here the file system has promised space.
    allocated: u64,
    can_allocate: bool,
    is_full: bool,
    /// Attempts whose outcome is still to be written, or not acknowledged.
    held: u64,
}

/// What was found on the disk.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: JournalFile,
    pub(super) records: Vec<Record>,
    pub(super) set_aside: Option<PathBuf>,
}

/// Opens or creates a journal; a damaged one is set aside and a new one begun.
pub(super) fn open(path: &Path) -> Result<Found, JournalFault> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(fault("read", path)(source)),
    };
    let recovered = journal::recover(&bytes);
    let mut set_aside = None;
    let (records, length) = if recovered.damage.is_some() {
        set_aside = Some(put_aside(path)?);
        (Vec::new(), 0)
    } else {
        (recovered.records, recovered.valid_length)
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(fault("open", path))?;
    // Cuts a torn tail, and gives back what was allocated beyond the end.
    file.set_len(length)
        .map_err(fault("cut the tail of", path))?;
    file.sync_all().map_err(fault("sync", path))?;
    sync_folder(path)?;
    let mut file = JournalFile {
        path: path.to_owned(),
        file,
        length,
        synced_length: length,
        allocated: length,
        can_allocate: true,
        is_full: false,
        held: 0,
    };
    file.count(&records);
    file.reserve();
    Ok(Found {
        file,
        records,
        set_aside,
    })
}

impl JournalFile {
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn synced_length(&self) -> u64 {
        self.synced_length
    }

    /// Keeps account of the attempts that an outcome must have room for.
    pub(super) fn count(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Granted(order) => self.held += u64::from(order.attempts.count),
                Record::Acknowledged(ranges) | Record::Refused(ranges) => {
                    self.held = self.held.saturating_sub(total(ranges));
                }
                Record::Reset => self.held = 0,
                Record::Created { .. }
                | Record::Opened { .. }
                | Record::Session(_)
                | Record::Joined(_)
                | Record::Obeyed(_)
                | Record::Spec { .. }
                | Record::Starting { .. }
                | Record::RunEnded(_)
                | Record::RunStarting { .. }
                | Record::Stopping { .. }
                | Record::Done(_) => {}
            }
        }
    }

    /// Writes at the end; `false` when there is no room, and then nothing is changed.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<bool, JournalFault> {
        match self.file.write_all_at(bytes, self.length) {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                self.is_full = true;
                return Ok(false);
            }
            Err(source) => return Err(fault("write", &self.path)(source)),
        }
        self.length += bytes.len() as u64;
        self.reserve();
        Ok(true)
    }

    pub(super) fn sync(&mut self) -> Result<(), JournalFault> {
        self.file.sync_data().map_err(fault("sync", &self.path))?;
        self.synced_length = self.length;
        Ok(())
    }

    /// Has space allocated for the outcomes of all attempts held. Where the file system cannot do
    /// that, a full disk shows only when a write fails.
    pub(super) fn reserve(&mut self) {
        let needed = self.length + SLACK + self.held * OUTCOME_LENGTH;
        if needed <= self.allocated || !self.can_allocate {
            self.is_full = false;
            return;
        }
        let goal = needed.next_multiple_of(STEP);
        let added = goal - self.allocated;
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.allocated, added) {
            Ok(()) => {
                self.allocated = goal;
                self.is_full = false;
            }
            Err(Errno::NOSPC | Errno::DQUOT) => self.is_full = true,
            Err(error) => {
                tracing::info!(%error, "no space can be allocated ahead for the journal");
                self.can_allocate = false;
                self.is_full = false;
            }
        }
    }

    /// Writes the journal anew. Without room for that the old one goes on.
    pub(super) fn rewrite(&mut self, records: &[Record]) -> Result<(), JournalFault> {
        let mut bytes = Vec::new();
        journal::encode(records, 0, &mut bytes);
        let new = self.path.with_extension("new");
        let file = match write_new(&new, &bytes) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, "the journal could not be written anew and goes on growing");
                let _ = fs::remove_file(&new);
                return Ok(());
            }
        };
        fs::rename(&new, &self.path).map_err(fault("replace", &self.path))?;
        sync_folder(&self.path)?;
        self.file = file;
        self.length = bytes.len() as u64;
        self.synced_length = self.length;
        self.allocated = self.length;
        self.held = 0;
        self.count(records);
        self.reserve();
        Ok(())
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    Ok(file)
}

/// Renames a damaged journal to the first free `….damaged-N`.
fn put_aside(path: &Path) -> Result<PathBuf, JournalFault> {
    for number in 1..=SET_ASIDE_MAX {
        let aside = path.with_extension(format!("damaged-{number}"));
        if !aside.exists() {
            fs::rename(path, &aside).map_err(fault("set aside", path))?;
            return Ok(aside);
        }
    }
    Err(fault("set aside", path)(
        io::ErrorKind::AlreadyExists.into(),
    ))
}

/// A new name is durable only with its folder (`man 2 fsync`).
fn sync_folder(path: &Path) -> Result<(), JournalFault> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(fault("sync the folder of", path))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

fn total(ranges: &[AttemptRange]) -> u64 {
    ranges.iter().map(|range| u64::from(range.count)).sum()
}

fn fault(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalFault {
    let path = path.to_owned();
    move |source| JournalFault::File { step, path, source }
}
