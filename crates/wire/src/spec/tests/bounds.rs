//! One table a part of the form: body, field of its only fault, part of the message.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{argv, parse, with};
use crate::spec::{ENTRIES_MAX, PATH_LENGTH_MAX};

fn check(cases: Vec<(Value, &str, &str)>) {
    for (body, field, what) in cases {
        let faults = parse(body).expect_err(what).list;
        assert_eq!(faults.len(), 1, "{field} {what}: {faults:?}");
        assert_eq!(faults[0].field, field, "{faults:?}");
        assert!(faults[0].what.contains(what), "{what}: {faults:?}");
    }
}

#[test]
fn the_whole_and_the_name() {
    check(vec![
        (json!([1]), "", "expected a table, found a list"),
        (json!({"name": "n"}), "program", "missing"),
        (json!({"kernel": {"name": "noop"}}), "name", "missing"),
        (
            with("program", json!({"argv": ["a"]})),
            "kernel",
            "not both",
        ),
        (with("name", json!("")), "name", "no valid name"),
        (with("name", json!("-x")), "name", "no valid name"),
        (with("name", json!("a b")), "name", "no valid name"),
        (with("name", json!("a".repeat(64))), "name", "no valid name"),
        (with("priority", json!(0)), "priority", "0 is not 1"),
        (with("priority", json!(4)), "priority", "4 is not 1"),
        (
            with("priority", json!(256)),
            "priority",
            "256 is out of range",
        ),
        (
            with("priority", json!(1.5)),
            "priority",
            "expected a whole number",
        ),
    ]);
    parse(with("name", json!("a".repeat(63)))).unwrap();
}

#[test]
fn tasks() {
    check(vec![
        (with("tasks", json!("5-1")), "tasks", "5 is above 1"),
        (
            with("tasks", json!("1-10000001")),
            "tasks",
            "10000001 tasks, at most 10000000",
        ),
        (
            with("tasks", json!("0-4294967295")),
            "tasks",
            "4294967296 tasks",
        ),
        (with("tasks", json!("7")), "tasks", "`7` is no range"),
        (
            with("tasks", json!({"first": -1, "last": 4})),
            "tasks.first",
            "-1 is out of range",
        ),
        (with("tasks", json!({"first": 1})), "tasks.last", "missing"),
        (with("tasks", json!(5)), "tasks", "expected a table"),
    ]);
    parse(with("tasks", json!("1-10000000"))).unwrap();
}

#[test]
fn arguments() {
    check(vec![
        (argv(&[]), "program.argv", "empty"),
        (argv(&["", "x"]), "program.argv", "empty"),
        (argv(&["a", "b\0"]), "program.argv[1]", "NUL"),
        (
            argv(&["awk", "{print}"]),
            "program.argv[1]",
            "unknown placeholder {print}",
        ),
        (argv(&["a", "{"]), "program.argv[1]", "single `{`"),
        (argv(&["a", "}"]), "program.argv[1]", "single `}`"),
        (argv(&vec!["a"; 16_385]), "program.argv", "16385 arguments"),
        (
            argv(&[&"a".repeat(96 << 10)]),
            "program.argv",
            "argument list too long",
        ),
        (
            argv(&[&"{job}".repeat(5_000)]),
            "program.argv",
            "up to 100001 bytes",
        ),
    ]);
    parse(argv(&vec!["a"; 16_384])).unwrap();
    parse(argv(&[&"a".repeat((96 << 10) - 1)])).unwrap();
}

#[test]
fn environment_and_paths() {
    let program = |field: &str, value: Value| {
        let mut body = argv(&["a"]);
        body["program"][field] = value;
        body
    };
    let deep = format!("/{}", "a".repeat(PATH_LENGTH_MAX - 1));
    check(vec![
        (
            program("environment", json!({"A=B": ""})),
            "program.environment.A=B",
            "`=`",
        ),
        (
            program("environment", json!({"A": 4})),
            "program.environment.A",
            "expected a string",
        ),
        (
            program("environment", json!({"A": "\0"})),
            "program.environment.A",
            "NUL",
        ),
        (
            program("environment", json!({"A": "a".repeat(98_300)})),
            "program.argv",
            "too long",
        ),
        (
            program("working_directory", json!("x")),
            "program.working_directory",
            "not absolute",
        ),
        (
            program("working_directory", json!("/\0")),
            "program.working_directory",
            "NUL",
        ),
        (
            program("stdin", json!(deep)),
            "program.stdin",
            "4096 bytes, at most 4095",
        ),
        (
            program("stdin", json!("{index}")),
            "program.stdin",
            "not absolute",
        ),
    ]);
    parse(program("stdin", json!(deep[1..].replacen('a', "/", 1)))).unwrap();
}

