//! Watching events over real connections.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::UnixStream, time::timeout};

use super::{
    agent::Agent,
    harness::{Harness, PATIENCE, job},
};

/// One event as a browser would dispatch it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// A connection that watches.
pub(super) struct Watcher {
    body: Incoming,
    text: String,
    /// The last id that was seen, as a browser keeps it.
    last: String,
    pings: u32,
}

impl Watcher {
    pub(super) async fn open(server: &Harness, path: &str, last: Option<&str>) -> Self {
        let stream = UnixStream::connect(&server.addresses.socket).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::get(path).header("host", "localhost");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request));
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        let control = &answer.headers()["cache-control"];
        assert_eq!(control, "no-store, no-transform");
        Self {
            body: answer.into_body(),
            text: String::new(),
            last: last.unwrap_or("").to_owned(),
            pings: 0,
        }
    }

    /// The id to come back with.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// The lines of the next block; `None` at the end of the answer.
    async fn block(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let lines = block.lines().map(str::to_owned).collect();
                self.text = rest.to_owned();
                return Some(lines);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.unwrap()?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next block that is dispatched, or that at least moves the id.
    async fn step(&mut self) -> Option<Option<Event>> {
        let (mut name, mut data) = (String::new(), None);
        for line in self.block().await? {
            match line.split_once(':').unwrap() {
                ("", "ping") => self.pings += 1,
                ("id", id) => id.clone_into(&mut self.last),
                ("event", word) => word.clone_into(&mut name),
                ("data", text) => data = Some(serde_json::from_str(text).unwrap()),
                ("retry", "2000") => {}
                other => panic!("{other:?}"),
            }
        }
        let id = self.last.clone();
        Some(data.map(|data| Event { id, name, data }))
    }

    /// Name and data of the next event.
    pub(super) async fn tick(&mut self) -> (String, Value) {
        let event = self.next().await;
        (event.name, event.data)
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.step().await.expect("the answer ended") {
                return event;
            }
        }
    }

    /// The jobs and phases of the next events.
    async fn jobs(&mut self, count: usize) -> Vec<(u64, String)> {
        let mut jobs = Vec::new();
        while jobs.len() < count {
            let Event { name, data, .. } = self.next().await;
            assert_eq!(name, "job", "{data}");
            assert!(data["at"].as_f64().unwrap() > 1e9);
            let phase = data["phase"].as_str().unwrap();
            jobs.push((data["job"].as_u64().unwrap(), phase.to_owned()));
        }
        jobs
    }
}

fn active(job: u64) -> (u64, String) {
    (job, "active".to_owned())
}

const JOBS: &str = "/api/v1/events?topics=job";

#[tokio::test]
async fn one_who_comes_back_gets_exactly_the_missed_events() {
    let server = Harness::start().await;
    let mut watcher = Watcher::open(&server, JOBS, None).await;
    // The id of the beginning comes before any event.
    assert_eq!(watcher.step().await, Some(None));
    let begin = watcher.last.clone();
    server.submit(1).await;
    assert_eq!(watcher.jobs(1).await, [active(1)]);
    let last = watcher.last.clone();
    drop(watcher);
    for _ in 2..=4 {
        server.submit(1).await;
    }
    let cancelled = server.post("/api/v1/jobs/3/cancel", &json!(null)).await;
    assert_eq!(cancelled.status, 202);
    let cancelled = ["cancelling", "finished"].map(|phase| (3, phase.to_owned()));
    let missed = [active(2), active(3), active(4)]
        .into_iter()
        .chain(cancelled);
    let missed: Vec<_> = missed.collect();
    let mut back = Watcher::open(&server, JOBS, Some(&last)).await;
    assert_eq!(back.jobs(5).await, missed);
    server.submit(1).await;
    assert_eq!(back.jobs(1).await, [active(5)], "and then goes on");
    // The same by parameter; the header of a browser that comes back wins over it.
    let since = format!("{JOBS}&since={begin}");
    let mut again = Watcher::open(&server, &since, None).await;
    assert_eq!(again.jobs(2).await, [active(1), active(2)]);
    let mut again = Watcher::open(&server, &since, Some(&last)).await;
    assert_eq!(again.jobs(5).await, missed);
    server.stop().await;
}

