//! Services: as the spec of a job, and as files of people.

use std::fmt::Write as _;

use flota_model::service::{
    Check, Condition, DEPENDENCIES_MAX, Dependency, OnUpdateFailure, PROBES_MAX, Placement,
    ProbeSettings, ProbeSpec, Purpose, REPLICAS_MAX, RestartPolicy, RestartSettings, Service,
    UpdateSettings,
};

use super::*;

/// Every field differs from its default.
const FULL: &str = r#"{"name":"web","program":{"argv":["./web"]},
    "service":{"replicas":3,"placement":"one-per-node",
        "restart":{"policy":"always","success_codes":[0,3],"backoff":"2s","backoff_max":"10s",
            "stable_after":"30s","loop_failures":4,"loop_window":"1m"},
        "probes":[{"purpose":"readiness","http":{"host":"localhost","port":8080,"path":"/r{index}"},
                "start_delay":"1s","interval":"2s","timeout":"3s","success_threshold":2,"failure_threshold":5},
            {"purpose":"liveness","exec":["check","{index}"]}],
        "liveness":{"tcp":5432},
        "stop_signal":"INT",
        "update":{"parallel":2,"on_failure":"roll-back","deadline":"1m","stable":"1s"},
        "dependencies":{"cache":"started","db":"healthy","init":"completed"}}}"#;

fn full() -> Service {
    let depends = |service: &str, condition| Dependency {
        service: service.to_owned(),
        condition,
    };
    Service {
        replicas: 3,
        restart: RestartSettings {
            policy: RestartPolicy::Always,
            success_codes: [0, 3].into(),
            backoff: Duration::from_secs(2),
            backoff_max: Duration::from_secs(10),
            stable_after: Duration::from_secs(30),
            loop_failures: 4,
            loop_window: Duration::from_mins(1),
        },
        probes: vec![
            ProbeSpec {
                settings: ProbeSettings {
                    purpose: Purpose::Readiness,
                    start_delay: Duration::from_secs(1),
                    interval: Duration::from_secs(2),
                    timeout: Duration::from_secs(3),
                    success_threshold: 2,
                    failure_threshold: 5,
                },
                check: Check::Http {
                    host: "localhost".into(),
                    port: 8080,
                    path: "/r{index}".into(),
                },
            },
            ProbeSpec {
                settings: ProbeSettings::of(Purpose::Liveness),
                check: Check::Exec {
                    argv: vec!["check".into(), "{index}".into()],
                },
            },
            ProbeSpec {
                settings: ProbeSettings::of(Purpose::Liveness),
                check: Check::Tcp {
                    host: "127.0.0.1".into(),
                    port: 5432,
                },
            },
        ],
        stop_signal: Some(2),
        update: UpdateSettings {
            parallel: 2,
            on_failure: OnUpdateFailure::RollBack,
            deadline: Duration::from_mins(1),
            stable: Duration::from_secs(1),
        },
        dependencies: vec![
            depends("cache", Condition::Started),
            depends("db", Condition::Healthy),
            depends("init", Condition::Completed),
        ],
        placement: Placement::OnePerNode,
    }
}

fn of(service: serde_json::Value) -> Result<Service, String> {
    let body = json!({"name": "web", "program": {"argv": ["web"]}, "service": service});
    let parsed = parse(body).map_err(|faults| faults.to_string())?;
    Ok(*parsed.service.unwrap())
}

#[test]
fn every_field_of_a_service_arrives_and_is_kept_when_sealed() {
    let value: serde_json::Value = serde_json::from_str(FULL).unwrap();
    let spec = parse(value).unwrap();
    assert_eq!(spec.service.as_deref(), Some(&full()));
    assert_eq!(spec.tasks.count(), REPLICAS_MAX);
    let sealed = seal(spec.clone());
    assert_eq!(unseal(&sealed.blob).unwrap(), spec);
    // What is shown can be sent again.
    assert_eq!(parse(to_value(&spec)).unwrap(), spec);
}

