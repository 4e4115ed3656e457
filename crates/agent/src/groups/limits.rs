//! Limits as the files of control groups want them (`Documentation/admin-guide/cgroup-v2.rst`,
//! `Documentation/admin-guide/cgroup-v1/`).

use flota_model::{
    containment::LimitKind,
    execution::{Limits, WEIGHT_MAX},
    units::Cpus,
};

use super::layout::Controller;

/// Between two refills of processor time, in microseconds.
const PERIOD: u64 = 100_000;
/// The longest that the kernel takes; for shares below a hundredth of a core, since it gives no less
/// than a millisecond at a time.
const PERIOD_MAX: u64 = 1_000_000;
/// Thousandths of a core below which the long period is used.
const CPUS_SMALL: u32 = 10;
/// A weight of 100 is this many shares of version 1.
const SHARES_USUAL: u64 = 1_024;
const SHARES_MIN: u64 = 2;
/// Bounds of weights of disks in version 1.
const DISK_WEIGHT_MIN: u16 = 10;
const DISK_WEIGHT_MAX: u16 = 1_000;
/// A weight that says nothing.
const WEIGHT_USUAL: u64 = 100;

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first of them that is there.
    pub(super) names: &'static [&'static str],
    pub(super) value: String,
    /// Whether the limit holds also where no such file is.
    pub(super) may_be_missing: bool,
}

fn entry(names: &'static [&'static str], value: impl ToString) -> Entry {
    Entry {
        names,
        value: value.to_string(),
        may_be_missing: false,
    }
}

fn perhaps(names: &'static [&'static str], value: impl ToString) -> Entry {
    Entry {
        may_be_missing: true,
        ..entry(names, value)
    }
}

/// The files of version 2 for a kind of limit; one of each list must be there.
pub(super) fn files_of_two(kind: LimitKind) -> (Controller, &'static [&'static str]) {
    match kind {
        LimitKind::Memory => (Controller::Memory, &["memory.max"]),
        LimitKind::Swap => (Controller::Memory, &["memory.swap.max"]),
        LimitKind::Pids => (Controller::Pids, &["pids.max"]),
        LimitKind::Cpus => (Controller::Cpu, &["cpu.max"]),
        LimitKind::CpuWeight => (Controller::Cpu, &["cpu.weight"]),
        LimitKind::IoWeight => (Controller::Io, &["io.weight", "io.bfq.weight"]),
    }
}

/// The same for version 1.
pub(super) fn files_of_one(kind: LimitKind) -> (Controller, &'static [&'static str]) {
    match kind {
        LimitKind::Memory => (Controller::Memory, &["memory.limit_in_bytes"]),
        LimitKind::Swap => (Controller::Memory, &["memory.memsw.limit_in_bytes"]),
        LimitKind::Pids => (Controller::Pids, &["pids.max"]),
        LimitKind::Cpus => (Controller::Cpu, &["cpu.cfs_quota_us"]),
        LimitKind::CpuWeight => (Controller::Cpu, &["cpu.shares"]),
        LimitKind::IoWeight => (Controller::Io, &["blkio.weight", "blkio.bfq.weight"]),
    }
}

/// What to write into a group of version 2, for the limits of one kind.
pub(super) fn of_two(limits: &Limits, kind: LimitKind) -> Vec<Entry> {
    let names = files_of_two(kind).1;
    match kind {
        LimitKind::Memory => limits.memory.map_or_else(Vec::new, |memory| {
            let mut entries = vec![
                entry(names, memory.0),
                // A tree of which a part is missing computes nothing any more.
                perhaps(&["memory.oom.group"], 1),
            ];
            if limits.swap.is_none() {
                entries.push(perhaps(&["memory.swap.max"], 0));
            }
            entries
        }),
        LimitKind::Swap => one(names, limits.swap.map(|swap| swap.0)),
        LimitKind::Pids => one(names, limits.pids),
        LimitKind::Cpus => {
            let text = |cpus| {
                let (quota, period) = quota(cpus);
                format!("{quota} {period}")
            };
            one(names, limits.cpus.map(text))
        }
        LimitKind::CpuWeight => one(names, limits.cpu_weight.map(weight)),
        LimitKind::IoWeight => one(names, limits.io_weight.map(weight)),
    }
}

