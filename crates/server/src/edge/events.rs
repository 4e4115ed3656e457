//! Server-sent events (HTML standard, section 9.2) with resume.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, Uri, header},
    response::{IntoResponse, Response},
    routing::on,
};
use bytes::Bytes;
use flota_engine::fleet::api::FleetEvent;
use flota_model::ids::EventId;
use flota_wire::rest::{
    self,
    convert::{seconds, tasks_by_state},
    service::{ReplicaEvent, ServiceEvent},
};
use futures_util::stream;
use serde::Serialize;
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::{
    Desk, Parameters,
    routes::{Answer, Chapter, Parameter, Route, Shape},
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{Problem, QUERY_INVALID, WATCHERS_TOO_MANY},
    shell::{Progress, Published, Publisher, Since},
    stop::Stop,
};

/// Events written at once; bounds the memory that a watcher takes.
const CHUNK_EVENTS_MAX: usize = 256;
/// Milliseconds after which a browser that lost its connection comes back.
const RETRY_MILLISECONDS: u32 = 2_000;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const TOPIC_WORDS: &str = "job, node, progress, service and replica, with commas between";

const EVENT_NUMBER: Shape = Shape::Number {
    min: 0,
    max: u64::MAX,
};

pub(super) const ROUTES: &[Route] = &[Route {
    chapter: Chapter::Events,
    parameters: &[
        Parameter::query(
            "topics",
            Shape::SomeOf(&["job", "node", "progress", "service", "replica"]),
            "What to hear of; all if not given.",
        ),
        Parameter::query(
            "since",
            EVENT_NUMBER,
            "The last event that is known already; else from now on.",
        ),
        Parameter::header(
            "Last-Event-ID",
            EVENT_NUMBER,
            "As `since`, which it overrules: what a browser sends that comes back.",
        ),
    ],
    answers: &[Answer::media(
        "Events `job`, `node`, `progress`, `service`, `replica` and `resync`, as they happen. Their data \
         are the schemas `JobEvent`, `NodeEvent`, `ProgressEvent`, `ServiceEvent`, `ReplicaEvent` and \
         `ResyncEvent`.",
        &["text/event-stream"],
    )],
    problems: &[&[WATCHERS_TOO_MANY]],
    ..Route::get(
        "/api/v1/events",
        "watchEvents",
        "Server-sent events, with resume.",
        |method| on(method, events),
    )
}];

/// What a watcher wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Topics {
    job: bool,
    node: bool,
    progress: bool,
    service: bool,
    replica: bool,
}

impl Topics {
    const ALL: Self = Self {
        job: true,
        node: true,
        progress: true,
        service: true,
        replica: true,
    };

    fn parse(text: &str) -> Option<Self> {
        let mut topics = Self::default();
        for word in text.split(',') {
            let topic = match word {
                "job" => &mut topics.job,
                "node" => &mut topics.node,
                "progress" => &mut topics.progress,
                "service" => &mut topics.service,
                "replica" => &mut topics.replica,
                _ => return None,
            };
            *topic = true;
        }
        Some(topics)
    }
}

/// `GET /api/v1/events?topics=job,node,progress,service,replica&since=ID`
pub(super) async fn events(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::parse(&uri, &["topics", "since"])?;
    let topics = parameters.parsed("topics", TOPIC_WORDS, Topics::parse)?;
    let topics = topics.unwrap_or(Topics::ALL);
    let since = parameters.number("since", 0..=u64::MAX)?.map(EventId);
    // A browser that comes back asks for the same address, and says in the header how far it got.
    let since = last_event(&headers)?.or(since);
    if topics.job || topics.progress {
        let _ = caller.may(Verb::JobRead, &Object::Fleet)?;
    }
    if topics.node {
        let _ = caller.may(Verb::NodeRead, &Object::Fleet)?;
    }
    if topics.service || topics.replica {
        let _ = caller.may(Verb::ServiceRead, &Object::Fleet)?;
    }
    let watcher = watcher(&desk, topics, since)?;
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Proxies that compress or gather would hold events back.
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, body(watcher)).into_response())
}

fn watcher(desk: &Desk, topics: Topics, since: Option<EventId>) -> Result<Watcher, Problem> {
    let place = desk.watcher_place()?;
    Ok(Watcher::new(WatcherParts {
        topics,
        since,
        publisher: desk.publisher().clone(),
        ping_interval: desk.settings().limits.event_ping_interval,
        stop: desk.stop(),
        place,
    }))
}

fn body(watcher: Watcher) -> Body {
    let texts = stream::unfold(watcher, |mut watcher| async {
        let text = watcher.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), watcher))
    });
    Body::from_stream(texts)
}

/// How far a client says to have got; empty when it has got nothing.
fn last_event(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let Some(given) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = given.to_str().unwrap_or("?");
    if text.is_empty() {
        return Ok(None);
    }
    let id = text.parse().map(EventId).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        let detail = format!("`Last-Event-ID` is `{shown}`, not the id of an event");
        Problem::new(QUERY_INVALID, detail)
    })?;
    Ok(Some(id))
}

/// What a watcher is made of.
struct WatcherParts {
    topics: Topics,
    /// `None` for one who begins now.
    since: Option<EventId>,
    publisher: Publisher,
    ping_interval: Duration,
    stop: Stop,
    place: OwnedSemaphorePermit,
}

/// One who watches, and how far they are.
struct Watcher {
    topics: Topics,
    /// The last event that was told or passed over.
    last: EventId,
    newest: watch::Receiver<EventId>,
    progress: Option<broadcast::Receiver<Arc<[Progress]>>>,
    publisher: Publisher,
    ping_interval: Duration,
    ping_at: Instant,
    stop: Stop,
    /// Written before anything else.
    head: Option<String>,
    _place: OwnedSemaphorePermit,
}