#[tokio::test]
async fn events_of_an_earlier_start_are_a_resync() {
    let server = Harness::start().await;
    let mut watcher = Watcher::open(&server, JOBS, None).await;
    server.submit(1).await;
    watcher.jobs(1).await;
    let last = watcher.last.clone();
    let folder = server.stop().await;
    assert_eq!(
        watcher.step().await,
        None,
        "a stop ends the answer in order"
    );

    let server = Harness::start_in(folder, |_| {}).await;
    let mut back = Watcher::open(&server, JOBS, Some(&last)).await;
    let resync = back.next().await;
    assert_eq!(resync.name, "resync");
    assert!(resync.id.parse::<u64>().unwrap() > last.parse().unwrap());
    server.submit(1).await;
    assert_eq!(back.jobs(1).await, [active(2)]);
    let mut again = Watcher::open(&server, JOBS, Some(&resync.id)).await;
    assert_eq!(again.jobs(1).await, [active(2)], "no second resync");
    server.stop().await;
}

#[tokio::test]
async fn nodes_and_progress_are_told_too() {
    let server = Harness::start().await;
    let mut watcher = Watcher::open(&server, "/api/v1/events", None).await;
    let mut agent = Agent::join(&server, "n1").await;
    let up = watcher.next().await;
    assert_eq!(
        (up.name.as_str(), &up.data["phase"]),
        ("node", &json!("up"))
    );
    server.submit(2).await;
    let ordered = agent.ordered(2).await;
    let completed = flota_model::outcome::Outcome::Completed;
    for one in ordered {
        agent.report(one, completed.clone(), None);
    }
    let done = json!({"job": 1, "phase": "finished", "tasks": {"succeeded": 2}});
    loop {
        let event = watcher.next().await;
        if event.name == "progress" && event.data == done {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_quiet_connection_is_pinged() {
    let server = Harness::start_with(|settings| {
        settings.limits.event_ping_interval = Duration::from_millis(20);
    })
    .await;
    let mut watcher = Watcher::open(&server, JOBS, None).await;
    while watcher.pings < 3 {
        assert_eq!(watcher.step().await, Some(None));
    }
    server.stop().await;
}

#[tokio::test]
async fn watchers_have_a_number_and_give_their_places_back() {
    let server = Harness::start_with(|settings| settings.limits.watchers_max = 1).await;
    let mut watcher = Watcher::open(&server, JOBS, None).await;
    watcher.step().await;
    let refused = server.get(JOBS).await;
    assert_eq!(refused.problem(), (503, "E-WATCHER-LIMIT".into()));
    assert_eq!(refused.header("retry-after"), "10");
    drop(watcher);
    let freed = async {
        // Its end is noticed when the connection is; every answer of a full server ends by itself.
        loop {
            let path = "/api/v1/events?topics=none";
            assert_eq!(server.get(path).await.problem().1, "E-QUERY-INVALID");
            if !full(&server).await {
                return;
            }
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
    server.stop().await;
}

async fn full(server: &Harness) -> bool {
    let stream = UnixStream::connect(&server.addresses.socket).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(JOBS).header("host", "localhost");
    let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
    sender.send_request(request).await.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE
}

#[tokio::test]
async fn what_cannot_be_an_event_is_refused() {
    let server = Harness::start().await;
    for query in ["topics=jobs", "since=-1", "since=x", "topics="] {
        let refused = server.get(&format!("/api/v1/events?{query}")).await;
        assert_eq!(
            refused.problem(),
            (400, "E-QUERY-INVALID".into()),
            "{query}"
        );
    }
    let token = format!("Bearer {}", server.token());
    let headers = [("authorization", token.as_str()), ("last-event-id", "x")];
    let refused = server.remote(hyper::Method::GET, JOBS, &headers).await;
    assert_eq!(refused.problem(), (400, "E-QUERY-INVALID".into()));
    let nobody = server.remote(hyper::Method::GET, JOBS, &[]).await;
    assert_eq!(nobody.problem(), (401, "E-CREDENTIALS-MISSING".into()));
    assert_eq!(server.post(JOBS, &job(1)).await.status, 405);
    server.stop().await;
}
