use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::OnceLock,
};

use axum::{Router, http::StatusCode, response::Redirect, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    http::{BODY_LENGTH_MAX, HEAD_LENGTH_MAX, Head},
    *,
};
use crate::{proc, sys::wait, testing::is_root};

/// Generous: nothing here should take as long.
const LONG: Duration = Duration::from_secs(30);

const HOST: &str = "127.0.0.1";

fn http(port: u16, path: &str) -> ExpandedCheck {
    ExpandedCheck::Http {
        host: HOST.into(),
        port,
        path: path.into(),
    }
}

fn tcp(host: &str, port: u16) -> ExpandedCheck {
    ExpandedCheck::Tcp {
        host: host.into(),
        port,
    }
}

fn exec(argv: &[&str]) -> ExpandedCheck {
    ExpandedCheck::Exec {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        working_directory: "/".into(),
        execution: Box::default(),
    }
}

/// What the programs of probes leave falls to us, as it does to an agent.
fn become_subreaper() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    });
}

async fn perform(check: ExpandedCheck) -> Finding {
    become_subreaper();
    Probes::new(None)
        .perform(check, Guard::default(), LONG)
        .await
}

/// A server that hands each connection to `serve`.
async fn serve<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

async fn axum_server() -> u16 {
    let router = Router::new()
        .route("/ready", get(|| async { "yes" }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/away", get(|| async { Redirect::temporary("/busy") }))
        .route("/large", get(|| async { "x".repeat(4 * BODY_LENGTH_MAX) }))
        .route("/never", get(std::future::pending::<()>));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

#[tokio::test]
async fn an_http_probe_tells_the_status_of_a_real_server() {
    let port = axum_server().await;
    let statuses = [
        ("/ready", 200),
        ("/ready?deep=1", 200),
        ("/empty", 204),
        ("/busy", 503),
        ("/away", 307),
        ("/large", 200),
        ("/nowhere", 404),
    ];
    for (path, status) in statuses {
        let finding = perform(http(port, path)).await;
        assert_eq!(finding.result, ProbeResult::Http { status }, "{path}");
        assert_eq!(finding.detail, format!("HTTP {status}"));
    }
}

#[tokio::test]
async fn a_probe_that_gets_no_answer_fails_in_time() {
    let port = axum_server().await;
    let within = Duration::from_millis(100);
    let silent = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    for check in [http(port, "/never"), http(silent, "/")] {
        let finding = Probes::new(None)
            .perform(check, Guard::default(), within)
            .await;
        assert_eq!(finding, Finding::failed("no answer within 100 ms"));
    }
}

#[tokio::test]
async fn a_path_that_is_none_is_not_sent() {
    let port = axum_server().await;
    for path in ["ready", "/a b", "/a\r\nX: y", ""] {
        let finding = perform(http(port, path)).await;
        assert_eq!(finding, Finding::failed("the path is not one of a URL"));
    }
}

#[tokio::test]
async fn a_server_that_says_too_much_or_something_else_has_failed() {
    let endless = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    })
    .await;
    let limit = HEAD_LENGTH_MAX.to_string();
    let finding = perform(http(endless, "/")).await;
    assert_eq!(finding.result, ProbeResult::Failed);
    assert!(finding.detail.contains(&limit), "{}", finding.detail);

    let foreign = serve(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let finding = perform(http(foreign, "/")).await;
    assert_eq!(finding, Finding::failed("the answer is not HTTP/1"));

    let brief = serve(|mut stream| async move {
        // Reads the request first: else the close would be a reset.
        let _ = stream.read(&mut [0; 4_096]).await;
        let _ = stream.write_all(b"HTTP/1.1 20").await;
    })
    .await;
    let finding = perform(http(brief, "/")).await;
    let what = "the connection was closed before an answer";
    assert_eq!(finding, Finding::failed(what));
}

#[tokio::test]
async fn an_endless_body_does_not_hold_up_the_answer() {
    let endless = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let within = Duration::from_secs(10);
    let finding = Probes::new(None)
        .perform(http(endless, "/"), Guard::default(), within)
        .await;
    assert_eq!(finding.result, ProbeResult::Http { status: 200 });
}

#[test]
fn the_status_is_that_of_the_final_answer() {
    let cases: [(&[u8], Head); 10] = [
        (b"", Head::Unfinished),
        (b"HT", Head::Unfinished),
        (b"HTTP/1.1 200 OK\r\n", Head::Unfinished),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", Head::Status(200)),
        (b"HTTP/1.0 404\n\n", Head::Status(404)),
        (b"HTTP/1.1 103 Hints\r\n\r\n", Head::Unfinished),
        (
            b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 \r\n\r\n",
            Head::Status(204),
        ),
        (b"HTTP/1.1 99 No\r\n\r\n", Head::Foreign),
        (b"HTTP/1.1 +99 No\r\n\r\n", Head::Foreign),
        (b"HTTP/2 200\r\n\r\n", Head::Foreign),
    ];
    for (bytes, expected) in cases {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(super::http::status(bytes), expected, "{text:?}");
    }
}

#[tokio::test]
async fn a_tcp_probe_tells_whether_somebody_listens() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let check = tcp(HOST, port);
    let finding = perform(check.clone()).await;
    assert_eq!(finding.result, ProbeResult::Connected);
    drop(listener);
    let finding = perform(check).await;
    assert_eq!(finding.result, ProbeResult::Failed);
    assert!(finding.detail.contains("refused"), "{}", finding.detail);
}

#[tokio::test]
async fn only_addresses_of_this_machine_are_asked() {
    // 192.0.2.0/24 is for documentation and belongs to nobody (RFC 5737).
    for host in ["192.0.2.1", "2001:db8::1", "224.0.0.1"] {
        let finding = perform(tcp(host, 80)).await;
        let what = format!("`{host}` is no address of this machine");
        assert_eq!(finding, Finding::failed(what));
    }
    assert!(is_own(IpAddr::V4(Ipv4Addr::new(127, 1, 2, 3))));
}

#[tokio::test]
async fn an_exec_probe_tells_the_exit_code_and_what_was_said() {
    let finding = perform(exec(&["sh", "-c", "echo out; echo err >&2; exit 3"])).await;
    assert_eq!(finding.result, ProbeResult::Exited { code: 3 });
    assert_eq!(finding.detail, "out\nerr");
    let finding = perform(exec(&["true"])).await;
    assert_eq!(finding.result, ProbeResult::Exited { code: 0 });
    let finding = perform(exec(&["sh", "-c", "kill -9 $$"])).await;
    assert_eq!(finding, Finding::failed("ended by signal 9"));
    let finding = perform(exec(&["/no/such/program"])).await;
    assert_eq!(finding.result, ProbeResult::Failed);
    assert!(
        finding.detail.contains("No such file"),
        "{}",
        finding.detail
    );
}

#[tokio::test]
async fn output_beyond_the_limit_is_read_and_thrown_away() {
    let finding = perform(exec(&[
        "sh",
        "-c",
        "head -c 1000000 /dev/zero | tr '\\0' x",
    ]))
    .await;
    assert_eq!(finding.result, ProbeResult::Exited { code: 0 });
    assert_eq!(finding.detail.len(), DETAIL_LENGTH_MAX);
}

#[tokio::test]
async fn a_status_that_the_main_loop_reaped_first_is_taken_from_it() {
    become_subreaper();
    let probes = Probes::new(None);
    let reaper = probes.clone();
    let is_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let done = Arc::clone(&is_done);
    let reaping = tokio::task::spawn_blocking(move || {
        let mut count = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            if let Ok(Some(reaped)) = wait::any() {
                count += usize::from(reaper.reaped(reaped));
            }
            std::thread::yield_now();
        }
        count
    });
    for code in 0..20_u8 {
        let text = format!("exit {code}");
        let finding = probes
            .perform(exec(&["sh", "-c", &text]), Guard::default(), LONG)
            .await;
        assert_eq!(finding.result, ProbeResult::Exited { code });
    }
    is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reaping.await.unwrap() > 0, "the loop was never first");
}

