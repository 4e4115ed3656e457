//! Command lines: what they mean, and how wrong ones are refused.

mod inputs;
mod repeated;

use std::path::Path;

use clap::ArgMatches;
use flota_model::spec::JobSpec;
use flota_wire::spec::to_value;
use serde_json::{Value, json};

use super::{Stopped, innermost, parse, path_of, stop::Target, submit};
use crate::{
    catalogue::Language,
    client::ProcessName,
    exit::Exit,
    failure::Failure,
    render::{Format, Style, tests::screen},
};

fn arguments(line: &str) -> Vec<std::ffi::OsString> {
    std::iter::once("flota")
        .chain(line.split_whitespace())
        .map(Into::into)
        .collect()
}

fn matches(line: &str) -> ArgMatches {
    match parse(Language::English, &arguments(line)) {
        Ok(matches) => matches,
        Err(stopped) => panic!("`{line}`: {stopped:?}"),
    }
}

fn spec(line: &str) -> Result<JobSpec, Failure> {
    let matches = matches(&format!("submit {line}"));
    submit::jobs(
        Language::English,
        innermost(&matches),
        Some(Path::new("/home/ana")),
    )
    .map(|mut jobs| jobs.remove(0).spec)
}

/// `line` describes the job of an echo with those differences.
fn check(line: &str, differences: Value) {
    let mut expected = to_value(&spec("echo").unwrap());
    for (pointer, value) in differences.as_object().unwrap() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let object = expected
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        if value.is_null() {
            object.remove(key);
        } else {
            object.insert(key.to_owned(), value.clone());
        }
    }
    let found = match spec(line) {
        Ok(spec) => to_value(&spec),
        Err(failure) => panic!("`{line}`: {failure:?}"),
    };
    assert_eq!(found, expected, "{line}");
}

#[test]
fn each_option_of_submit_changes_its_part_of_the_job() {
    let argv = |words: &[&str]| json!({"argv": words});
    check("-- echo", json!({}));
    check(
        "echo -n --name x",
        json!({"/program": argv(&["echo", "-n", "--name", "x"])}),
    );
    check(
        "--array 3-7 echo",
        json!({"/tasks": {"first": 3, "last": 7}}),
    );
    check(
        "--array 3-3 echo",
        json!({"/tasks": {"first": 3, "last": 3}}),
    );
    check("--name n -- echo", json!({"/name": "n"}));
    check("--priority 1 echo", json!({"/priority": 1}));
    check(
        "--cpus 0.5 echo",
        json!({"/resources": {"cpus": 0.5, "memory": 0}}),
    );
    check(
        "--cpus 2.125 echo",
        json!({"/resources": {"cpus": 2.125, "memory": 0}}),
    );
    check(
        "--memory 1GiB echo",
        json!({"/resources": {"cpus": 1.0, "memory": 1 << 30}}),
    );
    check("--node n1 echo", json!({"/constraints": {"node": "n1"}}));
    check(
        "-l gpu=yes --label a=b=c echo",
        json!({"/constraints": {"labels": {"gpu": "yes", "a": "b=c"}}}),
    );
    check("--timeout 90s echo", json!({"/timeout": "90s"}));
    check("--grace 3s echo", json!({"/grace": "3s"}));
    check("--retry-never echo", json!({"/retry": "never"}));
    let retry =
        |retries, first, most| json!({"retries": retries, "backoff": first, "backoff_max": most});
    check("--retries 3 echo", json!({"/retry": retry(3, "1s", "1m")}));
    check("--backoff 2m echo", json!({"/retry": retry(0, "2m", "2m")}));
    check(
        "--on-disconnect stop echo",
        json!({"/on_disconnect": "stop"}),
    );
    check(
        "--on-disconnect keep:5s echo",
        json!({"/on_disconnect": {"keep": "5s"}}),
    );
    check(
        "--env A=1 --env B= echo",
        json!({"/program/environment": {"A": "1", "B": ""}}),
    );
    check(
        "--cwd /tmp echo",
        json!({"/program/working_directory": "/tmp"}),
    );
    check(
        "--cwd work echo",
        json!({"/program/working_directory": "/home/ana/work"}),
    );
    check(
        "--stdin /a/{index} echo",
        json!({"/program/stdin": "/a/{index}"}),
    );
    check("--idempotency-key k echo", json!({}));
}

