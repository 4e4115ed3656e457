//! Commands whose server goes away in the middle.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::matches;
use crate::{
    cli::{Options, run},
    endpoint::Search,
    exit::Exit,
    render::{Style, tests::screen},
};

/// One connection of a server: what it answers to its one request, or that it only hangs up.
type Script = VecDeque<Option<&'static str>>;

struct Server {
    address: String,
    /// The heads of all requests.
    heads: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(script: &[Option<&'static str>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut script) = (Arc::clone(&heads), Script::from(script.to_vec()));
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(answer) = script.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let head = head(&mut stream).await;
                seen.lock().unwrap().push(head);
                if let Some(body) = answer {
                    let length = body.len();
                    let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(text.as_bytes()).await.unwrap();
                    // Until the client has read it, and goes.
                    let _ = stream.read(&mut [0; 1]).await;
                }
            }
        });
        Self {
            address,
            heads,
            _task: task,
        }
    }

    /// Runs a command of a person against it.
    async fn run(&self, line: &str) -> (Exit, String) {
        let (mut screen, _, told) = screen(Style::default());
        let options = Options {
            search: Search {
                server: Some(self.address.clone()),
                ..Search::default()
            },
            timeout: Duration::from_secs(10),
            current_folder: None,
            version: String::new(),
        };
        let exit = run(&mut screen, &options, &matches(line)).await;
        (exit, told.text())
    }

    fn lines_with(&self, name: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap().clone();
        let lines = heads.iter().flat_map(|head| head.lines());
        lines
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect()
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let length = stream.read(&mut part).await.unwrap();
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(&part[..length]);
    }
    String::from_utf8(bytes).unwrap()
}

const SUBMITTED: &str = r#"{"job": 7, "existing": false}"#;

#[tokio::test]
async fn a_submission_without_an_answer_is_made_again_with_the_same_key() {
    let server = Server::start(&[None, None, Some(SUBMITTED)]).await;
    let (exit, told) = server.run("submit -- true").await;
    assert_eq!(exit, Exit::Ok, "{told}");
    let keys = server.lines_with("idempotency-key:");
    assert_eq!(keys.len(), 3);
    assert!(
        keys.iter().all(|key| *key == keys[0] && key.len() > 40),
        "{keys:?}"
    );
}

#[tokio::test]
async fn a_submission_that_is_never_answered_tells_its_key() {
    // Each try sends it once more on a new connection when the kept one breaks.
    let server = Server::start(&[None; 4]).await;
    let (exit, told) = server.run("submit --idempotency-key mine -- true").await;
    assert_eq!(exit, Exit::Unreachable);
    assert!(told.contains("--idempotency-key mine is safe"), "{told}");
}

#[tokio::test]
async fn two_submissions_have_different_keys() {
    let server = Server::start(&[Some(SUBMITTED), Some(SUBMITTED)]).await;
    for _ in 0..2 {
        assert_eq!(server.run("submit -- true").await.0, Exit::Ok);
    }
    let keys = server.lines_with("idempotency-key:");
    assert_ne!(keys[0], keys[1]);
}

fn job(phase: &str, tasks: &str) -> &'static str {
    let text = format!(
        r#"{{"id": 7, "name": "x", "principal": "local", "kind": "batch", "phase": "{phase}", "priority": 2,
            "first": 0, "last": 0, "tasks": {tasks}, "submitted_at": 1.0, "finished_at": 2.5}}"#
    );
    Box::leak(text.into_boxed_str())
}

#[tokio::test]
async fn a_wait_survives_a_server_that_starts_again() {
    let server = Server::start(&[
        Some(job("active", r#"{"granted": 1}"#)),
        Some(job("active", r#"{"granted": 1}"#)),
        None,
        None,
        Some(job("finished", r#"{"succeeded": 1}"#)),
    ])
    .await;
    let (exit, told) = server.run("job wait 7").await;
    assert_eq!(exit, Exit::Ok, "{told}");
    assert_eq!(told, "job 7 succeeded in 1.5s\n");
}
