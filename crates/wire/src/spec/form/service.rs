//! The normal form of what makes a job a service.

use std::collections::BTreeSet;

use flota_model::service::{
    Check, Dependency, ProbeSpec, RestartSettings, Service, UpdateSettings,
};
use serde::Serialize;

use crate::quantity::format_duration;

#[derive(Serialize)]
pub(super) struct ServiceForm<'a> {
    replicas: u32,
    restart: RestartForm<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probes: Vec<ProbeForm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<u8>,
    update: UpdateForm,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<DependencyForm<'a>>,
    placement: &'static str,
}

#[derive(Serialize)]
struct RestartForm<'a> {
    policy: &'static str,
    success_codes: &'a BTreeSet<u8>,
    backoff: String,
    backoff_max: String,
    stable_after: String,
    loop_failures: u32,
    loop_window: String,
}

#[derive(Serialize)]
struct ProbeForm<'a> {
    purpose: &'static str,
    #[serde(flatten)]
    check: CheckForm<'a>,
    start_delay: String,
    interval: String,
    timeout: String,
    success_threshold: u32,
    failure_threshold: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckForm<'a> {
    Http {
        host: &'a str,
        port: u16,
        path: &'a str,
    },
    Tcp {
        host: &'a str,
        port: u16,
    },
    Exec {
        argv: &'a [String],
    },
}

#[derive(Serialize)]
struct UpdateForm {
    parallel: u32,
    on_failure: &'static str,
    deadline: String,
    stable: String,
}

#[derive(Serialize)]
struct DependencyForm<'a> {
    service: &'a str,
    condition: &'static str,
}

impl<'a> ServiceForm<'a> {
    pub(super) fn of(service: &'a Service) -> Self {
        Self {
            replicas: service.replicas,
            restart: restart(&service.restart),
            probes: service.probes.iter().map(probe).collect(),
            stop_signal: service.stop_signal,
            update: update(service.update),
            dependencies: service.dependencies.iter().map(dependency).collect(),
            placement: service.placement.word(),
        }
    }
}

fn restart(restart: &RestartSettings) -> RestartForm<'_> {
    RestartForm {
        policy: restart.policy.word(),
        success_codes: &restart.success_codes,
        backoff: format_duration(restart.backoff),
        backoff_max: format_duration(restart.backoff_max),
        stable_after: format_duration(restart.stable_after),
        loop_failures: restart.loop_failures,
        loop_window: format_duration(restart.loop_window),
    }
}

fn probe(probe: &ProbeSpec) -> ProbeForm<'_> {
    let settings = &probe.settings;
    ProbeForm {
        purpose: settings.purpose.word(),
        check: match &probe.check {
            Check::Http { host, port, path } => CheckForm::Http {
                host,
                port: *port,
                path,
            },
            Check::Tcp { host, port } => CheckForm::Tcp { host, port: *port },
            Check::Exec { argv } => CheckForm::Exec { argv },
        },
        start_delay: format_duration(settings.start_delay),
        interval: format_duration(settings.interval),
        timeout: format_duration(settings.timeout),
        success_threshold: settings.success_threshold,
        failure_threshold: settings.failure_threshold,
    }
}

fn update(update: UpdateSettings) -> UpdateForm {
    UpdateForm {
        parallel: update.parallel,
        on_failure: update.on_failure.word(),
        deadline: format_duration(update.deadline),
        stable: format_duration(update.stable),
    }
}

fn dependency(dependency: &Dependency) -> DependencyForm<'_> {
    DependencyForm {
        service: &dependency.service,
        condition: dependency.condition.word(),
    }
}