/// Why a watcher woke.
enum Woken {
    Stop,
    Ping,
    Events,
    Progress(Result<Arc<[Progress]>, RecvError>),
}

impl Watcher {
    fn new(parts: WatcherParts) -> Self {
        let mut newest = parts.publisher.newest();
        // Looks at the ring once, whatever has happened before.
        newest.mark_changed();
        let begin = *newest.borrow();
        // Without data nothing is dispatched, but the id is kept (HTML standard, 9.2.6): one who is
        // cut off before the first event comes back for it.
        let id = parts
            .since
            .map_or_else(|| format!("id:{begin}\n"), |_| String::new());
        Self {
            topics: parts.topics,
            last: parts.since.unwrap_or(begin),
            newest,
            progress: parts.topics.progress.then(|| parts.publisher.progress()),
            publisher: parts.publisher,
            ping_interval: parts.ping_interval,
            ping_at: Instant::now() + parts.ping_interval,
            stop: parts.stop,
            head: Some(format!("retry:{RETRY_MILLISECONDS}\n{id}\n")),
            _place: parts.place,
        }
    }

    /// The next text for the watcher; `None` when the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(head) = self.head.take() {
            return Some(head.into());
        }
        loop {
            let text = match self.woken().await {
                Woken::Stop | Woken::Progress(Err(RecvError::Closed)) => return None,
                // With the id, because events that are passed over would else be asked for again.
                Woken::Ping => format!(":ping\nid:{}\n\n", self.last),
                Woken::Events => self.told(),
                Woken::Progress(Ok(progress)) => progress.iter().map(progress_text).collect(),
                Woken::Progress(Err(RecvError::Lagged(_))) => resync_text(
                    None,
                    "the connection was too slow for the progress of the jobs",
                ),
            };
            if !text.is_empty() {
                self.ping_at = Instant::now() + self.ping_interval;
                return Some(text.into());
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        tokio::select! {
            biased;
            () = self.stop.said() => Woken::Stop,
            changed = self.newest.changed() => changed.map_or(Woken::Stop, |()| Woken::Events),
            progress = receive(&mut self.progress) => Woken::Progress(progress),
            () = sleep_until(self.ping_at) => Woken::Ping,
        }
    }

    /// What has happened since the last time, up to a limit.
    fn told(&mut self) -> String {
        match self.publisher.since(self.last, CHUNK_EVENTS_MAX) {
            Since::Gone { newest } => {
                self.last = newest;
                resync_text(Some(newest), "some events are not known any more")
            }
            Since::Events(events) => {
                if events.len() == CHUNK_EVENTS_MAX {
                    // There may be more, of which no news will come.
                    self.newest.mark_changed();
                }
                self.last = events.last().map_or(self.last, |event| event.id);
                events
                    .iter()
                    .filter_map(|event| event_text(event, self.topics))
                    .collect()
            }
        }
    }
}

/// The next telling; waits for ever where none was asked for.
async fn receive(
    progress: &mut Option<broadcast::Receiver<Arc<[Progress]>>>,
) -> Result<Arc<[Progress]>, RecvError> {
    match progress {
        Some(progress) => progress.recv().await,
        None => std::future::pending().await,
    }
}

fn event_text(published: &Published, topics: Topics) -> Option<String> {
    let id = Some(published.id);
    match &published.event {
        FleetEvent::Job { job, phase, at } => topics.job.then(|| {
            let (job, phase, at) = (job.0, phase.word().into(), seconds(*at));
            text(id, "job", &rest::JobEvent { job, phase, at })
        }),
        FleetEvent::Node { node, phase, at } => topics.node.then(|| {
            let (node, phase, at) = (node.0, phase.word().into(), seconds(*at));
            text(id, "node", &rest::NodeEvent { node, phase, at })
        }),
        FleetEvent::Service {
            service,
            news,
            job,
            replicas,
            at,
        } => topics.service.then(|| {
            let event = ServiceEvent {
                service: service.clone(),
                news: news.word().into(),
                job: job.0,
                replicas: *replicas,
                at: seconds(*at),
            };
            text(id, "service", &event)
        }),
        replica @ FleetEvent::Replica { .. } => {
            let event = topics.replica.then(|| replica_event(replica));
            event.flatten().map(|event| text(id, "replica", &event))
        }
    }
}

fn replica_event(event: &FleetEvent) -> Option<ReplicaEvent> {
    let FleetEvent::Replica {
        service,
        replica,
        job,
        node,
        run,
        news,
        outcome,
        at,
    } = event
    else {
        return None;
    };
    let event = ReplicaEvent {
        service: service.clone(),
        replica: replica.0,
        job: job.0,
        node: node.0,
        run: *run,
        news: news.word().into(),
        outcome: None,
        exit_code: None,
        signal: None,
        at: seconds(*at),
    };
    Some(event.with_outcome(outcome.as_ref()))
}

/// Without an id: it is not kept, and the next one says all that it says.
fn progress_text(progress: &Progress) -> String {
    let event = rest::ProgressEvent {
        job: progress.job.0,
        phase: progress.phase.word().into(),
        tasks: tasks_by_state(&progress.counts),
    };
    text(None, "progress", &event)
}

fn resync_text(id: Option<EventId>, reason: &str) -> String {
    let event = rest::ResyncEvent {
        reason: reason.into(),
    };
    text(id, "resync", &event)
}

fn text(id: Option<EventId>, name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).expect("strings and numbers are always JSON");
    let id = id.map_or_else(String::new, |id| format!("id:{id}\n"));
    format!("{id}event:{name}\ndata:{data}\n\n")
}

#[cfg(test)]
mod tests;
