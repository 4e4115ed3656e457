//! Services: runs that the agent itself begins again, and probes of what really listens.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

use flota_model::{
    outcome::Outcome,
    service::{
        Check, ProbeSettings, ProbeSpec, Purpose, ReplicaState, ReplicaStatus, RestartPolicy,
        RestartSettings, Service,
    },
    spec::{JobSpec, LogKind, Retry, Work},
};

use crate::{
    harness::{Node, wait_for as until},
    server::{Server, job, script},
};

/// A service of one replica that runs a shell script.
pub(crate) fn service(text: &str, restart: RestartPolicy, probes: Vec<ProbeSpec>) -> JobSpec {
    let mut work = script(text);
    if let Work::Program(program) = &mut work {
        program.logs = LogKind::Rotated;
    }
    let service = Service {
        replicas: 1,
        restart: RestartSettings {
            policy: restart,
            backoff: Duration::from_millis(10),
            backoff_max: Duration::from_millis(20),
            ..RestartSettings::default()
        },
        probes,
        ..Service::default()
    };
    JobSpec {
        service: Some(Box::new(service)),
        ..job(1, work, Retry::default())
    }
}

fn probe(purpose: Purpose, check: Check) -> ProbeSpec {
    let settings = ProbeSettings {
        interval: Duration::from_millis(50),
        timeout: Duration::from_secs(5),
        failure_threshold: 2,
        ..ProbeSettings::of(purpose)
    };
    ProbeSpec { settings, check }
}

/// Waits until the replica is in that state and run.
pub(crate) async fn wait(server: &mut Server, state: ReplicaState, run: u32) -> ReplicaStatus {
    let look = |server: &Server| {
        let status = server.replicas.get(&0)?;
        let fits = status.state == state && status.run == run;
        fits.then(|| status.clone())
    };
    server.wait(&format!("{state:?} in run {run}"), look).await
}

/// Answers each request with that status while the file is there, and else with 503.
fn http_server(flag: std::path::PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let status = if flag.exists() { 200 } else { 503 };
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_while_its_http_probe_succeeds() {
    let mut server = Server::start().await;
    let node = Node::start(&server);
    server.wait_hello(1).await;
    let flag = node.path("well");
    let check = Check::Http {
        host: "127.0.0.1".into(),
        port: http_server(flag.clone()),
        path: "/ready".into(),
    };
    let probes = vec![probe(Purpose::Readiness, check)];
    server.grant(0, 1, service("sleep 1000", RestartPolicy::Always, probes));
    wait(&mut server, ReplicaState::Running, 1).await;
    fs::write(&flag, "").unwrap();
    wait(&mut server, ReplicaState::Ready, 1).await;
    fs::remove_file(&flag).unwrap();
    wait(&mut server, ReplicaState::Running, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_its_liveness_program_is_followed_by_another() {
    let mut server = Server::start().await;
    let node = Node::start(&server);
    server.wait_hello(1).await;
    // Each run makes the file that the probe looks for; nobody else does.
    let flag = node.path("alive");
    let check = Check::Exec {
        argv: vec!["test".into(), "-e".into(), flag.display().to_string()],
    };
    let text = format!("touch {}; exec sleep 1000", flag.display());
    let liveness = ProbeSpec {
        settings: ProbeSettings {
            start_delay: Duration::from_secs(1),
            ..probe(Purpose::Liveness, check.clone()).settings
        },
        check,
    };
    server.grant(
        0,
        1,
        service(&text, RestartPolicy::OnFailure, vec![liveness]),
    );
    wait(&mut server, ReplicaState::Ready, 1).await;
    // It is ready when it runs: the shell may not have come so far.
    until("the run has begun", || flag.exists().then_some(()));
    fs::remove_file(&flag).unwrap();
    let status = wait(&mut server, ReplicaState::Ready, 2).await;
    let last = status.last.unwrap();
    assert!(last.unhealthy && last.run == 1, "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_comes_back_also_under_the_next_agent() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let text = format!(
        "echo $$ >> {}; exec sleep 1000",
        node.path("pids").display()
    );
    server.grant(0, 1, service(&text, RestartPolicy::Always, Vec::new()));
    wait(&mut server, ReplicaState::Ready, 1).await;
    let pids = node.path("pids");
    // As many runs as are told, once the last one has noted itself.
    let kill = |run: usize| {
        let pid = until("the run has begun", || {
            let pids = fs::read_to_string(&pids).unwrap_or_default();
            assert!(pids.lines().count() <= run, "{pids}");
            let is_whole = pids.ends_with('\n') && pids.lines().count() == run;
            is_whole
                .then(|| pids.lines().last()?.parse().ok())
                .flatten()
        });
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    kill(1);
    let status = wait(&mut server, ReplicaState::Ready, 2).await;
    assert_eq!(status.restarts, 1);
    let ended = status.last.map(|last| last.outcome);
    assert_eq!(ended, Some(Outcome::Signalled { signal: 9 }));
    node.kill_agent();
    assert_eq!(node.processes(), 1, "it goes on");
    server.replicas.clear();
    node.restart_agent();
    server.wait_hello(2).await;
    wait(&mut server, ReplicaState::Ready, 2).await;
    // Two runs still: the next agent took over what runs.
    kill(2);
    wait(&mut server, ReplicaState::Ready, 3).await;
    server.cancel(0, 1);
    server.wait_reports(1).await;
    assert_eq!(server.reports[&0].outcome, Outcome::Cancelled);
    node.wait_processes(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_again_and_again_is_a_crash_loop() {
    let mut server = Server::start().await;
    let _node = Node::start(&server);
    server.wait_hello(1).await;
    server.grant(
        0,
        1,
        service("exit 3", RestartPolicy::OnFailure, Vec::new()),
    );
    let look = |server: &Server| {
        let status = server.replicas.get(&0)?;
        (status.state == ReplicaState::CrashLoop).then(|| status.clone())
    };
    let status = server.wait("a crash loop", look).await;
    assert!(status.run >= 5, "{status:?}");
    assert_eq!(status.last.unwrap().outcome, Outcome::Exited { code: 3 });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_of_a_probe_does_not_outlive_its_agent() {
    let mut server = Server::start().await;
    let mut node = Node::start(&server);
    server.wait_hello(1).await;
    let note = node.path("probe");
    let text = format!("echo $$ > {}; exec sleep 1000", note.display());
    let check = Check::Exec {
        argv: vec!["sh".into(), "-c".into(), text],
    };
    let patient = ProbeSpec {
        settings: ProbeSettings {
            timeout: Duration::from_mins(10),
            ..ProbeSettings::of(Purpose::Liveness)
        },
        check,
    };
    let spec = service("exec sleep 1000", RestartPolicy::Always, vec![patient]);
    server.grant(0, 1, spec);
    let pid: u32 = until("the probe has begun", || {
        let text = fs::read_to_string(&note).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    });
    node.kill_agent();
    until("the probe has ended", || {
        // Whoever inherits a process may take its time to reap it.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    assert_eq!(node.processes(), 1, "the service goes on");
}
