//! `flota doctor` on a machine with and without a fleet.

use std::{fs, net::TcpListener};

use serde_json::Value;

use crate::home::{Home, Told};

/// Every check, in order.
const CHECKS: [&str; 16] = [
    "settings",
    "folder",
    "file_system",
    "space",
    "sync",
    "unnamed_files",
    "port",
    "clock",
    "kernel",
    "pidfd",
    "subreaper",
    "cgroup",
    "open_files",
    "processes",
    "server",
    "version",
];

/// Runs it on a free port, for which another test may not wait.
fn doctor(home: &Home, more: &str) -> (Told, Vec<Value>) {
    let told = home.line(&format!("doctor -o json --listen 127.0.0.1:0 {more}"));
    let checks = serde_json::from_str(&told.out).expect("JSON");
    (told, checks)
}

#[track_caller]
fn check(checks: &[Value], name: &str, result: &str, text: &str) {
    let one = checks.iter().find(|one| one["check"] == name);
    let one = one.unwrap_or_else(|| panic!("no {name} in {checks:#?}"));
    assert_eq!(one["result"], result, "{one}");
    assert!(one["found"].as_str().unwrap().contains(text), "{one}");
    assert_eq!(one["hint"].is_null(), result == "ok", "{one}");
}

#[test]
fn a_machine_without_a_server_is_looked_at_and_left_as_it_was() {
    let home = Home::new();
    let (told, checks) = doctor(&home, "--server 127.0.0.1:1");
    let names: Vec<&str> = checks
        .iter()
        .map(|one| one["check"].as_str().unwrap())
        .collect();
    assert_eq!(names, CHECKS);
    assert_eq!(told.code, Some(2), "{told:?}");
    check(&checks, "server", "fail", "E-SERVER-UNREACHABLE");
    check(&checks, "folder", "ok", &home.data().display().to_string());
    check(&checks, "settings", "ok", "none.toml");
    assert!(!home.data().exists(), "nothing is made");
    let left = fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, 1, "only the settings file is there");

    let shown = home.line("doctor --lang es --server 127.0.0.1:1");
    assert!(shown.out.contains("COMPRUEBA"), "{shown:?}");
}

#[test]
fn what_will_not_work_is_told_with_what_to_do() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let line = format!("doctor -o json --listen {address} --data /proc/self/flota");
    let told = home.line(&line);
    assert_eq!(told.code, Some(2), "{told:?}");
    let checks: Vec<Value> = serde_json::from_str(&told.out).unwrap();
    let holder = format!("process {}", std::process::id());
    check(&checks, "port", "fail", &holder);
    check(&checks, "folder", "fail", "/proc/self/flota");
    let told = home.line("doctor -o json --listen 0.0.0.0:0");
    let checks: Vec<Value> = serde_json::from_str(&told.out).unwrap();
    check(&checks, "port", "fail", "other machines");
    // Linux has it, and in memory.
    let (told, checks) = doctor(&home, "--data /dev/shm/flota-nowhere");
    assert_ne!(told.code, Some(0));
    check(&checks, "file_system", "warn", "tmpfs");
}

#[test]
fn a_server_of_this_folder_is_found_and_one_that_refuses_us_is_told() {
    let home = Home::new();
    let dev = home.dev(&["--nodes", "1"]);
    let (told, checks) = doctor(&home, "");
    assert!(told.code < Some(2), "{told:?}");
    check(&checks, "server", "ok", "1 of 1 nodes up");
    check(&checks, "version", "ok", env!("CARGO_PKG_VERSION"));
    let addresses = fs::read_to_string(home.data().join("dev/addresses.json")).unwrap();
    let addresses: Value = serde_json::from_str(&addresses).unwrap();
    let address = addresses["http"].as_str().unwrap();
    let told = home.line(&format!("doctor -o json --listen {address}"));
    let checks: Vec<Value> = serde_json::from_str(&told.out).unwrap();
    check(
        &checks,
        "port",
        "ok",
        &format!("the server of this folder has {address}"),
    );

    fs::write(home.path().join("wrong"), "0".repeat(64)).unwrap();
    let (told, checks) = doctor(&home, &format!("--server {address} --token-file wrong"));
    assert_eq!(told.code, Some(2));
    check(&checks, "server", "fail", "E-CREDENTIALS-WRONG");
    dev.stop().succeeded();
}
