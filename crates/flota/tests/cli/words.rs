//! What needs no fleet: help, languages, settings, mistakes.

use std::{fs, process::Stdio};

use crate::home::Home;

#[test]
fn help_and_errors_are_in_the_language_of_the_person() {
    let home = Home::new();
    let english = home.line("submit --help").succeeded();
    assert!(
        english
            .out
            .contains("Usage: flota submit [OPTIONS] [--] PROGRAM"),
        "{english:?}"
    );
    let spanish = home.line("--lang es submit --help").succeeded();
    assert!(
        spanish
            .out
            .contains("Uso: flota submit [OPCIONES] [--] PROGRAMA"),
        "{spanish:?}"
    );
    for (name, value) in [
        ("FLOTA_LANG", "es"),
        ("LC_ALL", "es_MX.UTF-8"),
        ("LANG", "es_ES"),
    ] {
        let output = home
            .command(&["job", "--help"])
            .env(name, value)
            .output()
            .unwrap();
        let page = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(page.contains("Órdenes:"), "{name}={value}: {page}");
    }
    home.line("--lang=es job show x")
        .failed(2, &["error[E-USAGE-INVALID]", "consejo: vea"]);
    let flag_wins = home
        .command(&["--lang", "en", "jbo"])
        .env("LANG", "es")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&flag_wins.stderr).contains("did you mean `job`?"));
}

#[test]
fn topics_and_versions_are_printed() {
    let home = Home::new();
    let codes = home.line("help exit-codes").succeeded();
    for code in [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "70", "130",
    ] {
        let found = codes
            .out
            .lines()
            .any(|line| line.split_whitespace().next() == Some(code));
        assert!(found, "{code}: {codes:?}");
    }
    assert_eq!(
        home.line("help job wait").succeeded().out,
        home.line("job wait --help").out
    );
    home.line("help nonsense")
        .failed(2, &["no help on `nonsense`"]);
    let version = format!("flota {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(home.line("version").succeeded().out, version);
    assert_eq!(home.line("--version").succeeded().out, version);
    assert_eq!(
        home.json("version -o json")["version"],
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn a_command_that_is_not_complete_shows_its_page_as_a_mistake() {
    let home = Home::new();
    let told = home.line("").failed(2, &["Usage: flota [OPTIONS] COMMAND"]);
    assert_eq!(told.out, "");
    home.line("job").failed(2, &["Usage: flota job"]);
}

#[test]
fn mistakes_in_the_command_line_end_with_2() {
    let home = Home::new();
    home.line("job ls --bogus")
        .failed(2, &["unknown option `--bogus`"]);
    home.line("submit --array 9-1 -- true")
        .failed(2, &["did you mean 1-9?"]);
    home.line("submit")
        .failed(2, &["nothing to run", "--kernel NAME"]);
    home.line("agent stop").failed(2, &["--all"]);
    home.line("--server nowhere:x node ls")
        .failed(2, &["is not the address of a server"]);
    home.line("--server https://h node ls").failed(2, &["TLS"]);
    home.line("dev --nodes 0").failed(2, &["from 1 to 64"]);
    home.line("server --listen nowhere")
        .failed(2, &["option --listen: `nowhere`"]);
    home.line("server --listen 0.0.0.0:0")
        .failed(2, &["E-ADDRESS-EXPOSED", "SSH"]);
    home.line("agent --server http://192.0.2.1:7070")
        .failed(2, &["E-AGENT-ADDRESS"]);
    home.line("agent --server unix:/x")
        .failed(2, &["E-AGENT-ADDRESS"]);
    // The longest argument list that a spec may have is shorter than what the system lets us pass.
    let long = "x".repeat(120_000);
    home.run(&["submit", "--", "echo", &long])
        .failed(2, &["E-SPEC-INVALID", "program.argv"]);
}

#[test]
fn all_faults_of_the_settings_are_told_together_with_their_places() {
    let home = Home::new();
    let file = home.path().join("flota.toml");
    fs::write(&file, "listen = \"127.0.0.1:7071\"\nlisen = 1\n").unwrap();
    let path = file.display().to_string();
    let mut command = home.command(&["node", "ls", "--config", &path, "--color", "blue"]);
    let output = command.env("FLOTA_TIMEOUT", "soon").output().unwrap();
    let told = crate::home::Told::from(output);
    told.failed(
        2,
        &[
            "error[E-SETTINGS-INVALID]",
            &format!("{path}, line 2: unknown key `lisen`; did you mean `listen`?"),
            "environment variable FLOTA_TIMEOUT: `soon`",
            "option --color: `blue`",
        ],
    );
    home.line("node ls --config nowhere.toml")
        .failed(2, &["E-FILE-UNREADABLE", "nowhere.toml"]);
}

#[test]
fn without_a_server_the_exit_code_is_7_and_the_error_may_be_json() {
    let home = Home::new();
    // Nobody listens on port 1 of this machine.
    let told = home
        .line("--server 127.0.0.1:1 node ls")
        .failed(7, &["E-SERVER-UNREACHABLE", "flota dev"]);
    assert_eq!(told.out, "");
    let told = home
        .line("--server 127.0.0.1:1 job ls -o json")
        .failed(7, &[]);
    let error: serde_json::Value = serde_json::from_str(&told.err).unwrap();
    assert_eq!(error["error"]["code"], "E-SERVER-UNREACHABLE");
    assert_eq!(error["error"]["exit_code"], 7);
    // Nothing was sent, so there is no key to speak of.
    let told = home.line("--server 127.0.0.1:1 submit true").failed(7, &[]);
    assert!(!told.err.contains("--idempotency-key"), "{told:?}");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let home = Home::new();
    let mut child = home
        .command(&["help", "submit"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let told = crate::home::Told::from(child.wait_with_output().unwrap());
    assert_eq!(told.succeeded().err, "");
}

/// The catalogue of problems is the server's, their texts for people are the client's.
#[test]
fn every_problem_of_the_server_is_told_in_every_language() {
    for kind in flota_server::CATALOGUE {
        assert!(
            flota_client::knows_problem(kind.code),
            "{} has no text",
            kind.code
        );
    }
}
