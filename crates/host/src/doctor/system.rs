//! The kernel, its limits and its clocks.

use std::{fs, os::fd::AsFd as _, time::Duration};

use flota_agent::groups::GroupWish;
use flota_client::{Language, utc};
use flota_model::containment::{ContainmentMode, LimitKind, LimitSet};
use rustix::{
    fs::fstatfs,
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

pub(super) fn checks(language: Language, groups: &GroupWish) -> Vec<Check> {
    vec![
        clock(language),
        kernel(language),
        pidfd(language),
        subreaper(language),
        cgroup(language, groups),
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

/// As an agent that was started like this would find it.
fn cgroup(language: Language, wish: &GroupWish) -> Check {
    let warn = |found, hint| Check::warn("cgroup", found, hint);
    if *wish == GroupWish::Off {
        return warn(
            language.doctor_cgroup_off(),
            language.doctor_cgroup_off_hint(),
        );
    }
    let prospect = flota_agent::groups::look(wish);
    let containment = prospect.containment;
    if containment.mode == ContainmentMode::Sessions {
        return match prospect.closed.first() {
            Some(path) => warn(
                language.doctor_cgroup_closed(path.display()),
                language.doctor_cgroup_closed_hint(),
            ),
            None => warn(
                language.doctor_cgroup_none(),
                language.doctor_cgroup_none_hint(),
            ),
        };
    }
    let mode = containment.mode.word();
    let enforced = words(containment.enforced);
    let missing = containment.enforced.missing();
    if missing.is_empty() {
        return Check::ok("cgroup", language.doctor_cgroup(mode, enforced));
    }
    let found = language.doctor_cgroup_missing(mode, enforced, words(missing));
    // Weights of disks exist with few schedulers, and swap is not everywhere.
    let needed = [LimitKind::Memory, LimitKind::Pids, LimitKind::Cpus];
    let is_bad = needed.into_iter().any(|kind| missing.has(kind));
    Check::warn_if(
        is_bad,
        "cgroup",
        found,
        language.doctor_cgroup_missing_hint(),
    )
}

fn words(set: LimitSet) -> String {
    let words: Vec<&str> = set.iter().map(LimitKind::word).collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(", ")
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
