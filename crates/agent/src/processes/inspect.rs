//! One process, seen from all sides.
//!
//! Everything is read through one descriptor of its folder in `/proc`, which is of this process and
//! of no later one of its number: when it is gone, reads fail (`ESRCH`) instead of telling of another.

mod files;
mod parse;
mod sockets;
mod texts;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use flota_model::{
    inspect::{
        ChildRow, PARTS_MAX, PATH_LENGTH_MAX, Part, ProcessDetail, Program, Seen, Thread, Unseen,
    },
    process::{AskFault, Columns, ProcessTarget},
};
use rustix::fs::{Mode, OFlags};

use super::{Processes, Programs, TICK_MICROS, cut, permission, stat};
use crate::sys::pidfd::PidFd;

/// Longest small file of `/proc`: limits, counters, groups.
const FILE_LENGTH_MAX: usize = 64 << 10;
/// What the kernel appends to the path of a program that was deleted (`man 5 proc_pid_exe`).
const DELETED: &str = " (deleted)";
/// Lines of `status` that are passed on.
const STATUS: [&str; 16] = [
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "NoNewPrivs",
    "Seccomp",
    "CapEff",
    "CapBnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "VmPeak",
    "VmSwap",
    "Cpus_allowed_list",
    "voluntary_ctxt_switches",
    "nonvoluntary_ctxt_switches",
];

/// Whether the values of variables are read; their names always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    Masked,
    Shown,
}

impl Processes {
    /// Looks at one process; `programs` are those of this agent.
    pub(crate) fn inspect(
        &self,
        target: ProcessTarget,
        values: Values,
        programs: &Programs,
    ) -> Result<ProcessDetail, AskFault> {
        let folder = Folder::open(self, target)?;
        let list = self.list(Columns::Full, programs);
        let list = list.map_err(|error| permission::fault(&error))?;
        let is_it = |row: &&flota_model::process::ProcessRow| {
            row.pid == folder.pid && row.start_time == folder.start_time
        };
        let row = list.rows.iter().find(is_it).ok_or(AskFault::Gone)?.clone();
        let children = list.rows.iter().filter(|row| row.parent == folder.pid);
        let descriptors = files::read(&folder);
        let detail = ProcessDetail {
            boot: list.boot,
            read_at: list.read_at,
            cores: list.cores,
            row,
            arguments: folder.read("cmdline").map(|bytes| texts::arguments(&bytes)),
            environment: folder
                .read("environ")
                .map(|bytes| texts::variables(&bytes, values)),
            folder: folder.link("cwd"),
            root: folder.link("root"),
            program: folder.link("exe").map(program),
            limits: folder.text("limits").map(|text| parse::limits(&text)),
            sockets: match &descriptors {
                Ok(files) => sockets::read(&folder, &files.rows),
                Err(unseen) => Err(*unseen),
            },
            files: descriptors,
            threads: threads(&folder),
            control_groups: folder.text("cgroup").map(|text| parse::groups(&text)),
            io: folder.text("io").map(|text| parse::counters(&text)),
            namespaces: namespaces(&folder),
            memory: folder
                .text("smaps_rollup")
                .map(|text| parse::kilobytes(&text)),
            status: folder
                .text("status")
                .map(|text| parse::lines(&text, &STATUS)),
            children: part(children.map(ChildRow::of)),
        };
        // What ended meanwhile has nothing that could be shown.
        folder.stat().map_err(|_| AskFault::Gone)?;
        Ok(detail)
    }
}

/// The folder of a process in `/proc`.
pub(super) struct Folder {
    pid: u32,
    start_time: u64,
    held: OwnedFd,
}

impl Folder {
    /// Opens the process that is meant. Reading harms nobody, so that a handle of a kernel without
    /// unique inodes is compared by its start time.
    fn open(processes: &Processes, target: ProcessTarget) -> Result<Self, AskFault> {
        let pid = match target {
            ProcessTarget::Handle(handle) => handle.pid,
            ProcessTarget::Pid { pid, .. } => pid,
        };
        let pidfd = PidFd::open(pid).map_err(|error| permission::fault(&error))?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let path = format!("/proc/{pid}");
        let folder = rustix::fs::open(path, flags, Mode::empty());
        let folder = folder.map_err(|error| permission::fault(&error.into()))?;
        // Its number was not given to another one before the folder was open.
        if let Err(error) = pidfd.signal(0)
            && error.raw_os_error() == Some(libc::ESRCH)
        {
            return Err(AskFault::Gone);
        }
        let mut folder = Self {
            pid,
            start_time: 0,
            held: folder,
        };
        folder.start_time = folder.stat().map_err(|_| AskFault::Gone)?;
        if let ProcessTarget::Handle(handle) = target {
            let is_unique = handle.pidfd_inode != 0 && pidfd.inode_is_unique();
            let is_other = is_unique && pidfd.inode().ok() != Some(handle.pidfd_inode);
            let is_later = handle.start_time != folder.start_time;
            if handle.boot != processes.boot || is_later || is_other {
                return Err(AskFault::Reused);
            }
        }
        Ok(folder)
    }

