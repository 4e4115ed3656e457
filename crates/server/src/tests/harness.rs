//! Starts a server and talks to it.

use std::{net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::{Addresses, FreeSpace, ServerFault, Settings, run};

/// Longer than anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs.
pub(super) struct Harness {
    pub(super) folder: TempDir,
    pub(super) addresses: Addresses,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), ServerFault>>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Status and code of a problem.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        (
            self.status.as_u16(),
            problem["code"].as_str().unwrap().to_owned(),
        )
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// The settings of a test: nothing depends on how full this machine's disk is.
pub(super) fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::new(folder);
    settings.listen.set_port(0);
    settings.kernels = vec!["noop".into(), "sleep".into()];
    settings.limits.free_space = FreeSpace::OFF;
    settings
}

impl Harness {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(TempDir::new().unwrap(), change).await
    }

    pub(super) async fn start_in(folder: TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(folder.path());
        change(&mut settings);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let server = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            run(settings, stopped, |running| {
                tell.send(running.addresses.clone()).unwrap();
            })
            .await
        });
        let told = timeout(PATIENCE, told).await.unwrap();
        let Ok(addresses) = told else {
            panic!("no start: {:?}", server.await)
        };
        Self {
            folder,
            addresses,
            stop,
            server,
        }
    }

    /// Stops in good order and gives the folder back.
    pub(super) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.server)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.folder
    }

    /// Ends the server as a crash would, as far as one process can: nothing is drained.
    pub(super) async fn kill(self) -> TempDir {
        self.server.abort();
        drop(self.server.await);
        self.folder
    }

    pub(super) fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Through the Unix socket, as the administrator.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.local(Request::get(path).body(Full::default()).unwrap())
            .await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body.to_string(), &[]).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Answer {
        let text = body.to_string();
        let request = request(Method::PUT, path, &[("content-type", "application/json")]);
        self.local(request.map(|_| Full::new(text.into()))).await
    }

    pub(super) async fn put_with(&self, path: &str, body: &Value, header: (&str, &str)) -> Answer {
        let json = ("content-type", "application/json");
        let request = request(Method::PUT, path, &[json, header]);
        self.local(request.map(|_| Full::new(body.to_string().into())))
            .await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.local(request(Method::DELETE, path, &[])).await
    }

    pub(super) async fn post_with(
        &self,
        path: &str,
        body: impl Into<Bytes>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = request(Method::POST, path, headers);
        self.local(request.map(|_| Full::new(body.into()))).await
    }

    pub(super) async fn local(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = UnixStream::connect(&self.addresses.socket).await.unwrap();
        exchange(stream, request).await
    }

    /// Through the port, with these headers.
    pub(super) async fn remote(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let stream = TcpStream::connect(self.addresses.http).await.unwrap();
        exchange(stream, request(method, path, headers)).await
    }

    /// Submits a job that no node can run yet.
    pub(super) async fn submit(&self, tasks: u32) -> u64 {
        let answer = self.post("/api/v1/jobs", &job(tasks)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["job"].as_u64().unwrap()
    }
}

/// A job of that many tasks.
pub(super) fn job(tasks: u32) -> Value {
    json!({"name": "test", "tasks": {"first": 1, "last": tasks}, "kernel": {"name": "noop"}})
}

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

/// One request on one connection.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<Full<Bytes>>,
) -> Answer {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (method, path) = (request.method().clone(), request.uri().to_string());
    let host = "localhost".parse().unwrap();
    request.headers_mut().entry("host").or_insert(host);
    let answered = async {
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    };
    let answer = timeout(PATIENCE, answered).await.unwrap();
    super::openapi::assert_declared(&method, &path, &answer);
    answer
}

/// Connects to the port without saying anything.
pub(super) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// One request through the socket of a server that may be stopping; `None` when it cuts us off.
pub(super) async fn get_at(socket: &Path, path: &str) -> Option<Answer> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = request(Method::GET, path, &[("host", "localhost")]);
    let answered = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap()
        .ok()?;
    let (parts, body) = answered.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}
