//! Servers, agents and `dev` as processes: who holds what, and what is left at the end.

use std::{fs, time::Duration};

use rustix::process::Signal;

use crate::home::{Home, eventually, within};

/// `dev` and all that it started are gone after this.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// A program that does not end when it is asked to, and names the home.
fn stubborn(home: &Home) -> String {
    format!(
        "trap '' TERM INT HUP; while :; do sleep 0.1; done # {}/stubborn",
        home.path().display()
    )
}

/// A program that runs until it is asked to end, and names the home.
fn patient(home: &Home) -> String {
    format!(
        "while :; do sleep 0.1; done # {}/kept",
        home.path().display()
    )
}

/// Starts stubborn programs on all nodes, one of them as a daemon of its own session.
fn fill(home: &Home, count: u32) {
    let script = stubborn(home);
    for _ in 0..count {
        home.run(&["submit", "--cpus", "0.1", "--", "sh", "-c", &script])
            .succeeded();
    }
    let daemon = format!("setsid sh -c \"{script}\" & wait");
    home.run(&["submit", "--cpus", "0.1", "--", "sh", "-c", &daemon])
        .succeeded();
    let wanted = count as usize + 2;
    eventually("all programs run", || {
        (home.processes_with("/stubborn").len() >= wanted).then_some(())
    });
}

#[test]
fn one_signal_ends_dev_and_leaves_no_process() {
    let home = Home::new();
    for signal in [Signal::INT, Signal::TERM] {
        let dev = home.dev(&["--nodes", "2"]);
        fill(&home, 2);
        dev.signal(signal);
        let mut dev = Some(dev);
        let ended = within(GONE_WITHIN, || home.processes().is_empty().then_some(()));
        assert!(ended.is_some(), "left: {:#?}", home.processes());
        let told = dev.take().unwrap().end().succeeded();
        assert!(told.err.ends_with("all stopped\n"), "{told:?}");
    }
}

#[test]
fn a_second_dev_says_where_the_first_one_is() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let pid = dev.pid().to_string();
    let told = home.line("dev").failed(
        6,
        &[
            "E-DEV-RUNNING",
            "already running at http://127.0.0.1:",
            &pid,
        ],
    );
    assert!(told.err.contains(&format!("kill {pid}")), "{told:?}");
    assert!(dev.told.contains("/login?token="), "{}", dev.told);
    home.line("submit --wait -- true").succeeded();
    dev.stop().succeeded();

    // What it kept is there again, until it is reset.
    let dev = home.dev(&["--nodes", "1"]);
    assert_eq!(home.line("job ls -q").succeeded().out, "1\n");
    dev.stop().succeeded();
    let dev = home.dev(&["--nodes", "1", "--reset"]);
    assert_eq!(home.line("job ls -q").succeeded().out, "");
    dev.stop().succeeded();
}

