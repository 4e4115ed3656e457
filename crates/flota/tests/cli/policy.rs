//! What the owner of a node allows, with real agents.

use std::fs;

use crate::home::{Home, Running};

/// A fleet of one node with that policy; without a file where it is empty.
fn dev(home: &Home, policy: &str) -> Running {
    let file = home.path().join("policy.toml");
    fs::write(&file, policy).unwrap();
    let mut command = home.command(&["dev", "--listen", "127.0.0.1:0", "--nodes", "1"]);
    if policy.is_empty() {
        command.env_remove("FLOTA_POLICY");
    } else {
        command.env("FLOTA_POLICY", file);
    }
    home.watch(command, "Ctrl-C ends everything")
}

#[test]
fn without_a_policy_any_program_runs_but_no_shell() {
    let home = Home::new();
    let dev = dev(&home, "");
    home.line("submit --wait -- echo hello").succeeded();
    let refused = "the policy of the node forbids it, rule `shell` [E-POLICY-REFUSED]";
    for line in ["submit --wait -- sh -c true", "submit --wait -- env bash"] {
        home.line(line).failed(5, &["E-JOB-FAILED", refused]);
    }
    // A service says so too, and at once: it would not be allowed the next time either.
    home.line("service run web --wait -- sh -c true")
        .failed(5, &["E-SERVICE-FAILED", "cannot be started", refused]);
    let shown = home.line("service show web").succeeded();
    assert!(shown.out.contains(refused), "{shown:?}");
    home.line("service stop web --wait").succeeded();
    let link = home.path().join("innocent");
    std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
    let link = link.to_str().unwrap();
    home.run(&["submit", "--wait", "--", link, "-c", "true"])
        .failed(5, &[refused]);
    let spanish = home.run(&["--lang", "es", "submit", "--wait", "--", "sh"]);
    spanish.failed(5, &["la política del nodo lo prohíbe, regla `shell`"]);
    dev.stop().succeeded();
}

#[test]
fn a_policy_bounds_programs_users_and_signals() {
    let home = Home::new();
    let text = r#"
        users = ["@agent"]
        signals = "none"
        [[programs]]
        path = "/usr/bin/sleep"
        [[programs]]
        path = "/usr/bin/echo"
        arguments = ["hello*"]
    "#;
    let dev = dev(&home, text);
    home.line("submit --wait -- echo hello-7").succeeded();
    for (line, rule) in [
        ("submit --wait -- echo bye", "rule `programs`"),
        ("submit --wait -- true", "rule `programs`"),
        ("submit --wait --user root -- sleep 0", "rule `users`"),
    ] {
        home.line(line).failed(5, &[rule]);
    }
    // A process of nobody's job, and one of a job.
    let own = format!("signal CONT n1/{} --force", std::process::id());
    home.line(&own)
        .failed(4, &["E-PROCESS-FORBIDDEN", "rule `signals`"]);
    let started = home.json("start n1 -o json -- sleep 60");
    let handle = started["handle"].as_str().unwrap();
    home.line(&format!("stop {handle}")).succeeded();
    dev.stop().succeeded();
}

#[test]
fn an_agent_does_not_start_with_a_policy_that_is_wrong() {
    let home = Home::new();
    let file = home.path().join("policy.toml");
    fs::write(&file, "shells = true\n").unwrap();
    let path = file.to_str().unwrap();
    let agent = ["agent", "--server", "http://127.0.0.1:1", "--policy"];
    home.run(&[&agent[..], &[path]].concat())
        .failed(2, &["E-POLICY-INVALID", "unknown field `shells`"]);
    home.run(&[&agent[..], &["/no/such"]].concat())
        .failed(2, &["E-POLICY-INVALID", "/no/such"]);
}
