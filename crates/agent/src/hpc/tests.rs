//! The listeners with real connections, and a server that is played by the test.

use std::collections::BTreeSet;

use flota_model::{
    ids::{BootId, JobId},
    local::{LocalRefusal, LocalReply},
    sample::{MemorySample, NodeSample},
    units::{Bytes, Cpus, Timestamp},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};

use super::*;
use crate::{input::Input, local::Want, testing::PATIENCE};

struct Node {
    slave: SocketAddr,
    memory: SocketAddr,
    inbox: mpsc::Receiver<Input>,
    sample: watch::Sender<Option<Box<NodeSample>>>,
    activity: watch::Sender<Activity>,
    _served: JoinSet<()>,
}

async fn node() -> Node {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let slave = Bound::new(HpcListener::Slave, nowhere).await.unwrap();
    let memory = Bound::new(HpcListener::Memory, nowhere).await.unwrap();
    let (post, inbox) = mpsc::channel(8);
    let (sample, activity) = (watch::Sender::new(None), watch::Sender::default());
    let addresses = (slave.address, memory.address);
    let here = Here {
        name: "n1".to_owned(),
        counter: Counter::new(post, BootId(1), sample.subscribe()),
        activity: activity.subscribe(),
    };
    let mut served = JoinSet::new();
    served.spawn(serve(vec![slave, memory], here));
    Node {
        slave: addresses.0,
        memory: addresses.1,
        inbox,
        sample,
        activity,
        _served: served,
    }
}

impl Node {
    /// Answers the next order of a client.
    async fn answer(&mut self, answer: Result<LocalReply, LocalRefusal>) -> Want {
        let input = timeout(PATIENCE, self.inbox.recv()).await.unwrap().unwrap();
        let Input::Local(asked) = input else {
            panic!("{input:?}");
        };
        asked.answer.send(answer).unwrap();
        asked.want
    }

    fn runs(&self, jobs: &[u64]) {
        let running: BTreeSet<JobId> = jobs.iter().map(|job| JobId(*job)).collect();
        self.activity.send_modify(|activity| {
            activity.update(running);
        });
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Value) {
    ask_with(address, (method, path), body, &[]).await
}

async fn ask_with(
    address: SocketAddr,
    (method, path): (&str, &str),
    body: &str,
    headers: &[(&str, &str)],
) -> (u16, Value) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<bytes::Bytes>::from(body.to_owned()));
    let answer = timeout(PATIENCE, sender.send_request(request.unwrap()));
    let (head, body) = answer.await.unwrap().unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (head.status.as_u16(), body)
}

