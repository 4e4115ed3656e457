//! The client against a real HTTP server over real sockets, which answers what a test says.

use std::{
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use flota_model::outcome::StreamName;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener},
    task::JoinSet,
};

use super::{Client, JobsQuery, OutputQuery, ProcessName, TasksQuery, answer::ANSWER_LENGTH_MAX};
use crate::{
    endpoint::{Endpoint, Search},
    fault::ClientFault,
};

/// What a server saw of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    line: String,
    token: Option<String>,
    key: Option<String>,
    body: String,
}

type Log = Arc<Mutex<Vec<Seen>>>;
type Answer = fn(&str) -> Response<Full<Bytes>>;

async fn respond(
    request: Request<Incoming>,
    log: Log,
    answer: Answer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (token, key) = (header("authorization"), header("idempotency-key"));
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    log.lock().unwrap().push(Seen {
        line: line.clone(),
        token,
        key,
        body,
    });
    Ok(answer(&line))
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    log: Log,
    answer: Answer,
    keep: bool,
) {
    let service = service_fn(move |request| respond(request, Arc::clone(&log), answer));
    let serving = http1::Builder::new()
        .keep_alive(keep)
        .serve_connection(TokioIo::new(stream), service);
    let _ = serving.await;
}

struct Server {
    endpoint: Endpoint,
    log: Log,
    connections: Arc<Mutex<u32>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        };
        let (log, connections) = (Log::default(), Arc::new(Mutex::new(0)));
        let (seen, count) = (Arc::clone(&log), Arc::clone(&connections));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                serving.spawn(serve(stream, Arc::clone(&seen), answer, true));
            }
        });
        Self {
            endpoint,
            log,
            connections,
            _tasks: tasks,
        }
    }

    fn client(&self) -> Client {
        Client::new(self.endpoint.clone(), None, Duration::from_secs(10))
    }

    fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }
}

fn json(text: &str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())))
}

