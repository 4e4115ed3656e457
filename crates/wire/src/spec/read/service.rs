//! What makes a job a service.

use std::{collections::BTreeSet, time::Duration};

use flota_model::service::{
    Check, Condition, Dependency, OnUpdateFailure, Placement, ProbeSettings, ProbeSpec, Purpose,
    RestartPolicy, RestartSettings, Service, UpdateSettings,
};

use super::fields::{Fields, Given};
use crate::{
    signal,
    spec::{
        fault::{Faults, nearest, quoted},
        tree::Tree,
    },
};

/// Where a probe asks if it does not say.
const HOST_DEFAULT: &str = "127.0.0.1";

/// The table `service` of a spec.
pub(super) fn service(given: Given, faults: &mut Faults) -> Option<Service> {
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let service = parts(&mut fields, faults);
    fields.finish(faults);
    Some(service)
}

/// The fields of a service; in a file they are beside those of its program.
pub(super) fn parts(fields: &mut Fields, faults: &mut Faults) -> Service {
    let mut probes = fields
        .take("probes")
        .map(|given| probe_list(given, faults))
        .unwrap_or_default();
    for purpose in [Purpose::Readiness, Purpose::Liveness] {
        let given = fields.take(purpose_word(purpose));
        probes.extend(given.and_then(|given| probe(given, Some(purpose), faults)));
    }
    Service {
        replicas: fields
            .take("replicas")
            .and_then(|given| given.whole(faults))
            .unwrap_or(1),
        restart: fields
            .take("restart")
            .map(|given| restart(given, faults))
            .unwrap_or_default(),
        probes,
        stop_signal: fields
            .take("stop_signal")
            .and_then(|given| stop_signal(given, faults)),
        update: fields
            .take("update")
            .map(|given| update(given, faults))
            .unwrap_or_default(),
        dependencies: fields
            .take("dependencies")
            .map(|given| dependencies(given, faults))
            .unwrap_or_default(),
        placement: fields
            .take("placement")
            .and_then(|given| word(given, &PLACEMENTS, faults))
            .unwrap_or_default(),
    }
}

const POLICIES: [(&str, RestartPolicy); 4] = [
    ("never", RestartPolicy::Never),
    ("on-failure", RestartPolicy::OnFailure),
    ("always", RestartPolicy::Always),
    ("unless-stopped", RestartPolicy::UnlessStopped),
];
const PLACEMENTS: [(&str, Placement); 2] = [
    ("spread", Placement::Spread),
    ("one-per-node", Placement::OnePerNode),
];
const CONDITIONS: [(&str, Condition); 3] = [
    ("started", Condition::Started),
    ("healthy", Condition::Healthy),
    ("completed", Condition::Completed),
];
const ON_UPDATE_FAILURE: [(&str, OnUpdateFailure); 2] = [
    ("stop", OnUpdateFailure::Stop),
    ("roll-back", OnUpdateFailure::RollBack),
];
const PURPOSES: [(&str, Purpose); 2] = [
    ("readiness", Purpose::Readiness),
    ("liveness", Purpose::Liveness),
];

/// The word for a purpose.
pub(super) fn purpose_word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Liveness => "liveness",
        Purpose::Readiness => "readiness",
    }
}

