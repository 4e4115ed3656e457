//! Every limit is reached.

use std::{io::ErrorKind, time::Duration};

use hyper::Method;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use super::harness::{Harness, PATIENCE, connect, job};
use crate::FreeSpace;

/// Reads until the server closes; what it had said is returned.
async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut said = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .expect("closed in time");
    match read {
        Ok(_) => {}
        Err(fault) if fault.kind() == ErrorKind::ConnectionReset => {}
        Err(fault) => panic!("{fault}"),
    }
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn silent_and_slow_connections_are_closed() {
    let short = Duration::from_millis(100);
    let server = Harness::start_with(|settings| {
        settings.limits.first_bytes_within = short;
        settings.limits.header_within = short;
    })
    .await;
    let starts: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / HT",
        b"GET /healthz HTTP/1.1\r\nhost: ",
    ];
    for start in starts {
        let mut stream = connect(server.addresses.http).await;
        stream.write_all(start).await.unwrap();
        assert_eq!(until_closed(&mut stream).await, "", "{start:?}");
    }
    // A connection that was used and then kept for nothing.
    let mut stream = connect(server.addresses.http).await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let said = until_closed(&mut stream).await;
    assert!(
        said.starts_with("HTTP/1.1 200 OK") && said.ends_with("ok\n"),
        "{said}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = Harness::start_with(|settings| {
        settings.limits.write_stall_max = Duration::from_millis(100);
    })
    .await;
    let mut stream = connect(server.addresses.http).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // Requests are sent for ever and answers never read: both directions fill up, and the server
    // gives up on us.
    let flood = async {
        let batch = request.repeat(1_000);
        loop {
            if stream.write_all(&batch).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, flood).await.expect("cut off in time");
    server.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = Harness::start_with(|settings| settings.limits.connections_max = 2).await;
    let first = connect(server.addresses.http).await;
    let _second = connect(server.addresses.http).await;
    let mut third = connect(server.addresses.http).await;
    let said = until_closed(&mut third).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    // The administrator of the machine gets in all the same.
    assert_eq!(server.get("/api/v1/fleet").await.status, 200);
    drop(first);
    // The place is free once the server has seen the end.
    let freed = async {
        loop {
            let mut again = connect(server.addresses.http).await;
            let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            if again.write_all(request).await.is_err() {
                continue;
            }
            if until_closed(&mut again).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    timeout(PATIENCE, freed)
        .await
        .expect("the place is given again");
    server.stop().await;
}

#[tokio::test]
async fn the_socket_has_a_limit_of_its_own() {
    let server = Harness::start_with(|settings| settings.limits.local_connections_max = 1).await;
    let _first = UnixStream::connect(&server.addresses.socket).await.unwrap();
    let mut second = UnixStream::connect(&server.addresses.socket).await.unwrap();
    let said = until_closed(&mut second).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    let token = format!("Bearer {}", server.token());
    let remote = server
        .remote(Method::GET, "/readyz", &[("authorization", &token)])
        .await;
    assert_eq!(remote.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn bodies_have_a_length_and_a_time() {
    let server = Harness::start_with(|settings| {
        settings.limits.body_within = Duration::from_millis(100);
    })
    .await;
    let long = vec![b' '; (1 << 20) + 1];
    let answer = server.post_with("/api/v1/jobs", long, &[]).await;
    assert_eq!(answer.problem(), (413, "E-BODY-LENGTH".into()));
    let mut full = job(1).to_string().into_bytes();
    full.resize(1 << 20, b' ');
    let answer = server.post_with("/api/v1/jobs", full, &[]).await;
    assert_eq!(answer.status, 201, "{}", answer.text());

    let mut stream = connect(server.addresses.http).await;
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\nconnection: close\r\n\r\n{{",
        server.token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = until_closed(&mut stream).await;
    assert!(
        said.starts_with("HTTP/1.1 408 ") && said.contains("E-BODY-SLOW"),
        "{said}"
    );
    server.stop().await;
}

#[tokio::test]
async fn headers_have_a_length_and_a_number() {
    let server = Harness::start().await;
    let names: Vec<String> = (0..101).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let answer = server.remote(Method::GET, "/healthz", &fields).await;
    assert_eq!(answer.status, 431);
    // The host is one of the hundred.
    let answer = server.remote(Method::GET, "/healthz", &fields[..99]).await;
    assert_eq!(answer.status, 200);
    let line = format!("/healthz?{}", "x".repeat(17 * 1024));
    assert_eq!(server.remote(Method::GET, &line, &[]).await.status, 431);
    let long = "x".repeat(17 * 1024);
    let answer = server
        .remote(Method::GET, "/healthz", &[("x-long", &long)])
        .await;
    assert_eq!(answer.status, 431);
    server.stop().await;
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_submissions_only() {
    let server = Harness::start().await;
    server.submit(2).await;
    let folder = server.stop().await;
    let server = Harness::start_in(folder, |settings| {
        settings.limits.free_space = FreeSpace {
            percent: 0,
            bytes: u64::MAX,
        };
    })
    .await;
    let answer = server.post("/api/v1/jobs", &job(1)).await;
    assert_eq!(answer.problem(), (507, "E-STORE-FULL".into()));
    assert_eq!(answer.header("retry-after"), "60");
    assert_eq!(
        server.get("/readyz").await.problem(),
        (507, "E-STORE-FULL".into())
    );
    let cancelled = server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    assert_eq!(
        cancelled.status, 202,
        "what frees the fleet is still stored"
    );
    assert_eq!(
        server.get("/api/v1/jobs/1").await.json()["tasks"],
        json!({"cancelled": 2})
    );
    server.stop().await;
}

#[tokio::test]
async fn requests_that_wait_have_a_number() {
    let server = Harness::start_with(|settings| settings.limits.requests_max = 0).await;
    let answer = server.get("/api/v1/fleet").await;
    assert_eq!(answer.problem(), (503, "E-SERVER-BUSY".into()));
    assert_eq!(answer.header("retry-after"), "1");
    // What the store answers needs no place.
    assert_eq!(server.get("/api/v1/jobs").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn limits_of_the_fleet_are_problems_too() {
    let server = Harness::start_with(|settings| {
        settings.fleet.jobs_max = 2;
        settings.fleet.tasks_max = 10;
    })
    .await;
    let too_many = server.post("/api/v1/jobs", &job(11)).await;
    assert_eq!(too_many.problem(), (429, "E-TASK-LIMIT".into()));
    server.submit(1).await;
    server.submit(1).await;
    let too_many = server.post("/api/v1/jobs", &job(1)).await;
    assert_eq!(too_many.problem(), (429, "E-JOB-LIMIT".into()));
    assert_eq!(too_many.header("retry-after"), "10");
    server.stop().await;
}
