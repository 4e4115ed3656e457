//! Limits of programs, and the policies of nodes that set them, with real agents.

use std::{fs, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::home::{Home, Running, eventually};

/// A fleet of one node with a policy that can be changed.
fn dev(home: &Home, policy: &str, cgroup: &str) -> (Running, PathBuf) {
    let file = home.path().join("policy.toml");
    fs::write(&file, policy).unwrap();
    let mut command = home.command(&["dev", "--listen", "127.0.0.1:0", "--nodes", "1"]);
    command
        .env("FLOTA_POLICY", &file)
        .env("FLOTA_CGROUP", cgroup);
    (home.watch(command, "Ctrl-C ends everything"), file)
}

/// What the node says of itself, where it can enforce limits of memory and processes.
fn enforcing(home: &Home) -> Option<Value> {
    let node = home.json("node show n1 -o json");
    let containment = node["containment"].clone();
    let has = |word: &str| {
        let words = containment["enforced"].as_array().unwrap();
        words.contains(&json!(word))
    };
    if has("memory") && has("pids") {
        return Some(containment);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI must be able to make control groups"
    );
    println!("skipped: {containment}");
    None
}

const HUNGRY: &str = "dd if=/dev/zero of=/dev/null bs=200000000 count=1";

#[test]
fn a_kill_for_memory_is_told_by_every_command() {
    let home = Home::new();
    let (dev, _) = dev(&home, "shell = true", "auto");
    if enforcing(&home).is_some() {
        let line = format!("submit --wait --memory-max 24MiB -- {HUNGRY}");
        home.line(&line)
            .failed(5, &["E-JOB-FAILED", "out of memory on n1"]);
        let tasks = home.json("job tasks 1 -o json").to_string();
        assert!(tasks.contains("out_of_memory"), "{tasks}");
        home.line(&format!("submit --wait -- {HUNGRY}")).succeeded();
        let shown = home.line("node show n1").succeeded();
        assert!(shown.out.contains("memory,"), "{shown:?}");
    }
    dev.stop().succeeded();
}

#[test]
fn a_node_that_can_enforce_nothing_says_so_and_refuses() {
    let home = Home::new();
    let (dev, _) = dev(&home, "", "off");
    let node = home.json("node show n1 -o json");
    assert_eq!(node["containment"]["mode"], "none");
    assert_eq!(node["containment"]["enforced"], json!([]));
    home.line("submit --wait --pids-max 5 -- true")
        .failed(5, &["E-LIMIT-UNENFORCED"]);
    home.line("submit --wait --pids-max 5 --best-effort -- true")
        .succeeded();
    dev.stop().succeeded();
}

/// Tells the agent of the only node.
fn hang_up(home: &Home) {
    let agents = home.processes_with(" agent ");
    let pid = agents[0].split(' ').next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
}

#[test]
fn a_policy_is_read_again_on_sighup_and_one_that_is_wrong_changes_nothing() {
    let home = Home::new();
    let (dev, file) = dev(&home, "shell = true", "auto");
    let shell = "submit --wait -- sh -c true";
    home.line(shell).succeeded();
    fs::write(&file, "shell = false").unwrap();
    hang_up(&home);
    eventually("a refusal", || {
        (home.line(shell).code == Some(5)).then_some(())
    });
    fs::write(&file, "shells = true").unwrap();
    hang_up(&home);
    // The agent reads it before it hears of anything later.
    home.line(shell).failed(5, &["rule `shell`"]);
    fs::write(&file, "shell = true").unwrap();
    hang_up(&home);
    eventually("a permission", || {
        (home.line(shell).code == Some(0)).then_some(())
    });
    dev.stop().succeeded();
}

#[test]
fn ceilings_of_a_policy_bound_what_asks_for_more_and_what_asks_for_nothing() {
    let home = Home::new();
    let ceilings = "shell = true\n[ceilings]\nmemory = \"24MiB\"\npids = 50\n";
    let (dev, file) = dev(&home, ceilings, "auto");
    if enforcing(&home).is_some() {
        home.line("submit --wait -- true").succeeded();
        home.line(&format!("submit --wait -- {HUNGRY}"))
            .failed(5, &["out of memory on n1"]);
        for (line, rule) in [
            (
                "submit --wait --memory-max 25MiB -- true",
                "rule `ceilings.memory`",
            ),
            (
                "submit --wait --pids-max 51 -- true",
                "rule `ceilings.pids`",
            ),
        ] {
            home.line(line).failed(5, &["E-POLICY-REFUSED", rule]);
        }
        fs::write(&file, "shell = true\n[ceilings]\npids = 50\n").unwrap();
        hang_up(&home);
        eventually("more memory", || {
            let line = format!("submit --wait -- {HUNGRY}");
            (home.line(&line).code == Some(0)).then_some(())
        });
    }
    dev.stop().succeeded();
}

#[test]
fn doctor_says_what_an_agent_could_enforce() {
    let home = Home::new();
    let check = |more: &str| {
        let told = home.line(&format!("doctor -o json --listen 127.0.0.1:0 {more}"));
        let checks: Vec<Value> = serde_json::from_str(&told.out).unwrap();
        checks
            .into_iter()
            .find(|one| one["check"] == "cgroup")
            .unwrap()
    };
    let off = check("--cgroup off");
    assert_eq!(off["result"], "warn");
    assert!(!off["hint"].is_null());
    let usual = check("");
    let found = usual["found"].as_str().unwrap();
    let modes = ["unified", "hybrid", "v1", "none"];
    assert!(modes.iter().any(|mode| found.starts_with(mode)), "{found}");
}
