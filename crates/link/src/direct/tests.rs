use std::net::SocketAddr;

use axum::{Router, routing::get};
use flota_model::frame::Up;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::*;
use crate::{
    AgentEvent, AgentLink, ServerEvent, ServerLink,
    conformance::{Engine, suite, within},
};

mod hostile;

/// The link on a port that also serves a page, as the server has it.
struct Direct {
    address: SocketAddr,
    connections_max: usize,
    link: ServerLink,
    task: JoinHandle<()>,
}

impl Direct {
    async fn listen(address: SocketAddr, settings: ServerSettings) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections_max = settings.connections_max;
        let (session, link) = server(address, settings).unwrap();
        let pages = Router::new()
            .route("/", get(async || "hello"))
            .fallback(async || axum::http::StatusCode::NOT_FOUND);
        let task = tokio::spawn(serve(listener, pages.merge(session)));
        Self {
            address,
            connections_max,
            link,
            task,
        }
    }
}

async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            // Faults are what some tests are about.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Engine for Direct {
    async fn start(connections_max: usize) -> Self {
        let settings = ServerSettings {
            connections_max,
            ..ServerSettings::default()
        };
        Self::listen("127.0.0.1:0".parse().unwrap(), settings).await
    }

    fn server(&mut self) -> &mut ServerLink {
        &mut self.link
    }

    async fn restart(self) -> Self {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        drop(self.link);
        let settings = ServerSettings {
            connections_max: self.connections_max,
            ..ServerSettings::default()
        };
        Self::listen(self.address, settings).await
    }

    fn agent(&self, seed: u64) -> AgentLink {
        agent(self.address, AgentSettings { seed }).unwrap()
    }
}

suite!(Direct);

async fn request(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn one_port_serves_pages_and_agents() {
    let direct = Direct::start(10).await;
    let mut agent = direct.agent(1);
    within(async {
        assert!(matches!(
            agent.next().await,
            Some(AgentEvent::Connected { .. })
        ));
        let page = request(
            direct.address,
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        );
        let page = page.await;
        assert!(
            page.starts_with("HTTP/1.1 200") && page.ends_with("hello"),
            "{page}"
        );
    })
    .await;
}

#[tokio::test]
async fn only_grpc_over_http2_opens_a_session() {
    let direct = Direct::start(10).await;
    let post = |headers: &str| {
        let text =
            format!("{SESSION_PATH} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        let address = direct.address;
        async move {
            let answer = within(request(address, &format!("POST {text}"))).await;
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        }
    };
    assert_eq!(post("content-length: 0\r\n").await, "415");
    assert_eq!(
        post("content-type: text/plain\r\ncontent-length: 0\r\n").await,
        "415"
    );
    assert_eq!(
        post("content-type: application/grpc\r\ncontent-length: 0\r\n").await,
        "505"
    );
}

#[test]
fn both_ends_refuse_an_address_that_others_can_reach() {
    for text in [
        "0.0.0.0:7070",
        "192.168.1.5:7070",
        "[::]:7070",
        "[2001:db8::1]:7070",
    ] {
        let address: SocketAddr = text.parse().unwrap();
        let refused = server(address, ServerSettings::default()).unwrap_err();
        assert_eq!(refused, NotLoopback { address });
        let refused = agent(address, AgentSettings { seed: 1 })
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(text) && refused.contains("needs TLS"),
            "{refused}"
        );
    }
    assert!(require_loopback("127.0.0.1:7070".parse().unwrap()).is_ok());
    assert!(require_loopback("[::1]:7070".parse().unwrap()).is_ok());
}

#[tokio::test]
async fn an_agent_says_why_it_cannot_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut agent = agent(address, AgentSettings { seed: 1 }).unwrap();
    for _ in 0..3 {
        let Some(AgentEvent::Retrying { why, after }) = within(agent.next()).await else {
            panic!("nobody listens there");
        };
        assert!(why.contains("refused"), "{why}");
        assert!(after < std::time::Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_port_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut agent = agent(listener.local_addr().unwrap(), AgentSettings { seed: 1 }).unwrap();
    let Some(AgentEvent::Retrying { why, .. }) = within(agent.next()).await else {
        panic!("nobody answers there");
    };
    assert!(why.contains("no answer within 5s"), "{why}");
}

#[tokio::test]
async fn a_connection_without_a_frame_is_cut() {
    let settings = ServerSettings {
        first_frame_within: std::time::Duration::from_millis(200),
        ..ServerSettings::default()
    };
    let mut direct = Direct::listen("127.0.0.1:0".parse().unwrap(), settings).await;
    let mut agent = direct.agent(1);
    within(async {
        assert!(matches!(
            agent.next().await,
            Some(AgentEvent::Connected { .. })
        ));
        let Some(AgentEvent::Disconnected { why, .. }) = agent.next().await else {
            panic!("it said nothing");
        };
        assert!(why.contains("no frame came within"), "{why}");
    })
    .await;
    assert_eq!(
        direct.server().try_next(),
        None,
        "nobody was told that it was there"
    );
}
