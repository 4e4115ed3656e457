//! Lists of nodes that several watchers look at: one question for all of them.
//!
//! There is no task that asks: whoever comes first when a list has grown old asks for all, and nobody
//! asks while nobody watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use flota_model::{command::NodeView, ids::NodeId, process::ProcessList};
use tokio::time::Instant;

use super::asking;
use crate::{access::Caller, edge::Desk, problem::Problem};

/// A list, or why there is none.
pub(super) type Frame = Result<Arc<ProcessList>, Arc<Problem>>;

/// The last lists of watched nodes.
#[derive(Default)]
pub(crate) struct Shared(Mutex<HashMap<NodeId, Weak<Feed>>>);

/// Of one node; lives as long as somebody watches.
#[derive(Default)]
pub(super) struct Feed(tokio::sync::Mutex<Option<(Instant, Frame)>>);

impl Shared {
    /// The one of a node, for one who begins to watch.
    pub(super) fn feed(&self, node: NodeId) -> Arc<Feed> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&node).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Arc::new(Feed::default());
        feeds.insert(node, Arc::downgrade(&feed));
        feed
    }
}

impl Feed {
    /// A list that is not older than `age_max`. Others who want one meanwhile wait for the same.
    pub(super) async fn latest(
        &self,
        desk: &Desk,
        caller: &Caller,
        node: &NodeView,
        age_max: Duration,
    ) -> Frame {
        let mut held = self.0.lock().await;
        if let Some((asked_at, frame)) = &*held
            && asked_at.elapsed() < age_max
        {
            return frame.clone();
        }
        let asked_at = Instant::now();
        let deadline = asked_at + desk.settings().limits.list_within;
        // Other lists may be under way, too: together they stay bounded.
        let place = tokio::time::timeout_at(deadline, desk.list_place()).await;
        let list = asking::list(desk, caller, node, deadline).await;
        drop(place);
        let frame = list.map(Arc::new).map_err(Arc::new);
        *held = Some((asked_at, frame.clone()));
        frame
    }
}
