//! Logs of real programs, as people read them.

use std::fs;

use crate::home::Home;

/// Two tasks with rotated logs that fail; gives the home with the fleet.
fn with_job() -> (Home, crate::home::Running) {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let script = "echo first {index}; echo problem {index} >&2; echo last {index}; exit 3";
    let job = serde_json::json!({
        "name": "web",
        "tasks": {"first": 0, "last": 1},
        "program": {"argv": ["/bin/sh", "-c", script], "logs": "rotated"},
    });
    fs::write(home.path().join("job.json"), job.to_string()).unwrap();
    home.line("submit --file job.json --wait").failed(5, &[]);
    (home, dev)
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn logs_are_merged_cut_and_searched_and_end_as_the_program_did() {
    let (home, _dev) = with_job();
    let all = home.line("logs last").succeeded();
    assert_eq!(
        sorted(&all.out),
        ["0 | first 0", "0 | last 0", "1 | first 1", "1 | last 1"]
    );
    assert_eq!(sorted(&all.err), ["0 | problem 0", "1 | problem 1"]);

    let out = |line: &str| home.line(line).succeeded().out;
    assert_eq!(out("logs last --task 0"), "first 0\nlast 0\n");
    assert_eq!(out("logs last --task 0 -n 1 --stdout"), "last 0\n");
    assert_eq!(out("logs last --task 1 --grep ^f.rst"), "first 1\n");
    assert_eq!(
        out("logs last --task 1 --since 1h --run 1"),
        "first 1\nlast 1\n"
    );
    assert_eq!(out("logs last --task 1 --until 2026-01-01"), "");
    assert_eq!(out("logs last --task 1 --stderr"), "");

    let followed = home.line("logs last --task 1 -f --stdout");
    assert_eq!(
        (followed.code, &*followed.out),
        (Some(3), "first 1\nlast 1\n")
    );
}

#[test]
fn captured_output_has_no_times_and_wrong_options_are_told() {
    let home = Home::new();
    let _dev = home.dev(&["--nodes", "1"]);
    home.line("submit --wait -- echo hello").succeeded();
    home.line("logs last -n 1").failed(2, &["captured"]);
    let many = serde_json::json!({
        "name": "web",
        "tasks": {"first": 1, "last": 33},
        "program": {"argv": ["true"], "logs": "rotated"},
    });
    fs::write(home.path().join("many.json"), many.to_string()).unwrap();
    home.line("submit --file many.json").succeeded();
    home.line("logs last")
        .failed(2, &["33 tasks", "at most 32"]);
    home.line("logs last --stdout").succeeded();
    for line in [
        "logs last --since tomorrow",
        "logs last --grep (",
        "logs last --tail 1 --since 1h",
        "logs last --stdout --stderr",
        "logs last --run 0",
    ] {
        home.line(line).failed(2, &[]);
    }
}

#[test]
fn a_started_program_is_followed_until_it_is_killed() {
    let home = Home::new();
    let _dev = home.dev(&["--nodes", "1"]);
    let script = "echo there; kill -TERM $$";
    let told = home.run(&["start", "n1", "-q", "--", "/bin/sh", "-c", script]);
    let job = told.out.trim().to_owned();
    let followed = home.line(&format!(
        "logs {} -f",
        if job.is_empty() { "last" } else { &job }
    ));
    assert_eq!((followed.code, &*followed.out), (Some(143), "there\n"));
    assert!(followed.err.contains("TERM"), "{followed:?}");
}
