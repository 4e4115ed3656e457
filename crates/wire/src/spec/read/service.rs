//! What makes a job a service, from a tree.

use std::{collections::BTreeSet, time::Duration};

use flota_model::service::{
    Check, Condition, Dependency, OnUpdateFailure, Placement, ProbeSettings, ProbeSpec, Purpose,
    RestartPolicy, RestartSettings, Service, UpdateSettings,
};

use super::fields::{Fields, Given};
use crate::spec::{
    fault::{Faults, quoted},
    tree::Tree,
};

/// The host of a probe where a spec does not say.
const PROBE_HOST: &str = "127.0.0.1";

pub(super) fn service(given: Given, faults: &mut Faults) -> Option<Service> {
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let service = Service {
        replicas: whole(&mut fields, "replicas", 1, faults),
        restart: restart(fields.take("restart"), faults),
        probes: list(fields.take("probes"), faults, probe),
        stop_signal: fields
            .take("stop_signal")
            .and_then(|given| given.whole(faults)),
        update: update(fields.take("update"), faults),
        dependencies: list(fields.take("dependencies"), faults, dependency),
        placement: word(
            fields.take("placement"),
            &[Placement::Spread, Placement::OnePerNode].map(|one| (one.word(), one)),
            faults,
        )
        .unwrap_or_default(),
    };
    fields.finish(faults);
    Some(service)
}

fn restart(given: Option<Given>, faults: &mut Faults) -> RestartSettings {
    let defaults = RestartSettings::default();
    let fields = given.and_then(|given| Fields::of(given.path, given.tree, faults));
    let Some(mut fields) = fields else {
        return defaults;
    };
    let policies = [
        RestartPolicy::Never,
        RestartPolicy::OnFailure,
        RestartPolicy::Always,
        RestartPolicy::UnlessStopped,
    ];
    let policy = word(
        fields.take("policy"),
        &policies.map(|one| (one.word(), one)),
        faults,
    );
    let success_codes = fields
        .take("success_codes")
        .map(|given| list(Some(given), faults, Given::whole));
    let backoff = span(&mut fields, "backoff", defaults.backoff, faults);
    let settings = RestartSettings {
        policy: policy.unwrap_or_default(),
        success_codes: success_codes.map_or(defaults.success_codes, |codes: Vec<u8>| {
            BTreeSet::from_iter(codes)
        }),
        backoff,
        // Whoever gives only a long back-off must not be told that it is above a bound never given.
        backoff_max: span(
            &mut fields,
            "backoff_max",
            defaults.backoff_max.max(backoff),
            faults,
        ),
        stable_after: span(&mut fields, "stable_after", defaults.stable_after, faults),
        loop_failures: whole(&mut fields, "loop_failures", defaults.loop_failures, faults),
        loop_window: span(&mut fields, "loop_window", defaults.loop_window, faults),
    };
    fields.finish(faults);
    settings
}

fn probe(given: Given, faults: &mut Faults) -> Option<ProbeSpec> {
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let purposes = [
        ("liveness", Purpose::Liveness),
        ("readiness", Purpose::Readiness),
    ];
    let purpose = fields.required("purpose", faults);
    let purpose = word(purpose, &purposes, faults).unwrap_or(Purpose::Liveness);
    let defaults = ProbeSettings::of(purpose);
    let settings = ProbeSettings {
        purpose,
        start_delay: span(&mut fields, "start_delay", defaults.start_delay, faults),
        interval: span(&mut fields, "interval", defaults.interval, faults),
        timeout: span(&mut fields, "timeout", defaults.timeout, faults),
        success_threshold: whole(
            &mut fields,
            "success_threshold",
            defaults.success_threshold,
            faults,
        ),
        failure_threshold: whole(
            &mut fields,
            "failure_threshold",
            defaults.failure_threshold,
            faults,
        ),
    };
    let check = check(&mut fields, faults);
    fields.finish(faults);
    Some(ProbeSpec {
        settings,
        check: check?,
    })
}

