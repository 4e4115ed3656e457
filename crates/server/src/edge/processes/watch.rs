//! `GET /api/v1/processes/watch`: a snapshot, and then what changes, tick by tick.
//!
//! Nothing is queued for a watcher: each tick compares what it was shown last with what is there now,
//! when its connection has room. One that is slow sees fewer ticks.

mod change;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderName, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flota_model::{command::NodeView, state::NodePhase};
use flota_wire::{quantity::parse_duration, rest::process::SilentNode};
use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::OwnedSemaphorePermit,
    task,
    time::{Instant, sleep_until},
};

use self::change::{Seen, Shown};
use super::{
    super::{Desk, Parameters},
    filter::Filter,
    known,
    shared::Feed,
    wanted_nodes,
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{Problem, QUERY_INVALID},
    stop::Stop,
};

/// Between two ticks where the caller does not say.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
/// Shorter ones cost more than they tell: a tick of the clock of processes is a hundredth of a second.
const INTERVAL_MIN: Duration = Duration::from_millis(500);
/// Longer ones look like a connection that broke.
const INTERVAL_MAX: Duration = Duration::from_mins(1);
/// Most nodes of one watcher: each is asked every tick.
const NODES_MAX: usize = 256;
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /api/v1/processes/watch?node=…&interval=1s&name=…`
pub(super) async fn watch(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::parse(&uri, &known(&["node"], &["interval"]))?;
    let filter = Filter::parse(&parameters)?;
    let interval = parameters.parsed("interval", "a duration from 500ms to 1m", |text| {
        let bounds = INTERVAL_MIN..=INTERVAL_MAX;
        parse_duration(text)
            .ok()
            .filter(|interval| bounds.contains(interval))
    })?;
    let _ = caller.may(Verb::ProcessRead, &Object::Fleet)?;
    let nodes = wanted_nodes(&desk, &caller, &parameters).await?;
    if nodes.len() > NODES_MAX {
        let detail = format!(
            "these are {} nodes: at most {NODES_MAX} are watched at once",
            nodes.len()
        );
        return Err(Problem::new(QUERY_INVALID, detail).with_hint("name some with `node`"));
    }
    let feed = |node: NodeView| (desk.shared_lists().feed(node.node), node);
    let feeds = nodes.into_iter().map(feed).collect();
    let watcher = Watcher {
        _place: desk.watcher_place()?,
        stop: desk.stop(),
        desk,
        caller,
        feeds,
        filter: Arc::new(filter),
        interval: interval.unwrap_or(INTERVAL_DEFAULT),
        next_at: Instant::now(),
        shown: None,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Proxies that compress or gather would hold ticks back.
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, body(watcher)).into_response())
}

fn body(watcher: Watcher) -> Body {
    let texts = stream::unfold(watcher, |mut watcher| async {
        let text = watcher.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), watcher))
    });
    Body::from_stream(texts)
}

/// One who watches.
struct Watcher {
    desk: Desk,
    caller: Caller,
    feeds: Vec<(Arc<Feed>, NodeView)>,
    filter: Arc<Filter>,
    interval: Duration,
    next_at: Instant,
    /// What it was told last; `None` before the snapshot.
    shown: Option<Arc<Shown>>,
    stop: Stop,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The text of the next tick; `None` when the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.said() => None,
            text = self.tick() => text,
        }
    }

    async fn tick(&mut self) -> Option<Bytes> {
        sleep_until(self.next_at).await;
        // Ticks that a slow connection had no room for are left out.
        self.next_at = Instant::now() + self.interval;
        let now = Arc::new(self.look().await);
        let before = self.shown.replace(Arc::clone(&now));
        let filter = Arc::clone(&self.filter);
        // Comparing and writing thousands of processes takes milliseconds, which others need not
        // wait for.
        let text = task::spawn_blocking(move || change::text(&filter, before.as_deref(), &now));
        text.await.ok().map(Into::into)
    }

    /// The lists of all nodes; one that has been asked for by another watcher is as good.
    async fn look(&self) -> Shown {
        // A list is shared while it is younger than most of a tick: watchers that tick at the same
        // time meet in one question.
        let age_max = self.interval * 7 / 8;
        let ask = |(feed, node): &(Arc<Feed>, NodeView)| {
            let (feed, mut node) = (Arc::clone(feed), node.clone());
            // Whether it is there is found by asking.
            node.phase = NodePhase::Up;
            async move {
                let frame = feed.latest(&self.desk, &self.caller, &node, age_max).await;
                (node, frame)
            }
        };
        let asked: Vec<_> = self.feeds.iter().map(ask).collect();
        let mut answers = stream::iter(asked).buffer_unordered(NODES_MAX);
        let mut shown = Shown::default();
        let mut away = Vec::new();
        while let Some((node, frame)) = answers.next().await {
            match frame {
                Ok(list) => {
                    let name = node.name.into();
                    shown.seen.insert(node.node, Seen { name, list });
                }
                Err(problem) => away.push((node, problem)),
            }
        }
        drop(answers);
        shown.silent = self.silent(away).await;
        shown
    }

    /// Nodes that did not answer, with the phase that they are in by now.
    async fn silent(&self, away: Vec<(NodeView, Arc<Problem>)>) -> BTreeMap<u32, SilentNode> {
        if away.is_empty() {
            return BTreeMap::new();
        }
        let nodes = super::node_views(&self.desk, &self.caller, &Object::Fleet).await;
        let nodes = nodes.unwrap_or_default();
        let phase = |node: &NodeView| {
            let found = nodes.iter().find(|other| other.node == node.node);
            found.map_or(node.phase, |found| found.phase)
        };
        let silent = |(node, problem): (NodeView, Arc<Problem>)| {
            let silent = SilentNode {
                node: node.node.0,
                phase: phase(&node).word().to_owned(),
                name: node.name,
                code: problem.kind().code.to_owned(),
                detail: problem.detail().to_owned(),
            };
            (silent.node, silent)
        };
        away.into_iter().map(silent).collect()
    }
}
