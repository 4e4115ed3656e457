//! The settings of a program: user, priorities, limits.

use flota_model::execution::{Bound, Execution, IoPriority, Limits, ResourceLimit};

use super::fields::{Fields, Given};
use crate::spec::{
    fault::{Faults, nearest, quoted},
    tree::Tree,
};

/// Takes them from the fields of a program.
pub(super) fn read(fields: &mut Fields, faults: &mut Faults) -> Execution {
    let mut text = |name| {
        fields
            .take(name)
            .and_then(|given| given.name_or_number(faults))
    };
    let (user, group) = (text("user"), text("group"));
    Execution {
        user,
        group,
        groups: fields.take("groups").map(|given| given.texts(faults)),
        umask: fields.take("umask").and_then(|given| umask(given, faults)),
        nice: fields.take("nice").and_then(|given| given.whole(faults)),
        io_priority: fields
            .take("ioprio")
            .and_then(|given| io_priority(given, faults)),
        resource_limits: fields
            .take("rlimits")
            .and_then(|given| Fields::of(given.path, given.tree, faults))
            .map(|fields| fields.entries(faults, resource_limit))
            .unwrap_or_default()
            .into_values()
            .collect(),
        oom_score_adjust: fields
            .take("oom_score_adj")
            .and_then(|given| given.whole(faults)),
        new_privileges: fields
            .take("no_new_privileges")
            .and_then(|given| given.truth(faults))
            .is_some_and(|forbidden| !forbidden),
        limits: limits(fields.take("limits"), faults),
    }
}

fn limits(given: Option<Given>, faults: &mut Faults) -> Limits {
    let fields = given.and_then(|given| Fields::of(given.path, given.tree, faults));
    let Some(mut fields) = fields else {
        return Limits::default();
    };
    let mut size = |name| fields.take(name).and_then(|given| given.size(faults));
    let (memory, swap) = (size("memory"), size("swap"));
    let limits = Limits {
        memory,
        swap,
        pids: fields.take("pids").and_then(|given| given.whole(faults)),
        cpus: fields.take("cpus").and_then(|given| given.cpus(faults)),
        cpu_weight: fields
            .take("cpu_weight")
            .and_then(|given| given.whole(faults)),
        io_weight: fields
            .take("io_weight")
            .and_then(|given| given.whole(faults)),
        best_effort: fields
            .take("best_effort")
            .and_then(|given| given.truth(faults))
            .unwrap_or_default(),
    };
    fields.finish(faults);
    limits
}

/// Octal digits. A number would be read as decimal by half of those who write one.
fn umask(given: Given, faults: &mut Faults) -> Option<u16> {
    let path = given.path.clone();
    let text = given.text(faults)?;
    let umask = parse_umask(&text);
    if umask.is_none() {
        let what = format!("{} is no file mode mask", quoted(&text));
        faults.add_with_hint(&path, what, "three octal digits, for example \"022\"");
    }
    umask
}

/// Parses a file mode mask: one to four octal digits, at most `0777`.
pub fn parse_umask(text: &str) -> Option<u16> {
    let is_octal =
        (1..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let umask = u16::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
    (umask <= 0o777).then_some(umask)
}

fn io_priority(given: Given, faults: &mut Faults) -> Option<IoPriority> {
    let path = given.path.clone();
    let text = given.text(faults)?;
    let priority = parse_io_priority(&text);
    if priority.is_none() {
        let what = format!("{} is no class and level", quoted(&text));
        let hint = "`idle`, `best-effort:4` or `realtime:0`, levels 0 (first) to 7";
        faults.add_with_hint(&path, what, hint);
    }
    priority
}

/// Parses `idle`, `best-effort:0` … `best-effort:7`, `realtime:0` … `realtime:7`.
pub fn parse_io_priority(text: &str) -> Option<IoPriority> {
    if text == "idle" {
        return Some(IoPriority::Idle);
    }
    let (class, level) = text.split_once(':')?;
    let level = match level.as_bytes() {
        [digit @ b'0'..=b'7'] => digit - b'0',
        _ => return None,
    };
    match class {
        "best-effort" => Some(IoPriority::BestEffort(level)),
        "realtime" => Some(IoPriority::RealTime(level)),
        _ => None,
    }
}

fn resource_limit(given: Given, faults: &mut Faults) -> Option<(ResourceLimit, Bound)> {
    let path = given.path.clone();
    let word = path.rsplit('.').next().unwrap_or_default();
    let Some(limit) = ResourceLimit::of_word(word) else {
        let known = ResourceLimit::ALL.map(ResourceLimit::word);
        let hint = match nearest(word, &known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        faults.add_with_hint(&path, "unknown limit", hint);
        return None;
    };
    if let Tree::Whole(_) = given.tree {
        let number = given.whole(faults)?;
        return Some((limit, Bound::of(Some(number))));
    }
    let text = given.text(faults)?;
    let bound = parse_bound(&text);
    if bound.is_none() {
        let what = format!("{} is no limit", quoted(&text));
        let hint = "a number, `unlimited`, or both as SOFT:HARD";
        faults.add_with_hint(&path, what, hint);
    }
    Some((limit, bound?))
}

/// Parses `1024`, `unlimited`, `1024:4096` (soft and hard).
pub fn parse_bound(text: &str) -> Option<Bound> {
    let one = |text: &str| match text {
        "unlimited" => Some(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Some),
        _ => None,
    };
    match text.split_once(':') {
        None => one(text).map(Bound::of),
        Some((soft, hard)) => Some(Bound {
            soft: one(soft)?,
            hard: one(hard)?,
        }),
    }
}
