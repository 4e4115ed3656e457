//! Control groups through the deaths of agent and keeper, and an agent that may make none.

use std::path::PathBuf;

use flota_model::{
    containment::{Containment, LimitKind},
    execution::Limits,
    outcome::{Outcome, StartStage},
    spec::{JobSpec, Retry, Work},
    units::Bytes,
};

use crate::{
    harness::{Gate, Node, wait_for as until},
    server::{Server, job, script},
};

fn limited(text: &str, limits: Limits) -> JobSpec {
    let mut work = script(text);
    if let Work::Program(program) = &mut work {
        program.execution.limits = limits;
    }
    JobSpec {
        grace: std::time::Duration::from_millis(300),
        ..job(1, work, Retry::Never)
    }
}

fn pids(count: u32) -> Limits {
    Limits {
        pids: Some(count),
        ..Limits::default()
    }
}

/// Whether the agent says that it may make groups with what is needed.
fn enforces(server: &Server, needed: LimitKind) -> bool {
    let containment = server.hellos.last().unwrap().containment.unwrap();
    if containment.enforced.has(needed) {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI must be able to make control groups"
    );
    println!("skipped: this machine gives {containment:?}");
    false
}

/// The folders of all groups of our node.
fn groups(node: &Node) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let text = std::fs::read_to_string(node.path("groups")).unwrap_or_default();
    for line in text.lines() {
        let folder = line.splitn(3, ':').nth(2).unwrap();
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        found.extend(folders.map(|entry| entry.path()));
    }
    found
}

fn wait_no_groups(node: &Node) {
    until("the end of all groups", || {
        groups(node).is_empty().then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_in_a_group_is_adopted_and_stopped_there_after_both_were_killed() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    if !enforces(&server, LimitKind::Pids) {
        return;
    }
    let text =
        "trap '' TERM; (env -i setsid sleep 600 &); setsid sleep 600 & while :; do wait; done";
    server.grant(0, 1, limited(text, pids(20)));
    node.wait_processes(2);
    until("a group", || (!groups(&node).is_empty()).then_some(()));
    node.kill_agent();
    node.kill_keepers();
    node.restart_agent();
    server.wait_hello(2).await;
    assert!(!groups(&node).is_empty());
    server.cancel(0, 1);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Cancelled);
    assert_eq!(node.processes(), 0);
    wait_no_groups(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_for_memory_is_known_though_the_keeper_died_before() {
    let mut server = Server::start().await;
    let node = Node::start(&server);
    server.wait_hello(1).await;
    if !enforces(&server, LimitKind::Memory) {
        return;
    }
    let gate = Gate::new(node.path("gate"));
    let text = format!(
        "{}; exec dd if=/dev/zero of=/dev/null bs=200000000 count=1",
        gate.script()
    );
    let limits = Limits {
        memory: Some(Bytes(24 << 20)),
        ..Limits::default()
    };
    server.grant(0, 1, limited(&text, limits));
    gate.wait(1);
    node.kill_keepers();
    node.wait_keepers(1);
    drop(gate);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::OutOfMemory);
    wait_no_groups(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_left_behind_while_nobody_looked_is_killed_by_the_next_agent() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    if !enforces(&server, LimitKind::Pids) {
        return;
    }
    let gate = Gate::new(node.path("gate"));
    let text = format!("setsid sleep 600 & {}", gate.script());
    server.grant(0, 1, limited(&text, pids(20)));
    gate.wait(1);
    node.wait_processes(2);
    let all = node.programs();
    node.kill_agent();
    node.kill_keepers();
    drop(gate);
    node.wait_gone(&all, 1);
    node.restart_agent();
    server.wait_reports(1).await;
    node.wait_processes(0);
    wait_no_groups(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_starts_stops_and_is_told_what_cannot_be_enforced() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must be root");
        println!("skipped: only root can become another user");
        return;
    }
    let mut server = Server::start().await;
    let mut node = Node::start_as_nobody(&server);
    server.wait_hello(1).await;
    let containment = server.hellos[0].containment.unwrap();
    assert_eq!(containment, Containment::default());
    server.grant(0, 1, job(1, script("echo $(id -u); exit 7"), Retry::Never));
    server.grant(1, 1, limited("true", pids(5)));
    let best_effort = Limits {
        best_effort: true,
        ..pids(5)
    };
    server.grant(2, 1, limited("exit 3", best_effort));
    server.wait_reports(3).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Exited { code: 7 });
    let stage = StartStage::Contain;
    let errno = libc::EOPNOTSUPP;
    let refused = Outcome::NotStarted { stage, errno };
    assert_eq!(server.reports[&1].outcome, refused);
    assert_eq!(server.reports[&2].outcome, Outcome::Exited { code: 3 });
    let text =
        "trap '' TERM; (setsid sleep 600 &); sleep 600 & (kill -STOP $(exec sh -c 'echo $PPID')) &
        while :; do wait; done";
    let escapees = JobSpec {
        grace: std::time::Duration::from_millis(300),
        ..job(1, script(text), Retry::Never)
    };
    server.grant(3, 1, escapees);
    node.wait_processes(4);
    node.kill_agent();
    node.restart_agent();
    server.wait_hello(2).await;
    server.cancel(3, 1);
    server.wait_reports(4).await;
    assert_eq!(server.reports[&3].outcome, Outcome::Cancelled);
    assert_eq!(node.processes(), 0);
}
