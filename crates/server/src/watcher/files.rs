//! Files of the folders that may be watched, and nothing else of the disk.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use flota_wire::watch::{FILE_LENGTH_MAX, FILES_MAX};
use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, open, openat2};

/// What tells one state of a file from another (`man 2 stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    length: u64,
    written_at: (i64, i64),
    changed_at: (i64, i64),
}

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What the system calls each file, by its name.
    pub(super) present: BTreeMap<String, String>,
    /// The files that are not as they were.
    pub(super) changed: Vec<(String, Stamp, Vec<u8>)>,
    /// What could not be looked at, for people.
    pub(super) problem: Option<String>,
}

/// Where a path leads that somebody gave: an allowed folder, and the way from there. `None` when it
/// leads elsewhere. Whether links on the way stay within is for the system to say, at each look anew.
pub(super) fn place(folders: &[PathBuf], given: &Path) -> Option<(PathBuf, PathBuf)> {
    let plain = given.components().filter(|part| *part != Component::CurDir);
    let given: PathBuf = plain.collect();
    if given.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    if given.is_relative() {
        let first = folders.first()?;
        return Some((first.clone(), given));
    }
    folders.iter().find_map(|folder| {
        let below = given.strip_prefix(folder).ok()?;
        let below = if below.as_os_str().is_empty() {
            Path::new(".")
        } else {
            below
        };
        Some((folder.clone(), below.to_owned()))
    })
}

/// Opens what is below `folder`, wherever links on the way lead within it.
///
/// # Errors
/// `EXDEV` when they lead out of it (`man 2 openat2`).
pub(super) fn open_below(folder: &Path, below: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let root = open(folder, flags | OFlags::DIRECTORY, Mode::empty())?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let found: OwnedFd = openat2(root, below, flags, Mode::empty(), within)?;
    Ok(found.into())
}

/// Looks at a file, or at all files of a folder, and reads those that are not as `known`.
pub(super) fn look(
    folder: &Path,
    below: &Path,
    known: &BTreeMap<String, Stamp>,
) -> io::Result<Found> {
    let mut found = Found::default();
    let file = match open_below(folder, below) {
        Ok(file) => file,
        // It may be moved away and come again.
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(fault) => return Err(fault),
    };
    let metadata = file.metadata()?;
    if !metadata.is_dir() {
        take(String::new(), file, &metadata, known, &mut found);
        return Ok(found);
    }
    for name in names(&file)? {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let Ok(inner) = openat2(&file, &*name, flags, Mode::empty(), within) else {
            continue;
        };
        let inner = File::from(inner);
        if let Ok(metadata) = inner.metadata() {
            take(name, inner, &metadata, known, &mut found);
        }
    }
    Ok(found)
}

/// Names of files that people mean: neither hidden, nor the copy that an editor keeps.
fn names(folder: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !name.ends_with('~') {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.truncate(FILES_MAX);
    Ok(names)
}

fn take(
    name: String,
    file: File,
    metadata: &Metadata,
    known: &BTreeMap<String, Stamp>,
    found: &mut Found,
) {
    if !metadata.is_file() {
        if name.is_empty() {
            found.problem = Some("it is neither a file nor a folder".to_owned());
        }
        return;
    }
    found.present.insert(name.clone(), identity(metadata));
    let stamp = stamp(metadata);
    if known.get(&name) == Some(&stamp) {
        return;
    }
    match read(file, &stamp) {
        Ok(Some(bytes)) => found.changed.push((name, stamp, bytes)),
        // Somebody writes to it: at the next look it may hold still.
        Ok(None) => {}
        Err(fault) => found.problem = Some(format!("`{name}`: {fault}")),
    }
}

/// All bytes of a file, unless it changed meanwhile.
fn read(mut file: File, before: &Stamp) -> io::Result<Option<Vec<u8>>> {
    if before.length > FILE_LENGTH_MAX {
        let what = format!("has {} bytes, at most {FILE_LENGTH_MAX}", before.length);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    let mut bytes = Vec::new();
    (&mut file).take(FILE_LENGTH_MAX).read_to_end(&mut bytes)?;
    let after = stamp(&file.metadata()?);
    Ok((after == *before && bytes.len() as u64 == before.length).then_some(bytes))
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        inode: metadata.ino(),
        length: metadata.size(),
        written_at: (metadata.mtime(), metadata.mtime_nsec()),
        changed_at: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Device, inode and birth: a number that is used again is born anew.
fn identity(metadata: &Metadata) -> String {
    let born = metadata.created().ok();
    let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |born| born.as_nanos());
    format!("{}-{}-{born}", metadata.dev(), metadata.ino())
}