#[test]
fn a_program_beside_the_person_runs_where_the_person_stands() {
    let program = json!({"argv": ["./sim", "{index}"], "working_directory": "/home/ana"});
    check(
        "./sim {index}",
        json!({"/program": program, "/name": "sim"}),
    );
    let program = json!({"argv": ["/bin/sim"]});
    check("/bin/sim", json!({"/program": program, "/name": "sim"}));
}

#[test]
fn a_kernel_takes_parameters() {
    let kernel = json!({"name": "sleep", "parameters": {"ms": "5", "x": "1=2"}});
    let differences = json!({"/program": null, "/kernel": kernel, "/name": "sleep"});
    check("--kernel sleep -p ms=5 -p x=1=2", differences);
}

#[test]
fn options_override_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("job.toml");
    std::fs::write(
        &toml,
        "name = \"f\"\npriority = 3\nretry = \"never\"\n[program]\nargv = [\"echo\"]\n",
    )
    .unwrap();
    let line = format!("--file {} --priority 1 --env A=1", toml.display());
    check(
        &line,
        json!({"/name": "f", "/priority": 1, "/retry": "never",
               "/program/environment": {"A": "1"}}),
    );
    let json_file = folder.path().join("job.json");
    std::fs::write(
        &json_file,
        "\n{\"name\": \"j\", \"program\": {\"argv\": [\"echo\"]}}",
    )
    .unwrap();
    check(
        &format!("--file {}", json_file.display()),
        json!({"/name": "j"}),
    );

    let failure = spec(&format!("--file {}/none.toml", folder.path().display())).unwrap_err();
    assert_eq!(
        (failure.code(), failure.exit()),
        ("E-FILE-UNREADABLE", Exit::NotFound)
    );
    std::fs::write(&toml, " ".repeat((1 << 20) + 1)).unwrap();
    let failure = spec(&format!("--file {}", toml.display())).unwrap_err();
    assert_eq!(
        (failure.code(), failure.exit()),
        ("E-FILE-TOO-LONG", Exit::Usage)
    );
}

#[test]
fn jobs_that_make_no_sense_are_refused_before_they_are_sent() {
    let check = |line: &str, code: &str| {
        let failure = spec(line).unwrap_err();
        assert_eq!(
            (failure.code(), failure.exit()),
            (code, Exit::Usage),
            "{line}: {failure:?}"
        );
    };
    check("", "E-USAGE-INVALID");
    check("-p a=b echo", "E-USAGE-INVALID");
    check("--kernel noop --env A=b", "E-USAGE-INVALID");
    check("--kernel noop true", "E-USAGE-INVALID");
    check("--name=-x- echo", "E-SPEC-INVALID");
    check("--cwd {nothing} echo", "E-SPEC-INVALID");
    check(&format!("echo {}", "x".repeat(200_000)), "E-SPEC-INVALID");
}

/// What standard error has for a wrong command line.
fn complaint(language: Language, line: &str) -> String {
    let stopped = parse(language, &arguments(line)).unwrap_err();
    assert_eq!(stopped.exit(), Exit::Usage, "{line}");
    let Stopped::Failure(failure) = stopped else {
        panic!("`{line}`: {stopped:?}")
    };
    let (mut screen, _, err) = screen(Style {
        language,
        ..Style::default()
    });
    failure.tell(&mut screen);
    err.text()
}

