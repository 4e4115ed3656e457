//! Clients of the line protocol, against a real agent.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::home::{Home, Told, eventually};

/// Clients at a time in the suite.
const CLIENTS: &str = "200";

/// The addresses that a file names for a dialect.
fn port(addresses: &Value, dialect: &str) -> String {
    let address = addresses["line"][dialect][0].as_str().unwrap();
    address.rsplit_once(':').unwrap().1.to_owned()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[test]
fn a_client_written_from_the_description_finds_every_verb_of_both_dialects() {
    let home = Home::new();
    let _dev = home.dev(&["--nodes", "1"]);
    let url = read(&home.data().join("dev/addresses.json")).unwrap()["http"].clone();
    let url = format!("http://{}", url.as_str().unwrap());
    let data = home.path().join("agent");
    let folder = data.to_str().unwrap();
    let arguments = [
        "agent",
        "--server",
        &url,
        "--name",
        "old",
        "--data",
        folder,
        "--line-listen",
        "posix=127.0.0.1:0",
        "--line-listen",
        "gestor=127.0.0.1:0",
    ];
    let agent = home.start(&arguments, "agent stop");
    let file = data.join("addresses.json");
    let addresses = eventually("the agent listens", || read(&file));
    eventually("the node is up", || {
        let nodes = home.json("node ls -o json");
        let is_up = |node: &Value| node["name"] == "old" && node["phase"] == "up";
        nodes.as_array().unwrap().iter().any(is_up).then_some(())
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/clients/line.py");
    #[expect(clippy::disallowed_methods, reason = "a client of its own")]
    let client = Command::new("python3")
        .arg(script)
        .args([
            port(&addresses, "posix"),
            port(&addresses, "gestor"),
            CLIENTS.to_owned(),
        ])
        .output()
        .expect("python3 is installed with what the tests need");
    let told = Told::from(client);
    assert_eq!(told.code, Some(0), "{} {}", told.out, told.err);

    // What was started there is like everything else: a job, with its exit code, and audited.
    let jobs = home.json("job ls -o json --limit 1000");
    let jobs = jobs.as_array().unwrap();
    let of = |name: &str| {
        jobs.iter()
            .filter(|job| job["name"].as_str().unwrap().starts_with(name))
            .count()
    };
    assert!(of("sleep-line-") >= 5, "{jobs:?}");
    assert_eq!(of("false-line-"), 1);
    let failed = jobs
        .iter()
        .find(|job| job["name"].as_str().unwrap().starts_with("false-line-"));
    assert_eq!(failed.unwrap()["principal"], "node/old");
    let number = failed.unwrap()["id"].as_u64().unwrap();
    let task = home.json(&format!("job tasks {number} -o json"));
    assert!(task.to_string().contains("\"exit_code\":1"), "{task}");

    // Nobody is sent to an agent that has ended.
    agent.signal(rustix::process::Signal::TERM);
    agent.end();
    assert!(!file.exists());
}

/// Needs the customary ports, and so a network of its own.
#[test]
fn dev_serves_old_clients_at_one_address_a_node() {
    let home = Home::new();
    let client = r#"
import json, socket, sys, urllib.request
addresses = json.load(open(sys.argv[1]))
for number in (1, 2):
    line = addresses["nodes"][f"n{number}"]["line"]
    assert line == {"gestor": [f"127.0.0.{number}:5000"], "posix": [f"127.0.0.{number}:5002"]}, line
    node = addresses["nodes"][f"n{number}"]
    assert node["hpc.slave"] == f"127.0.0.1:{5010 + number}", node
    assert node["hpc.memory"] == f"127.0.0.1:{5002 + number}", node
    for port in (5001, 5010 + number, 5002 + number):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=30) as ping:
            assert json.load(ping)["status"] == "active", port
    with socket.create_connection((f"127.0.0.{number}", 5000), timeout=30) as gestor:
        gestor.sendall(b"AYUDA")
        assert b"LISTAR" in gestor.recv(1000)
print("served")
"#;
    let script = r#"
        ip link set lo up || exit 90
        "$BINARY" dev --nodes 2 --compat --listen 127.0.0.1:0 2>told &
        dev=$!
        until grep -q '"nodes"' data/dev/addresses.json 2>/dev/null; do
            kill -0 $dev || exit 91
            sleep 0.1
        done
        python3 -c "$CLIENT" data/dev/addresses.json && kill -INT $dev && wait $dev && cat told
    "#;
    #[expect(
        clippy::disallowed_methods,
        reason = "only its children are in that network"
    )]
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", script])
        .env("BINARY", env!("CARGO_BIN_EXE_flota"))
        .env("CLIENT", client)
        .env("FLOTA_CONFIG", home.path().join("none.toml"))
        .env("FLOTA_DATA", home.data())
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .expect("unshare runs");
    let told = Told::from(output).succeeded();
    for text in [
        "served",
        "posix 127.0.0.1–2:5002",
        "hpc: master 127.0.0.1:5001",
        "imaging, monitor",
    ] {
        assert!(told.out.contains(text), "{told:#?}");
    }
}

#[test]
fn a_listener_beyond_the_machine_is_refused() {
    let home = Home::new();
    for wrong in [
        "posix=0.0.0.0:5002",
        "posix",
        "http=127.0.0.1:1",
        "gestor=localhost",
    ] {
        let told = home.run(&["agent", "--line-listen", wrong]);
        told.failed(2, &["[E-SETTINGS-INVALID]", "posix=127.0.0.1:5002"]);
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_the_option_that_changes_it() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = format!("posix={}", taken.local_addr().unwrap());
    let told = home.run(&["agent", "--line-listen", &listener]);
    told.failed(6, &["[E-PORT-IN-USE]", "--line-listen"]);
}
