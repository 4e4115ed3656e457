//! The bounds of what makes a job a service.

use std::time::Duration;

use flota_model::{
    ids::TaskIndex,
    process::SIGNAL_MAX,
    service::{
        Check, DEPENDENCIES_MAX, PROBES_MAX, ProbeSpec, REPLICAS_MAX, RestartSettings, Service,
    },
    spec::{ARGUMENTS_MAX, JobSpec, Retry, TaskRange, Work},
};

use super::{ARGUMENT_LIST_LENGTH_MAX, Known, PATH_LENGTH_MAX, name, span, template};
use crate::spec::fault::Faults;

/// The tasks of every service.
pub(in crate::spec) const REPLICAS: TaskRange = TaskRange {
    first: TaskIndex(0),
    last: TaskIndex(REPLICAS_MAX - 1),
};
/// Most failures that a crash loop may need; the engine remembers as many.
pub(in crate::spec) const LOOP_FAILURES_MAX: u32 = 100;
/// Most results in a row that a probe may need.
pub(in crate::spec) const THRESHOLD_MAX: u32 = 1_000;
/// Longest name of a host (RFC 1035, 2.3.4).
pub(in crate::spec) const HOST_LENGTH_MAX: usize = 253;
/// Shortest pause between two probes, so that a thousand services cannot keep a node busy with them.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Adds all that is out of bounds.
pub(super) fn bounds(spec: &JobSpec, service: &Service, faults: &mut Faults) {
    of_job(spec, faults);
    within("service.replicas", service.replicas, REPLICAS_MAX, faults);
    if service
        .stop_signal
        .is_some_and(|signal| !(1..=SIGNAL_MAX).contains(&signal))
    {
        let what = format!("no signal of 1 to {SIGNAL_MAX}");
        faults.add("service.stop_signal", what);
    }
    restart(&service.restart, faults);
    if service.probes.len() > PROBES_MAX {
        let what = format!("{} probes, at most {PROBES_MAX}", service.probes.len());
        faults.add("service.probes", what);
    }
    for (index, value) in service.probes.iter().enumerate() {
        probe(&format!("service.probes[{index}]"), value, faults);
    }
    let update = &service.update;
    within(
        "service.update.parallel",
        update.parallel,
        REPLICAS_MAX,
        faults,
    );
    positive("service.update.deadline", update.deadline, faults);
    span("service.update.stable", update.stable, faults);
    dependencies(spec, service, faults);
}

/// What of a job a service cannot have.
fn of_job(spec: &JobSpec, faults: &mut Faults) {
    if let Work::Kernel(_) = spec.work {
        let hint = "a kernel is a computation that ends";
        faults.add_with_hint("kernel", "a service runs a program", hint);
    }
    if spec.tasks != REPLICAS {
        let hint = "give the number as `service.replicas`";
        faults.add_with_hint("tasks", "a service has replicas", hint);
    }
    if spec.timeout.is_some() {
        let hint = "a liveness probe ends what hangs";
        faults.add_with_hint("timeout", "a service has no end", hint);
    }
    if spec.retry != Retry::default() {
        let hint = "`service.restart` says when it runs again";
        faults.add_with_hint("retry", "a service has none", hint);
    }
}

fn restart(settings: &RestartSettings, faults: &mut Faults) {
    if settings.backoff > settings.backoff_max {
        let hint = "it is the upper bound of `service.restart.backoff`";
        let what = "below `service.restart.backoff`";
        faults.add_with_hint("service.restart.backoff_max", what, hint);
    }
    span("service.restart.backoff", settings.backoff, faults);
    span("service.restart.backoff_max", settings.backoff_max, faults);
    span(
        "service.restart.stable_after",
        settings.stable_after,
        faults,
    );
    span("service.restart.loop_window", settings.loop_window, faults);
    let (field, failures) = ("service.restart.loop_failures", settings.loop_failures);
    within(field, failures, LOOP_FAILURES_MAX, faults);
}