#[test]
fn an_empty_service_has_all_defaults() {
    let service = of(json!({})).unwrap();
    let expected = Service {
        replicas: 1,
        ..Service::default()
    };
    assert_eq!(service, expected);
}

#[test]
fn what_is_short_means_the_same_as_what_is_long() {
    let same = [
        (
            json!({"restart": "always"}),
            json!({"restart": {"policy": "always"}}),
        ),
        (
            json!({"readiness": {"http": ":80"}}),
            json!({"probes": [{"purpose": "readiness", "http": {"port": 80, "path": "/"}}]}),
        ),
        (
            json!({"readiness": {"http": "http://localhost:80/a?b=/c"}}),
            json!({"readiness": {"http": {"host": "localhost", "port": 80, "path": "/a?b=/c"}}}),
        ),
        (
            json!({"liveness": {"tcp": ":5"}}),
            json!({"liveness": {"tcp": 5}}),
        ),
        (
            json!({"liveness": {"tcp": "[::1]:5"}}),
            json!({"liveness": {"tcp": {"host": "[::1]", "port": 5}}}),
        ),
        (
            json!({"dependencies": ["b", "a"]}),
            json!({"dependencies": ["b", {"service": "a", "condition": "started"}]}),
        ),
        (json!({"stop_signal": "sigint"}), json!({"stop_signal": 2})),
    ];
    for (short, long) in same {
        assert_eq!(of(short.clone()), of(long), "{short}");
    }
}

#[track_caller]
fn assert_refused(cases: &[(serde_json::Value, &str)]) {
    for (service, expected) in cases {
        let faults = of(service.clone()).expect_err(&service.to_string());
        assert!(faults.contains(expected), "{service}: {faults}");
    }
}

#[test]
fn what_no_service_can_have_is_refused() {
    let names = |count| {
        (0..count)
            .map(|index| format!("s{index}"))
            .collect::<Vec<_>>()
    };
    assert!(of(json!({"dependencies": names(DEPENDENCIES_MAX)})).is_ok());
    assert_refused(&[
        (json!(3), "service: expected a table"),
        (
            json!({"replicas": 0}),
            "service.replicas: 0 is not in 1..=10000",
        ),
        (
            json!({"replicas": 10_001}),
            "service.replicas: 10001 is not",
        ),
        (json!({"replica": 1}), "(did you mean `replicas`?)"),
        (json!({"restart": "allways"}), "(did you mean `always`?)"),
        (
            json!({"restart": {"success_codes": [256]}}),
            "service.restart.success_codes[0]",
        ),
        (
            json!({"restart": {"backoff": "6m", "backoff_max": "1m"}}),
            "service.restart.backoff_max: below",
        ),
        (
            json!({"restart": {"loop_failures": 101}}),
            "101 is not in 1..=100",
        ),
        (
            json!({"probes": [{"tcp": 1}]}),
            "service.probes[0].purpose: missing",
        ),
        (json!({"stop_signal": "NONE"}), "there is no signal `NONE`"),
        (
            json!({"update": {"parallel": 0}}),
            "service.update.parallel: 0",
        ),
        (
            json!({"update": {"deadline": 0}}),
            "service.update.deadline: zero",
        ),
        (
            json!({"update": {"on_failure": "rollback"}}),
            "(did you mean `roll-back`?)",
        ),
        (
            json!({"dependencies": ["web"]}),
            "a service cannot wait for itself",
        ),
        (json!({"dependencies": ["a", "a"]}), "`a` is given twice"),
        (json!({"dependencies": ["a b"]}), "is no valid name"),
        (
            json!({"dependencies": {"a": "ready"}}),
            "known: started, healthy, completed",
        ),
        (
            json!({"dependencies": names(DEPENDENCIES_MAX + 1)}),
            "65 services, at most 64",
        ),
        (json!({"placement": "spred"}), "(did you mean `spread`?)"),
    ]);
}

