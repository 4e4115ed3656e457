//! Services: real programs that stay up.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::home::{Home, Running, eventually};

/// Notes each of its runs, and stays.
fn stays(home: &Home) -> String {
    format!(
        "echo run >> {}; exec sleep 1000",
        home.path().join("runs").display()
    )
}

fn show(home: &Home, service: &str) -> Value {
    home.json(&format!("service show {service} -o json"))
}

/// Waits until as many replicas are in a state, and nothing else of the service is left.
#[track_caller]
fn settled(home: &Home, service: &str, state: &str, count: usize) -> Value {
    eventually(&format!("{count} of {service} are {state}"), || {
        let whole = show(home, service);
        let replicas = whole["replicas"].as_array()?;
        let all = replicas.iter().all(|one| one["state"] == state);
        (all && replicas.len() == count).then_some(whole)
    })
}

fn run_of(whole: &Value, index: usize) -> u64 {
    whole["replicas"][index]["run"].as_u64().unwrap()
}

/// The processes of a service, by its number.
fn pids(home: &Home, whole: &Value) -> Vec<i32> {
    let job = &whole["service"]["job"];
    let found = home.json(&format!("ps --job {job} -o json"));
    let processes = found.as_array().unwrap().iter();
    let mut pids: Vec<i32> = processes
        .map(|one| i32::try_from(one["pid"].as_i64().unwrap()).unwrap())
        .collect();
    pids.sort_unstable();
    pids
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn write(home: &Home, name: &str, text: &str) {
    fs::write(home.path().join(name), text).unwrap();
}

#[test]
fn a_file_of_two_services_is_applied_and_what_is_killed_comes_back() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);
    let (folder, stays) = (home.path().display(), stays(&home));
    write(&home, "web.env", "GREETING=hello {you}\n");
    let file = format!(
        r#"
[service.web]
program = ["sh", "-c", "echo $GREETING >> greeting; {stays}"]
cwd = "{folder}"
env_file = "web.env"
replicas = 2
restart = {{ policy = "always", backoff = "10ms" }}

[service.after]
program = ["sleep", "1000"]
dependencies = {{ web = "healthy" }}
"#
    );
    write(&home, "services.toml", &file);
    let told = home.line("service apply services.toml --wait").succeeded();
    for text in [
        "service web: created",
        "service after: created",
        "service web: 2 ready",
    ] {
        assert!(told.out.contains(text), "{told:?}");
    }
    let told = home.line("service apply services.toml").succeeded();
    assert!(told.out.contains("service web: unchanged"), "{told:?}");
    let greeting = fs::read_to_string(home.path().join("greeting")).unwrap();
    assert_eq!(greeting, "hello {you}\nhello {you}\n");

    let before = show(&home, "web");
    let victims = pids(&home, &before);
    kill(victims[0]);
    let after = eventually("it runs again", || {
        let whole = show(&home, "web");
        let runs = run_of(&whole, 0) + run_of(&whole, 1);
        let is_ready = whole["service"]["states"]["ready"] == 2;
        (runs == 3 && is_ready).then_some(whole)
    });
    assert_eq!(after["service"]["restarts"], 1);
    let killed = after["replicas"].as_array().unwrap().iter();
    let ends: Vec<&Value> = killed.map(|one| &one["last"]["signal"]).collect();
    assert!(ends.contains(&&Value::from(9)), "{after}");
    assert!(!pids(&home, &after).contains(&victims[0]));

    let listed = home.line("service ls").succeeded();
    assert!(listed.out.contains("2 of 2"), "{listed:?}");
    dev.stop().succeeded();
}

#[test]
fn a_service_goes_on_without_its_agent_and_is_adopted_by_the_next() {
    let home = Home::new();
    let server = home.start(&["server", "--listen", "127.0.0.1:0"], "flota submit");
    let addresses: Value = eventually("the addresses are written", || {
        let text = fs::read_to_string(home.data().join("addresses.json")).ok()?;
        serde_json::from_str(&text).ok()
    });
    let url = format!("http://{}", addresses["http"].as_str().unwrap());
    let agent = || -> Running {
        let arguments = ["agent", "--server", &url, "--name", "n1"];
        home.start(&arguments, "Ctrl-C detaches")
    };
    let first = agent();
    home.run(&[
        "service",
        "run",
        "web",
        "--wait",
        "--",
        "sh",
        "-c",
        &stays(&home),
    ])
    .succeeded();
    let before = show(&home, "web");
    let running = pids(&home, &before);
    first.signal(Signal::KILL);
    first.end();
    let second = agent();
    eventually("its node answers again", || {
        let told = home.line("ps --job 1 -o json");
        (told.code == Some(0)).then_some(())
    });
    let after = settled(&home, "web", "ready", 1);
    assert_eq!(pids(&home, &after), running);
    assert_eq!(run_of(&after, 0), 1);
    assert_eq!(
        fs::read_to_string(home.path().join("runs")).unwrap(),
        "run\n"
    );
    kill(running[0]);
    eventually("the next agent runs it again", || {
        (run_of(&show(&home, "web"), 0) == 2).then_some(())
    });
    home.line("agent stop --all").succeeded();
    second.end().succeeded();
    server.stop().succeeded();
}

