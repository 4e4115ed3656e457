use std::{collections::BTreeSet, time::Duration};

use flota_model::{
    resources::Resources,
    service::{
        Check, Condition, Dependency, OnUpdateFailure, Placement, ProbeSettings, ProbeSpec,
        Purpose, REPLICAS_MAX, RestartPolicy, RestartSettings, Service, UpdateSettings,
    },
    spec::JobSpec,
    units::Cpus,
};

use crate::spec::{parse_json, parse_toml, seal, unseal};

const FULL: &str = r#"{"name": "web", "program": {"argv": ["./web"]}, "service": {
    "replicas": 3,
    "restart": {"policy": "unless-stopped", "success_codes": [0, 3], "backoff": "2s",
        "backoff_max": "1m", "stable_after": "30s", "loop_failures": 4, "loop_window": "5m"},
    "probes": [
        {"purpose": "liveness", "http": {"port": 8080, "path": "/alive"}, "start_delay": "1s",
            "interval": "5s", "timeout": "500ms", "success_threshold": 2, "failure_threshold": 4},
        {"purpose": "readiness", "tcp": {"host": "localhost", "port": 8080}},
        {"purpose": "readiness", "exec": {"argv": ["./check", "{index}"]}}],
    "stop_signal": 2,
    "update": {"parallel": 2, "on_failure": "roll-back", "deadline": "1m", "stable": "10s"},
    "dependencies": ["store", {"service": "cache", "condition": "healthy"}],
    "placement": "one-per-node"}}"#;

fn full() -> Service {
    let probe = |purpose, check| ProbeSpec {
        settings: ProbeSettings::of(purpose),
        check,
    };
    Service {
        replicas: 3,
        restart: RestartSettings {
            policy: RestartPolicy::UnlessStopped,
            success_codes: BTreeSet::from([0, 3]),
            backoff: Duration::from_secs(2),
            backoff_max: Duration::from_mins(1),
            stable_after: Duration::from_secs(30),
            loop_failures: 4,
            loop_window: Duration::from_mins(5),
        },
        probes: vec![
            ProbeSpec {
                settings: ProbeSettings {
                    purpose: Purpose::Liveness,
                    start_delay: Duration::from_secs(1),
                    interval: Duration::from_secs(5),
                    timeout: Duration::from_millis(500),
                    success_threshold: 2,
                    failure_threshold: 4,
                },
                check: Check::Http {
                    host: "127.0.0.1".to_owned(),
                    port: 8080,
                    path: "/alive".to_owned(),
                },
            },
            probe(
                Purpose::Readiness,
                Check::Tcp {
                    host: "localhost".to_owned(),
                    port: 8080,
                },
            ),
            probe(
                Purpose::Readiness,
                Check::Exec {
                    argv: vec!["./check".to_owned(), "{index}".to_owned()],
                },
            ),
        ],
        stop_signal: Some(2),
        update: UpdateSettings {
            parallel: 2,
            on_failure: OnUpdateFailure::RollBack,
            deadline: Duration::from_mins(1),
            stable: Duration::from_secs(10),
        },
        dependencies: vec![
            Dependency {
                service: "store".to_owned(),
                condition: Condition::Started,
            },
            Dependency {
                service: "cache".to_owned(),
                condition: Condition::Healthy,
            },
        ],
        placement: Placement::OnePerNode,
    }
}

fn parsed(text: &str) -> JobSpec {
    parse_json(text.as_bytes()).unwrap()
}

#[test]
fn a_service_is_read_with_all_its_fields() {
    let spec = parsed(FULL);
    assert_eq!(spec.service.as_deref(), Some(&full()));
    assert_eq!(spec.tasks.count(), REPLICAS_MAX);
}

#[test]
fn a_service_keeps_its_meaning_when_it_is_sealed() {
    for text in [
        FULL,
        r#"{"name": "web", "program": {"argv": ["./web"]}, "service": {}}"#,
    ] {
        let sealed = seal(parsed(text));
        assert_eq!(unseal(&sealed.blob).unwrap(), *sealed.spec);
        let again = seal(parse_json(&sealed.blob).unwrap());
        assert_eq!(again.hash, sealed.hash, "the normal form may be submitted");
    }
}

#[test]
fn a_service_has_defaults_for_everything() {
    let text = "name = \"web\"\nprogram.argv = [\"./web\"]\n[service]\n";
    let expected = Service {
        replicas: 1,
        ..Service::default()
    };
    let spec = parse_toml(text).unwrap();
    assert_eq!(spec.service.as_deref(), Some(&expected));
    assert_eq!(spec.resources, Resources::of_cpus(Cpus(1)));
}

#[test]
fn a_batch_job_says_nothing_of_services() {
    let sealed = seal(parsed(r#"{"name": "a", "program": {"argv": ["x"]}}"#));
    let text = std::str::from_utf8(&sealed.blob).unwrap();
    assert!(!text.contains("service"), "old hashes stay: {text}");
}

#[test]
fn what_a_service_cannot_be_is_a_fault_with_its_place() {
    for (service, beside, place) in [
        (r#"{"replicas": 0}"#, "", "service.replicas"),
        (r#"{"replicas": 10001}"#, "", "service.replicas"),
        (r#"{"stop_signal": 65}"#, "", "service.stop_signal"),
        (r#"{"placement": "near"}"#, "", "service.placement"),
        (
            r#"{"restart": {"policy": "often"}}"#,
            "",
            "service.restart.policy",
        ),
        (
            r#"{"restart": {"loop_failures": 0}}"#,
            "",
            "service.restart.loop_failures",
        ),
        (
            r#"{"restart": {"backoff": "2m", "backoff_max": "1m"}}"#,
            "",
            "service.restart.backoff_max",
        ),
        (
            r#"{"probes": [{"purpose": "liveness"}]}"#,
            "",
            "service.probes[0]",
        ),
        (
            r#"{"probes": [{"purpose": "liveness", "tcp": {"port": 0}}]}"#,
            "",
            "service.probes[0].tcp.port",
        ),
        (
            r#"{"probes": [{"purpose": "liveness", "exec": {"argv": []}}]}"#,
            "",
            "service.probes[0].exec.argv",
        ),
        (
            r#"{"probes": [{"purpose": "liveness", "interval": 0, "tcp": {"port": 1}}]}"#,
            "",
            "service.probes[0].interval",
        ),
        (
            r#"{"dependencies": ["web"]}"#,
            "",
            "service.dependencies[0].service",
        ),
        (
            r#"{"update": {"parallel": 0}}"#,
            "",
            "service.update.parallel",
        ),
        ("{}", r#", "tasks": "0-3""#, "tasks"),
        ("{}", r#", "timeout": "1s""#, "timeout"),
        ("{}", r#", "retry": "never""#, "retry"),
    ] {
        let text = format!(
            r#"{{"name": "web", "program": {{"argv": ["x"]}}, "service": {service}{beside}}}"#
        );
        let faults = parse_json(text.as_bytes()).unwrap_err();
        assert!(
            faults.list.iter().any(|fault| fault.field == place),
            "{text}: {faults:?}"
        );
    }
}
