//! Processes of real nodes: listed, signalled, stopped.

use std::{fs, time::Duration};

use rustix::{
    process::Signal,
    time::{ClockId, clock_gettime},
};
use serde_json::Value;

use crate::home::{Home, eventually};

/// A list is promised within two seconds; the machine of the test may be busy with other things.
const LIST_WITHIN: Duration = Duration::from_secs(8);

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap()
}

/// A number that is nowhere else on this machine, for command lines.
fn mark(home: &Home, number: u32) -> String {
    let own = home.path().display().to_string();
    let sum = own.bytes().fold(u32::from(b'f'), |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    format!("{}", 100_000 + (sum % 80_000) * 10 + number)
}

/// `flota start` of a sleep: its job, number and handle.
fn start(home: &Home, node: &str, seconds: &str) -> (u64, u32, String) {
    let line = format!("start {node} -o json -- sleep {seconds}");
    let started = home.json(&line);
    let pid = started["pid"].as_u64().unwrap();
    (
        started["job"].as_u64().unwrap(),
        u32::try_from(pid).unwrap(),
        started["handle"].as_str().unwrap().to_owned(),
    )
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn is_over(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit_once(") ")
        .is_some_and(|(_, fields)| fields.starts_with('Z'))
}

#[test]
fn a_started_program_is_listed_signalled_and_stopped() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let seconds = mark(&home, 1);
    let (job, pid, handle) = start(&home, "n1", &seconds);
    assert!(command_line(pid).starts_with(&format!("sleep {seconds}")));

    let listed = home.json(&format!("ps n1 --name {seconds} --managed -o json"));
    let [process] = listed.as_array().unwrap().as_slice() else {
        panic!("{listed:#}")
    };
    assert_eq!(process["pid"], pid);
    assert_eq!(process["name"], "sleep");
    assert_eq!(process["command"], format!("sleep {seconds}"));
    assert_eq!(process["handle"], handle);
    assert_eq!(process["node_name"], "n1");
    assert_eq!(process["task"]["job"], job);
    assert_eq!(
        process["memory"].as_u64().map(|bytes| bytes > 0),
        Some(true)
    );
    let table = home
        .line(&format!("ps --managed --name {seconds}"))
        .succeeded()
        .out;
    let (header, row) = table.split_once('\n').unwrap();
    assert!(
        header.starts_with("NODE ") && header.ends_with("COMMAND"),
        "{table}"
    );
    assert!(
        row.ends_with(&format!("{job}  sleep {seconds}\n")),
        "{table}"
    );
    let csv = home
        .line(&format!("ps --name {seconds} -o csv"))
        .succeeded()
        .out;
    assert!(
        csv.contains(&handle) && csv.starts_with("node_name,pid,"),
        "{csv}"
    );
    let names = home.line(&format!("ps -q --job {job}")).succeeded().out;
    assert_eq!(names.trim(), handle);

    // A number alone stops nobody, but says whom it would have stopped.
    home.line(&format!("stop n1/{pid}")).failed(
        2,
        &[
            "E-PROCESS-NUMBER",
            &format!("`sleep {seconds}`"),
            &format!("flota stop {handle}"),
        ],
    );
    assert!(!is_over(pid));

    home.line(&format!("signal STOP {handle}")).succeeded();
    eventually("it is stopped", || {
        let found = home.json(&format!("ps --job {job} -o json"));
        (found[0]["state"] == "T").then_some(())
    });
    home.line(&format!("signal 18 n1/{pid} --force-pid"))
        .succeeded();
    let told = home.line(&format!("stop {handle}")).succeeded();
    assert_eq!(told.out, format!("{handle} stopped: 1 processes ended\n"));
    assert!(is_over(pid));
    // What it was for has an outcome, and its handle names nobody any more.
    home.line(&format!("job wait {job}"))
        .failed(5, &["signal 15"]);
    eventually("it is reaped", || {
        let told = home.line(&format!("signal TERM {handle}"));
        told.err.contains("E-PROCESS-NOTFOUND").then_some(())
    });
    dev.stop().succeeded();
}

#[test]
fn processes_are_drawn_grouped_and_chosen_by_what_they_use() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let seconds = mark(&home, 6);
    let (job, ..) = start(&home, "n1", &seconds);
    let tree = home
        .line(&format!("ps n1 --tree --regex flota|{seconds}$"))
        .succeeded()
        .out;
    assert!(tree.contains(&format!("─ sleep {seconds}\n")), "{tree}");
    let groups = home.json(&format!("ps --group name --job {job} -o json"));
    assert_eq!(groups[0]["group"], "sleep");
    assert_eq!(groups[0]["processes"], 1);
    let idle = home.json(&format!("ps --job {job} --cpu-min 50 -o json"));
    assert_eq!(idle, serde_json::json!([]));
    dev.stop().succeeded();
}

