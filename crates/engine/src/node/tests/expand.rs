use flota_model::{
    ids::{JobId, NodeId, TaskIndex},
    spec::Program,
};

use super::bench::attempt;
use crate::{
    node::expand::{Host, Names, Terms, expand, launch},
    policy::Policy,
};

fn names() -> Names<'static> {
    Names {
        attempt: attempt(7),
        job: JobId(17),
        task: TaskIndex(42),
        values: &[("x", "{index}"), ("2", "")],
    }
}

fn terms() -> Terms {
    Terms {
        run: 1,
        fence: None,
        class: 1,
        places: None,
    }
}

#[test]
fn placeholders_are_replaced() {
    let cases = [
        ("", ""),
        ("plain", "plain"),
        ("{index}", "42"),
        ("a{job}b{index}c", "a17b42c"),
        ("{attempt}", "1-0000000000000009-7"),
        ("{{index}}", "{index}"),
        ("{{{index}}}", "{42}"),
        ("}}{{", "}{"),
        ("{other} { } é{index}", "{other} { } é42"),
        ("{", "{"),
        ("{index", "{index"),
        ("{x}{2}{{x}}{y}", "{index}{x}{y}"),
        ("}x}{x", "}x}{x"),
    ];
    for (text, expected) in cases {
        assert_eq!(expand(text, names()), expected, "{text}");
    }
}

#[test]
fn a_program_gets_a_clean_environment() {
    let program = Program {
        argv: vec!["render".to_owned(), "--frame={index}".to_owned()],
        environment: [("LANG", "es"), ("FRAME", "{index}"), ("FLOTA_JOB", "false")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        working_directory: Some("/work/{job}".to_owned()),
        stdin: Some("/in/{index}".to_owned()),
        ..Program::default()
    };
    let host = Host {
        node: NodeId(3),
        name: "n3",
        policy: &Policy::unrestricted(),
    };
    let launch = launch(&program, names(), host, terms()).unwrap();
    assert_eq!(launch.argv, ["render", "--frame=42"]);
    assert_eq!(launch.working_directory, "/work/17");
    assert_eq!(launch.stdin.as_deref(), Some("/in/42"));
    let environment: Vec<(&str, &str)> = launch
        .environment
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let expected = [
        ("FLOTA_ATTEMPT", "1-0000000000000009-7"),
        ("FLOTA_JOB", "17"),
        ("FLOTA_NODE", "n3"),
        ("FLOTA_NODE_ID", "3"),
        ("FLOTA_TASK", "42"),
        ("FRAME", "42"),
        ("HOME", "/"),
        ("LANG", "es"),
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
    ];
    assert_eq!(environment, expected);
}