/// What to write into a group of version 1, for the limits of one kind, in this order. `None` where
/// version 1 cannot say it.
pub(super) fn of_one(limits: &Limits, kind: LimitKind) -> Option<Vec<Entry>> {
    let names = files_of_one(kind).1;
    Some(match kind {
        LimitKind::Memory => limits.memory.map_or_else(Vec::new, |memory| {
            let mut entries = vec![entry(names, memory.0)];
            if limits.swap.is_none() {
                entries.push(perhaps(&["memory.memsw.limit_in_bytes"], memory.0));
            }
            entries
        }),
        // Only the sum of memory and swap can be limited.
        LimitKind::Swap => match (limits.memory, limits.swap) {
            (Some(memory), Some(swap)) => vec![entry(names, memory.0.saturating_add(swap.0))],
            (None, Some(_)) => return None,
            (_, None) => Vec::new(),
        },
        LimitKind::Pids => one(names, limits.pids),
        LimitKind::Cpus => limits.cpus.map_or_else(Vec::new, |cpus| {
            let (quota, period) = quota(cpus);
            vec![entry(&["cpu.cfs_period_us"], period), entry(names, quota)]
        }),
        LimitKind::CpuWeight => {
            let shares = |weight: u16| {
                (u64::from(weight.min(WEIGHT_MAX)) * SHARES_USUAL / WEIGHT_USUAL).max(SHARES_MIN)
            };
            one(names, limits.cpu_weight.map(shares))
        }
        LimitKind::IoWeight => {
            let weight = |weight: u16| weight.clamp(DISK_WEIGHT_MIN, DISK_WEIGHT_MAX);
            one(names, limits.io_weight.map(weight))
        }
    })
}

fn one(names: &'static [&'static str], value: Option<impl ToString>) -> Vec<Entry> {
    value.map(|value| entry(names, value)).into_iter().collect()
}

fn weight(weight: u16) -> u16 {
    weight.clamp(1, WEIGHT_MAX)
}

/// Quota and period in microseconds.
fn quota(cpus: Cpus) -> (u64, u64) {
    let period = if cpus.0 < CPUS_SMALL {
        PERIOD_MAX
    } else {
        PERIOD
    };
    (u64::from(cpus.0.max(1)) * period / 1_000, period)
}

#[cfg(test)]
mod tests {
    use flota_model::units::Bytes;

    use super::*;

    fn written(entries: Vec<Entry>) -> Vec<String> {
        let text = |entry: Entry| {
            let mark = if entry.may_be_missing { "?" } else { "" };
            format!("{}{mark}={}", entry.names.join("|"), entry.value)
        };
        entries.into_iter().map(text).collect()
    }

    fn all(limits: &Limits) -> (Vec<String>, Vec<String>) {
        let two = LimitKind::ALL.map(|kind| written(of_two(limits, kind)));
        let one = LimitKind::ALL.map(|kind| written(of_one(limits, kind).unwrap_or_default()));
        (two.concat(), one.concat())
    }

    #[test]
    fn every_limit_is_written_as_each_version_wants_it() {
        let limits = Limits {
            memory: Some(Bytes(1 << 20)),
            swap: Some(Bytes(1 << 10)),
            pids: Some(7),
            cpus: Some(Cpus(1_500)),
            cpu_weight: Some(200),
            io_weight: Some(5_000),
            best_effort: false,
        };
        let (two, one) = all(&limits);
        let expected = [
            "memory.max=1048576",
            "memory.oom.group?=1",
            "memory.swap.max=1024",
            "pids.max=7",
            "cpu.max=150000 100000",
            "cpu.weight=200",
            "io.weight|io.bfq.weight=5000",
        ];
        assert_eq!(two, expected);
        let expected = [
            "memory.limit_in_bytes=1048576",
            "memory.memsw.limit_in_bytes=1049600",
            "pids.max=7",
            "cpu.cfs_period_us=100000",
            "cpu.cfs_quota_us=150000",
            "cpu.shares=2048",
            "blkio.weight|blkio.bfq.weight=1000",
        ];
        assert_eq!(one, expected);
        assert_eq!(all(&Limits::default()), (vec![], vec![]));
    }

    #[test]
    fn a_limit_of_memory_is_not_evaded_by_swap() {
        let limits = Limits {
            memory: Some(Bytes(4_096)),
            ..Limits::default()
        };
        let (two, one) = all(&limits);
        assert!(two.contains(&"memory.swap.max?=0".to_owned()), "{two:?}");
        let expected = "memory.memsw.limit_in_bytes?=4096".to_owned();
        assert!(one.contains(&expected), "{one:?}");
    }

    #[test]
    fn what_a_version_cannot_say_is_no_limit_of_something_else() {
        let limits = Limits {
            swap: Some(Bytes(1)),
            cpus: Some(Cpus(3)),
            ..Limits::default()
        };
        assert_eq!(of_one(&limits, LimitKind::Swap), None);
        let (two, _) = all(&limits);
        assert_eq!(two, ["memory.swap.max=1", "cpu.max=3000 1000000"]);
    }
}