const PICTURE: &str =
    r#"{"algoritmo": "Numpy", "width": 30, "height": 20, "iteraciones": 9, "id": "t-7"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_does_one_picture_at_a_time() {
    let mut node = node().await;
    let slave = node.slave;
    let (status, idle) = ask(slave, "GET", "/ping", "").await;
    assert_eq!(
        (status, &idle["ocupado"], &idle["trabajo_actual"]),
        (200, &json!(false), &Value::Null)
    );

    let asked = tokio::spawn(async move { ask(slave, "POST", "/ejecutar", PICTURE).await });
    let want = node
        .answer(Ok(LocalReply::Accepted { job: JobId(12) }))
        .await;
    let Want::Compute { name, call } = want else {
        panic!("{want:?}");
    };
    assert_eq!(
        (name.as_str(), call.name.as_str()),
        ("hpc-Numpy-30x20", "julia-plain")
    );
    let accepted = json!({"status": "accepted", "trabajo_id": "t-7"});
    assert_eq!(asked.await.unwrap(), (200, accepted));

    let (status, busy) = ask(slave, "POST", "/ejecutar", PICTURE).await;
    assert_eq!((status, &busy["trabajo_actual"]), (409, &json!("t-7")));
    assert!(busy["error"].as_str().unwrap().contains("ocupado"));
    node.runs(&[12]);
    assert_eq!(ask(slave, "GET", "/ping", "").await.1["ocupado"], true);
    node.runs(&[]);
    let (_, state) = ask(slave, "GET", "/estado", "").await;
    assert_eq!(
        (&state["ocupado"], &state["ultimo_trabajo"]),
        (&json!(false), &json!("t-7"))
    );
    assert_eq!(state.get("status"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_is_busy_with_work_of_the_fleet_too() {
    let node = node().await;
    node.runs(&[3]);
    let (status, busy) = ask(node.slave, "POST", "/ejecutar", PICTURE).await;
    assert_eq!((status, &busy["trabajo_actual"]), (409, &json!(3)));
    node.runs(&[]);
    let (_, state) = ask(node.slave, "GET", "/estado", "").await;
    assert_eq!(state["ultimo_trabajo"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slave_cannot_do_is_told_and_leaves_it_free() {
    let mut node = node().await;
    let slave = node.slave;
    for (body, said) in [
        ("", "faltan campos"),
        (
            r#"{"algoritmo": "X", "width": 1, "height": 1, "iteraciones": 1}"#,
            "Secuencial",
        ),
        (
            r#"{"algoritmo": "Numpy", "width": 9999, "height": 9999, "iteraciones": 1}"#,
            "pixels",
        ),
    ] {
        let (status, told) = ask(slave, "POST", "/ejecutar", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(told["error"].as_str().unwrap().contains(said), "{told}");
    }
    let asked = tokio::spawn(async move { ask(slave, "POST", "/ejecutar", PICTURE).await });
    node.answer(Err(LocalRefusal::unreachable())).await;
    let (status, told) = asked.await.unwrap();
    assert_eq!(status, 503);
    assert!(
        told["error"]
            .as_str()
            .unwrap()
            .contains("E-SERVER-UNREACHABLE")
    );
    assert_eq!(ask(slave, "GET", "/ping", "").await.1["ocupado"], false);
    assert_eq!(ask(slave, "GET", "/nada", "").await.0, 404);
    assert_eq!(ask(slave, "GET", "/ejecutar", "").await.0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_can_do_nothing() {
    let node = node().await;
    for headers in [
        [("host", "evil.example")],
        [("origin", "http://evil.example")],
    ] {
        for (address, path) in [(node.slave, "/ejecutar"), (node.memory, "/metricas")] {
            let (status, _) = ask_with(address, ("POST", path), PICTURE, &headers).await;
            assert_eq!(status, 403, "{headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_tells_what_is_measured() {
    let node = node().await;
    assert_eq!(
        ask(node.memory, "GET", "/ping", "").await.1["status"],
        "active"
    );
    assert_eq!(ask(node.memory, "GET", "/metricas", "").await.0, 503);
    for second in 1..=3_u32 {
        node.sample.send_replace(Some(Box::new(NodeSample {
            taken_at: Timestamp(u64::from(second) * 1_000_000),
            cpu: Some(Cpus(0)),
            memory: Some(MemorySample {
                total: Bytes(1_000),
                available: Bytes(20),
                ..MemorySample::default()
            }),
            ..NodeSample::default()
        })));
        let seen = timeout(PATIENCE, async {
            loop {
                let (status, metrics) = ask(node.memory, "GET", "/metricas", "").await;
                if status == 200 && metrics["timestamp"] == f64::from(second) {
                    return metrics;
                }
            }
        });
        assert_eq!(seen.await.unwrap()["nodo"], "n1");
    }
    let (_, history) = ask(node.memory, "GET", "/historial", "").await;
    let times: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["timestamp"].as_f64())
        .collect();
    assert_eq!(times, [Some(1.0), Some(2.0), Some(3.0)]);
    let (_, alarms) = ask(node.memory, "GET", "/alertas", "").await;
    assert_eq!(
        alarms,
        json!({"cpu": false, "memoria": true, "disco": false})
    );
    assert_eq!(ask(node.memory, "POST", "/metricas", "").await.0, 405);
}
