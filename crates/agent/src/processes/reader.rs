//! Files of `/proc`, read into one buffer.

use std::{
    io::{self, Write as _},
    mem::MaybeUninit,
    os::fd::OwnedFd,
};

use rustix::fs::{Mode, OFlags, RawDir};

use super::stat::{self, Line};

/// Entries of the folder are read in parts of this many bytes: some 1,300 processes a call.
const ENTRIES_LENGTH: usize = 32 * 1024;
/// Longest file that is read: a `stat` line has less than 400 bytes, of a command line the first
/// part is shown, and `status` names the user in its first kibibyte.
const FILE_LENGTH: usize = 4 * 1024;

/// An open `/proc`.
pub(super) struct Reader {
    folder: OwnedFd,
    path: Vec<u8>,
    buffer: Box<[u8; FILE_LENGTH]>,
}

/// What the file system says of a file of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    /// Files of a later process of the same number have others, even if it was started within the same
    /// hundredth of a second.
    pub(super) inode: u64,
}

impl Reader {
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self {
            folder: rustix::fs::open("/proc", flags, Mode::empty())?,
            path: Vec::with_capacity(32),
            buffer: Box::new([0; FILE_LENGTH]),
        })
    }

    /// The numbers of all processes, ascending.
    pub(super) fn pids(&self) -> io::Result<Vec<u32>> {
        let mut entries = vec![MaybeUninit::<u8>::uninit(); ENTRIES_LENGTH];
        let mut folder = RawDir::new(&self.folder, &mut entries[..]);
        let mut pids = Vec::new();
        while let Some(entry) = folder.next() {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && let Ok(pid) = name.parse()
            {
                pids.push(pid);
            }
        }
        // The kernel lists them in order, but does not promise to.
        pids.sort_unstable();
        Ok(pids)
    }

    /// Its line, and whose the file is if that is asked for. `None` when it is gone.
    pub(super) fn stat(&mut self, pid: u32, with_owner: bool) -> Option<(Line<'_>, Option<Owner>)> {
        let file = self.file(pid, "stat")?;
        let owner = if with_owner {
            rustix::fs::fstat(&file).ok().map(|status| Owner {
                uid: status.st_uid,
                inode: status.st_ino,
            })
        } else {
            None
        };
        let length = rustix::io::read(&file, &mut self.buffer[..]).ok()?;
        Some((stat::parse(&self.buffer[..length])?, owner))
    }

    /// Its effective user.
    pub(super) fn uid(&mut self, pid: u32) -> Option<u32> {
        let text = std::str::from_utf8(self.read(pid, "status")?).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// Its arguments. `None` for those that have none: threads of the kernel and zombies.
    pub(super) fn command(&mut self, pid: u32) -> Option<String> {
        let bytes = self.read(pid, "cmdline")?;
        let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
        let shown = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
        let shown: Vec<u8> = bytes[..end].iter().map(shown).collect();
        Some(String::from_utf8_lossy(&shown).into_owned())
    }

    /// Its group of the second version, or else the first one that is listed
    /// (`man 7 cgroups`).
    pub(super) fn control_group(&mut self, pid: u32) -> Option<String> {
        let text = String::from_utf8_lossy(self.read(pid, "cgroup")?).into_owned();
        let unified = text.lines().find_map(|line| line.strip_prefix("0::"));
        let first = || text.lines().next()?.splitn(3, ':').nth(2);
        unified.or_else(first).map(str::to_owned)
    }

    /// The first part of a file.
    fn read(&mut self, pid: u32, name: &str) -> Option<&[u8]> {
        let file = self.file(pid, name)?;
        let length = rustix::io::read(&file, &mut self.buffer[..]).ok()?;
        Some(&self.buffer[..length])
    }

    fn file(&mut self, pid: u32, name: &str) -> Option<OwnedFd> {
        self.path.clear();
        write!(self.path, "{pid}/{name}").ok()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, &self.path[..], flags, Mode::empty()).ok()
    }
}
