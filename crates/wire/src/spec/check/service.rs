//! The bounds of what makes a job a service.

use flota_model::{
    service::{
        Check, DEPENDENCIES_MAX, PROBES_MAX, ProbeSpec, REPLICAS_MAX, RestartSettings, Service,
    },
    spec::{JobSpec, Retry, TaskRange, Work},
};

use super::{name, path, span, template};
use crate::spec::fault::{Faults, quoted};

/// Longest name or address of a host in a probe, in bytes (RFC 1035).
const HOST_LENGTH_MAX: usize = 253;

/// The tasks of every service.
pub(in crate::spec) const REPLICAS: TaskRange = TaskRange {
    first: flota_model::ids::TaskIndex(0),
    last: flota_model::ids::TaskIndex(REPLICAS_MAX - 1),
};

pub(super) fn bounds(spec: &JobSpec, service: &Service, faults: &mut Faults) {
    beside(spec, faults);
    if !(1..=REPLICAS_MAX).contains(&service.replicas) {
        let what = format!("{} is not in 1..={REPLICAS_MAX}", service.replicas);
        faults.add("service.replicas", what);
    }
    restart(&service.restart, faults);
    count("service.probes", service.probes.len(), PROBES_MAX, faults);
    for (index, value) in service.probes.iter().enumerate() {
        probe(&format!("service.probes[{index}]"), value, faults);
    }
    if let Some(signal) = service
        .stop_signal
        .filter(|signal| !(1..=64).contains(signal))
    {
        faults.add("service.stop_signal", format!("{signal} is not in 1..=64"));
    }
    if service.update.parallel == 0 {
        faults.add("service.update.parallel", "zero");
    }
    span("service.update.deadline", service.update.deadline, faults);
    span("service.update.stable", service.update.stable, faults);
    let dependencies = &service.dependencies;
    let field = "service.dependencies";
    count(field, dependencies.len(), DEPENDENCIES_MAX, faults);
    for (index, dependency) in dependencies.iter().enumerate() {
        let field = format!("{field}[{index}].service");
        name(&field, &dependency.service, faults);
        if dependency.service == spec.name {
            faults.add(&field, "a service cannot depend on itself");
        }
    }
}

/// What a service cannot have beside it.
fn beside(spec: &JobSpec, faults: &mut Faults) {
    if let Work::Kernel(_) = spec.work {
        faults.add("kernel", "a service runs a `program`");
    }
    if spec.tasks != REPLICAS {
        faults.add_with_hint("tasks", "a service has none", "see `service.replicas`");
    }
    if spec.retry != Retry::default() {
        faults.add_with_hint("retry", "a service has none", "see `service.restart`");
    }
    if spec.timeout.is_some() {
        faults.add_with_hint("timeout", "a service has none", "it is to stay up");
    }
}

fn restart(restart: &RestartSettings, faults: &mut Faults) {
    if restart.backoff > restart.backoff_max {
        let hint = "it is the upper bound of `service.restart.backoff`";
        let field = "service.restart.backoff_max";
        faults.add_with_hint(field, "below `service.restart.backoff`", hint);
    }
    if !(1..=100).contains(&restart.loop_failures) {
        let what = format!("{} is not in 1..=100", restart.loop_failures);
        faults.add("service.restart.loop_failures", what);
    }
    span("service.restart.backoff", restart.backoff, faults);
    span("service.restart.backoff_max", restart.backoff_max, faults);
    span("service.restart.stable_after", restart.stable_after, faults);
    span("service.restart.loop_window", restart.loop_window, faults);
}

fn probe(field: &str, probe: &ProbeSpec, faults: &mut Faults) {
    let settings = &probe.settings;
    for (part, value) in [
        ("start_delay", settings.start_delay),
        ("interval", settings.interval),
        ("timeout", settings.timeout),
    ] {
        span(&format!("{field}.{part}"), value, faults);
    }
    for (part, value) in [
        ("interval", settings.interval),
        ("timeout", settings.timeout),
    ] {
        if value.is_zero() {
            faults.add(&format!("{field}.{part}"), "zero");
        }
    }
    for (part, value) in [
        ("success_threshold", settings.success_threshold),
        ("failure_threshold", settings.failure_threshold),
    ] {
        if value == 0 {
            faults.add(&format!("{field}.{part}"), "zero");
        }
    }
    match &probe.check {
        Check::Http { host, port, path } => {
            address(&format!("{field}.http"), host, *port, faults);
            url_path(&format!("{field}.http.path"), path, faults);
        }
        Check::Tcp { host, port } => address(&format!("{field}.tcp"), host, *port, faults),
        Check::Exec { argv } => program(&format!("{field}.exec.argv"), argv, faults),
    }
}

fn address(field: &str, host: &str, port: u16, faults: &mut Faults) {
    let host_field = format!("{field}.host");
    let length = template(host, faults, || host_field.clone());
    if host.is_empty() || length > HOST_LENGTH_MAX || host.contains(char::is_whitespace) {
        faults.add(&host_field, format!("{} is no host", quoted(host)));
    }
    if port == 0 {
        faults.add(&format!("{field}.port"), "zero");
    }
}

fn url_path(field: &str, value: &str, faults: &mut Faults) {
    path(field, Some(value), faults);
    if value.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        faults.add(field, "has a space or a control character");
    }
}

fn program(field: &str, argv: &[String], faults: &mut Faults) {
    if argv.first().is_none_or(String::is_empty) {
        faults.add(field, "empty");
    }
    let mut length = 0;
    for (index, argument) in argv.iter().enumerate() {
        length += 1 + template(argument, faults, || format!("{field}[{index}]"));
    }
    count(field, length, super::ARGUMENT_LIST_LENGTH_MAX, faults);
}

fn count(field: &str, count: usize, most: usize, faults: &mut Faults) {
    if count > most {
        faults.add(field, format!("{count}, at most {most}"));
    }
}