/// The command, the complaint, the hint (`see CMD` stands for the page of a command).
const WRONG: &[(&str, &str, &str)] = &[
    (
        "job ls --limt 3",
        "unknown option `--limt`",
        "did you mean `--limit`?",
    ),
    (
        "submit --bogus -- true",
        "unknown option `--bogus`",
        "see submit",
    ),
    ("jbo ls", "unknown command `jbo`", "did you mean `job`?"),
    (
        "job shwo 3",
        "unknown command `shwo`",
        "did you mean `show`?",
    ),
    ("node show", "missing: NODE", "see node show"),
    ("node show a b", "unexpected argument `b`", "see node show"),
    (
        "submit --array 5-1 -- true",
        "`5-1` is not a value for `--array`: the first index is above the last; did you mean 1-5?",
        "see submit",
    ),
    (
        "submit --array 1-99999999 -- true",
        "`1-99999999` is not a value for `--array`: a job has at most 10000000 tasks",
        "see submit",
    ),
    (
        "submit --priority 4 true",
        "`4` is not a value for `--priority`: write a whole number from 1 to 3",
        "see submit",
    ),
    (
        "job show x7",
        "`x7` is not a value for `JOB`: write the number of a job, or `last`",
        "see job show",
    ),
    (
        "job tasks 1 --state fialed",
        "`fialed` is not a value for `--state`",
        "did you mean `failed`?",
    ),
    (
        "submit --retries",
        "`--retries` needs a value",
        "see submit",
    ),
    (
        "submit --wait=1 true",
        "`--wait` takes no value",
        "see submit",
    ),
    (
        "job ls -n 3 -n 4",
        "`--limit` is given more than once",
        "see job ls",
    ),
    (
        "stop 12x",
        "`12x` is not a value for `PROCESS|JOB`: write the handle of a process, NODE/PID, or the number of a job",
        "see stop",
    ),
    (
        "signal TERM 7",
        "`7` is not a value for `PROCESS`: write the handle of a process, or NODE/PID",
        "see signal",
    ),
    (
        "signal 65 n1/7",
        "`65` is not a value for `SIGNAL`: write a name such as TERM, or a number from 1 to 64",
        "see signal",
    ),
    (
        "stop n1/7 --grace 301s",
        "`301s` is not a value for `--grace`: at most 5m",
        "see stop",
    ),
    ("start n1", "missing: PROGRAM", "see start"),
    (
        "submit --retries 3 --retry-never true",
        "`--retries` cannot be used with `--retry-never`",
        "see submit",
    ),
];

#[test]
fn wrong_command_lines_say_what_is_wrong_and_what_to_do() {
    for (line, what, hint) in WRONG {
        let hint = match hint.strip_prefix("see ") {
            Some(command) => format!("see `flota {command} --help`"),
            None => (*hint).to_owned(),
        };
        let expected = format!("error[E-USAGE-INVALID]: {what}\n  hint: {hint}\n");
        assert_eq!(complaint(Language::English, line), expected, "{line}");
    }
}

#[test]
fn wrong_command_lines_are_told_in_spanish_too() {
    let expected = "error[E-USAGE-INVALID]: `5-1` no es un valor para `--array`: el primer índice \
                    es mayor que el último; ¿quiso decir 1-5?\n  consejo: vea `flota submit --help`\n";
    assert_eq!(
        complaint(Language::Spanish, "submit --array 5-1 true"),
        expected
    );
}