    /// When it was started.
    fn stat(&self) -> Seen<u64> {
        let bytes = self.read("stat")?;
        let line = stat::parse(&bytes).ok_or(NOT_UNDERSTOOD)?;
        Ok(line.start_time)
    }

    /// A file of it, as far as it is of use.
    fn read(&self, name: &str) -> Seen<Vec<u8>> {
        read_at(self.held.as_fd(), name, FILE_LENGTH_MAX).map_err(unseen)
    }

    fn text(&self, name: &str) -> Seen<String> {
        let bytes = self.read(name)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn link(&self, name: &str) -> Seen<String> {
        let target = rustix::fs::readlinkat(&self.held, name, Vec::new());
        let target = target.map_err(|error| unseen(error.into()))?;
        Ok(cut(target.to_string_lossy().into_owned(), PATH_LENGTH_MAX))
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }

    /// Names in one of its folders that are numbers, ascending.
    fn numbers(&self, name: &str) -> Seen<(OwnedFd, Vec<u32>)> {
        let (folder, names) = self.names(name)?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok((folder, numbers))
    }

    fn names(&self, name: &str) -> Seen<(OwnedFd, Vec<String>)> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&self.held, name, flags, Mode::empty());
        let folder = folder.map_err(|error| unseen(error.into()))?;
        let entries = rustix::fs::Dir::read_from(&folder).map_err(|error| unseen(error.into()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unseen(error.into()))?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok((folder, names))
    }
}

/// The system said something that nobody understands.
const NOT_UNDERSTOOD: Unseen = Unseen {
    errno: libc::EBADMSG,
};

fn unseen(error: io::Error) -> Unseen {
    Unseen {
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

/// Reads a file whole, or its first `most` bytes. Files of `/proc` come in pieces.
fn read_at(folder: BorrowedFd<'_>, name: &str, most: usize) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    std::fs::File::from(file)
        .take(most)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first ones.
fn part<T>(all: impl Iterator<Item = T>) -> Part<T> {
    let mut part = Part::default();
    for row in all {
        part.total += 1;
        if part.rows.len() < PARTS_MAX {
            part.rows.push(row);
        }
    }
    part
}

fn program(path: String) -> Program {
    match path.strip_suffix(DELETED) {
        Some(path) => Program {
            path: path.to_owned(),
            is_deleted: true,
        },
        None => Program {
            path,
            is_deleted: false,
        },
    }
}

fn threads(folder: &Folder) -> Seen<Part<Thread>> {
    let (tasks, numbers) = folder.numbers("task")?;
    let total = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let thread = |number: &u32| {
        let bytes = read_at(tasks.as_fd(), &format!("{number}/stat"), FILE_LENGTH_MAX).ok()?;
        let line = stat::parse(&bytes)?;
        Some(Thread {
            number: *number,
            name: String::from_utf8_lossy(line.name).into_owned(),
            state: char::from(line.state),
            cpu_micros: line.ticks.saturating_mul(TICK_MICROS),
        })
    };
    // Those that ended since are no threads of it.
    let rows = numbers.iter().take(PARTS_MAX).filter_map(thread).collect();
    Ok(Part { rows, total })
}

/// Numbers by kind, where all links can be read.
fn namespaces(folder: &Folder) -> Seen<BTreeMap<String, u64>> {
    let (links, names) = folder.names("ns")?;
    let mut found = BTreeMap::new();
    for name in names {
        let target = rustix::fs::readlinkat(&links, &name, Vec::new());
        let target = target.map_err(|error| unseen(error.into()))?;
        let text = target.to_string_lossy();
        // `net:[4026531840]`
        let number = text
            .split_once('[')
            .and_then(|(_, rest)| rest.strip_suffix(']'));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.insert(name, number);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