/// Each writes its pid to a file in `folder` and sleeps for long.
fn sleepers(folder: &Path) -> String {
    let sleeper = |name: &str, how: &str| {
        let file = folder.join(name);
        let sleep = format!("echo $$ > {}; exec sleep 1000", file.display());
        format!("{how} sh -c '{sleep}' &")
    };
    let parts = [
        sleeper("child", ""),
        sleeper("own-session", "setsid"),
        sleeper("no-environment", "env -i PATH=/usr/bin:/bin"),
        format!(
            "while [ $(ls {} | wc -l) -lt 3 ]; do sleep 0.01; done",
            folder.display()
        ),
    ];
    parts.join("\n")
}

fn running(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let is_running = |pid: u32| proc::stat(pid).is_ok_and(|stat| stat.state != b'Z');
    files
        .filter(|file| {
            let pid = fs::read_to_string(file.path()).unwrap();
            is_running(pid.trim().parse().unwrap())
        })
        .map(|file| file.file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn nothing_is_left_of_a_probe_that_leaves_processes_behind() {
    let folder = tempfile::tempdir().unwrap();
    let script = sleepers(folder.path()) + "\nexit 5";
    let finding = perform(exec(&["sh", "-c", &script])).await;
    assert_eq!(
        finding.result,
        ProbeResult::Exited { code: 5 },
        "{}",
        finding.detail
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    assert_eq!(running(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_left_of_a_probe_that_takes_too_long() {
    become_subreaper();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("trap '' TERM\n{}\nwait", sleepers(folder.path()));
    let within = Duration::from_secs(3);
    let finding = Probes::new(None)
        .perform(exec(&["sh", "-c", &script]), Guard::default(), within)
        .await;
    let what = "the program did not end in time and was killed";
    assert_eq!(finding, Finding::failed(what));
    assert_eq!(running(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn no_more_probes_than_allowed_are_made_at_a_time() {
    let (inside, most) = (Arc::new(Mutex::new(0_usize)), Arc::new(Mutex::new(0_usize)));
    let (count, peak) = (Arc::clone(&inside), Arc::clone(&most));
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let port = serve(move |mut stream| {
        let (count, peak, gate) = (Arc::clone(&count), Arc::clone(&peak), Arc::clone(&gate));
        async move {
            let _ = stream.read(&mut [0; 4_096]).await;
            {
                let mut count = count.lock().unwrap();
                *count += 1;
                let mut peak = peak.lock().unwrap();
                *peak = (*peak).max(*count);
            }
            drop(gate.acquire().await);
            *count.lock().unwrap() -= 1;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    })
    .await;
    let probes = Probes::new(None);
    let perform = |_| {
        let (probes, check) = (probes.clone(), http(port, "/"));
        tokio::spawn(async move { probes.perform(check, Guard::default(), LONG).await })
    };
    let asked: Vec<_> = (0..IN_FLIGHT_MAX + 8).map(perform).collect();
    let deadline = clock::moment() + LONG;
    while *inside.lock().unwrap() < IN_FLIGHT_MAX && clock::moment() < deadline {
        tokio::task::yield_now().await;
    }
    let late = probes
        .perform(http(port, "/"), Guard::default(), Duration::from_millis(50))
        .await;
    assert_eq!(late, Finding::failed("too many probes at a time"));
    opened.add_permits(1_000);
    for one in asked {
        let finding = one.await.unwrap();
        assert_eq!(finding.result, ProbeResult::Http { status: 200 });
    }
    assert_eq!(*most.lock().unwrap(), IN_FLIGHT_MAX);
}

#[tokio::test]
async fn an_exec_probe_runs_as_the_user_of_its_service() {
    if !is_root() {
        return;
    }
    become_subreaper();
    let mut check = exec(&["sh", "-c", "id -u; id -g; id -G; echo $HOME; pwd; umask"]);
    if let ExpandedCheck::Exec {
        execution,
        working_directory,
        ..
    } = &mut check
    {
        execution.user = Some("daemon".into());
        execution.groups = Some(vec!["7".into()]);
        execution.umask = Some(0o27);
        *working_directory = "/usr".into();
    }
    let finding = perform(check).await;
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("daemon:"));
    let fields: Vec<&str> = line.unwrap().split(':').collect();
    let (user, group, home) = (fields[2], fields[3], fields[5]);
    let expected = format!("{user}\n{group}\n{group} 7\n{home}\n/usr\n0027");
    assert_eq!(finding.detail, expected);
}

#[tokio::test]
async fn the_tree_of_a_probe_of_another_user_is_ended_with_it() {
    if !is_root() {
        return;
    }
    become_subreaper();
    // A span that no other test waits for.
    let span = format!("1000.{}", std::process::id());
    let script = format!("setsid sleep {span} & sleep {span}");
    let mut check = exec(&["sh", "-c", &script]);
    if let ExpandedCheck::Exec { execution, .. } = &mut check {
        execution.user = Some("daemon".into());
    }
    let finding = Probes::new(None)
        .perform(check, Guard::default(), Duration::from_secs(3))
        .await;
    let what = "the program did not end in time and was killed";
    assert_eq!(finding, Finding::failed(what));
    let line = format!("sleep\0{span}\0");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let left = entries
        .filter(|entry| {
            let found = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found == line.as_bytes()
        })
        .count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_shell_that_the_policy_forbids_is_not_executed_for_a_probe() {
    become_subreaper();
    let guard = Guard {
        no_shell: true,
        ..Guard::default()
    };
    let check = exec(&["sh", "-c", "exit 0"]);
    let finding = Probes::new(None).perform(check, guard, LONG).await;
    assert_eq!(finding.result, ProbeResult::Failed);
    assert!(
        finding.detail.contains("not executed: stage policy"),
        "{}",
        finding.detail
    );
}