#[test]
fn a_dev_that_is_killed_takes_its_parts_along_and_the_next_one_takes_over() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let script = patient(&home);
    home.run(&["submit", "--", "sh", "-c", &script]).succeeded();
    eventually("the program runs", || {
        (!home.processes_with("/kept").is_empty()).then_some(())
    });
    dev.signal(Signal::KILL);
    dev.end();
    eventually("server and agent are gone", || {
        let parts = [
            home.processes_with("--listen"),
            home.processes_with("--cpus"),
        ]
        .concat();
        parts.is_empty().then_some(())
    });
    assert!(
        !home.processes_with("/kept").is_empty(),
        "the program goes on"
    );
    let dev = home.dev(&["--nodes", "1"]);
    assert_eq!(home.json("job show last -o json")["phase"], "active");
    dev.stop().succeeded();
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[test]
fn a_port_in_use_and_a_folder_in_use_are_told_with_their_holder() {
    let home = Home::new();
    let server = home.start(&["server", "--listen", "127.0.0.1:0"], "flota submit");
    let pid = format!("process {}", server.pid());
    home.line("server --listen 127.0.0.1:0")
        .failed(6, &["E-FOLDER-HELD", &pid]);
    let addresses = fs::read_to_string(home.data().join("addresses.json")).unwrap();
    let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
    let address = addresses["http"].as_str().unwrap();
    let other = home.path().join("other").display().to_string();
    home.run(&["server", "--listen", address, "--data", &other])
        .failed(6, &["E-PORT-IN-USE", address, &pid, "--listen"]);
    // `dev` has the exit code and the words of its server.
    home.run(&["dev", "--listen", address, "--data", &other])
        .failed(6, &["E-PORT-IN-USE"]);

    let url = format!("http://{address}");
    let agent = ["agent", "--server", &url, "--name", "n1", "--cpus", "1"];
    let first = home.start(&agent, "Ctrl-C detaches");
    eventually("the node is up", || {
        home.line("node ls -o csv")
            .out
            .contains(",up")
            .then_some(())
            .or_else(|| {
                home.line("node show n1 -o json")
                    .out
                    .contains("\"up\"")
                    .then_some(())
            })
    });
    let pid = format!("process {}", first.pid());
    home.run(&agent).failed(6, &["E-FOLDER-HELD", &pid]);
    let same_name = [&agent[..], &["--data", &other]].concat();
    home.run(&same_name).failed(6, &["E-AGENT-REFUSED"]);
    first.stop().succeeded();
    server.stop().succeeded();
}

#[test]
fn an_agent_detaches_from_its_programs_and_stop_all_ends_them() {
    let home = Home::new();
    let server = home.start(&["server", "--listen", "127.0.0.1:0"], "flota submit");
    let addresses = fs::read_to_string(home.data().join("addresses.json")).unwrap();
    let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
    let url = format!("http://{}", addresses["http"].as_str().unwrap());
    let agent = home.start(
        &["agent", "--server", &url, "--name", "n1"],
        "Ctrl-C detaches",
    );
    let script = patient(&home);
    home.run(&["submit", "--", "sh", "-c", &script]).succeeded();
    eventually("the program runs", || {
        (!home.processes_with("/kept").is_empty()).then_some(())
    });
    agent.signal(Signal::TERM);
    agent.end().failed(
        0,
        &[
            "detached: 1 programs go on",
            "flota agent stop --all --data",
        ],
    );
    assert!(
        !home.processes_with("/kept").is_empty(),
        "the program goes on"
    );
    home.line("agent stop --all")
        .failed(0, &["everything is stopped"]);
    assert!(home.processes_with("/kept").is_empty());
    // The next agent tells the end of the program, and gets its task anew: the job is not cancelled.
    let again = ["agent", "--server", &url, "--name", "n1"];
    let agent = home.start(&again, "Ctrl-C detaches");
    eventually("the end of the program is known and it runs again", || {
        let tasks = home.json("job tasks last -o json");
        let ended = tasks[0]["attempts"]
            .as_array()
            .is_some_and(|ended| ended.len() == 1);
        (ended && !home.processes_with("/kept").is_empty()).then_some(())
    });
    home.line("agent stop --all")
        .failed(0, &["everything is stopped"]);
    agent.end().failed(0, &["everything is stopped"]);
    home.line("agent stop --all").succeeded();
    // A keeper that holds nothing does not wait for the next agent then.
    let agent = home.start(&again, "Ctrl-C detaches");
    eventually("it has a keeper", || {
        (!home.processes_with("__keeper").is_empty()).then_some(())
    });
    home.line("job cancel last").succeeded();
    home.line("job wait last").failed(5, &["cancelled"]);
    agent.stop().failed(0, &["detached: 0 programs go on"]);
    home.line("agent stop --all").succeeded();
    let ended = within(Duration::from_secs(5), || {
        home.processes_with("__keeper").is_empty().then_some(())
    });
    assert!(ended.is_some(), "left: {:#?}", home.processes());
    server.stop().succeeded();
    eventually("nothing is left", || {
        home.processes().is_empty().then_some(())
    });
}
