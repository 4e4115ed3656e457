//! Clients of the older cluster, against a real server and agents.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::home::{Home, Told, eventually};

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Runs the client to its end.
fn drive(addresses: [&Value; 3], jobs: &Path) -> Told {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/clients/hpc.py");
    #[expect(clippy::disallowed_methods, reason = "a client of its own")]
    let client = Command::new("python3")
        .arg(script)
        .args(addresses.map(|one| one.as_str().expect("an address")))
        .arg(jobs)
        .output()
        .expect("python3 is installed with what the tests need");
    Told::from(client)
}

#[test]
fn a_client_written_from_the_description_finds_every_call_and_foreign_slaves_may_die() {
    let home = Home::new();
    let data = home.data();
    let jobs = data.join("jobs");
    fs::create_dir_all(&jobs).unwrap();
    let server = home.start(
        &[
            "server",
            "--listen",
            "127.0.0.1:0",
            "--hpc-listen",
            "127.0.0.1:0",
        ],
        "listens",
    );
    let addresses = eventually("the server listens", || read(&data.join("addresses.json")));
    let url = format!("http://{}", addresses["http"].as_str().unwrap());
    let folder = home.path().join("agent");
    let arguments = [
        "agent",
        "--server",
        &url,
        "--name",
        "n1",
        "--data",
        folder.to_str().unwrap(),
        "--slave-listen",
        "127.0.0.1:0",
        "--memory-listen",
        "127.0.0.1:0",
    ];
    let _agent = home.start(&arguments, "agent stop");
    let own = eventually("the agent listens", || read(&folder.join("addresses.json")));
    eventually("the node is up", || {
        let nodes = home.json("node ls -o json");
        nodes[0]["phase"]
            .as_str()
            .filter(|phase| *phase == "up")
            .map(drop)
    });
    let told = drive(
        [&addresses["hpc"], &own["hpc.slave"], &own["hpc.memory"]],
        &jobs,
    );
    assert_eq!(told.code, Some(0), "{} {}", told.out, told.err);

    // All of it went through the one fleet: jobs like any other, foreign slaves as nodes.
    let rows = home.json("job ls -o json --limit 1000");
    let rows = rows.as_array().unwrap();
    let of_cluster = rows
        .iter()
        .filter(|job| job["principal"] == "adapter/hpc")
        .count();
    assert!(of_cluster >= 10, "{of_cluster}");
    let nodes = home.json("node ls -o json");
    let names: Vec<_> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"ajeno1") && names.contains(&"ajeno2"),
        "{names:?}"
    );
    drop(server);
}
