//! Starting, stopping, and what stands in the way.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::harness::{Harness, PATIENCE, connect, settings};
use crate::{FolderFault, ListenFault, ServerFault, run};

async fn start_fault(settings: crate::Settings) -> ServerFault {
    let ended = run(settings, std::future::pending(), |_| panic!("it started"));
    timeout(PATIENCE, ended).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_second_server_on_the_folder_says_who_holds_it() {
    let server = Harness::start().await;
    let fault = start_fault(settings(server.folder.path())).await;
    let ServerFault::Folder(FolderFault::InUse {
        holder: Some(holder),
        ..
    }) = fault
    else {
        panic!("{fault:?}")
    };
    assert_eq!(holder.pid, std::process::id());
    assert!(!holder.command.is_empty());
    assert_eq!(
        server.get("/api/v1/fleet").await.status,
        200,
        "the first one goes on"
    );
    let folder = server.stop().await;
    Harness::start_in(folder, |_| {}).await.stop().await;
}

#[tokio::test]
async fn a_taken_port_says_who_holds_it_and_opens_no_store() {
    let server = Harness::start().await;
    let other = TempDir::new().unwrap();
    let mut settings = settings(other.path());
    settings.listen = server.addresses.http;
    let fault = start_fault(settings).await;
    let ServerFault::Listen(ListenFault::Taken {
        address,
        holder: Some(holder),
    }) = fault
    else {
        panic!("{fault:?}")
    };
    assert_eq!(
        (address, holder.pid),
        (server.addresses.http, std::process::id())
    );
    assert!(!other.path().join("flota.db").exists());
    server.stop().await;
}

#[tokio::test]
async fn other_machines_are_not_listened_to() {
    for address in ["0.0.0.0:0", "[::]:0", "10.1.2.3:0"] {
        let folder = TempDir::new().unwrap();
        let mut settings = settings(folder.path());
        settings.listen = address.parse().unwrap();
        let fault = start_fault(settings).await;
        assert!(
            matches!(fault, ServerFault::Listen(ListenFault::NotLoopback(_))),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn addresses_are_written_while_the_server_listens() {
    let server = Harness::start().await;
    let path = server.folder.path().join("addresses.json");
    let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let http: SocketAddr = written["http"].as_str().unwrap().parse().unwrap();
    assert_eq!(http, server.addresses.http);
    assert_ne!(http.port(), 0);
    assert_eq!(written["socket"], server.addresses.socket.to_str().unwrap());
    assert_eq!(written["pid"], std::process::id());
    let folder = server.stop().await;
    assert!(!path.exists());
    assert!(!folder.path().join("flota.sock").exists());
}

#[tokio::test]
async fn a_socket_left_by_a_killed_server_is_no_obstacle() {
    let server = Harness::start().await;
    let folder = server.kill().await;
    assert!(folder.path().join("flota.sock").exists());
    let server = Harness::start_in(folder, |_| {}).await;
    assert_eq!(server.get("/healthz").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = Harness::start_with(|settings| {
        settings.limits.drain_within = Duration::from_millis(100);
    })
    .await;
    let mut stream = connect(server.addresses.http).await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: lo")
        .await
        .unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_token_is_not_replaced_in_silence() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("token"), "short").unwrap();
    let fault = start_fault(settings(folder.path())).await;
    assert!(
        matches!(fault, ServerFault::Folder(FolderFault::Token { .. })),
        "{fault:?}"
    );
}