#[test]
fn kernels() {
    let kernel = |parameters: Value| with("kernel", json!({"name": "a", "parameters": parameters}));
    let many: BTreeMap<String, u32> = (0..=ENTRIES_MAX)
        .map(|key| (format!("k{key}"), 0))
        .collect();
    check(vec![
        (
            with("kernel", json!({"name": "a/b"})),
            "kernel.name",
            "no valid name",
        ),
        (
            kernel(json!({"": 1})),
            "kernel.parameters.",
            "no valid name",
        ),
        (
            kernel(json!({"a": [1]})),
            "kernel.parameters.a",
            "found a list",
        ),
        (
            kernel(json!({"a": "{b}"})),
            "kernel.parameters.a",
            "unknown placeholder",
        ),
        (
            kernel(json!({"a": "x".repeat(65_536)})),
            "kernel.parameters",
            "at most 65536",
        ),
        (kernel(json!(many)), "kernel.parameters", "65 entries"),
    ]);
    parse(kernel(json!({"a": "x".repeat(65_535)}))).unwrap();
}

#[test]
fn resources() {
    let resources = |value| with("resources", value);
    check(vec![
        (
            resources(json!({"cpus": 0})),
            "resources.cpus",
            "0 is not in",
        ),
        (
            resources(json!({"cpus": 65_537})),
            "resources.cpus",
            "65537 is not in",
        ),
        (
            resources(json!({"cpus": -1})),
            "resources.cpus",
            "out of range",
        ),
        (
            resources(json!({"cpus": 1e300})),
            "resources.cpus",
            "out of range",
        ),
        (
            resources(json!({"cpus": 0.3333})),
            "resources.cpus",
            "three decimals",
        ),
        (
            resources(json!({"memory": "512M"})),
            "resources.memory",
            "not a size",
        ),
        (
            resources(json!({"memory": -1})),
            "resources.memory",
            "out of range",
        ),
        (
            resources(json!({"memory": "2048TiB"})),
            "resources.memory",
            "at most 1 PiB",
        ),
        (
            resources(json!({"counters": {"a": 0}})),
            "resources.counters.a",
            "0 is not in",
        ),
        (
            resources(json!({"counters": {"a b": 1}})),
            "resources.counters.`a b`",
            "valid name",
        ),
    ]);
    parse(resources(json!({"cpus": 0.001, "memory": 1_u64 << 50}))).unwrap();
}

#[test]
fn constraints() {
    let constraints = |value| with("constraints", value);
    let long = "x".repeat(64);
    check(vec![
        (
            constraints(json!({"node": "a/b"})),
            "constraints.node",
            "no valid name",
        ),
        (
            constraints(json!({"labels": {"a": "\n"}})),
            "constraints.labels.a",
            "value of a label",
        ),
        (
            constraints(json!({"labels": {"a": long}})),
            "constraints.labels.a",
            "value of a label",
        ),
    ]);
    parse(constraints(json!({"labels": {"a": "x".repeat(63)}}))).unwrap();
}

#[test]
fn retries_and_times() {
    let backoff = json!({"backoff": "2m", "backoff_max": "1m"});
    check(vec![
        (with("retry", json!("always")), "retry", "neither `never`"),
        (
            with("retry", json!({"retries": 1_001})),
            "retry.retries",
            "at most 1000",
        ),
        (with("retry", backoff), "retry.backoff_max", "below"),
        (with("timeout", json!(0)), "timeout", "zero"),
        (with("timeout", json!(-1)), "timeout", "below zero"),
        (
            with("timeout", json!(1e20)),
            "timeout",
            "no number of seconds",
        ),
        (
            with("timeout", json!("5 minutes")),
            "timeout",
            "not a duration",
        ),
        (with("grace", json!("3651d")), "grace", "ten years"),
        (with("grace", json!(315_360_001)), "grace", "ten years"),
        (
            with("on_disconnect", json!("wait")),
            "on_disconnect",
            "neither `stop`",
        ),
        (
            with("on_disconnect", json!({})),
            "on_disconnect.keep",
            "missing",
        ),
    ]);
    parse(with("retry", json!({"retries": 1_000}))).unwrap();
    parse(with("grace", json!("3650d"))).unwrap();
}
