//! The bounds of a spec.

use std::{collections::BTreeMap, time::Duration};

use flota_model::{
    parameters::Rows,
    resources::Resources,
    rules::{CAUSES_MAX, JobRules, MaxFails},
    spec::{
        ARGUMENTS_MAX, Constraints, JobSpec, KernelCall, NAME_LENGTH_MAX, OnDisconnect, Program,
        RETRIES_MAX, Retry, TASKS_PER_JOB_MAX, TaskRange, Work,
    },
};

use super::{
    fault::{Faults, SpecFaults, quoted},
    template::{Known, TemplateFault, length_max},
};
use crate::quantity::DURATION_MAX;

mod execution;
mod parameters;
mod service;

pub(super) use service::{HOST_LENGTH_MAX, LOOP_FAILURES_MAX, REPLICAS, THRESHOLD_MAX};

/// Most bytes of arguments and environment together, with all placeholders at their longest and a
/// NUL after each. Below the 128 KiB that Linux allows one argument (`man 2 execve`), and it leaves
/// room for what Flota itself adds to the environment.
pub const ARGUMENT_LIST_LENGTH_MAX: usize = 96 * 1024;
/// Most bytes of names and values of a kernel's parameters.
pub const PARAMETERS_LENGTH_MAX: usize = 64 * 1024;
/// Longest path, with its NUL (`PATH_MAX`, `man 3 realpath`).
pub const PATH_LENGTH_MAX: usize = 4096;
/// Most parameters, labels or counters of a spec, each.
pub const ENTRIES_MAX: usize = 64;
/// Most cores of a task; no machine has more.
pub const CPUS_MAX: u32 = 65_536;
/// Most memory of a task: 1 PiB; every number up to it is exact in a JavaScript client.
pub const MEMORY_MAX: u64 = 1 << 50;

/// Checks the bounds of a spec that was not made by `parse_json` or `parse_toml`.
///
/// # Errors
/// All faults together.
pub fn check(spec: &JobSpec) -> Result<(), SpecFaults> {
    check_with(spec, None)
}

/// As [`check`], with the rows that the spec names.
///
/// # Errors
/// All faults together.
pub fn check_with(spec: &JobSpec, rows: Option<&Rows>) -> Result<(), SpecFaults> {
    let mut faults = Faults::default();
    bounds(spec, rows, &mut faults);
    faults.or(())
}

/// Adds all that is out of bounds. Rows that are not given count as empty ones.
pub(super) fn bounds(spec: &JobSpec, rows: Option<&Rows>, faults: &mut Faults) {
    name("name", &spec.name, faults);
    tasks(spec.tasks, faults);
    let known = parameters::bounds(spec, rows, faults);
    match &spec.work {
        Work::Program(value) => program(value, &known, faults),
        Work::Kernel(call) => kernel(call, &known, faults),
    }
    if !(1..=3).contains(&spec.priority.0) {
        let what = format!("{} is not 1 (high), 2 (medium) or 3 (low)", spec.priority.0);
        faults.add("priority", what);
    }
    resources(&spec.resources, faults);
    constraints(&spec.constraints, faults);
    retry(&spec.retry, faults);
    if spec.timeout == Some(Duration::ZERO) {
        faults.add_with_hint("timeout", "zero", "leave it out for no limit");
    }
    span("timeout", spec.timeout.unwrap_or_default(), faults);
    span("grace", spec.grace, faults);
    if let OnDisconnect::Keep { lost_after } = spec.on_disconnect {
        span("on_disconnect.keep", lost_after, faults);
    }
    rules(spec, faults);
    if let Some(value) = &spec.service {
        service::bounds(spec, value, faults);
    }
}

/// Whether a text can name a job, a node, a label, a counter or a parameter:
/// `[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}`.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    first && rest && text.len() <= NAME_LENGTH_MAX
}

/// Whether a text can be the value of a label: at most 63 bytes, no control characters.
pub fn is_label_value(text: &str) -> bool {
    text.len() <= NAME_LENGTH_MAX && !text.contains(char::is_control)
}

