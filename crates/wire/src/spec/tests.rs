use std::{collections::BTreeMap, time::Duration};

use flota_model::{
    ids::{AttemptId, Epoch, JobId, SpecHash, TaskIndex},
    resources::Resources,
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Program, Retry, SPEC_LENGTH_MAX,
        TaskRange, Work,
    },
    units::{Bytes, Cpus},
};
use serde_json::json;

use super::*;

mod bounds;
mod document;
mod execution;
mod parameters;
mod service;
mod services;

/// Every field differs from its default.
const FULL: &str = r#"{"name":"sim","tasks":{"first":1,"last":1000},
    "program":{"argv":["./sim","{index}","{{literal}}"],"environment":{"MODE":"fast"},
        "working_directory":"/srv/{job}","stdin":"/srv/in-{index}"},
    "priority":1,"resources":{"cpus":0.5,"memory":"512MiB","counters":{"licence":2}},
    "constraints":{"node":"n1","labels":{"zone":"a"}},
    "retry":{"retries":3,"backoff":"2s","backoff_max":"5m"},
    "timeout":"1.5s","grace":0.25,"on_disconnect":{"keep":"90s"}}"#;

fn full() -> JobSpec {
    JobSpec {
        name: "sim".to_owned(),
        tasks: TaskRange {
            first: TaskIndex(1),
            last: TaskIndex(1000),
        },
        work: Work::Program(Program {
            argv: vec![
                "./sim".to_owned(),
                "{index}".to_owned(),
                "{{literal}}".to_owned(),
            ],
            environment: map(&[("MODE", "fast")]),
            working_directory: Some("/srv/{job}".to_owned()),
            stdin: Some("/srv/in-{index}".to_owned()),
            ..Program::default()
        }),
        priority: Priority::HIGH,
        resources: Resources {
            cpus: Cpus(500),
            memory: Bytes(512 << 20),
            counters: BTreeMap::from([("licence".to_owned(), 2)]),
        },
        constraints: Constraints {
            node: Some("n1".to_owned()),
            labels: map(&[("zone", "a")]),
        },
        retry: Retry::Limited {
            retries: 3,
            backoff: Duration::from_secs(2),
            backoff_max: Duration::from_mins(5),
        },
        timeout: Some(Duration::from_millis(1_500)),
        grace: Duration::from_millis(250),
        on_disconnect: OnDisconnect::Keep {
            lost_after: Duration::from_secs(90),
        },
        rules: Box::default(),
        service: None,
        parameters: None,
    }
}