/// One of `http`, `tcp` and `exec`.
fn check(fields: &mut Fields, faults: &mut Faults) -> Option<Check> {
    let (http, tcp, exec) = (fields.take("http"), fields.take("tcp"), fields.take("exec"));
    match (http, tcp, exec) {
        (Some(given), None, None) => {
            let mut fields = Fields::of(given.path, given.tree, faults)?;
            let (host, port) = address(&mut fields, faults);
            let path = fields
                .take("path")
                .and_then(|given| given.text(faults))
                .unwrap_or_else(|| "/".to_owned());
            fields.finish(faults);
            Some(Check::Http {
                host,
                port: port?,
                path,
            })
        }
        (None, Some(given), None) => {
            let mut fields = Fields::of(given.path, given.tree, faults)?;
            let (host, port) = address(&mut fields, faults);
            fields.finish(faults);
            Some(Check::Tcp { host, port: port? })
        }
        (None, None, Some(given)) => {
            let mut fields = Fields::of(given.path, given.tree, faults)?;
            let argv = fields.required("argv", faults);
            let argv = argv.map(|given| given.texts(faults)).unwrap_or_default();
            fields.finish(faults);
            Some(Check::Exec { argv })
        }
        (first, _, _) => {
            let path = first.map_or_else(|| fields.path().to_owned(), |given| given.path);
            faults.add(&path, "a probe does one of `http`, `tcp` and `exec`");
            None
        }
    }
}

fn address(fields: &mut Fields, faults: &mut Faults) -> (String, Option<u16>) {
    let host = fields.take("host").and_then(|given| given.text(faults));
    let port = fields
        .required("port", faults)
        .and_then(|given| given.whole(faults));
    (host.unwrap_or_else(|| PROBE_HOST.to_owned()), port)
}

fn update(given: Option<Given>, faults: &mut Faults) -> UpdateSettings {
    let defaults = UpdateSettings::default();
    let fields = given.and_then(|given| Fields::of(given.path, given.tree, faults));
    let Some(mut fields) = fields else {
        return defaults;
    };
    let choices = [OnUpdateFailure::Stop, OnUpdateFailure::RollBack].map(|one| (one.word(), one));
    let settings = UpdateSettings {
        parallel: whole(&mut fields, "parallel", defaults.parallel, faults),
        on_failure: word(fields.take("on_failure"), &choices, faults).unwrap_or_default(),
        deadline: span(&mut fields, "deadline", defaults.deadline, faults),
        stable: span(&mut fields, "stable", defaults.stable, faults),
    };
    fields.finish(faults);
    settings
}

/// A table, or the name of a service that must be started.
fn dependency(given: Given, faults: &mut Faults) -> Option<Dependency> {
    if let Tree::Text(name) = &given.tree {
        return Some(Dependency {
            service: name.clone(),
            condition: Condition::default(),
        });
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let service = fields
        .required("service", faults)
        .and_then(|given| given.text(faults));
    let conditions = [Condition::Started, Condition::Healthy, Condition::Completed];
    let condition = word(
        fields.take("condition"),
        &conditions.map(|one| (one.word(), one)),
        faults,
    );
    fields.finish(faults);
    Some(Dependency {
        service: service?,
        condition: condition.unwrap_or_default(),
    })
}

/// One of a few words.
fn word<T: Copy>(given: Option<Given>, words: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    let given = given?;
    let path = given.path.clone();
    let text = given.text(faults)?;
    let known = words.iter().find(|(word, _)| *word == text);
    if known.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = format!("known: {}", all.join(", "));
        faults.add_with_hint(&path, format!("there is no {}", quoted(&text)), hint);
    }
    known.map(|(_, value)| *value)
}

fn span(
    fields: &mut Fields,
    name: &'static str,
    default: Duration,
    faults: &mut Faults,
) -> Duration {
    let given = fields.take(name).and_then(|given| given.duration(faults));
    given.unwrap_or(default)
}

fn whole<T: TryFrom<i128>>(
    fields: &mut Fields,
    name: &'static str,
    default: T,
    faults: &mut Faults,
) -> T {
    let given = fields.take(name).and_then(|given| given.whole(faults));
    given.unwrap_or(default)
}

/// Reads each item of a list; an absent one is empty.
fn list<T>(
    given: Option<Given>,
    faults: &mut Faults,
    read: impl Fn(Given, &mut Faults) -> Option<T>,
) -> Vec<T> {
    let Some(items) = given.map(|given| given.items(faults)) else {
        return Vec::new();
    };
    items
        .into_iter()
        .filter_map(|given| read(given, faults))
        .collect()
}
