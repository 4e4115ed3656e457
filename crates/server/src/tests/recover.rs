//! A store that is older than the fleet, over REST.

use std::{fs, path::Path};

use flota_model::{
    frame::{Hello, UpBody},
    ids::{Authority, Epoch, Term},
};
use serde_json::json;

use super::{
    agent::{Agent, hello},
    harness::{Harness, job},
};

/// As a person would who has copied the data folder of a server that was stopped.
fn copy(from: &Path, to: &Path) {
    for name in ["flota.db", "flota.db-wal", "flota.db-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// An agent that has obeyed a server of that epoch.
fn obedient(epoch: u64) -> Hello {
    Hello {
        obeyed: Authority {
            term: Term(1),
            epoch: Epoch(u32::try_from(epoch).unwrap()),
        },
        ..hello("n1")
    }
}

#[tokio::test]
async fn a_server_on_an_older_copy_holds_still_until_it_is_told_to_go_on() {
    let server = Harness::start().await;
    server.submit(1).await;
    let folder = server.stop().await;
    let backup = tempfile::TempDir::new().unwrap();
    copy(folder.path(), backup.path());
    // The fleet goes on for two starts of the server, of which the copy knows nothing.
    let server = Harness::start_in(folder, |_| {}).await;
    server.submit(1).await;
    let folder = server.stop().await;
    let server = Harness::start_in(folder, |_| {}).await;
    let epoch = server.get("/api/v1/fleet").await.json()["epoch"]
        .as_u64()
        .unwrap();
    let folder = server.stop().await;
    copy(backup.path(), folder.path());

    let server = Harness::start_in(folder, |_| {}).await;
    let before = server.get("/api/v1/fleet").await.json();
    assert_eq!(before["store_behind"], false, "nobody has told it yet");
    assert!(before["epoch"].as_u64().unwrap() < epoch);
    let mut agent = Agent::connect(&server).await;
    agent.say(UpBody::Hello(Box::new(obedient(epoch))));
    // It is sent away, and comes again and again until a person has decided.
    agent.disconnected().await;
    let frozen = server.get("/api/v1/fleet").await.json();
    assert_eq!(frozen["store_behind"], true);
    // It takes work, but stops none and starts none.
    let answer = server.post("/api/v1/jobs", &job(1)).await;
    assert_eq!(answer.status, 201);
    let refused = server.post("/api/v1/jobs/1/cancel", &json!(null)).await;
    assert_eq!(refused.problem(), (503, "E-STORE-BEHIND".into()));
    assert_eq!(refused.header("retry-after"), "60");
    let metrics = server.get("/metrics").await;
    assert!(metrics.text().contains("\nflota_store_behind 1\n"));
    let page = server.get("/?lang=es").await;
    assert!(page.text().contains("El almacén es más viejo que la flota"));
    let tasks = server.get("/api/v1/fleet").await.json()["tasks"].clone();
    assert_eq!(tasks, json!({"waiting": 2}), "nothing is granted");

    let recovered = server.post("/api/v1/fleet/recover", &json!(null)).await;
    assert_eq!(recovered.status, 200);
    assert!(recovered.json()["epoch"].as_u64().unwrap() > epoch);
    let fleet = server.get("/api/v1/fleet").await.json();
    assert_eq!(
        (&fleet["store_behind"], &fleet["epoch"]),
        (&json!(false), &recovered.json()["epoch"])
    );
    let again = server.post("/api/v1/fleet/recover", &json!(null)).await;
    assert_eq!(again.problem(), (409, "E-STORE-CURRENT".into()));
    let mut anew = Agent::join(&server, "n1").await;
    anew.ordered(2).await;
    server.stop().await;
}