fn probe(field: &str, probe: &ProbeSpec, faults: &mut Faults) {
    let settings = &probe.settings;
    let inner = |name: &str| format!("{field}.{name}");
    span(&inner("start_delay"), settings.start_delay, faults);
    span(&inner("interval"), settings.interval, faults);
    if settings.interval < INTERVAL_MIN {
        faults.add(&inner("interval"), "shorter than 100ms");
    }
    positive(&inner("timeout"), settings.timeout, faults);
    let counts = [
        ("success_threshold", settings.success_threshold),
        ("failure_threshold", settings.failure_threshold),
    ];
    for (name, count) in counts {
        within(&inner(name), count, THRESHOLD_MAX, faults);
    }
    match &probe.check {
        Check::Http { host, port, path } => {
            place(&inner("http"), (host, *port), faults);
            let field = inner("http.path");
            let length = template(path, &Known::default(), faults, || field.clone());
            let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
            if !path.starts_with('/') || !is_plain || length >= PATH_LENGTH_MAX {
                let what = "is no path of a URL";
                faults.add_with_hint(&field, what, "it begins with `/` and has no spaces");
            }
        }
        Check::Tcp { host, port } => place(&inner("tcp"), (host, *port), faults),
        Check::Exec { argv } => exec(&inner("exec.argv"), argv, faults),
    }
}

fn place(field: &str, (host, port): (&str, u16), faults: &mut Faults) {
    let length = template(host, &Known::default(), faults, || format!("{field}.host"));
    let is_plain = host
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'/');
    if host.is_empty() || !is_plain || length > HOST_LENGTH_MAX {
        faults.add(&format!("{field}.host"), "is no name or address of a host");
    }
    if port == 0 {
        faults.add(&format!("{field}.port"), "0 is not in 1..=65535");
    }
}

fn exec(field: &str, argv: &[String], faults: &mut Faults) {
    if argv.first().is_none_or(String::is_empty) {
        let hint = "give at least the name of the program";
        faults.add_with_hint(field, "empty", hint);
    }
    if argv.len() > ARGUMENTS_MAX {
        let what = format!("{} arguments, at most {ARGUMENTS_MAX}", argv.len());
        faults.add(field, what);
    }
    let lengths = argv.iter().enumerate();
    let length: usize = lengths
        .map(|(index, text)| {
            1 + template(text, &Known::default(), faults, || {
                format!("{field}[{index}]")
            })
        })
        .sum();
    if length > ARGUMENT_LIST_LENGTH_MAX {
        let what = format!("up to {length} bytes, at most {ARGUMENT_LIST_LENGTH_MAX}");
        faults.add(field, what);
    }
}

fn dependencies(spec: &JobSpec, service: &Service, faults: &mut Faults) {
    let count = service.dependencies.len();
    if count > DEPENDENCIES_MAX {
        let what = format!("{count} services, at most {DEPENDENCIES_MAX}");
        faults.add("service.dependencies", what);
    }
    for (index, dependency) in service.dependencies.iter().enumerate() {
        let earlier = service.dependencies.get(..index).unwrap_or_default();
        let (field, other) = (
            format!("service.dependencies[{index}].service"),
            &dependency.service,
        );
        name(&field, other, faults);
        if *other == spec.name {
            faults.add(&field, "a service cannot wait for itself");
        } else if earlier.iter().any(|earlier| earlier.service == *other) {
            faults.add(&field, format!("`{other}` is given twice"));
        }
    }
}

fn within(field: &str, value: u32, most: u32, faults: &mut Faults) {
    if !(1..=most).contains(&value) {
        faults.add(field, format!("{value} is not in 1..={most}"));
    }
}

fn positive(field: &str, value: Duration, faults: &mut Faults) {
    if value.is_zero() {
        faults.add(field, "zero");
    }
    span(field, value, faults);
}
