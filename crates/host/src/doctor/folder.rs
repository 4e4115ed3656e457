//! The data folder and the disk below it.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use flota_client::Language;
use flota_model::units::Bytes;
use flota_store::space::space;
use flota_wire::quantity::format_size;
use rustix::{
    fs::{Mode, OFlags},
    time::{ClockId, clock_gettime},
};

use super::Check;

/// Writes that are measured: enough for a median, over within a second also on slow disks.
const SYNCS: usize = 16;
/// As long as a page of the store.
const WRITE_LENGTH: usize = 4096;
/// A median above this is that of a disk that turns, or of one far away.
const SYNC_SLOW: Duration = Duration::from_millis(20);

/// File systems that forget at a reboot.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];
/// File systems of other machines.
const REMOTE: [&str; 9] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "lustre",
    "glusterfs",
    "fuse.sshfs",
];

pub(super) fn checks(language: Language, data: &Path) -> Vec<Check> {
    let mut checks = vec![writable(language, data)];
    // What is not there yet is looked at where it will be.
    let Some(there) = data.ancestors().find(|path| path.is_dir()) else {
        return checks;
    };
    checks.extend(file_system(language, there));
    checks.extend(free_space(language, there));
    if let Ok(probe) = Probe::new(there) {
        checks.push(syncs(language, &probe));
        checks.push(unnamed(language, there));
    }
    checks
}

/// A file that is removed again.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".flota-doctor-{}", std::process::id()));
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It is empty or nearly so; who finds it can remove it.
        let _ = fs::remove_file(&self.path);
    }
}

fn writable(language: Language, data: &Path) -> Check {
    let there = data.ancestors().find(|path| path.exists());
    let probed = there.map_or_else(|| Err(io::ErrorKind::NotFound.into()), Probe::new);
    match probed {
        Ok(_) => Check::ok("folder", language.doctor_folder(data.display())),
        Err(why) => Check::fail(
            "folder",
            language.doctor_folder_bad(data.display(), why),
            language.doctor_folder_hint(),
        ),
    }
}

fn file_system(language: Language, folder: &Path) -> Option<Check> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (kind, place) = mount_of(&table, &folder.canonicalize().ok()?)?;
    let found = language.doctor_file_system(&kind, place.display());
    Some(if IN_MEMORY.contains(&kind.as_str()) {
        Check::warn("file_system", found, language.doctor_in_memory_hint())
    } else {
        let is_remote = REMOTE.contains(&kind.as_str());
        Check::warn_if(
            is_remote,
            "file_system",
            found,
            language.doctor_network_hint(),
        )
    })
}

/// Kind and place of the file system of `path`: of the longest mount point above it, and of those
/// at one place the last one, which hides the others (`man 5 proc`, `/proc/pid/mountinfo`).
pub(super) fn mount_of(table: &str, path: &Path) -> Option<(String, PathBuf)> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let place = PathBuf::from(unescape(left.split(' ').nth(4)?));
        let kind = right.split(' ').next()?.to_owned();
        path.starts_with(&place).then_some((kind, place))
    };
    let mounts = table.lines().filter_map(mount);
    mounts.max_by_key(|(_, place)| place.components().count())
}

/// Spaces and such are written as `\040`.
fn unescape(text: &str) -> String {
    let codes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    codes.iter().fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

fn free_space(language: Language, folder: &Path) -> Option<Check> {
    let space = space(folder).ok()?;
    let required = flota_server::FreeSpace::default().required(space.total);
    let size = |bytes| format_size(Bytes(bytes));
    let found = language.doctor_space(size(space.free), size(space.total));
    let hint = language.doctor_space_hint(size(required));
    Some(Check::warn_if(space.free < required, "space", found, hint))
}

fn syncs(language: Language, probe: &Probe) -> Check {
    match measure(&probe.file) {
        Ok((median, worst)) => {
            let figure = |span: Duration| format!("{:.2}", span.as_secs_f64() * 1000.0);
            let found = language.doctor_sync(figure(median), figure(worst));
            let hint = language.doctor_sync_slow_hint();
            Check::warn_if(median > SYNC_SLOW, "sync", found, hint)
        }
        Err(why) => Check::fail(
            "sync",
            language.doctor_sync_bad(why),
            language.doctor_sync_bad_hint(),
        ),
    }
}

/// Median and worst of some synced writes.
fn measure(mut file: &File) -> io::Result<(Duration, Duration)> {
    let mut spans = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = boot_time();
        file.write_all(&[0; WRITE_LENGTH])?;
        file.sync_data()?;
        spans.push(boot_time().saturating_sub(start));
    }
    spans.sort_unstable();
    Ok((spans[SYNCS / 2], spans[SYNCS - 1]))
}

fn boot_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

fn unnamed(language: Language, folder: &Path) -> Check {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(_) => Check::ok("unnamed_files", language.doctor_unnamed()),
        Err(why) => Check::warn(
            "unnamed_files",
            language.doctor_unnamed_bad(why),
            language.doctor_unnamed_hint(),
        ),
    }
}