#[test]
fn what_is_no_probe_is_refused() {
    let many = |count| vec![json!({"purpose": "liveness", "tcp": 1}); count];
    assert!(of(json!({"probes": many(PROBES_MAX)})).is_ok());
    let probe = |probe: serde_json::Value| json!({"readiness": probe});
    let tcp = |field: &str, value: serde_json::Value| {
        let mut body = json!({"tcp": 1});
        body[field] = value;
        json!({"liveness": body})
    };
    assert_refused(&[
        (
            json!({"probes": many(PROBES_MAX + 1)}),
            "17 probes, at most 16",
        ),
        (probe(json!({})), "service.readiness: a probe has one of"),
        (
            probe(json!({"tcp": 1, "exec": ["a"]})),
            "a probe has one of",
        ),
        (probe(json!({"http": "8080/x"})), "is no address to ask"),
        (probe(json!({"http": ":70000/x"})), "is no address to ask"),
        (
            probe(json!({"http": {"port": 1, "path": "x"}})),
            "http.path: is no path of a URL",
        ),
        (
            probe(json!({"http": ":1/a b"})),
            "http.path: is no path of a URL",
        ),
        (
            probe(json!({"http": {"port": 1, "path": "/{x}"}})),
            "unknown placeholder {x}",
        ),
        (
            probe(json!({"tcp": {"port": 1, "host": "a/b"}})),
            "tcp.host: is no name",
        ),
        (probe(json!({"tcp": 0})), "tcp.port: 0 is not"),
        (probe(json!({"exec": []})), "exec.argv: empty"),
        (
            tcp("interval", json!("99ms")),
            "interval: shorter than 100ms",
        ),
        (tcp("timeout", json!(0)), "timeout: zero"),
        (
            tcp("success_threshold", json!(0)),
            "success_threshold: 0 is not in 1..=1000",
        ),
        (
            tcp("failure_threshold", json!(1_001)),
            "failure_threshold: 1001 is not",
        ),
    ]);
}

#[test]
fn what_only_a_batch_job_has_is_refused_for_a_service() {
    let body = json!({"name": "a", "kernel": {"name": "noop"}, "tasks": "1-3", "timeout": "1m",
        "retry": "never", "service": {}});
    let faults = parse(body).unwrap_err().list;
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["kernel", "tasks", "timeout", "retry"]);
}

const FILE: &str = r#"
[service.db]
program = ["postgres", "-D", "/data"]
stop_signal = "INT"
grace = "1m"
liveness = { tcp = 5432 }

[service.web]
program = "./web"
args = ["--port", "8080"]
env = { MODE = "fast", WORKERS = 4 }
env_file = "web.env"
cwd = "/srv/web"
replicas = 3
constraints = { labels = { zone = "a" } }
resources = { cpus = 0.5, memory = "64MiB" }
user = "web"
limits = { memory = "1GiB" }
restart = "always"
readiness = { http = ":8080/ready", interval = "1s" }
dependencies = { db = "healthy" }
"#;

const FILE_YAML: &str = r#"
service:
  web:
    program: ./web
    args: ["--port", "8080"]
    env: {MODE: fast, WORKERS: 4}
    env_file: [web.env]
    cwd: /srv/web
    replicas: 3
    constraints: {labels: {zone: a}}
    resources: {cpus: 0.5, memory: 64MiB}
    user: web
    limits: {memory: 1GiB}
    restart: always
    readiness: {http: ":8080/ready", interval: 1s}
    dependencies: {db: healthy}
  db:
    program: [postgres, -D, /data]
    stop_signal: INT
    grace: 1m
    liveness: {tcp: 5432}
"#;

const FILE_JSON: &str = r#"{"services": [
    {"name": "db", "program": {"argv": ["postgres", "-D", "/data"]}, "stop_signal": "INT",
        "grace": "1m", "liveness": {"tcp": 5432}},
    {"name": "web", "program": "./web", "args": ["--port", "8080"],
        "env": {"MODE": "fast", "WORKERS": 4}, "env_file": "web.env", "cwd": "/srv/web",
        "replicas": 3, "constraints": {"labels": {"zone": "a"}},
        "resources": {"cpus": 0.5, "memory": "64MiB"}, "restart": "always",
        "user": "web", "limits": {"memory": "1GiB"},
        "readiness": {"http": ":8080/ready", "interval": "1s"}, "dependencies": {"db": "healthy"}}
]}"#;