#[test]
fn a_crash_loop_is_told_with_its_last_lines() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let file = r#"
service:
  web:
    program: [sh, -c, "seq 60; echo boom >&2; exit 3"]
    restart: {backoff: 1ms, backoff_max: 10ms}
"#;
    write(&home, "services.yaml", file);
    home.line("service apply services.yaml --wait")
        .failed(5, &["E-SERVICE-FAILED", "exit 3", "boom"]);
    let told = home.line("service show web").succeeded();
    for text in ["crash-loop", "exit 3", "boom", "\n  11\n", "\n  60\n"] {
        assert!(told.out.contains(text), "{told:?}");
    }
    assert!(!told.out.contains("\n  10\n"), "fifty of each: {told:?}");
    let told = home.line("logs web --run 1 --grep boom").succeeded();
    assert_eq!(told.err, "boom\n");
    // Replicas that nobody wants are no failures.
    let job = home.json("job show 1 -o json");
    assert_eq!(job["tasks"], serde_json::json!({"granted": 1}));
    // They came with the report: neither the node nor its logs are asked for them.
    eventually("the lines are attached", || {
        let whole = show(&home, "web");
        let lines = whole["replicas"][0]["lines"].as_object()?;
        assert_eq!(lines["stderr"], "boom\n");
        (lines["stdout"].as_str()?.lines().count() == 50).then_some(())
    });
    dev.stop().succeeded();
}

#[test]
fn a_service_is_scaled_stopped_started_and_removed() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);
    home.line("service run web --wait -- sleep 1000")
        .succeeded();
    home.line("service scale web 3 --wait").succeeded();
    assert_eq!(pids(&home, &settled(&home, "web", "ready", 3)).len(), 3);
    home.line("service scale web 1 --wait").succeeded();
    assert_eq!(pids(&home, &settled(&home, "web", "ready", 1)).len(), 1);
    home.line("service rm web")
        .failed(6, &["E-SERVICE-RUNNING", "flota service stop web --wait"]);
    assert_eq!(home.line("job ls -o name").succeeded().out, "");
    let revisions = home.json("job ls --kind service -o json");
    assert_eq!(revisions[0]["name"], "web");
    home.line("service stop web --wait").succeeded();
    let stopped = show(&home, "web");
    assert_eq!(stopped["service"]["phase"], "stopped");
    assert_eq!(pids(&home, &stopped), Vec::<i32>::new());
    home.line("service start web --wait").succeeded();
    assert_eq!(pids(&home, &settled(&home, "web", "ready", 1)).len(), 1);
    home.line("service stop web --wait").succeeded();
    home.line("service rm web").succeeded();
    home.line("service show web")
        .failed(3, &["E-SERVICE-NOTFOUND"]);
    dev.stop().succeeded();
}

/// Answers 503 until it is well, and then 200.
fn http_server() -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let status = if well.load(Ordering::Relaxed) {
                "200 OK"
            } else {
                "503 Not yet"
            };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (port, is_well)
}