fn of_path(line: &str) -> Response<Full<Bytes>> {
    match line {
        "POST /api/v1/jobs" => json(r#"{"job": 7, "existing": false}"#),
        "POST /api/v1/fleet/recover" => json("{}"),
        "GET /api/v1/kernels" => json(r#"{"kernels": ["noop"]}"#),
        line if line.starts_with("GET /api/v1/jobs?") => json(r#"{"jobs": [], "next": 3}"#),
        line if line.contains("/tasks?") => json(r#"{"tasks": [], "next": null}"#),
        line if line.contains("/cancel") => json(r#"{"job": 7, "phase": "cancelling"}"#),
        _ => json("{}"),
    }
}

#[tokio::test]
async fn requests_are_those_of_the_api_on_one_kept_connection() {
    let server = Server::start(of_path).await;
    let endpoint = server.endpoint.clone();
    let mut client = Client::new(endpoint, Some("secret".into()), Duration::from_secs(10));
    let submitted = client
        .submit(&serde_json::json!({"name": "x"}), "key-1")
        .await
        .unwrap();
    assert_eq!(submitted.job, 7);
    let query = JobsQuery {
        limit: Some(5),
        before: Some(9),
        phase: Some("active".into()),
        kind: Some("all".into()),
    };
    assert_eq!(client.jobs(&query).await.unwrap().next, Some(3));
    let query = TasksQuery {
        job: 7,
        limit: None,
        after: Some(2),
        state: Some("failed".into()),
    };
    client.tasks(&query).await.unwrap();
    assert_eq!(
        client.cancel("last", None).await.unwrap().phase,
        "cancelling"
    );
    client.recover().await.unwrap();
    assert_eq!(client.kernels().await.unwrap(), ["noop"]);
    client.node("a/b?c").await.unwrap_err();

    let seen = server.seen();
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    let expected = [
        "POST /api/v1/jobs",
        "GET /api/v1/jobs?limit=5&before=9&phase=active&kind=all",
        "GET /api/v1/jobs/7/tasks?after=2&state=failed",
        "POST /api/v1/jobs/last/cancel",
        "POST /api/v1/fleet/recover",
        "GET /api/v1/kernels",
        "GET /api/v1/nodes/a%2Fb%3Fc",
    ];
    assert_eq!(lines, expected);
    assert!(
        seen.iter()
            .all(|seen| seen.token.as_deref() == Some("Bearer secret"))
    );
    assert_eq!(seen[0].key.as_deref(), Some("key-1"));
    assert_eq!(seen[0].body, r#"{"name":"x"}"#);
    assert_eq!(*server.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = Log::default();
    let seen = Arc::clone(&log);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // One answer to a connection, then it is closed without a word.
            serve(stream, Arc::clone(&seen), of_path, false).await;
        }
    });
    let endpoint = Endpoint::Tcp {
        host: "localhost".into(),
        port,
    };
    let mut client = Client::new(endpoint, None, Duration::from_secs(10));
    for _ in 0..5 {
        client.kernels().await.unwrap();
    }
    assert_eq!(log.lock().unwrap().len(), 5);
}

/// Answers a read, and hangs up on anything else once it has taken it.
async fn hang_up_on_orders(stream: TcpStream, log: Log) {
    let service = service_fn(move |request: Request<Incoming>| {
        let log = Arc::clone(&log);
        async move {
            let is_order = request.method() == hyper::Method::POST;
            let answer = respond(request, log, of_path).await;
            if is_order {
                return Err(io::Error::other("no answer"));
            }
            Ok(answer.unwrap_or_default())
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = serving.await;
}

#[tokio::test]
async fn a_signal_without_an_answer_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = Log::default();
    let seen = Arc::clone(&log);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            hang_up_on_orders(stream, Arc::clone(&seen)).await;
        }
    });
    let endpoint = Endpoint::Tcp {
        host: "localhost".into(),
        port,
    };
    let mut client = Client::new(endpoint, None, Duration::from_secs(10));
    client.kernels().await.unwrap();
    let name = ProcessName::Handle("1-ab-7-5-9".into());
    let fault = client.signal(&name, 9).await.unwrap_err();
    assert!(matches!(fault, ClientFault::Broken { .. }), "{fault:?}");
    assert_eq!(log.lock().unwrap().len(), 2);
    // A cancel may be repeated, and is.
    client.kernels().await.unwrap();
    client.cancel("7", Some("no more")).await.unwrap_err();
    assert_eq!(log.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_server_that_only_hangs_up_is_told_as_broken_and_none_as_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
    });
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let mut client = Client::new(endpoint, None, Duration::from_secs(10));
    let fault = client.fleet().await.unwrap_err();
    assert!(matches!(fault, ClientFault::Broken { .. }), "{fault:?}");
    client.fleet().await.unwrap_err();
    tasks.join_next().await;
    let fault = client.fleet().await.unwrap_err();
    assert!(
        matches!(fault, ClientFault::Unreachable { .. }),
        "{fault:?}"
    );
    assert!(fault.may_pass());
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_the_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let mut client = Client::new(endpoint, None, Duration::from_millis(50));
    let fault = client.fleet().await.unwrap_err();
    assert!(matches!(fault, ClientFault::TimedOut { .. }), "{fault:?}");
    // A wait may take longer by the patience that it tells the server.
    let fault = client.wait(1, Duration::from_millis(25)).await.unwrap_err();
    let ClientFault::TimedOut { after, .. } = fault else {
        panic!("{fault:?}")
    };
    assert_eq!(after, Duration::from_millis(75));
}

fn refusal(line: &str) -> Response<Full<Bytes>> {
    let problem = r#"{"type": "/docs/errors/E-NODE-NOTFOUND", "title": "no such node",
        "status": 404, "code": "E-NODE-NOTFOUND", "detail": "there is no node `x`"}"#;
    let mut response = json(if line.contains("/nodes/") {
        problem
    } else {
        "<html>"
    });
    *response.status_mut() = hyper::StatusCode::NOT_FOUND;
    response
}

#[tokio::test]
async fn a_refusal_is_a_problem_and_anything_else_is_not_understood() {
    let server = Server::start(refusal).await;
    let mut client = server.client();
    let fault = client.node("x").await.unwrap_err();
    assert_eq!(fault.problem().unwrap().code, "E-NODE-NOTFOUND");
    assert!(!fault.may_pass());
    let fault = client.fleet().await.unwrap_err();
    assert!(
        matches!(fault, ClientFault::AnswerInvalid { status: 404, .. }),
        "{fault:?}"
    );
}

fn endless(_: &str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from(vec![b' '; ANSWER_LENGTH_MAX + 1])))
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_kept_in_memory() {
    let server = Server::start(endless).await;
    let fault = server.client().fleet().await.unwrap_err();
    assert!(
        matches!(fault, ClientFault::AnswerTooLong { .. }),
        "{fault:?}"
    );
}

