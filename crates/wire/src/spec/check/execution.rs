//! The bounds of the settings of a program.

use flota_model::execution::{
    Execution, GROUPS_MAX, IO_LEVELS, IoPriority, Limits, USER_NAME_LENGTH_MAX, WEIGHT_MAX,
};

use super::{CPUS_MAX, MEMORY_MAX};
use crate::spec::fault::{Faults, quoted};

/// Least memory of a control group, in bytes: below it nothing can be executed.
const MEMORY_MIN: u64 = 1 << 20;
/// The kernel gives at least a millisecond in each tenth of a second.
const CPUS_MIN: u32 = 10;

pub(super) fn bounds(execution: &Execution, faults: &mut Faults) {
    for (field, value) in [("user", &execution.user), ("group", &execution.group)] {
        if let Some(value) = value {
            user(&format!("program.{field}"), value, faults);
        }
    }
    let groups = execution.groups.as_deref().unwrap_or_default();
    if groups.len() > GROUPS_MAX {
        let what = format!("{} groups, at most {GROUPS_MAX}", groups.len());
        faults.add("program.groups", what);
    }
    for (index, group) in groups.iter().enumerate() {
        user(&format!("program.groups[{index}]"), group, faults);
    }
    within("program.umask", execution.umask, (0, 0o777), faults);
    within("program.nice", execution.nice, (-20, 19), faults);
    let adjust = execution.oom_score_adjust;
    within("program.oom_score_adj", adjust, (-1000, 1000), faults);
    if let Some(IoPriority::BestEffort(level) | IoPriority::RealTime(level)) = execution.io_priority
    {
        within("program.ioprio", Some(level), (0, IO_LEVELS - 1), faults);
    }
    for (limit, bound) in &execution.resource_limits {
        if !bound.is_ordered() {
            let field = format!("program.rlimits.{}", limit.word());
            faults.add_with_hint(&field, "above the hard limit", "write SOFT:HARD");
        }
    }
    limits(&execution.limits, faults);
}

fn limits(limits: &Limits, faults: &mut Faults) {
    let memory = limits.memory.map(|bytes| bytes.0);
    let field = |name| format!("program.limits.{name}");
    within(&field("memory"), memory, (MEMORY_MIN, MEMORY_MAX), faults);
    let swap = limits.swap.map(|bytes| bytes.0);
    within(&field("swap"), swap, (0, MEMORY_MAX), faults);
    if swap.is_some() && memory.is_none() {
        let hint = "give `program.limits.memory` too";
        faults.add_with_hint(&field("swap"), "without a limit of memory", hint);
    }
    // As many as the kernel has numbers for (`man 5 proc_sys_kernel`, `pid_max`).
    within(&field("pids"), limits.pids, (1, 1 << 22), faults);
    let cpus = limits.cpus.map(|cpus| cpus.0);
    if cpus.is_some_and(|cpus| !(CPUS_MIN..=CPUS_MAX.saturating_mul(1000)).contains(&cpus)) {
        let what = format!("not in 0.01..={CPUS_MAX}");
        faults.add(&field("cpus"), what);
    }
    for (name, weight) in [
        ("cpu_weight", limits.cpu_weight),
        ("io_weight", limits.io_weight),
    ] {
        within(&field(name), weight, (1, WEIGHT_MAX), faults);
    }
}

fn within<T: PartialOrd + std::fmt::Display + Copy>(
    field: &str,
    value: Option<T>,
    (least, most): (T, T),
    faults: &mut Faults,
) {
    if let Some(value) = value
        && !(least..=most).contains(&value)
    {
        faults.add(field, format!("{value} is not in {least}..={most}"));
    }
}

/// A name or a number. What a name may be differs between systems; what would break the files that
/// they are in is none anywhere.
fn user(field: &str, value: &str, faults: &mut Faults) {
    let is_visible = value
        .bytes()
        .all(|byte| byte > b' ' && byte != 0x7f && byte != b':');
    if value.is_empty() || value.len() > USER_NAME_LENGTH_MAX || !is_visible {
        let what = format!("{} is no name and no number", quoted(value));
        faults.add_with_hint(
            field,
            what,
            "as in the first field of /etc/passwd or /etc/group",
        );
    }
}