/// One of a few words.
fn word<T: Copy>(given: Given, all: &[(&'static str, T)], faults: &mut Faults) -> Option<T> {
    let path = given.path.clone();
    let text = given.text(faults)?;
    let found = all.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(&text, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known: {}", names.join(", ")),
        };
        faults.add_with_hint(&path, format!("{} is not known", quoted(&text)), hint);
    }
    found.map(|(_, value)| *value)
}

/// A policy alone, or with its delays.
fn restart(given: Given, faults: &mut Faults) -> RestartSettings {
    let default = RestartSettings::default();
    if let Tree::Text(_) = given.tree {
        return RestartSettings {
            policy: word(given, &POLICIES, faults).unwrap_or_default(),
            ..default
        };
    }
    let Some(mut fields) = Fields::of(given.path, given.tree, faults) else {
        return default;
    };
    let backoff = span(&mut fields, "backoff", default.backoff, faults);
    let settings = RestartSettings {
        policy: fields
            .take("policy")
            .and_then(|given| word(given, &POLICIES, faults))
            .unwrap_or_default(),
        success_codes: fields
            .take("success_codes")
            .map_or(default.success_codes, |given| codes(given, faults)),
        backoff,
        // Whoever gives only a long back-off must not be told that it is above a bound never given.
        backoff_max: span(
            &mut fields,
            "backoff_max",
            default.backoff_max.max(backoff),
            faults,
        ),
        stable_after: span(&mut fields, "stable_after", default.stable_after, faults),
        loop_failures: number(&mut fields, "loop_failures", default.loop_failures, faults),
        loop_window: span(&mut fields, "loop_window", default.loop_window, faults),
    };
    fields.finish(faults);
    settings
}

fn codes(given: Given, faults: &mut Faults) -> BTreeSet<u8> {
    let items = given.items(faults);
    items
        .into_iter()
        .filter_map(|item| item.whole(faults))
        .collect()
}

fn span(
    fields: &mut Fields,
    name: &'static str,
    default: Duration,
    faults: &mut Faults,
) -> Duration {
    let given = fields.take(name);
    given
        .and_then(|given| given.duration(faults))
        .unwrap_or(default)
}

fn number(fields: &mut Fields, name: &'static str, default: u32, faults: &mut Faults) -> u32 {
    let given = fields.take(name);
    given
        .and_then(|given| given.whole(faults))
        .unwrap_or(default)
}

fn probe_list(given: Given, faults: &mut Faults) -> Vec<ProbeSpec> {
    let items = given.items(faults);
    items
        .into_iter()
        .filter_map(|item| probe(item, None, faults))
        .collect()
}

/// A probe; `purpose` where its place says what it is for.
fn probe(given: Given, purpose: Option<Purpose>, faults: &mut Faults) -> Option<ProbeSpec> {
    let path = given.path.clone();
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let purpose = purpose.or_else(|| {
        let given = fields.required("purpose", faults);
        given.and_then(|given| word(given, &PURPOSES, faults))
    });
    let default = ProbeSettings::of(purpose.unwrap_or(Purpose::Readiness));
    let settings = ProbeSettings {
        purpose: default.purpose,
        start_delay: span(&mut fields, "start_delay", default.start_delay, faults),
        interval: span(&mut fields, "interval", default.interval, faults),
        timeout: span(&mut fields, "timeout", default.timeout, faults),
        success_threshold: number(
            &mut fields,
            "success_threshold",
            default.success_threshold,
            faults,
        ),
        failure_threshold: number(
            &mut fields,
            "failure_threshold",
            default.failure_threshold,
            faults,
        ),
    };
    let check = check(&mut fields, &path, faults);
    fields.finish(faults);
    Some(ProbeSpec {
        settings,
        check: check?,
    })
}

/// The one of the three ways to ask that is given.
fn check(fields: &mut Fields, path: &str, faults: &mut Faults) -> Option<Check> {
    let ways = ["http", "tcp", "exec"].map(|name| fields.take(name));
    if ways.iter().flatten().count() != 1 {
        let what = "a probe has one of `http`, `tcp` and `exec`";
        faults.add_with_hint(path, what, r#"for example `http = ":8080/ready"`"#);
        return None;
    }
    match ways {
        [Some(given), ..] => http(given, faults),
        [_, Some(given), _] => tcp(given, faults),
        [.., given] => exec(given?, faults),
    }
}

/// A list of arguments, or a table that has one.
fn exec(given: Given, faults: &mut Faults) -> Option<Check> {
    if let Tree::List(_) = given.tree {
        let argv = given.texts(faults);
        return Some(Check::Exec { argv });
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let argv = fields.required("argv", faults);
    let argv = argv.map(|given| given.texts(faults)).unwrap_or_default();
    fields.finish(faults);
    Some(Check::Exec { argv })
}

/// `http://HOST:PORT/PATH`, `HOST:PORT/PATH`, `:PORT/PATH`, or a table.
fn http(given: Given, faults: &mut Faults) -> Option<Check> {
    if let Tree::Text(text) = &given.tree {
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let (address, rest) = match bare.find('/') {
            Some(place) => bare.split_at(place),
            None => (bare, "/"),
        };
        let path = rest.to_owned();
        let found = host_and_port(address).map(|(host, port)| Check::Http { host, port, path });
        if found.is_none() {
            let what = format!("{} is no address to ask", quoted(text));
            faults.add_with_hint(&given.path, what, "for example `:8080/ready`");
        }
        return found;
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let (host, port) = place(&mut fields, faults);
    let path = fields.take("path").map(|given| given.text(faults));
    fields.finish(faults);
    Some(Check::Http {
        host,
        port: port?,
        path: path.map_or(Some("/".to_owned()), |path| path)?,
    })
}

/// `HOST:PORT`, `:PORT`, a port, or a table.
fn tcp(given: Given, faults: &mut Faults) -> Option<Check> {
    if let Tree::Text(text) = &given.tree {
        let found = host_and_port(text).map(|(host, port)| Check::Tcp { host, port });
        if found.is_none() {
            let what = format!("{} is no address", quoted(text));
            faults.add_with_hint(&given.path, what, "for example `:5432`");
        }
        return found;
    }
    if let Tree::Whole(_) = given.tree {
        let host = HOST_DEFAULT.to_owned();
        let port = given.whole(faults)?;
        return Some(Check::Tcp { host, port });
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let (host, port) = place(&mut fields, faults);
    fields.finish(faults);
    Some(Check::Tcp { host, port: port? })
}

fn place(fields: &mut Fields, faults: &mut Faults) -> (String, Option<u16>) {
    let host = fields.take("host").and_then(|given| given.text(faults));
    let port = fields.required("port", faults);
    let port = port.and_then(|given| given.whole(faults));
    (host.unwrap_or_else(|| HOST_DEFAULT.to_owned()), port)
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = if host.is_empty() { HOST_DEFAULT } else { host };
    let is_plain = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_plain)?;
    Some((host.to_owned(), port))
}

fn stop_signal(given: Given, faults: &mut Faults) -> Option<u8> {
    let path = given.path.clone();
    let text = given.scalar(faults)?;
    let signal = signal::parse(&text);
    if signal.is_none() {
        let what = format!("there is no signal {}", quoted(&text));
        faults.add_with_hint(&path, what, "a name such as `INT`, or a number up to 64");
    }
    signal
}

fn update(given: Given, faults: &mut Faults) -> UpdateSettings {
    let default = UpdateSettings::default();
    let Some(mut fields) = Fields::of(given.path, given.tree, faults) else {
        return default;
    };
    let settings = UpdateSettings {
        parallel: number(&mut fields, "parallel", default.parallel, faults),
        on_failure: fields
            .take("on_failure")
            .and_then(|given| word(given, &ON_UPDATE_FAILURE, faults))
            .unwrap_or_default(),
        deadline: span(&mut fields, "deadline", default.deadline, faults),
        stable: span(&mut fields, "stable", default.stable, faults),
    };
    fields.finish(faults);
    settings
}

/// A list, or a table of names and conditions.
fn dependencies(given: Given, faults: &mut Faults) -> Vec<Dependency> {
    if let Tree::List(_) = given.tree {
        let items = given.items(faults);
        return items
            .into_iter()
            .filter_map(|item| dependency(item, faults))
            .collect();
    }
    let fields = Fields::of(given.path, given.tree, faults);
    let entries = fields
        .map(|fields| fields.entries(faults, |given, faults| word(given, &CONDITIONS, faults)));
    let depend = |(service, condition)| Dependency { service, condition };
    entries
        .unwrap_or_default()
        .into_iter()
        .map(depend)
        .collect()
}

/// The name of a service that must be started, or a table with a condition.
fn dependency(given: Given, faults: &mut Faults) -> Option<Dependency> {
    if let Tree::Text(_) = given.tree {
        let service = given.text(faults)?;
        let condition = Condition::default();
        return Some(Dependency { service, condition });
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let service = fields.required("service", faults);
    let service = service.and_then(|given| given.text(faults));
    let condition = fields
        .take("condition")
        .and_then(|given| word(given, &CONDITIONS, faults))
        .unwrap_or_default();
    fields.finish(faults);
    Some(Dependency {
        service: service?,
        condition,
    })
}