fn output(line: &str) -> Response<Full<Bytes>> {
    if line.contains("/task") && !line.contains("output") {
        return json("{}");
    }
    let body = if line.contains("offset=3") {
        "lo"
    } else {
        "hel"
    };
    let builder = Response::builder()
        .header("x-flota-length", "5")
        .header("x-flota-growing", "true")
        .header("x-flota-attempt", "1-2-3");
    builder
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap()
}

#[tokio::test]
async fn output_is_passed_on_with_its_length_growth_and_attempt() {
    let server = Server::start(output).await;
    let mut client = server.client();
    let mut query = OutputQuery {
        job: 7,
        task: 1,
        stream: StreamName::Stderr,
        offset: 0,
        attempt: None,
    };
    let mut sink = Vec::new();
    let part = client.output(&query, &mut sink).await.unwrap();
    assert_eq!((part.written, part.length, part.growing), (3, 5, true));
    query.offset = 3;
    query.attempt = part.attempt;
    client.output(&query, &mut sink).await.unwrap();
    assert_eq!(sink, b"hello");
    let lines: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines[0], "GET /api/v1/jobs/7/tasks/1/output/stderr");
    // The order of the parameters is ours; both must be there.
    assert_eq!(
        lines[1],
        "GET /api/v1/jobs/7/tasks/1/output/stderr?offset=3&attempt=1-2-3"
    );
    assert_eq!(
        *server.connections.lock().unwrap(),
        1,
        "the connection is kept"
    );
}

#[tokio::test]
async fn the_socket_of_the_data_folder_that_answers_is_found_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    std::fs::create_dir(data.join("dev")).unwrap();
    // Left by a server that was killed: nobody listens there.
    drop(UnixListener::bind(data.join("flota.sock")).unwrap());
    std::fs::write(data.join("dev/token"), "of-dev\n").unwrap();
    let listener = UnixListener::bind(data.join("dev/flota.sock")).unwrap();
    let log = Log::default();
    let seen = Arc::clone(&log);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, seen, of_path, true).await;
    });
    let search = Search {
        data: Some(data.clone()),
        ..Search::default()
    };
    let mut client = Client::find(&search, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(
        *client.endpoint(),
        Endpoint::Unix(data.join("dev/flota.sock"))
    );
    client.kernels().await.unwrap();
    assert_eq!(
        log.lock().unwrap()[0].token.as_deref(),
        Some("Bearer of-dev")
    );
}

#[tokio::test]
async fn a_named_token_file_must_hold_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(of_path).await;
    let find = async |path: PathBuf| {
        let search = Search {
            server: Some(server.endpoint.to_string()),
            token_file: Some(path),
            ..Search::default()
        };
        Client::find(&search, Duration::from_secs(10)).await
    };
    let fault = find(folder.path().join("none")).await.err().unwrap();
    assert!(
        matches!(fault, ClientFault::TokenUnreadable { .. }),
        "{fault:?}"
    );
    for text in ["", "two words", "line\nline", &"x".repeat(5000)] {
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        let fault = find(path).await.err().unwrap();
        assert!(
            matches!(fault, ClientFault::TokenInvalid { .. }),
            "{text:?}: {fault:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_http_is_told_as_broken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let mut client = Client::new(endpoint, None, Duration::from_secs(10));
    let fault = client.fleet().await.unwrap_err();
    assert!(matches!(fault, ClientFault::Broken { .. }), "{fault:?}");
}