#[test]
fn a_handle_of_the_past_hits_nobody() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let (_, pid, handle) = start(&home, "n1", &mark(&home, 2));
    // The same number, started earlier: what a handle looks like after its number was used again.
    let parts: Vec<&str> = handle.split('-').collect();
    let earlier: u64 = parts[3].parse::<u64>().unwrap() - 1;
    let stale = format!("{}-{}-{pid}-{earlier}-{}", parts[0], parts[1], parts[4]);
    let other_boot = format!("{}-{:032x}-{pid}-{}-{}", parts[0], 1, parts[3], parts[4]);
    for handle in [stale, other_boot] {
        for order in ["stop", "signal KILL"] {
            let told = home.line(&format!("{order} {handle}"));
            told.failed(3, &["E-PROCESS-REUSED", "nothing was done"]);
        }
    }
    assert!(!is_over(pid), "nobody was hit");
    // Two targets: the one that is wrong does not keep the other from its end.
    let missing = format!("n1/{}", u32::MAX);
    let told = home.line(&format!("stop --force {missing} {handle}"));
    told.failed(3, &["E-PROCESS-NOTFOUND"]);
    assert!(is_over(pid));
    dev.stop().succeeded();
}

#[test]
fn what_keeps_machine_and_fleet_going_is_not_signalled() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let (job, pid, _) = start(&home, "n1", &mark(&home, 3));
    let number_of = |text: &str| -> u32 {
        let found = home.processes_with(text);
        found[0].split(' ').next().unwrap().parse().unwrap()
    };
    let agent = number_of("--cpus");
    let keeper = number_of("__keeper");
    let server = number_of("--listen");
    for pid in [1, agent, keeper, server, dev.pid()] {
        for order in ["stop", "signal KILL"] {
            let told = home.line(&format!("{order} n1/{pid} --force-pid"));
            told.failed(4, &["E-PROCESS-PROTECTED"]);
        }
        assert!(!is_over(pid));
    }
    assert!(!is_over(pid));
    let told = home.line(&format!("stop {job}")).succeeded();
    assert_eq!(told.out, format!("job {job} stopped\n"));
    assert!(is_over(pid));
    home.line(&format!("stop {job}"))
        .failed(6, &["E-JOB-FINISHED"]);
    dev.stop().succeeded();
}

#[test]
fn a_node_that_does_not_answer_is_named_in_time_and_the_rest_is_there() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);
    let seconds = mark(&home, 4);
    let (_, pid, _) = start(&home, "n1", &seconds);
    let agents = home.processes_with("--name n2");
    let agent: u32 = agents[0].split(' ').next().unwrap().parse().unwrap();
    signal(agent, Signal::STOP);
    let begun = now();
    let told = home.line(&format!("ps --managed --name {seconds} -o json"));
    let spent = now().saturating_sub(begun);
    signal(agent, Signal::CONT);
    assert_eq!(told.code, Some(9), "{told:#?}");
    let listed: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(listed[0]["pid"], pid, "{told:#?}");
    let error: Value = serde_json::from_str(&told.err).unwrap();
    assert_eq!(error["error"]["code"], "E-LIST-PARTIAL");
    let cause = error["error"]["causes"][0].as_str().unwrap();
    assert!(cause.contains("`n2` did not answer"), "{cause}");
    assert!(spent < LIST_WITHIN, "{spent:?}");

    eventually("it answers again", || {
        (home.line("ps n2 -q").code == Some(0)).then_some(())
    });
    home.line("ps n3").failed(3, &["E-NODE-NOTFOUND"]);
    dev.stop().succeeded();
}

fn signal(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn a_start_says_what_became_of_the_program() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    home.line("start n1 -- /no/such/program")
        .failed(5, &["E-JOB-FAILED", "not started on n1"]);
    home.run(&["start", "n1", "--", "sh", "-c", "echo no >&2; exit 3"])
        .failed(5, &["exited with 3", "no"]);
    home.line("start n9 -- true")
        .failed(3, &["E-NODE-NOTFOUND", "did you mean `n1`?"]);
    let told = home.run(&[
        "start", "n1", "-q", "--env", "A=b", "--", "sh", "-c", "echo $A",
    ]);
    let job = told.succeeded().out.trim().to_owned();
    home.line(&format!("job wait {job}")).succeeded();
    assert_eq!(home.line(&format!("logs {job}")).succeeded().out, "b\n");
    // Started at once, however busy the cores of the node are said to be.
    let seconds = mark(&home, 5);
    let full = home.json("node show n1 -o json")["capacity"]["cpus"].clone();
    home.line(&format!(
        "submit --cpus {} -- sleep {seconds}",
        full.as_f64().unwrap() - 0.01
    ))
    .succeeded();
    let (job, ..) = start(&home, "n1", &seconds);
    home.line(&format!("stop {job} last"))
        .failed(6, &["E-JOB-FINISHED"]);
    dev.stop().succeeded();
}

#[test]
fn a_node_shows_what_its_machine_does() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let node = eventually("a second sample came", || {
        let node = home.json("node show n1 -o json");
        let is_there = node["sample"]["cpu"].is_number() && node["sample"]["current"] == true;
        is_there.then_some(node)
    });
    let sample = &node["sample"];
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let total = memory
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap();
    let total: u64 = total.parse().unwrap();
    assert_eq!(sample["memory"]["total"], total * 1024);
    let table = home.line("node show n1").succeeded().out;
    for header in ["SAMPLED", "LOAD", "USED MEMORY", "UP FOR"] {
        assert!(table.contains(header), "{table}");
    }
    let list = home.line("node ls").succeeded().out;
    assert!(list.contains("BUSY CORES"), "{list}");
    dev.stop().succeeded();
}
