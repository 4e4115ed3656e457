//! The agent as a real process, with a real keeper, against a server that is driven by hand.
#![cfg(test)]

mod chance;
mod crowd;
mod disk;
mod faults;
mod groups;
mod harness;
mod logs;
mod orders;
mod server;
mod services;
mod upgrade;

use std::{fs, time::Duration};

use flota_model::{
    outcome::{Outcome, Report, Stream, StreamName},
    spec::{JobSpec, Retry},
    units::Cpus,
};

use crate::{
    harness::{Gate, Node},
    server::{Server, job, kernel, script},
};

fn stdout(report: &Report) -> Stream {
    report
        .output
        .as_ref()
        .map_or(Stream::Empty, |output| output.stdout.clone())
}

fn exited(code: u64) -> Outcome {
    Outcome::Exited {
        code: u8::try_from(code).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_kernels_run_and_are_reported() {
    let mut server = Server::start().await;
    let _node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(
        0,
        10,
        job(10, script("echo {index}; exit {index}"), Retry::Never),
    );
    server.grant(100, 1000, job(1000, kernel("noop", &[]), Retry::default()));
    server.grant(2000, 1, job(1, kernel("nonsense", &[]), Retry::default()));
    server.wait_reports(1011).await;
    for index in 0..10 {
        let report = &server.reports[&index];
        assert_eq!(report.outcome, exited(index));
        assert_eq!(
            stdout(report),
            Stream::Inline(format!("{index}\n").into_bytes())
        );
        assert!(report.started_at.unwrap() <= report.ended_at);
    }
    assert!((100..1100).all(|index| server.reports[&index].outcome == Outcome::Completed));
    assert!(matches!(
        server.reports[&2000].outcome,
        Outcome::Failed { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_start_is_reported_with_the_step_that_failed() {
    let mut server = Server::start().await;
    let _node = Node::start(&server);
    server.wait_hello(1).await;
    let program = flota_model::spec::Program {
        argv: vec!["/nonexistent".to_owned()],
        ..flota_model::spec::Program::default()
    };
    let work = flota_model::spec::Work::Program(program);
    server.grant(0, 1, job(1, work, Retry::default()));
    server.wait_reports(1).await;
    let stage = flota_model::outcome::StartStage::Execute;
    assert_eq!(
        server.reports[&0].outcome,
        Outcome::NotStarted {
            stage,
            errno: libc::ENOENT
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_read_while_a_program_runs_and_after_it_ended() {
    let mut server = Server::start().await;
    let node = Node::start_with_limit(&server, 50_000);
    server.wait_hello(1).await;
    let flag = node.path("flag");
    let wait = format!(
        "echo early; until [ -e {} ]; do sleep 0.01; done",
        flag.display()
    );
    let text = format!("{wait}; head -c 60000 /dev/zero; echo error >&2");
    server.grant(0, 1, job(1, script(&text), Retry::default()));
    let mut request = 0;
    loop {
        request += 1;
        server.read(request, 0, StreamName::Stdout);
        let part = server
            .wait("a part", |server| {
                server
                    .parts
                    .get(&flota_model::ids::RequestId(request))
                    .cloned()
            })
            .await;
        if let Ok(part) = part
            && part.bytes == b"early\n"
        {
            assert!(part.growing);
            break;
        }
    }
    fs::write(flag, "").unwrap();
    server.wait_reports(1).await;
    let report = &server.reports[&0];
    assert_eq!(report.outcome, exited(0));
    assert_eq!(
        stdout(report),
        Stream::OnNode {
            length: 50_000,
            truncated: true
        }
    );
    assert_eq!(
        report.output.as_ref().unwrap().stderr,
        Stream::Inline(b"error\n".to_vec())
    );
    server.read(10_000, 0, StreamName::Stdout);
    let part = server
        .wait("the rest", |server| {
            server
                .parts
                .get(&flota_model::ids::RequestId(10_000))
                .cloned()
        })
        .await
        .unwrap();
    assert_eq!(
        (part.bytes.len(), part.length, part.growing),
        (50_000, 50_000, false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_programs_and_kernels() {
    let mut server = Server::start().await;
    let _node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(0, 3, job(3, script("sleep 600"), Retry::default()));
    let sleep = kernel("sleep", &[("milliseconds", "600000")]);
    server.grant(10, 3, job(3, sleep, Retry::default()));
    server
        .wait("all to run", |server| (server.running == 6).then_some(()))
        .await;
    server.cancel(0, 3);
    server.cancel(10, 3);
    server.wait_reports(6).await;
    assert!(
        server
            .reports
            .values()
            .all(|report| report.outcome == Outcome::Cancelled)
    );
}

/// Fifty programs of which some end early and some late.
fn fifty() -> JobSpec {
    let text = "echo a {index}; sleep 1.{index}; echo b {index}; exit {index}";
    job(50, script(text), Retry::Never)
}

fn check_fifty(server: &Server) {
    for index in 0..50 {
        let report = &server.reports[&index];
        assert_eq!(report.outcome, exited(index), "{report:?}");
        let expected = format!("a {index}\nb {index}\n").into_bytes();
        assert_eq!(stdout(report), Stream::Inline(expected), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_again_and_again_loses_no_program_code_or_output() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(0, 50, fifty());
    // Each shell with its `sleep`.
    node.wait_processes(100);
    for round in 0..4 {
        node.kill_agent();
        node.restart_agent();
        server.wait_hello(round + 2).await;
    }
    server.wait_reports(50).await;
    check_fifty(&server);
    assert!(!server.hellos.last().unwrap().held.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_is_killed_takes_no_program_code_or_output_with_it() {
    let mut server = Server::start().await;
    let node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(0, 50, fifty());
    // Each shell with its `sleep`.
    node.wait_processes(100);
    node.kill_keepers();
    // New programs go to a new keeper.
    server.grant(100, 1, job(1, script("exit 3"), Retry::Never));
    server.wait_reports(51).await;
    check_fifty(&server);
    assert_eq!(server.reports[&100].outcome, exited(3));
    node.wait_keepers(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_agent_and_keeper_programs_are_found_again_and_no_end_is_guessed() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let early = Gate::new(node.path("early"));
    let late = Gate::new(node.path("late"));
    let text = format!("{}; exit 1{{index}}", early.script());
    server.grant(0, 5, job(5, script(&text), Retry::Never));
    let text = format!(
        "echo late {{index}}; {}; echo end {{index}}; exit 2{{index}}",
        late.script()
    );
    server.grant(10, 5, job(5, script(&text), Retry::Never));
    early.wait(5);
    late.wait(5);
    let running = node.programs();
    node.kill_agent();
    node.kill_keepers();
    drop(early);
    let are_gone = node.wait_gone(&running, 5);
    node.restart_agent();
    server.wait_hello(2).await;
    server.wait_reports(5).await;
    for index in 0..5 {
        let outcome = &server.reports[&index].outcome;
        // A zombie that nobody has reaped still tells.
        let is_exact = !are_gone && *outcome == exited(10 + index);
        assert!(*outcome == Outcome::Unknown || is_exact, "{outcome:?}");
    }
    drop(late);
    server.wait_reports(10).await;
    let is_new = harness::kernel_keeps_exits();
    for index in 10..15 {
        let report = &server.reports[&index];
        let known = exited(20 + index - 10);
        assert!(report.outcome == known || !is_new && report.outcome == Outcome::Unknown);
        let expected = format!("late {0}\nend {0}\n", index - 10).into_bytes();
        assert_eq!(stdout(report), Stream::Inline(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_keeper_is_stopped_with_all_that_it_started() {
    let mut server = Server::start().await;
    let node = Node::start(&server);
    server.wait_hello(1).await;
    let text = "trap '' TERM; setsid sh -c 'setsid sleep 600 & sleep 600' & while :; do wait; done";
    let spec = JobSpec {
        grace: Duration::from_millis(300),
        ..job(1, script(text), Retry::Never)
    };
    server.grant(0, 1, spec);
    node.wait_processes(4);
    server
        .wait("it to run", |server| (server.running == 1).then_some(()))
        .await;
    node.kill_keepers();
    node.wait_keepers(1);
    server.cancel(0, 1);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Cancelled);
    assert_eq!(node.processes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_told_to_end_leaves_its_programs_alone() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let gate = Gate::new(node.path("gate"));
    let text = format!("{}; exit 4", gate.script());
    server.grant(0, 3, job(3, script(&text), Retry::Never));
    gate.wait(3);
    assert_eq!(node.terminate_agent(), "detached 3\n");
    drop(gate);
    node.restart_agent();
    server.wait_reports(3).await;
    assert!(
        server
            .reports
            .values()
            .all(|report| report.outcome == exited(4))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_all_ends_programs_keepers_and_the_agent() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(0, 3, job(3, script("sleep 600"), Retry::Never));
    server
        .wait("all to run", |server| (server.running == 3).then_some(()))
        .await;
    assert_eq!(node.stop_all(), "stopped\n");
    assert_eq!(node.wait_agent(), "stopped\n");
    node.wait_keepers(0);
    assert_eq!(node.processes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_stopping_all_ends_programs_and_keeps_their_ends() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let gate = Gate::new(node.path("gate"));
    let text = format!("echo x; {}", gate.script());
    server.grant(0, 3, job(3, script(&text), Retry::Never));
    gate.wait(3);
    node.kill_agent();
    assert_eq!(node.stop_all(), "stopped\n");
    assert_eq!(node.processes(), 0);
    node.restart_agent();
    server.wait_reports(3).await;
    for report in server.reports.values() {
        assert_eq!(report.outcome, Outcome::Cancelled);
        assert_eq!(stdout(report), Stream::Inline(b"x\n".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_all_also_finds_what_a_dead_keeper_left() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(0, 3, job(3, script("exec sleep 600"), Retry::Never));
    node.wait_processes(3);
    node.kill_agent();
    node.kill_keepers();
    assert_eq!(node.stop_all(), "stopped\n");
    assert_eq!(node.processes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_folder_is_told_who_has_it() {
    let mut server = Server::start().await;
    let node = Node::start(&server);
    server.wait_hello(1).await;
    let first = node.agent_pid();
    let said = node.second_agent();
    assert!(said.starts_with("fault: the data folder"), "{said}");
    assert!(said.contains(&format!("process {first} (")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_that_asks_for_all_cores_runs_alone() {
    let mut server = Server::start().await;
    let _node = Node::start(&server);
    server.wait_hello(1).await;
    let capacity = server.hellos[0].capacity.clone();
    assert!(capacity.cpus >= Cpus::whole(1));
    let spec = JobSpec {
        resources: capacity,
        ..job(
            3,
            kernel("sleep", &[("milliseconds", "50")]),
            Retry::default(),
        )
    };
    server.grant(0, 3, spec);
    server.wait_reports(3).await;
    let mut ran: Vec<_> = server
        .reports
        .values()
        .map(|report| (report.started_at.unwrap(), report.ended_at))
        .collect();
    ran.sort_unstable();
    assert!(ran.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ran:?}");
}
