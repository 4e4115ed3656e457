//! Agents of a newer and an older version one after the other, with keepers of both.

use std::fs;

use flota_model::{
    outcome::{Outcome, StreamName},
    service::{ReplicaState, RestartPolicy},
    spec::Retry,
};

use crate::{
    harness::{Gate, Node, parent, wait_for as until},
    server::{Server, job, script},
    services::service,
};

/// The version before the newest.
const OLD: Option<u8> = Some(1);

/// The next agent, of that version.
async fn change_agent(server: &mut Server, node: &mut Node, version_max: Option<u8>) {
    let hellos = server.hellos.len();
    node.terminate_agent();
    node.version_max = version_max;
    node.restart_agent();
    server.wait_hello(hellos + 1).await;
}

/// How many programs each keeper is the parent of.
fn owned(node: &Node) -> Vec<usize> {
    let programs = node.programs();
    let of = |keeper: &u32| {
        let owned = programs.iter().filter(|pid| parent(**pid) == Some(*keeper));
        owned.count()
    };
    node.keepers().iter().map(of).collect()
}

fn exited(server: &Server, sequence: u64, code: u8) {
    assert_eq!(server.reports[&sequence].outcome, Outcome::Exited { code });
}

#[tokio::test(flavor = "multi_thread")]
async fn keepers_of_two_versions_drain_side_by_side_and_an_upgrade_loses_nothing() {
    let mut server = Server::start().await;
    let mut node = Node::prepare(&server);
    node.version_max = OLD;
    node.restart_agent();
    server.wait_hello(1).await;
    let (first, second) = (
        Gate::new(node.path("first")),
        Gate::new(node.path("second")),
    );
    let text = format!("echo {{index}}; {}; exit {{index}}", first.script());
    server.grant(0, 10, job(10, script(&text), Retry::Never));
    let note = node.path("runs");
    let text = format!("echo $$ >> {}; exec sleep 1000", note.display());
    server.grant(20, 1, service(&text, RestartPolicy::Always, Vec::new()));
    first.wait(10);
    node.wait_processes(11);
    assert_eq!(owned(&node), [11]);

    change_agent(&mut server, &mut node, None).await;
    // All that runs is adopted where it is; what is new goes to a keeper that speaks the new version.
    let text = format!("{}; exit {{index}}", second.script());
    server.grant(30, 5, job(5, script(&text), Retry::Never));
    second.wait(5);
    let mut shares = owned(&node);
    shares.sort_unstable();
    assert_eq!(shares, [5, 11]);
    // Orders and questions reach what the old one has.
    server.read(1, 3, StreamName::Stdout);
    let read = server.wait("an output", |server| server.parts.values().next().cloned());
    assert_eq!(read.await.unwrap().bytes, b"3\n");
    server.cancel(0, 1);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Cancelled);
    // A run of a service that ends at the old one is followed by one at the new one.
    let pid = fs::read_to_string(&note).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    server
        .wait("a second run", |server| {
            let status = server.replicas.get(&20)?;
            (status.state == ReplicaState::Ready && status.run == 2).then_some(())
        })
        .await;
    let mut shares = owned(&node);
    shares.sort_unstable();
    assert_eq!(shares, [6, 9]);

    // A step back: the older agent finds both keepers, and what the newer one started.
    change_agent(&mut server, &mut node, OLD).await;
    assert_eq!(owned(&node).iter().sum::<usize>(), 15);
    change_agent(&mut server, &mut node, None).await;
    drop(first);
    server.wait_reports(10).await;
    for index in 1..10 {
        exited(&server, index, u8::try_from(index).unwrap());
    }
    // The old one has nothing left, and takes nothing more: it ends, while its agent lives.
    node.wait_keepers(1);
    drop(second);
    server.wait_reports(15).await;
    for index in 0..5 {
        exited(&server, 30 + index, u8::try_from(index).unwrap());
    }
    server.cancel(20, 1);
    server.wait_reports(16).await;
    assert_eq!(server.reports[&20].outcome, Outcome::Cancelled);
    node.wait_processes(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_changing_versions_that_are_killed_lose_no_program_and_no_code() {
    let mut server = Server::start().await;
    let mut node = Node::prepare(&server);
    node.version_max = OLD;
    node.restart_agent();
    server.wait_hello(1).await;
    let mut gates = Vec::new();
    for generation in 0..6_u64 {
        let gate = Gate::new(node.path(&format!("gate-{generation}")));
        let text = format!("{}; exit {generation}", gate.script());
        server.grant(generation * 10, 3, job(3, script(&text), Retry::Never));
        gate.wait(3);
        gates.push(gate);
        node.kill_agent();
        node.version_max = if generation % 2 == 0 { None } else { OLD };
        node.restart_agent();
        server
            .wait_hello(usize::try_from(generation).unwrap() + 2)
            .await;
    }
    assert_eq!(node.programs().len(), 18);
    // An old one and a new one: an agent of the old version hands programs to either.
    until("two keepers", || (node.keepers().len() == 2).then_some(()));
    drop(gates);
    server.wait_reports(18).await;
    for generation in 0..6 {
        for task in 0..3 {
            exited(
                &server,
                generation * 10 + task,
                u8::try_from(generation).unwrap(),
            );
        }
    }
    assert_eq!(node.stop_all(), "stopped\n");
    node.wait_keepers(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_all_of_both_versions_is_stopped() {
    let mut server = Server::start().await;
    let mut node = Node::prepare(&server);
    node.version_max = OLD;
    node.restart_agent();
    server.wait_hello(1).await;
    let sleep = || job(2, script("exec sleep 1000"), Retry::Never);
    server.grant(0, 2, sleep());
    node.wait_processes(2);
    change_agent(&mut server, &mut node, None).await;
    server.grant(10, 2, sleep());
    node.wait_processes(4);
    node.wait_keepers(2);
    node.kill_agent();
    assert_eq!(node.stop_all(), "stopped\n");
    assert_eq!(node.processes(), 0);
    node.restart_agent();
    server.wait_reports(4).await;
    let all = server.reports.values();
    let outcomes: Vec<_> = all.map(|report| report.outcome.clone()).collect();
    assert_eq!(outcomes, vec![Outcome::Cancelled; 4]);
}