#[test]
fn every_value_has_its_reason() {
    let check = |option: &str, value: &str| {
        let text = complaint(
            Language::English,
            &format!("submit {option} {value} -- true"),
        );
        assert!(text.contains("write "), "{option} {value}: {text}");
    };
    for (option, values) in [
        (
            "--array",
            &["", "1", "a-b", "1-", "-5", "1-2-3", "4294967296-4294967297"][..],
        ),
        ("--cpus", &["", "-1", "1.2345", "1e3", ".5", "5000000"]),
        ("--memory", &["x", "5X", "1.0001B"]),
        ("--timeout", &["", "x", "5y"]),
        ("--retries", &["-1", "1001", "x"]),
        ("--env", &["A", "=1"]),
        ("--on-disconnect", &["leave", "keep:", "stop:1s"]),
        ("--idempotency-key", &["ñ"]),
    ] {
        for value in values.iter().filter(|value| !value.is_empty()) {
            // With `=`, so that a value may begin with a dash.
            let line = format!("submit {option}={value} -- true");
            let text = complaint(Language::English, &line);
            assert!(text.contains("write "), "{line}: {text}");
        }
        if values[0].is_empty() {
            check(option, "?");
        }
    }
}

#[test]
fn global_options_stand_before_or_behind_the_command() {
    for line in [
        "-o json job ls",
        "job -o json ls",
        "job ls -o json",
        "jobs -o json",
    ] {
        let matches = matches(line);
        let output = innermost(&matches).get_one::<String>("output");
        assert_eq!(output.map(String::as_str), Some("json"), "{line}");
    }
    let matches = matches("--timeout 5s submit --timeout 9s true");
    assert_eq!(
        matches
            .get_one::<String>("request-timeout")
            .map(String::as_str),
        Some("5s")
    );
}

#[test]
fn other_names_mean_the_same_command() {
    let check = |line, expected: &[&str]| assert_eq!(path_of(&matches(line)), expected, "{line}");
    check("node listar", &["node", "ls"]);
    check("nodes", &["nodes"]);
    check("job describe 7", &["job", "show"]);
    check("job cancelar last", &["job", "cancel"]);
    check("enviar true", &["submit"]);
    check("agent stop --all", &["agent", "stop"]);
    check("agent --name n1", &["agent"]);
}

#[test]
fn what_is_to_be_stopped_is_a_process_or_a_job() {
    let target = |text: &str| super::values::target(Language::English)(text).ok();
    let number = |node: &str, pid| {
        let node = node.to_owned();
        Some(Target::Process(ProcessName::Number { node, pid }))
    };
    let handle = "3-000000000000000000000000000000ab-1234-98765-36852";
    let process = Target::Process(ProcessName::Handle(handle.into()));
    assert_eq!(target(handle), Some(process));
    assert_eq!(target("n1/42"), number("n1", 42));
    assert_eq!(target("2/4294967295"), number("2", u32::MAX));
    assert_eq!(target("7"), Some(Target::Job("7".into())));
    assert_eq!(target("last"), Some(Target::Job("last".into())));
    for text in [
        "",
        "n1",
        "/42",
        "n1/",
        "n1/0",
        "n1/+4",
        "n1/4294967296",
        "n1/x",
        "-7",
    ] {
        assert_eq!(target(text), None, "{text}");
    }
}

#[test]
fn pages_that_were_asked_for_are_no_mistake() {
    let check = |line: &str, exit| {
        let stopped = parse(Language::English, &arguments(line)).unwrap_err();
        assert_eq!(stopped.exit(), exit, "{line}");
    };
    check("--help", Exit::Ok);
    check("job --help", Exit::Ok);
    check("submit -h", Exit::Ok);
    check("--version", Exit::Ok);
    check("", Exit::Usage);
    check("job", Exit::Usage);
}

#[test]
fn errors_are_json_when_the_answer_would_have_been() {
    let (mut screen, _, err) = screen(Style {
        format: Format::Json,
        ..Style::default()
    });
    Failure::usage("wrong".into())
        .because("this")
        .hint("that".into())
        .tell(&mut screen);
    let told: Value = serde_json::from_str(&err.text()).unwrap();
    assert_eq!(told["error"]["code"], "E-USAGE-INVALID");
    assert_eq!(told["error"]["exit_code"], 2);
    assert_eq!(told["error"]["causes"], json!(["this"]));
    assert_eq!(told["error"]["hint"], "that");
}
