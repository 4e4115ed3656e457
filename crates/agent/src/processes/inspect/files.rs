//! What a process holds open.

use std::os::fd::{AsFd as _, OwnedFd};

use flota_model::inspect::{FileKind, OpenFile, PARTS_MAX, PATH_LENGTH_MAX, Part, Seen};
use rustix::fs::{AtFlags, FileType, StatxFlags};

use super::{FILE_LENGTH_MAX, Folder, cut, read_at};

/// Modes of a descriptor in the flags of `fdinfo` (`man 2 open`): read, write, both.
const ACCESS_MASK: u64 = 3;

pub(super) fn read(folder: &Folder) -> Seen<Part<OpenFile>> {
    let (links, numbers) = folder.numbers("fd")?;
    let total = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let rows = numbers.into_iter().take(PARTS_MAX);
    // Those that were closed since are not open.
    let rows = rows.filter_map(|number| file(folder, &links, number));
    Ok(Part {
        rows: rows.collect(),
        total,
    })
}

fn file(folder: &Folder, links: &OwnedFd, number: u32) -> Option<OpenFile> {
    let name = number.to_string();
    let target = rustix::fs::readlinkat(links, &name, Vec::new()).ok()?;
    let target = target.to_string_lossy().into_owned();
    let info = read_at(
        folder.descriptor(),
        &format!("fdinfo/{number}"),
        FILE_LENGTH_MAX,
    );
    let info = info.unwrap_or_default();
    let info = String::from_utf8_lossy(&info);
    let access = of_line(&info, "flags:")
        .and_then(|flags| u64::from_str_radix(flags, 8).ok())
        .map(|flags| flags & ACCESS_MASK);
    Some(OpenFile {
        number,
        kind: kind(links, &name, &target),
        target: cut(target, PATH_LENGTH_MAX),
        is_readable: access.map(|access| access != 1),
        is_writable: access.map(|access| access != 0),
        position: of_line(&info, "pos:").and_then(|position| position.parse().ok()),
    })
}

fn of_line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
}

/// Asked of the kernel without asking a server of a network file system, which may be away.
fn kind(links: &OwnedFd, name: &str, target: &str) -> FileKind {
    if target.starts_with("anon_inode:") {
        return FileKind::Anonymous;
    }
    let flags = AtFlags::STATX_DONT_SYNC;
    let Ok(found) = rustix::fs::statx(links.as_fd(), name, flags, StatxFlags::TYPE) else {
        return FileKind::Other;
    };
    match FileType::from_raw_mode(found.stx_mode.into()) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
        FileType::Fifo => FileKind::Pipe,
        FileType::Socket => FileKind::Socket,
        FileType::Symlink | FileType::Unknown => FileKind::Other,
    }
}
