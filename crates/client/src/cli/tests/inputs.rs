//! Sweeps, files of lines and rows, scripts, and the CSV of an older cluster.

use std::fs;

use flota_model::spec::Work;
use flota_wire::spec::Job;
use serde_json::{Value, json};

use super::{innermost, parse};
use crate::{catalogue::Language, cli::submit, failure::Failure};

fn matches(words: &[&str]) -> clap::ArgMatches {
    let words = ["flota", "submit"].iter().chain(words).map(Into::into);
    parse(Language::English, &words.collect::<Vec<_>>()).expect("it parses")
}

fn jobs(words: &[&str]) -> Result<Vec<Job>, Failure> {
    submit::jobs(Language::English, innermost(&matches(words)), None)
}

fn job(words: &[&str]) -> Job {
    let mut jobs = jobs(words).unwrap_or_else(|failure| panic!("{words:?}: {failure:?}"));
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

fn argv(job: &Job) -> Vec<&str> {
    match &job.spec.work {
        Work::Program(program) => program.argv.iter().map(String::as_str).collect(),
        Work::Kernel(call) => panic!("{call:?}"),
    }
}

fn form(job: &Job) -> Value {
    flota_wire::spec::to_value(&job.spec)
}

#[track_caller]
fn refused(words: &[&str], what: &str) {
    let failure = jobs(words).unwrap_err();
    assert!(format!("{failure:?}").contains(what), "{failure:?}");
}

#[test]
fn lists_behind_colons_are_a_sweep_as_in_gnu_parallel() {
    let both = job(&[
        "--", "sim", "-m={1}", "{2}", ":::", "a", "b", ":::", "1", "2", "3",
    ]);
    assert_eq!(argv(&both), ["sim", "-m={1}", "{2}"]);
    assert_eq!(form(&both)["tasks"], json!({"first": 1, "last": 6}));
    assert_eq!(
        form(&both)["parameters"],
        json!([{"name": "1", "values": ["a", "b"]}, {"name": "2", "values": ["1", "2", "3"]}])
    );
    let cases: [(&[&str], &[&str]); 6] = [
        (&["echo", "x{}y", "{#}"], &["echo", "x{1} {2}y", "{index}"]),
        (&["echo", "{}"], &["echo", "{1}", "{2}"]),
        (&["echo", "-n"], &["echo", "-n", "{1}", "{2}"]),
        (&["echo", "{2}"], &["echo", "{2}"]),
        (&["echo", "{{}}"], &["echo", "{{}}", "{1}", "{2}"]),
        (&["{}"], &["{1}", "{2}"]),
    ];
    for (words, expected) in cases {
        let words = [words, &[":::", "a", ":::", "b"]].concat();
        assert_eq!(argv(&job(&words)), expected, "{words:?}");
    }
    let named = job(&["--sweep", "x=1,2", "--sweep", "y=a", "--", "echo", "{x}{y}"]);
    assert_eq!(named.spec.tasks.count(), 2);
    let elsewhere = job(&["--env", "V={}", "--", "env", ":::", "a", "b"]);
    assert_eq!(argv(&elsewhere), ["env"]);
    assert_eq!(form(&elsewhere)["program"]["environment"]["V"], "{1}");
    let kernel = job(&[
        "--kernel",
        "sleep",
        "-p",
        "milliseconds={}",
        ":::",
        "1",
        "2",
    ]);
    assert_eq!(form(&kernel)["kernel"]["parameters"]["milliseconds"], "{1}");
    let shifted = job(&["--array", "5-6", "--", "echo", ":::", "a", "b"]);
    assert_eq!(form(&shifted)["tasks"], json!({"first": 5, "last": 6}));
    refused(
        &["--array", "5-7", "--", "echo", ":::", "a", "b"],
        "parameters for 2",
    );
    refused(&["--", "echo", "{3}", ":::", "a"], "known: {1}");
    refused(&["--", "echo", ":::"], "empty");
    refused(&[":::", "a"], "nothing to run");
    refused(
        &["--kernel", "noop", "true"],
        "`--kernel` cannot be used with `PROGRAM`",
    );
}

#[test]
fn files_give_a_task_for_each_line_or_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let lines = file("lines", "a b\nc\n");
    let each = job(&["--each-line", &lines, "--", "echo"]);
    assert_eq!(argv(&each), ["echo", "{line}"]);
    let rows = each.rows.unwrap();
    assert_eq!(
        (rows.get(0), rows.get(1)),
        (Some(vec!["a b"]), Some(vec!["c"]))
    );
    let table = file("table", "x,y\n1,\"a,b\"\n2,c\n");
    let csv = job(&["--csv", &table, "--", "sim", "{y}"]);
    assert_eq!(argv(&csv), ["sim", "{y}"]);
    assert_eq!(csv.rows.unwrap().get(0), Some(vec!["1", "a,b"]));
    let objects = file("objects", "{\"n\": 1}\n{\"n\": 2}\n");
    let json_lines = job(&["--json-lines", &objects, "--", "sim", "{n}"]);
    assert_eq!(json_lines.spec.tasks.count(), 2);
    refused(
        &["--csv", &file("wrong", "x,y\n1\n"), "--", "sim"],
        "line 2: 1 columns",
    );
    refused(
        &["--each-line", &lines, "--sweep", "x=1", "--", "sim"],
        "cannot be used with",
    );
    refused(&["--csv", &table, "--", "sim", "{z}"], "known: {x}, {y}");
    refused(
        &["--each-line", "/nonexistent/x", "--", "sim"],
        "E-FILE-UNREADABLE",
    );
}