#[test]
fn a_file_says_the_same_in_all_notations() {
    let toml = parse_services(FILE, Notation::Toml).unwrap();
    assert_eq!(parse_services(FILE_YAML, Notation::Yaml).unwrap(), toml);
    assert_eq!(parse_services(FILE_JSON, Notation::Json).unwrap(), toml);
    let web = &toml[1];
    assert_eq!(web.environment_files, ["web.env"]);
    let as_spec = json!({"name": "web",
        "program": {"argv": ["./web", "--port", "8080"], "working_directory": "/srv/web",
            "logs": "rotated", "user": "web", "limits": {"memory": "1GiB"},
            "environment": {"MODE": "fast", "WORKERS": "4"}},
        "constraints": {"labels": {"zone": "a"}},
        "resources": {"cpus": 0.5, "memory": "64MiB"},
        "service": {"replicas": 3, "restart": "always", "dependencies": {"db": "healthy"},
            "readiness": {"http": ":8080/ready", "interval": "1s"}}});
    assert_eq!(web.spec, parse(as_spec).unwrap());
    assert_eq!(toml[0].spec.grace, Duration::from_mins(1));
}

#[test]
fn the_notation_of_a_file_is_known_by_its_name_or_its_text() {
    for (path, text, expected) in [
        ("a.toml", "", Notation::Toml),
        ("a.YML", "", Notation::Yaml),
        ("/x.y/a.yaml", "", Notation::Yaml),
        ("a.json", "", Notation::Json),
        ("-", FILE, Notation::Toml),
        ("-", FILE_YAML, Notation::Yaml),
        ("-", FILE_JSON, Notation::Json),
    ] {
        assert_eq!(Notation::of(path, text), expected, "{path}");
    }
}

fn file_faults(text: &str, notation: Notation) -> Vec<String> {
    let faults = parse_services(text, notation).unwrap_err().list;
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn all_faults_of_a_file_are_told_with_the_paths_of_the_file() {
    let text = r#"
[service.web]
program = "./web"
args = ["a{b}", 3]
enf = { A = "1" }
cwd = "srv"
replicas = 0
nice = 99
probes = [{ purpose = "liveness", tcp = 1 }]
readiness = { http = ":0/x" }
restart = { backoff = "10m", backoff_max = "1s" }

[service."a b"]
args = []

[sevrice.x]
program = "x"
"#;
    let expected = [
        "service.a b.program: missing",
        "service.a b.name: `a b` is no valid name",
        "service.web.args[1]: expected a string, found a number (write it in quotes)",
        "service.web.enf: unknown field (did you mean `env`?)",
        "service.web.args[0]: unknown placeholder {b}",
        "service.web.cwd: `srv` is not absolute (start it with `/`)",
        "service.web.nice: 99 is not in -20..=19",
        "service.web.replicas: 0 is not in 1..=10000",
        "service.web.restart.backoff_max: below `service.restart.backoff`",
        "service.web.readiness.http.port: 0 is not in 1..=65535",
        "sevrice: unknown field (did you mean `service`?)",
    ];
    let told = file_faults(text, Notation::Toml);
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        let told = told.replace("`a b`", "a b");
        let expected = expected.replace("`a b`", "a b");
        assert!(told.starts_with(&expected), "{told} instead of {expected}");
    }
}

