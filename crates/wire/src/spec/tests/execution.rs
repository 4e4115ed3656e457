//! The settings of a program.

use flota_model::execution::{Bound, Execution, IoPriority, Limits, ResourceLimit};
use serde_json::{Value, json};

use super::*;

/// Every setting differs from its default.
fn settings() -> Value {
    json!({
        "argv": ["a"], "user": "nobody", "group": 65534, "groups": ["audio", "27"],
        "umask": "027", "nice": 5, "ioprio": "best-effort:7",
        "rlimits": {"nofile": 1024, "core": "0", "as": "1:unlimited", "stack": "unlimited"},
        "oom_score_adj": 500, "no_new_privileges": false,
        "limits": {"memory": "64MiB", "swap": 0, "pids": 20, "cpus": 0.5, "cpu_weight": 50,
            "io_weight": 200, "best_effort": true},
    })
}

fn expected() -> Execution {
    Execution {
        user: Some("nobody".to_owned()),
        group: Some("65534".to_owned()),
        groups: Some(vec!["audio".to_owned(), "27".to_owned()]),
        umask: Some(0o027),
        nice: Some(5),
        io_priority: Some(IoPriority::BestEffort(7)),
        resource_limits: BTreeMap::from([
            (ResourceLimit::OpenFiles, Bound::of(Some(1024))),
            (ResourceLimit::Core, Bound::of(Some(0))),
            (
                ResourceLimit::AddressSpace,
                Bound {
                    soft: Some(1),
                    hard: None,
                },
            ),
            (ResourceLimit::Stack, Bound::of(None)),
        ]),
        oom_score_adjust: Some(500),
        new_privileges: true,
        limits: Limits {
            memory: Some(Bytes(64 << 20)),
            swap: Some(Bytes(0)),
            pids: Some(20),
            cpus: Some(Cpus(500)),
            cpu_weight: Some(50),
            io_weight: Some(200),
            best_effort: true,
        },
    }
}

fn spec_of(program: Value) -> Result<JobSpec, SpecFaults> {
    parse(json!({"name": "n", "program": program}))
}

fn execution(spec: &JobSpec) -> &Execution {
    match &spec.work {
        Work::Program(program) => &program.execution,
        Work::Kernel(_) => panic!("a kernel has none"),
    }
}

#[test]
fn every_setting_arrives_and_survives_the_sealed_bytes() {
    let spec = spec_of(settings()).unwrap();
    assert_eq!(*execution(&spec), expected());
    let sealed = seal(spec.clone());
    let fixture = include_str!("../../../fixtures/spec-2-execution.json");
    assert_eq!(std::str::from_utf8(&sealed.blob).unwrap(), fixture);
    assert_eq!(unseal(&sealed.blob).unwrap(), spec);
    assert_eq!(parse(to_value(&spec)), Ok(spec));
}

#[test]
fn what_is_as_the_default_is_not_in_the_bytes() {
    let plain = seal(spec_of(json!({"argv": ["a"]})).unwrap());
    let explicit = seal(
        spec_of(json!({"argv": ["a"], "no_new_privileges": true, "rlimits": {}, "limits": {}}))
            .unwrap(),
    );
    assert_eq!(plain, explicit);
    assert!(!std::str::from_utf8(&plain.blob).unwrap().contains("limits"));
}

/// Setting, value, field of its only fault, part of the message.
fn check(cases: Vec<(&str, Value, &str, &str)>) {
    for (field, value, at, what) in cases {
        let mut program = json!({"argv": ["a"]});
        program[field] = value;
        let faults = spec_of(program).expect_err(what).list;
        assert_eq!(faults.len(), 1, "{at}: {faults:?}");
        assert_eq!(faults[0].field, format!("program.{at}"), "{faults:?}");
        assert!(faults[0].what.contains(what), "{what}: {faults:?}");
    }
}

#[test]
fn each_fault_of_a_setting_is_told_with_its_field() {
    check(vec![
        ("user", json!(""), "user", "no name"),
        ("user", json!("a b"), "user", "no name"),
        ("user", json!(true), "user", "expected a string"),
        ("group", json!("a:b"), "group", "no name"),
        ("groups", json!("audio"), "groups", "expected a list"),
        ("groups", json!([""]), "groups[0]", "no name"),
        (
            "groups",
            json!(vec!["a"; 65]),
            "groups",
            "65 groups, at most 64",
        ),
        ("umask", json!("1000"), "umask", "no file mode mask"),
        ("umask", json!("0o22"), "umask", "no file mode mask"),
        ("umask", json!(22), "umask", "expected a string"),
        ("nice", json!(20), "nice", "20 is not in -20..=19"),
        ("nice", json!(300), "nice", "out of range"),
        ("ioprio", json!("fast"), "ioprio", "no class"),
        ("ioprio", json!("realtime:8"), "ioprio", "no class"),
        (
            "rlimits",
            json!({"files": 5}),
            "rlimits.files",
            "unknown limit",
        ),
        (
            "rlimits",
            json!({"nofile": -5}),
            "rlimits.nofile",
            "out of range",
        ),
        (
            "rlimits",
            json!({"nofile": "5:"}),
            "rlimits.nofile",
            "no limit",
        ),
        (
            "rlimits",
            json!({"nofile": "5:4"}),
            "rlimits.nofile",
            "above the hard",
        ),
    ]);
}

#[test]
fn each_fault_of_a_limit_is_told_with_its_field() {
    check(vec![
        (
            "oom_score_adj",
            json!(1001),
            "oom_score_adj",
            "1001 is not in",
        ),
        (
            "no_new_privileges",
            json!("yes"),
            "no_new_privileges",
            "`true` or `false`",
        ),
        ("limits", json!(5), "limits", "expected a table"),
        ("limits", json!({"ram": 5}), "limits.ram", "unknown field"),
        (
            "limits",
            json!({"memory": 1}),
            "limits.memory",
            "1 is not in",
        ),
        (
            "limits",
            json!({"swap": 5}),
            "limits.swap",
            "without a limit of memory",
        ),
        ("limits", json!({"pids": 0}), "limits.pids", "0 is not in"),
        (
            "limits",
            json!({"cpus": 0.001}),
            "limits.cpus",
            "not in 0.01",
        ),
        (
            "limits",
            json!({"cpu_weight": 0}),
            "limits.cpu_weight",
            "0 is not in",
        ),
        (
            "limits",
            json!({"io_weight": 10_001}),
            "limits.io_weight",
            "10001 is not in",
        ),
    ]);
}

#[test]
fn a_limit_by_a_wrong_name_gets_the_nearest_one() {
    let faults = spec_of(json!({"argv": ["a"], "rlimits": {"nofiles": 5}})).unwrap_err();
    let hint = faults.list[0].hint.as_deref();
    assert_eq!(hint, Some("did you mean `nofile`?"));
}
