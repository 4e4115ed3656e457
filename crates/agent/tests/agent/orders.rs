//! What is asked of an agent while it, its keeper, or somebody else is in the way.
//!
//! `FLOTA_COMMANDS` makes the storm of commands longer.

use std::{fs, time::Duration};

use flota_model::{
    outcome::Outcome,
    spec::{JobSpec, Retry},
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::{
    chance::number,
    harness::{Node, wait_for},
    server::{Server, job, script},
};

/// A program that does not end when it is asked to, and says when it runs.
fn deaf(node: &Node, grace: Duration) -> JobSpec {
    let ready = node.path("ready");
    let text = format!(
        "trap '' TERM; touch {}; while :; do sleep 600; done",
        ready.display()
    );
    JobSpec {
        grace,
        ..job(1, script(&text), Retry::Never)
    }
}

/// A stop whose agent, or whose agent and keeper, are killed in the middle of it.
async fn stop_while_killed(is_keeper_killed: bool) {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let spec = deaf(&node, Duration::from_secs(1));
    server.grant(0, 1, spec);
    let ready = node.path("ready");
    wait_for("the program", || ready.exists().then_some(()));
    server
        .wait("it to run", |server| (server.running == 1).then_some(()))
        .await;
    let running = node.programs();
    server.cancel(0, 1);
    // The `sleep` hears the first signal, the shell does not: the stop has begun.
    server.listen(Duration::from_millis(1)).await;
    wait_for("the first signal", || {
        let now = node.programs();
        running.iter().any(|pid| !now.contains(pid)).then_some(())
    });
    node.kill_agent();
    if is_keeper_killed {
        node.kill_keepers();
    }
    node.restart_agent();
    server.wait_hello(2).await;
    // A server says again what is not yet so.
    server.cancel(0, 1);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Cancelled);
    node.wait_processes(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_goes_on_though_its_agent_is_killed() {
    stop_while_killed(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_goes_on_though_agent_and_keeper_are_killed() {
    stop_while_killed(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_in_the_place_of_a_dead_keeper_is_not_believed() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(0, 1, job(1, script("exec sleep 600"), Retry::Never));
    node.wait_processes(1);
    node.kill_agent();
    node.kill_keepers();
    let socket = node.path("keeper/1.sock");
    fs::remove_file(&socket).unwrap();
    // It takes connections and never says anything.
    let flags = SocketFlags::CLOEXEC;
    let impostor =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::bind(&impostor, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
    rustix::net::listen(&impostor, 10).unwrap();
    node.restart_agent();
    server.wait_hello(2).await;
    assert_eq!(node.processes(), 1, "the program goes on");
    server.cancel(0, 1);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Cancelled);
    node.wait_processes(0);
}

/// An agent that is a subreaper reaps all children it has; none of those that a keeper or the agent itself
/// waits for may be lost to that.
#[tokio::test(flavor = "multi_thread")]
async fn no_status_of_many_short_commands_is_lost() {
    let commands = u32::try_from(number("FLOTA_COMMANDS", 2_000)).unwrap();
    let mut server = Server::start().await;
    let _node = Node::start(&server);
    server.wait_hello(1).await;
    let text = "exit $(({index} % 200))";
    server.grant(0, commands, job(commands, script(text), Retry::Never));
    for quarter in 1..=4 {
        let some = u64::from(commands) * quarter / 4;
        server.wait_reports(usize::try_from(some).unwrap()).await;
    }
    for (index, report) in &server.reports {
        let code = u8::try_from(index % 200).unwrap();
        assert_eq!(report.outcome, Outcome::Exited { code }, "{index}");
    }
    println!("{} commands, each with its own code", server.reports.len());
}
