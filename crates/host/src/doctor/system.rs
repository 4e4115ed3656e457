//! The kernel, its limits and its clocks.

use std::{fs, os::fd::AsFd as _, path::Path, time::Duration};

use flota_client::{Language, utc};
use rustix::{
    fs::{Access, access, fstatfs},
    process::{PidfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_open, set_child_subreaper},
    time::{ClockId, clock_gettime},
};

use super::Check;

/// The oldest kernel that has all that we call.
const KERNEL_MIN: (u32, u32) = (5, 10);
/// `f_type` of the file system whose inodes are the identities of processes (Linux 6.9).
const PID_FS: i128 = 0x5049_4446;
/// For a server with a hundred agents, or an agent with some hundred programs.
const OPEN_FILES_MIN: u64 = 4096;
/// For an agent with some hundred programs.
const PROCESSES_MIN: u64 = 1024;
/// Sources that take microseconds to read instead of some 20 ns.
const SLOW_SOURCES: [&str; 4] = ["hpet", "acpi_pm", "jiffies", "refined-jiffies"];
const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const CGROUPS: &str = "/sys/fs/cgroup";

pub(super) fn checks(language: Language) -> Vec<Check> {
    vec![
        clock(language),
        kernel(language),
        pidfd(language),
        subreaper(language),
        cgroup(language),
        open_files(language),
        processes(language),
    ]
}

fn clock(language: Language) -> Check {
    let now = Duration::try_from(clock_gettime(ClockId::Realtime)).unwrap_or_default();
    let source = fs::read_to_string(SOURCE).ok();
    let source = source.as_deref().map(str::trim);
    let unknown = language.doctor_unknown();
    let found = language.doctor_clock(utc(now.as_secs_f64()), source.unwrap_or(&unknown));
    if built().is_some_and(|built| now < built) {
        return Check::warn("clock", found, language.doctor_clock_behind_hint());
    }
    let is_slow = source.is_some_and(|source| SLOW_SOURCES.contains(&source));
    Check::warn_if(is_slow, "clock", found, language.doctor_clock_slow_hint())
}

/// When the file of this program was made.
fn built() -> Option<Duration> {
    let made = fs::metadata("/proc/self/exe").ok()?.modified().ok()?;
    made.duration_since(std::time::UNIX_EPOCH).ok()
}

fn kernel(language: Language) -> Check {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let found = language.doctor_kernel(&release);
    match version(&release) {
        Some(version) if version < KERNEL_MIN => {
            Check::fail("kernel", found, language.doctor_kernel_hint())
        }
        _ => Check::ok("kernel", found),
    }
}

/// The first two numbers of `6.18.4-generic`.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn pidfd(language: Language) -> Check {
    let handle = match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(why) => {
            let found = language.doctor_pidfd_none(why);
            return Check::fail("pidfd", found, language.doctor_pidfd_none_hint());
        }
    };
    let kind = fstatfs(handle.as_fd()).map(|stat| i128::from(stat.f_type));
    if kind.is_ok_and(|kind| kind & 0xFFFF_FFFF == PID_FS) {
        Check::ok("pidfd", language.doctor_pidfd_full())
    } else {
        Check::warn(
            "pidfd",
            language.doctor_pidfd(),
            language.doctor_pidfd_hint(),
        )
    }
}

/// Of this process, which has no children and is about to end.
fn subreaper(language: Language) -> Check {
    match set_child_subreaper(Some(getpid())) {
        Ok(()) => Check::ok("subreaper", language.doctor_subreaper()),
        Err(why) => Check::fail(
            "subreaper",
            language.doctor_subreaper_bad(why),
            language.doctor_subreaper_hint(),
        ),
    }
}

fn cgroup(language: Language) -> Check {
    let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some((mode, path)) = our_group(Path::new(CGROUPS), &ours) else {
        let found = language.doctor_cgroup_none();
        return Check::warn("cgroup", found, language.doctor_cgroup_none_hint());
    };
    let folder = format!("{CGROUPS}{path}");
    if access(&folder, Access::WRITE_OK).is_ok() && is_mounted_writable(&folder) {
        Check::ok("cgroup", language.doctor_cgroup(mode, folder))
    } else {
        let found = language.doctor_cgroup_closed(mode, folder);
        Check::warn("cgroup", found, language.doctor_cgroup_closed_hint())
    }
}

/// The mode of the machine, and the path of our own group below `root`: in version 2 that of the one
/// tree, else that of the tree of memory (`man 7 cgroups`).
pub(super) fn our_group(root: &Path, ours: &str) -> Option<(&'static str, String)> {
    let path = |wanted: &str| {
        ours.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let names = parts.next()?;
            let path = parts.next()?;
            names
                .split(',')
                .any(|name| name == wanted)
                .then(|| path.to_owned())
        })
    };
    if root.join("cgroup.controllers").exists() {
        return Some(("v2", path("")?));
    }
    let mode = if root.join("unified").is_dir() {
        "hybrid"
    } else {
        "v1"
    };
    let memory = path("memory").filter(|_| root.join("memory").is_dir())?;
    Some((mode, format!("/memory{memory}")))
}

/// `access` looks at rights alone for root.
fn is_mounted_writable(folder: &str) -> bool {
    rustix::fs::statvfs(folder)
        .is_ok_and(|stat| !stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

fn open_files(language: Language) -> Check {
    let limit = getrlimit(Resource::Nofile);
    let is_low = limit.maximum.is_some_and(|most| most < OPEN_FILES_MIN);
    let hint = language.doctor_open_files_hint();
    Check::warn_if(is_low, "open_files", limits(language, limit), hint)
}

fn processes(language: Language) -> Check {
    let limit = getrlimit(Resource::Nproc);
    let is_low = limit.maximum.is_some_and(|most| most < PROCESSES_MIN);
    let hint = language.doctor_processes_hint();
    Check::warn_if(is_low, "processes", limits(language, limit), hint)
}

fn limits(language: Language, limit: Rlimit) -> String {
    let text = |limit: Option<u64>| {
        limit.map_or_else(|| language.doctor_no_limit(), |limit| limit.to_string())
    };
    language.doctor_limit(text(limit.current), text(limit.maximum))
}