#[test]
fn the_table_of_an_older_cluster_becomes_a_job_for_each_priority() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trabajos.csv");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        jobs(&["--file", path.to_str().unwrap()])
    };
    let text = "# hoy\nalgoritmo,width,height,iteraciones,prioridad\n\
                Numpy,10,20,30,3\n\nsecuencial,1,2,3,1\njuliaCython,4,5,6,3\nNumpy,7,8,9\n";
    let read_jobs = read(text).unwrap();
    let shown: Vec<_> = read_jobs
        .iter()
        .map(|job| {
            (
                job.spec.priority.0,
                job.spec.tasks.count(),
                job.rows.clone().unwrap().get(0).unwrap().join(" "),
            )
        })
        .collect();
    let expected = [
        (1, 1, "scalar 1 2 3".to_owned()),
        (2, 1, "vector 7 8 9".to_owned()),
        (3, 2, "vector 10 20 30".to_owned()),
    ];
    assert_eq!(shown, expected);
    assert_eq!(
        form(&read_jobs[0])["kernel"]["parameters"]["width"],
        "{width}"
    );
    for (line, what) in [
        (
            "Fortran,1,2,3",
            "line 2: there is no algorithm `Fortran`; known: Secuencial, Numpy, juliaCython",
        ),
        ("Numpy,1,2", "line 2: 3 columns, expected 4 or 5"),
        ("Numpy,0,2,3", "line 2: width `0` is no number from 1 on"),
        ("Numpy,1,2,3,4", "line 2: priority `4` is not 1, 2 or 3"),
    ] {
        let failure = read(&format!(
            "algorithm,width,height,iterations,priority\n{line}\n"
        ));
        let shown = format!("{:?}", failure.unwrap_err());
        assert!(shown.contains(what), "{shown}");
    }
    assert!(read("algorithm,width,height,iterations\n").is_err());
}

#[test]
fn a_script_carries_options_and_the_command_line_has_the_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sim.sh");
    let script = path.to_str().unwrap();
    let with = |text: &str| fs::write(&path, text).unwrap();
    with(
        "#!/bin/sh\n# A simulation.\n#FLOTA --cpus 2 --array 1-10\n#FLOTA --env 'A=b c' --retries 3\n\necho\n#FLOTA --cpus 9\n",
    );
    let read = job(&["--retries", "1", "--", script, "-n"]);
    assert_eq!(argv(&read), [script, "-n"]);
    let spec = form(&read);
    assert_eq!(spec["resources"]["cpus"], 2.0);
    assert_eq!(spec["tasks"], json!({"first": 1, "last": 10}));
    assert_eq!(spec["program"]["environment"]["A"], "b c");
    assert_eq!(spec["retry"]["retries"], 1);
    with("#!/bin/sh\n#FLOTA --cpu 2\n");
    refused(&["--", script], "unknown option `--cpu`");
    with("#!/bin/sh\n#FLOTA --file x\n");
    refused(&["--", script], "options that a script cannot have");
    with("#!/bin/sh\n#FLOTA --name 'x\n");
    refused(&["--", script], "the options in line 2 are wrong");
    with("no script\n#FLOTA --cpus 2\n");
    assert_eq!(form(&job(&["--", script]))["resources"]["cpus"], 1.0);
}