fn name(field: &str, value: &str, faults: &mut Faults) {
    if !is_name(value) {
        faults.add_with_hint(
            field,
            format!("{} is no valid name", quoted(value)),
            "1 to 63 letters, digits, dots, underscores and hyphens, first a letter or digit",
        );
    }
}

fn tasks(range: TaskRange, faults: &mut Faults) {
    let (first, last) = (range.first.0, range.last.0);
    if first > last {
        let hint = format!("write `{last}-{first}`");
        faults.add_with_hint("tasks", format!("{first} is above {last}"), hint);
    } else if range.count() > TASKS_PER_JOB_MAX {
        let count = u64::from(last - first) + 1;
        let what = format!("{count} tasks, at most {TASKS_PER_JOB_MAX}");
        faults.add_with_hint("tasks", what, "submit several jobs");
    }
}

fn program(program: &Program, known: &Known<'_>, faults: &mut Faults) {
    if program.argv.first().is_none_or(String::is_empty) {
        faults.add_with_hint(
            "program.argv",
            "empty",
            "give at least the name of the program",
        );
    }
    if program.argv.len() > ARGUMENTS_MAX {
        let what = format!("{} arguments, at most {ARGUMENTS_MAX}", program.argv.len());
        faults.add("program.argv", what);
    }
    let mut length = 0;
    for (index, argument) in program.argv.iter().enumerate() {
        length += 1 + template(argument, known, faults, || format!("program.argv[{index}]"));
    }
    for (key, value) in &program.environment {
        let field = || format!("program.environment.{}", plain(key));
        if key.is_empty() || key.contains(['=', '\0']) {
            faults.add(
                &field(),
                "the name of a variable is empty or has `=` or NUL in it",
            );
        }
        length += 2 + key.len() + template(value, known, faults, field);
    }
    if length > ARGUMENT_LIST_LENGTH_MAX {
        let what = format!(
            "argument list too long: arguments and environment take up to {length} bytes, at most \
             {ARGUMENT_LIST_LENGTH_MAX}"
        );
        faults.add_with_hint(
            "program.argv",
            what,
            "put the list into a file and pass its path",
        );
    }
    path(
        "program.working_directory",
        program.working_directory.as_deref(),
        known,
        faults,
    );
    path("program.stdin", program.stdin.as_deref(), known, faults);
    execution::bounds(&program.execution, faults);
}

/// Checks a text that is expanded later; returns its greatest length.
fn template(
    text: &str,
    known: &Known<'_>,
    faults: &mut Faults,
    field: impl Fn() -> String,
) -> usize {
    if text.contains('\0') {
        faults.add_with_hint(&field(), "has a NUL byte", "programs cannot receive one");
    }
    length_max(text, known).unwrap_or_else(|fault| {
        let braces = "write {{ and }} for the braces themselves";
        let hint = match fault {
            TemplateFault::Unknown(_) => format!("known: {}; {braces}", known.listed()),
            TemplateFault::Single(_) => braces.to_owned(),
        };
        faults.add_with_hint(&field(), fault.to_string(), hint);
        text.len()
    })
}

fn path(field: &str, path: Option<&str>, known: &Known<'_>, faults: &mut Faults) {
    let Some(path) = path else {
        return;
    };
    let length = template(path, known, faults, || field.to_owned());
    if !path.starts_with('/') {
        let what = format!("{} is not absolute", quoted(path));
        faults.add_with_hint(field, what, "start it with `/`");
    } else if length >= PATH_LENGTH_MAX {
        faults.add(
            field,
            format!("{length} bytes, at most {}", PATH_LENGTH_MAX - 1),
        );
    }
}

fn kernel(call: &KernelCall, known: &Known<'_>, faults: &mut Faults) {
    name("kernel.name", &call.name, faults);
    names("kernel.parameters", &call.parameters, faults);
    let mut length = 0;
    for (key, value) in &call.parameters {
        length += key.len();
        length += template(value, known, faults, || {
            format!("kernel.parameters.{}", plain(key))
        });
    }
    if length > PARAMETERS_LENGTH_MAX {
        let what = format!("up to {length} bytes, at most {PARAMETERS_LENGTH_MAX}");
        faults.add("kernel.parameters", what);
    }
}

