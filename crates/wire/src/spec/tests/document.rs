//! The schema of a submission and the reader agree.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{FULL, with};
use crate::spec::{document::Submission, parse_json};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let schema = settings
        .into_generator()
        .into_root_schema_for::<Submission>();
    jsonschema::draft202012::new(schema.as_value()).unwrap()
});

/// What the reader accepts, the schema accepts: called for every body of all tests here.
pub(super) fn assert_fits(body: &Value) {
    if let Err(fault) = VALIDATOR.validate(body) {
        panic!("{} at {}: {body}", fault, fault.instance_path());
    }
}

/// Both refuse.
#[track_caller]
fn assert_refused(body: &Value) {
    assert!(parse_json(body.to_string().as_bytes()).is_err(), "{body}");
    assert!(!VALIDATOR.is_valid(body), "{body}");
}

#[test]
fn the_schema_is_one_and_accepts_the_fixtures() {
    assert_fits(&serde_json::from_str(FULL).unwrap());
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "json") {
            assert_fits(&serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap());
            count += 1;
        }
    }
    assert!(count >= 2, "{fixtures}");
}

#[test]
fn the_schema_refuses_unknown_fields_everywhere() {
    for path in [
        "",
        "/resources",
        "/constraints",
        "/retry",
        "/tasks",
        "/on_disconnect",
        "/program",
    ] {
        let mut body: Value = serde_json::from_str(FULL).unwrap();
        body.pointer_mut(path).unwrap()["unknown"] = json!(1);
        assert_refused(&body);
    }
}

#[test]
fn the_schema_refuses_what_is_no_job() {
    let program = json!({"argv": ["true"]});
    for body in [
        json!([]),
        json!({"kernel": {"name": "noop"}}),
        json!({"name": "n"}),
        with("program", program.clone()),
        json!({"name": "n", "program": null, "kernel": null}),
        json!({"name": "n", "program": {"argv": []}}),
        json!({"name": "n", "program": {"argv": [""]}}),
        json!({"name": "n", "program": {"argv": ["a", 1]}}),
        json!({"name": "n", "program": {"argv": ["a", "{in dx}"]}}),
        with("parameters", json!([])),
        with("parameters", json!([{"name": "a b", "values": ["1"]}])),
        with("parameters", json!([{"name": "a", "values": []}])),
        with("parameters", json!({"columns": [], "rows": []})),
        with("parameters", json!({"columns": ["a"], "rows": "0123"})),
        with(
            "parameters",
            json!({"columns": ["a"], "rows": [], "count": 0}),
        ),
        with("parameters", json!({"rows": [["a"]]})),
        json!({"name": "n", "program": {"argv": ["a"], "stdin": "relative"}}),
        json!({"name": "n", "program": {"argv": ["a"], "logs": "tape"}}),
        json!({"name": "n", "program": {"argv": ["a"], "environment": {"A": "}"}}}),
        json!({"name": "n", "program": {"argv": ["a"], "environment": {"A=": ""}}}),
        with("name", json!("-x")),
        with("name", json!("a".repeat(64))),
        with("kernel", json!({"name": "a b"})),
        with("kernel", json!({"name": "a", "parameters": {"a": [1]}})),
        with("kernel", json!({"name": "a", "parameters": {"a b": 1}})),
        with("tasks", json!("7")),
        with("tasks", json!({"first": 1})),
        with("tasks", json!({"first": -1, "last": 1})),
        with("priority", json!(4)),
        with("resources", json!({"cpus": 0})),
        with("resources", json!({"memory": "512M"})),
        with("resources", json!({"memory": (1_u64 << 50) + 1})),
        with("resources", json!({"counters": {"a": 0}})),
        with("constraints", json!({"node": "a/b"})),
        with("constraints", json!({"labels": {"a": "b".repeat(64)}})),
        with("retry", json!("always")),
        with("retry", json!({"retries": 1_001})),
        with("timeout", json!("5 minutes")),
        with("grace", json!(-1)),
        with("on_disconnect", json!("wait")),
        with("on_disconnect", json!({})),
    ] {
        assert_refused(&body);
    }
    let absent = json!({"name": "n", "program": program, "kernel": null, "timeout": null});
    parse_json(absent.to_string().as_bytes()).unwrap();
    assert_fits(&absent);
    let rotated = json!({"name": "n", "program": {"argv": ["a"], "logs": "rotated"}});
    let spec = parse_json(rotated.to_string().as_bytes()).unwrap();
    assert_fits(&rotated);
    let sealed = crate::spec::seal(spec.clone());
    assert_eq!(crate::spec::unseal(&sealed.blob).unwrap(), spec);
    let form: Value = serde_json::from_slice(&sealed.blob).unwrap();
    assert_eq!(form["program"]["logs"], "rotated");
}
