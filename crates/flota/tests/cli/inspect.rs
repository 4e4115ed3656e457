//! One process from all sides, and processes as they change.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::home::Home;

/// `flota start` of a sleep with a variable: its job, number and handle.
fn start(home: &Home) -> (u64, u64, String) {
    let line = "start n1 -o json --env SECRET=hidden -- sleep 1000";
    let started = home.json(line);
    (
        started["job"].as_u64().unwrap(),
        started["pid"].as_u64().unwrap(),
        started["handle"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn a_process_is_shown_from_all_sides_and_its_variables_only_when_asked_for() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let (job, pid, handle) = start(&home);
    let shown = home.json(&format!("process show n1/{pid} -o json"));
    assert_eq!(shown["handle"], handle);
    assert_eq!(shown["task"]["job"], job);
    let arguments = serde_json::json!(["sleep", "1000"]);
    assert_eq!(shown["arguments"]["rows"], arguments);
    assert!(shown["program"]["path"].as_str().unwrap().starts_with('/'));
    assert!(shown["limits"].as_array().unwrap().len() > 5);
    assert_eq!(shown["thread_list"]["total"], 1);
    assert!(shown["memory_detail"]["Rss"].as_u64().unwrap() > 0);
    let secret = |shown: &Value| {
        let variables = shown["environment"]["rows"].as_array().unwrap();
        let found = variables.iter().find(|row| row["name"] == "SECRET");
        found.unwrap()["value"].clone()
    };
    assert_eq!(secret(&shown), Value::Null);
    let shown = home.json(&format!("process show {handle} --environment -o json"));
    assert_eq!(secret(&shown), "hidden");

    let told = home.line(&format!("process show {handle}")).succeeded().out;
    for text in ["OPEN FILES: ", "LIMITS: ", "sleep 1000", "Max open files"] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!told.contains("hidden"), "{told}");
    let told = home.line(&format!("proceso mostrar n1/{pid} --lang es"));
    let told = told.succeeded().out;
    assert!(told.contains("ARCHIVOS ABIERTOS: "), "{told}");

    home.line(&format!("stop {job}")).succeeded();
    home.line(&format!("process show {handle}"))
        .failed(3, &["E-PROCESS-NOTFOUND"]);
    dev.stop().succeeded();
}

#[test]
fn a_watch_in_a_pipe_is_a_line_for_every_change_and_nodes_look_once_a_tick() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let (job, pid, handle) = start(&home);
    let watch = format!("ps n1 --job {job} --watch=500ms");
    let mut watchers: Vec<_> = (0..10)
        .map(|_| {
            let mut command = home.command(&watch.split(' ').collect::<Vec<_>>());
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            (child, lines)
        })
        .collect();
    let mut scans = Vec::new();
    for tick in 0..6 {
        for (_, lines) in &mut watchers {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            let expected = if tick == 0 { "snapshot" } else { "delta" };
            assert_eq!(line["event"], expected);
            if tick == 0 {
                assert_eq!(line["processes"][0]["pid"], pid);
            }
            scans.push(line["answered"][0]["scan"].as_u64().unwrap());
        }
    }
    let (first, last) = (scans.iter().min().unwrap(), scans.iter().max().unwrap());
    assert!(last - first < 30, "{} looks for 60 ticks", last - first);

    home.line(&format!("stop {handle}")).succeeded();
    let (_, lines) = &mut watchers[0];
    let gone = lines
        .map_while(Result::ok)
        .find(|line| line.contains(&format!("\"gone\":[\"{handle}\"]")));
    assert!(gone.is_some(), "its end was not told");
    for (mut child, _) in watchers {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    dev.stop().succeeded();
}

#[test]
fn a_watch_tells_that_the_server_is_away_and_goes_on_when_it_is_back() {
    let home = Home::new();
    let serve = || home.start(&["server", "--listen", "127.0.0.1:0"], "flota submit");
    let first = serve();
    let mut command = home.command(&["ps", "--watch=500ms"]);
    let mut watcher = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut until = |event: &str| {
        let name = format!("\"event\":\"{event}\"");
        lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains(&name))
            .unwrap_or_else(|| panic!("no {event} was told"));
    };
    until("snapshot");
    first.signal(Signal::KILL);
    first.end();
    until("interrupted");
    let second = serve();
    until("snapshot");
    second.stop().succeeded();
    until("interrupted");
    watcher.kill().unwrap();
    watcher.wait().unwrap();
}