fn resources(resources: &Resources, faults: &mut Faults) {
    let thousandths = resources.cpus.0;
    if thousandths == 0 || u64::from(thousandths) > u64::from(CPUS_MAX) * 1000 {
        let what = format!("{} is not in 0.001..={CPUS_MAX}", resources.cpus);
        faults.add("resources.cpus", what);
    }
    if resources.memory.0 > MEMORY_MAX {
        faults.add(
            "resources.memory",
            format!("{} bytes, at most 1 PiB", resources.memory.0),
        );
    }
    names("resources.counters", &resources.counters, faults);
    for (key, amount) in &resources.counters {
        if !(1..=u64::from(u32::MAX)).contains(amount) {
            let field = format!("resources.counters.{}", plain(key));
            faults.add(&field, format!("{amount} is not in 1..={}", u32::MAX));
        }
    }
}

fn constraints(constraints: &Constraints, faults: &mut Faults) {
    if let Some(node) = &constraints.node {
        name("constraints.node", node, faults);
    }
    names("constraints.labels", &constraints.labels, faults);
    for (key, value) in &constraints.labels {
        if !is_label_value(value) {
            let field = format!("constraints.labels.{}", plain(key));
            let what = format!("{} is no value of a label", quoted(value));
            faults.add_with_hint(&field, what, "at most 63 bytes, no control characters");
        }
    }
}

/// Number and names of the entries of a table.
fn names<T>(field: &str, entries: &BTreeMap<String, T>, faults: &mut Faults) {
    if entries.len() > ENTRIES_MAX {
        faults.add(
            field,
            format!("{} entries, at most {ENTRIES_MAX}", entries.len()),
        );
    }
    for key in entries.keys() {
        name(&format!("{field}.{}", plain(key)), key, faults);
    }
}

fn retry(retry: &Retry, faults: &mut Faults) {
    let Retry::Limited {
        retries,
        backoff,
        backoff_max,
    } = retry
    else {
        return;
    };
    if *retries > RETRIES_MAX {
        faults.add("retry.retries", format!("{retries}, at most {RETRIES_MAX}"));
    }
    if backoff > backoff_max {
        let hint = "it is the upper bound of `retry.backoff`";
        faults.add_with_hint("retry.backoff_max", "below `retry.backoff`", hint);
    }
    span("retry.backoff", *backoff, faults);
    span("retry.backoff_max", *backoff_max, faults);
}

fn rules(spec: &JobSpec, faults: &mut Faults) {
    let rules = &spec.rules;
    if spec.service.is_some() && **rules != JobRules::default() {
        let what = "`paused`, `job_timeout`, `deadline`, `max_fails` and causes of retries are for jobs whose tasks end";
        faults.add_with_hint("service", what, "leave them out");
    }
    if rules.timeout == Some(Duration::ZERO) {
        faults.add_with_hint("job_timeout", "zero", "leave it out for no limit");
    }
    span("job_timeout", rules.timeout.unwrap_or_default(), faults);
    if let Some(MaxFails::Percent(percent)) = rules.max_fails
        && percent > 100
    {
        faults.add("max_fails", format!("{percent}% is above 100%"));
    }
    for (field, causes) in [
        ("retry.on", &rules.retry_on),
        ("retry.not_on", &rules.retry_not_on),
    ] {
        if causes.len() > CAUSES_MAX {
            faults.add(
                field,
                format!("{} causes, at most {CAUSES_MAX}", causes.len()),
            );
        }
        if !causes.is_empty() && spec.retry == Retry::Never {
            faults.add(field, "a job that starts its tasks once has no retries");
        }
    }
}

fn span(field: &str, span: Duration, faults: &mut Faults) {
    if span > DURATION_MAX {
        faults.add(field, "longer than ten years");
    }
}

/// A key as part of a path of a field: as it is where that is short and visible.
fn plain(key: &str) -> String {
    let plain = key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { key.to_owned() } else { quoted(key) }
}