/// Every field has its default.
fn minimal() -> JobSpec {
    JobSpec {
        name: "n".to_owned(),
        tasks: TaskRange {
            first: TaskIndex(0),
            last: TaskIndex(0),
        },
        work: Work::Kernel(KernelCall {
            name: "noop".to_owned(),
            parameters: BTreeMap::new(),
        }),
        priority: Priority::MEDIUM,
        resources: Resources::of_cpus(Cpus::whole(1)),
        constraints: Constraints::default(),
        retry: Retry::default(),
        timeout: None,
        grace: Duration::from_secs(10),
        on_disconnect: OnDisconnect::default(),
        rules: Box::default(),
        service: None,
        parameters: None,
    }
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn parse(value: serde_json::Value) -> Result<JobSpec, SpecFaults> {
    let parsed = parse_json(value.to_string().as_bytes());
    if parsed.is_ok() {
        document::assert_fits(&value);
    }
    parsed
}

/// `kernel noop` with one more field.
fn with(field: &str, value: serde_json::Value) -> serde_json::Value {
    let mut body = json!({"name": "n", "kernel": {"name": "noop"}});
    body[field] = value;
    body
}

fn argv(arguments: &[&str]) -> serde_json::Value {
    json!({"name": "n", "program": {"argv": arguments}})
}

#[test]
fn every_field_of_json_arrives_in_the_spec() {
    assert_eq!(parse_json(FULL.as_bytes()), Ok(full()));
}

#[test]
fn a_name_and_a_kernel_are_enough() {
    assert_eq!(
        parse(json!({"name": "n", "kernel": {"name": "noop"}})),
        Ok(minimal())
    );
    assert_eq!(parse(with("timeout", json!(null))), Ok(minimal()));
}

#[test]
fn toml_and_json_mean_the_same() {
    let text = r#"
        name = "sim"
        tasks = "1-1000"
        priority = 1
        timeout = "1.5s"
        grace = 0.25

        [program]
        argv = ["./sim", "{index}", "{{literal}}"]
        working_directory = "/srv/{job}"
        stdin = "/srv/in-{index}"
        environment.MODE = "fast"

        [resources]
        cpus = 0.5
        memory = 536870912
        counters.licence = 2

        [constraints]
        node = "n1"
        labels = { zone = "a" }

        [retry]
        retries = 3
        backoff = 2
        backoff_max = "5m"

        [on_disconnect]
        keep = "1.5m"
    "#;
    assert_eq!(parse_toml(text), Ok(full()));
}

#[test]
fn short_forms_are_understood() {
    let spec = |field: &str, value| parse(with(field, value)).unwrap();
    assert_eq!(spec("retry", json!("never")).retry, Retry::Never);
    assert_eq!(spec("retry", json!({})).retry, Retry::default());
    assert_eq!(
        spec("on_disconnect", json!("stop")).on_disconnect,
        OnDisconnect::Stop
    );
    assert_eq!(
        spec("on_disconnect", json!("keep")).on_disconnect,
        OnDisconnect::default()
    );
    assert_eq!(
        spec("resources", json!({"cpus": 2})).resources,
        Resources::of_cpus(Cpus::whole(2))
    );
    let range = TaskRange {
        first: TaskIndex(0),
        last: TaskIndex(u32::MAX >> 10),
    };
    assert_eq!(spec("tasks", json!("0-4194303")).tasks, range);
    let long = Retry::Limited {
        retries: 1,
        backoff: Duration::from_hours(1),
        backoff_max: Duration::from_hours(1),
    };
    assert_eq!(
        spec("retry", json!({"retries": 1, "backoff": "1h"})).retry,
        long
    );
}

#[test]
fn numbers_and_booleans_of_a_kernel_are_kept_as_text() {
    let parameters = json!({"milliseconds": 10, "rate": 1.5, "fast": true, "text": "{index}"});
    let spec =
        parse(json!({"name": "n", "kernel": {"name": "sleep", "parameters": parameters}})).unwrap();
    let expected = map(&[
        ("milliseconds", "10"),
        ("rate", "1.5"),
        ("fast", "true"),
        ("text", "{index}"),
    ]);
    let call = KernelCall {
        name: "sleep".to_owned(),
        parameters: expected,
    };
    assert_eq!(spec.work, Work::Kernel(call));
}

#[test]
fn the_sealed_bytes_are_those_of_the_fixtures() {
    // Written by the first version. They must stay readable, and while the form is the same, a spec
    // must keep its hash, or a repeated idempotency key is taken for another job after an upgrade.
    for (spec, blob, hash) in [
        (
            full(),
            &include_bytes!("../../fixtures/spec-1-full.json")[..],
            FULL_HASH,
        ),
        (
            minimal(),
            &include_bytes!("../../fixtures/spec-1-minimal.json")[..],
            MINIMAL_HASH,
        ),
    ] {
        let sealed = seal(spec.clone());
        let text = std::str::from_utf8(&sealed.blob).unwrap();
        assert_eq!(text, std::str::from_utf8(blob).unwrap());
        assert_eq!(sealed.hash, hash, "{:#018x}", sealed.hash.0);
        assert_eq!(unseal(blob).unwrap(), spec);
        assert_eq!(unseal_hashed(blob.into(), hash).unwrap(), sealed);
    }
}

const FULL_HASH: SpecHash = SpecHash(0x3d22_9ed0_3831_d91c);
const MINIMAL_HASH: SpecHash = SpecHash(0x7286_1825_19a3_1f8e);

#[test]
fn an_old_blob_may_lack_what_has_a_default() {
    let blob = br#"{"name":"n","kernel":{"name":"noop"}}"#;
    assert_eq!(unseal(blob).unwrap(), minimal());
}

#[test]
fn bounds_are_not_checked_again_on_stored_bytes() {
    let blob = br#"{"name":"spaces were fine once","kernel":{"name":"noop"},"priority":7}"#;
    assert_eq!(unseal(blob).unwrap().priority, Priority(7));
}

#[test]
fn damaged_or_foreign_blobs_are_refused() {
    let sealed = seal(minimal());
    let mut damaged = sealed.blob.to_vec();
    damaged[9] ^= 1;
    let refused = unseal_hashed(damaged.into(), sealed.hash);
    assert!(
        matches!(refused, Err(UnsealFault::Hash { .. })),
        "{refused:?}"
    );
    assert!(matches!(unseal(b"{"), Err(UnsealFault::Json { .. })));
    let newer = br#"{"name":"n","kernel":{"name":"noop"},"colour":"red"}"#;
    assert!(matches!(unseal(newer), Err(UnsealFault::Form { .. })));
    let long = vec![b' '; SPEC_LENGTH_MAX + 1];
    assert!(matches!(unseal(&long), Err(UnsealFault::TooLong { .. })));
}

#[test]
fn the_normal_form_is_a_body_again() {
    for spec in [full(), minimal()] {
        assert_eq!(parse(to_value(&spec)), Ok(spec));
    }
}

#[test]
fn the_longest_spec_stays_below_the_limit_when_sealed() {
    // A control character takes six bytes in JSON, the worst there is.
    let argument = "\u{1}".repeat(ARGUMENT_LIST_LENGTH_MAX - 1);
    let spec = parse(argv(&[&argument])).unwrap();
    let length = seal(spec).blob.len();
    assert!(
        length > 6 * argument.len() && length < SPEC_LENGTH_MAX,
        "{length}"
    );
}

#[test]
fn all_faults_are_listed_together_with_hints() {
    let body = json!({
        "nam": "x", "name": "a b", "priority": 9,
        "program": {"argv": ["a", 5], "stdn": "/x", "working_directory": "x"},
    });
    let faults = parse(body).unwrap_err();
    let shown: Vec<String> = faults.list.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "program.argv[1]: expected a string, found a number (write it in quotes)",
            "program.stdn: unknown field (did you mean `stdin`?)",
            "nam: unknown field (did you mean `name`?)",
            "name: `a b` is no valid name (1 to 63 letters, digits, dots, underscores and \
             hyphens, first a letter or digit)",
            "program.working_directory: `x` is not absolute (start it with `/`)",
            "priority: 9 is not 1 (high), 2 (medium) or 3 (low)",
        ]
    );
    let fields: Vec<crate::rest::Fault> = faults.into();
    assert_eq!(fields[1].field, "program.stdn");
    assert_eq!(fields[1].hint.as_deref(), Some("did you mean `stdin`?"));
}