#[test]
fn a_file_that_is_none_says_so() {
    let none = "service: the file has no service (begin with `[service.NAME]`)";
    assert_eq!(file_faults("", Notation::Toml), [none]);
    assert_eq!(file_faults("{}", Notation::Json), [none]);
    assert!(file_faults("a: [", Notation::Yaml)[0].starts_with("no valid YAML"));
    assert!(file_faults("{", Notation::Json)[0].starts_with("no valid JSON"));
    assert!(file_faults("[service", Notation::Toml)[0].contains("line 1"));
    let long = " ".repeat(SPEC_LENGTH_MAX + 1);
    assert!(file_faults(&long, Notation::Yaml)[0].contains("longer than"));
    let twice = r#"{"services": [{"name": "a", "program": "x"}, {"name": "a", "program": "x"}]}"#;
    let told = file_faults(twice, Notation::Json);
    assert_eq!(told, ["service: two services have the same name"]);
}

#[test]
fn hostile_yaml_is_refused_in_no_time() {
    let twice = "service:\n  a: {program: x}\n  a: {program: y}\n";
    assert!(
        file_faults(twice, Notation::Yaml)[0].contains("no valid YAML"),
        "a key twice"
    );
    let mut laughs = "a0: &a0 [x]\n".to_owned();
    for level in 1..30 {
        let nine = vec![format!("*a{}", level - 1); 9].join(",");
        writeln!(laughs, "a{level}: &a{level} [{nine}]").unwrap();
    }
    assert!(
        file_faults(&laughs, Notation::Yaml)[0].contains("no valid YAML"),
        "laughs"
    );
    let deep = "[".repeat(100_000);
    assert!(
        file_faults(&deep, Notation::Yaml)[0].contains("no valid YAML"),
        "deep"
    );
    // A word of older versions of YAML stays one.
    let words = "service: {a: {program: x, env: {A: no, B: on, C: 012, D: 1.50}}}";
    let found = parse_services(words, Notation::Yaml).unwrap();
    let Work::Program(program) = &found[0].spec.work else {
        panic!("a kernel")
    };
    let values: Vec<&str> = program.environment.values().map(String::as_str).collect();
    assert_eq!(values, ["no", "on", "12", "1.5"]);
}

#[test]
fn aliases_of_yaml_are_understood() {
    let text = "service:\n  a: {program: x, readiness: &ready {tcp: 1}}\n  \
                b: {program: x, readiness: *ready}\n";
    let found = parse_services(text, Notation::Yaml).unwrap();
    assert_eq!(found[0].spec.service, found[1].spec.service);
}

#[test]
fn no_text_makes_the_readers_of_files_panic() {
    let mut random = crate::random::Random(2);
    for (source, notation) in [
        (FILE, Notation::Toml),
        (FILE_YAML, Notation::Yaml),
        (FILE_JSON, Notation::Json),
    ] {
        for _ in 0..1_000 {
            let mut text = source.as_bytes().to_vec();
            for _ in 0..=random.below(4) {
                let place = random.below(text.len());
                match random.below(3) {
                    0 => text[place] = random.byte(),
                    1 => drop(text.drain(place..text.len().min(place + 9))),
                    _ => text.extend_from_within(place..),
                }
            }
            for one in parse_services(&String::from_utf8_lossy(&text), notation)
                .into_iter()
                .flatten()
            {
                assert_eq!(unseal(&seal(one.spec.clone()).blob).unwrap(), one.spec);
            }
        }
    }
}

#[test]
fn a_file_has_a_limited_number_of_services_and_of_files_of_variables() {
    let list = |count: usize| {
        let one = |index| json!({"name": format!("s{index}"), "program": "x"});
        json!({"services": (0..count).map(one).collect::<Vec<_>>()}).to_string()
    };
    assert!(parse_services(&list(SERVICES_MAX), Notation::Json).is_ok());
    let told = file_faults(&list(SERVICES_MAX + 1), Notation::Json);
    assert_eq!(told, ["service: 1001 services, at most 1000"]);
    let files = vec!["x"; ENVIRONMENT_FILES_MAX + 1];
    let body = json!({"service": {"a": {"program": "x", "env_file": files}}}).to_string();
    let told = file_faults(&body, Notation::Json);
    assert_eq!(told, ["service.a.env_file: 17 files, at most 16"]);
}