#[test]
fn http_readiness_makes_it_ready_and_a_restart_leaves_all_but_one_ready() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);
    let (port, is_well) = http_server();
    let file = format!(
        r#"{{"service": {{"web": {{"program": ["sleep", "1000"], "replicas": 3,
            "readiness": {{"http": ":{port}/ready", "interval": "100ms"}}}}}}}}"#
    );
    write(&home, "services.json", &file);
    home.line("service apply services.json --wait --wait-timeout 1s")
        .failed(8, &["E-WAIT-TIMEOUT", "readiness probe", "HTTP 503"]);
    let unwell = settled(&home, "web", "running", 3);
    assert_eq!(unwell["replicas"][0]["failure"]["detail"], "HTTP 503");
    let told = home.line("service show web").succeeded();
    assert!(told.out.contains("HTTP 503"), "{told:?}");
    is_well.store(true, Ordering::Relaxed);
    let before = settled(&home, "web", "ready", 3);
    assert_eq!(before["replicas"][0]["failure"], Value::Null);

    home.line("service restart web").succeeded();
    let mut fewest = u64::MAX;
    let after = eventually("all replicas are new", || {
        let whole = show(&home, "web");
        let ready = whole["service"]["states"]["ready"].as_u64().unwrap_or(0);
        fewest = fewest.min(ready);
        let is_over = whole["service"]["phase"] == "running" && ready == 3;
        (is_over && whole["replicas"].as_array()?.len() == 3).then_some(whole)
    });
    assert!(fewest >= 2, "only {fewest} were ready");
    let old = pids(&home, &before);
    let new = pids(&home, &after);
    assert_ne!(before["service"]["job"], after["service"]["job"]);
    assert!(new.len() == 3 && new.iter().all(|pid| !old.contains(pid)));
    dev.stop().succeeded();
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let home = Home::new();
    write(
        &home,
        "services.toml",
        "[service.web]\nprogam = \"x\"\nreplicas = 0\n",
    );
    home.line("service apply services.toml").failed(
        2,
        &[
            "service.web.program: missing",
            "service.web.progam: unknown field",
            "did you mean `program`?",
            "service.web.replicas: 0 is not in 1..=10000",
        ],
    );
    home.line("service apply none.yaml")
        .failed(3, &["E-FILE-UNREADABLE"]);
}

#[test]
fn what_a_file_applied_before_a_refusal_is_told() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let file = r#"
[service.first]
program = ["sleep", "1000"]
[service.second]
program = ["sleep", "1000"]
constraints = { node = "nobody" }
[service.third]
program = ["sleep", "1000"]
"#;
    write(&home, "services.toml", file);
    let told = home.line("service apply services.toml");
    assert!(told.out.contains("service first: created"), "{told:?}");
    told.failed(
        2,
        &["E-NODE-NOTFOUND", "service second: refused; 1 after it"],
    );
    let listed = home.line("service ls -o name").succeeded();
    assert_eq!(listed.out, "first\n");
    dev.stop().succeeded();
}

#[test]
fn logs_of_a_service_go_on_into_its_next_revision_and_end_with_its_stop() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let run = |word: &str| {
        let script = format!("echo {word}; exec sleep 1000");
        let run = ["service", "run", "web", "--wait", "--", "sh", "-c", &script];
        home.run(&run).succeeded();
    };
    run("first");
    let mut command = home.command(&["logs", "web", "-f", "--stdout"]);
    let out = home.path().join("followed");
    command.stdout(fs::File::create(&out).unwrap());
    let mut follower = command.spawn().unwrap();
    let followed = || fs::read_to_string(&out).unwrap();
    eventually("the first revision is read", || {
        (followed() == "first\n").then_some(())
    });
    run("second");
    eventually("the second revision is read", || {
        (followed() == "first\nsecond\n").then_some(())
    });
    home.line("service rollback web --wait").succeeded();
    eventually("the way back is read", || {
        (followed() == "first\nsecond\nfirst\n").then_some(())
    });
    let history = home.json("service history web -o json");
    assert_eq!(history[0]["cause"], "rolled-back", "{history}");
    assert_eq!(history[0]["changed"][0], "program.argv", "{history}");
    home.line("service rollback web --to 999")
        .failed(3, &["E-REVISION-NOTFOUND", "flota service history"]);
    home.line("service stop web --wait").succeeded();
    eventually("the follower ends", || follower.try_wait().unwrap());
    dev.stop().succeeded();
}

#[test]
fn a_service_that_finds_no_room_says_why_at_each_node() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "2"]);
    let run = "service run web -r 3 --one-per-node -- sleep 1000";
    home.line(run).succeeded();
    let shown = eventually("two run", || {
        let whole = show(&home, "web");
        (whole["service"]["states"]["ready"] == 2).then_some(whole)
    });
    assert_eq!(
        shown["rooms"][0]["obstructions"][0]["reason"],
        "has-replica"
    );
    let told = home.line("service show web").succeeded();
    for text in ["1 waiting for room:", "nodes 2: have a replica already"] {
        assert!(told.out.contains(text), "{told:?}");
    }
    let told = home.line("service show web --lang es").succeeded();
    assert!(told.out.contains("en espera de sitio"), "{told:?}");
    dev.stop().succeeded();
}