#[test]
fn the_list_of_faults_has_a_limit() {
    let body: BTreeMap<String, u32> = (0..1_000).map(|number| (format!("f{number}"), 0)).collect();
    let faults = parse(json!(body)).unwrap_err().list;
    assert_eq!(faults.len(), 65);
    assert_eq!(faults[64].what, "938 more faults are not listed");
}

#[test]
fn text_that_is_no_json_or_toml_says_where() {
    let fault = |result: Result<JobSpec, SpecFaults>| result.unwrap_err().to_string();
    let json = fault(parse_json(b"{\"name\": \"a\",\n \"name\": \"b\"}"));
    assert!(
        json.contains("`name` is given twice") && json.contains("line 2"),
        "{json}"
    );
    let toml = fault(parse_toml("name = \"a\"\nname = \"b\"\n"));
    assert!(
        toml.starts_with("no valid TOML") && toml.ends_with("in line 2"),
        "{toml}"
    );
    assert!(
        fault(parse_json("[".repeat(100_000).as_bytes())).contains("recursion"),
        "deep JSON"
    );
    assert!(fault(parse_toml(&format!("a = {}", "[".repeat(100_000)))).contains("TOML"));
    assert!(fault(parse_json(&vec![b' '; SPEC_LENGTH_MAX + 1])).contains("longer than"));
    assert!(fault(parse_toml(&" ".repeat(SPEC_LENGTH_MAX + 1))).contains("longer than"));
}

#[test]
fn an_unknown_kernel_gets_the_nearest_name() {
    let known = ["noop", "sleep", "checksum"];
    let shown = |name: &str| {
        let work = Work::Kernel(KernelCall {
            name: name.to_owned(),
            parameters: BTreeMap::new(),
        });
        check_kernels(&JobSpec { work, ..minimal() }, &known).map_err(|faults| faults.to_string())
    };
    assert_eq!(shown("sleep"), Ok(()));
    let hint = |text: &str| Err(text.to_owned());
    assert_eq!(
        shown("slepe"),
        hint("kernel.name: there is no kernel `slepe` (did you mean `sleep`?)")
    );
    assert_eq!(
        shown("fractal"),
        hint("kernel.name: there is no kernel `fractal` (known: noop, sleep, checksum)")
    );
    assert_eq!(check_kernels(&full(), &known), Ok(()));
}

#[test]
fn the_length_of_a_text_counts_its_placeholders_at_their_longest() {
    let attempt = AttemptId {
        epoch: Epoch(u32::MAX),
        salt: 0,
        sequence: u64::MAX,
    };
    let none = template::Known::default();
    let longest = format!("{{{}}} {} {attempt}é", TaskIndex(u32::MAX), JobId(u64::MAX));
    assert_eq!(
        template::length_max("{{{index}}} {job} {attempt}é", &none),
        Ok(longest.len())
    );
    assert_eq!(template::length_max("", &none), Ok(0));
    assert_eq!(
        template::length_max("}{", &none),
        Err(template::TemplateFault::Single('}'))
    );
}

#[test]
fn no_bytes_make_the_parsers_panic() {
    let mut random = crate::random::Random(1);
    let source = FULL.as_bytes();
    for _ in 0..20_000 {
        let mut text = source.to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(text.len());
            match random.below(3) {
                0 => text[place] = random.byte(),
                1 => drop(text.drain(place..text.len().min(place + 9))),
                _ => text.extend_from_within(place..),
            }
        }
        if let Ok(spec) = parse_json(&text) {
            assert_eq!(unseal(&seal(spec.clone()).blob).unwrap(), spec);
        }
        let _ = unseal(&text);
        let _ = parse_toml(&String::from_utf8_lossy(&text));
    }
}
