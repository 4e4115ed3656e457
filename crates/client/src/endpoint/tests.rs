use std::{fs, path::PathBuf};

use super::{Candidate, Endpoint, Search};
use crate::fault::ClientFault;

#[test]
fn endpoints_are_parsed_and_written_alike() {
    let check = |text: &str, expected: &str| {
        assert_eq!(
            Endpoint::parse(text).unwrap().to_string(),
            expected,
            "{text}"
        );
    };
    check("http://127.0.0.1:7071", "http://127.0.0.1:7071");
    check("http://127.0.0.1:7071/", "http://127.0.0.1:7071");
    check("n1.example", "http://n1.example:7070");
    check("localhost:80", "http://localhost:80");
    check("http://[::1]:7071", "http://[::1]:7071");
    check("[fe80::1]", "http://[fe80::1]:7070");
    check("unix:/run/flota.sock", "unix:/run/flota.sock");
}

#[test]
fn texts_that_are_no_endpoint_are_refused() {
    for text in [
        "",
        "unix:",
        "http://",
        "http://:7070",
        "host:port",
        "host:70000",
        "::1",
        "http://a/b",
        "ftp://a",
        "a b",
        "[::1",
        "[::1]7070",
        "user@host",
    ] {
        let refused = Endpoint::parse(text);
        assert!(
            matches!(refused, Err(ClientFault::EndpointInvalid { .. })),
            "`{text}`: {refused:?}"
        );
    }
    let refused = Endpoint::parse("https://host");
    assert!(matches!(refused, Err(ClientFault::EndpointTls { .. })));
}

#[test]
fn only_loopback_is_local() {
    let check = |text: &str, expected| {
        assert_eq!(
            Endpoint::parse(text).unwrap().is_local(),
            expected,
            "{text}"
        );
    };
    check("127.0.0.1:1", true);
    check("localhost", true);
    check("[::1]:1", true);
    check("unix:x", true);
    check("10.0.0.1", false);
    check("localhost.example", false);
}

fn found(search: &Search) -> Vec<(String, Option<PathBuf>)> {
    let candidates = search.candidates().unwrap();
    let pair = |candidate: Candidate| (candidate.endpoint.to_string(), candidate.token_file);
    candidates.into_iter().map(pair).collect()
}

#[test]
fn the_server_is_the_given_one_or_a_socket_of_the_data_folder_or_the_usual_port() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let search = Search {
        data: Some(data.to_owned()),
        ..Search::default()
    };
    let usual = "http://127.0.0.1:7070".to_owned();
    assert_eq!(found(&search), [(usual.clone(), None)]);

    fs::create_dir(data.join("dev")).unwrap();
    fs::write(data.join("dev/flota.sock"), "").unwrap();
    fs::write(data.join("dev/token"), "t").unwrap();
    let of_dev = (
        format!("unix:{}", data.join("dev/flota.sock").display()),
        Some(data.join("dev/token")),
    );
    let last = (usual, Some(data.join("dev/token")));
    assert_eq!(found(&search), [of_dev.clone(), last.clone()]);

    fs::write(data.join("flota.sock"), "").unwrap();
    let own = (
        format!("unix:{}", data.join("flota.sock").display()),
        Some(data.join("token")),
    );
    assert_eq!(found(&search), [own, of_dev, last]);

    let given = Search {
        server: Some("127.0.0.1:9".into()),
        ..search
    };
    let expected = (
        "http://127.0.0.1:9".to_owned(),
        Some(data.join("dev/token")),
    );
    assert_eq!(found(&given), [expected]);
}

#[test]
fn a_token_that_nobody_named_is_not_sent_over_the_network() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "secret").unwrap();
    let data = Some(folder.path().to_owned());
    let mut search = Search {
        server: Some("10.0.0.1".into()),
        data,
        ..Search::default()
    };
    assert_eq!(found(&search)[0].1, None);
    search.token_file = Some("/named".into());
    assert_eq!(found(&search)[0].1, Some(PathBuf::from("/named")));
}
