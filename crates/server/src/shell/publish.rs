//! What watchers are told: the last events in a ring, and how far live jobs are.
//!
//! Watchers read the ring at their own pace and are only woken here, so that none of them, however
//! slow, holds up the committer or costs memory. Whoever falls behind the ring reads the state anew.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flota_engine::fleet::api::FleetEvent;
use flota_model::{
    change::{Batch, Change},
    ids::{Epoch, EventId, JobId},
    state::{Counts, JobPhase},
};
use tokio::{
    sync::{broadcast, watch},
    time,
};

use super::PUBLISHED_BEHIND_MAX;

/// Events that can still be told to one who comes back: minutes of a busy fleet, in a few MiB.
pub(crate) const EVENTS_KEPT: usize = 16_384;
/// Between two tellings of how far jobs are.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Most jobs whose progress is told at once. Of those beyond, the next change is told.
pub(crate) const PROGRESS_JOBS_MAX: usize = 1_024;
/// Tellings of progress that a watcher may be behind.
const PROGRESS_BEHIND_MAX: usize = 8;

/// An event of the fleet as watchers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) id: EventId,
    pub(crate) event: FleetEvent,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) job: JobId,
    pub(crate) phase: JobPhase,
    pub(crate) counts: Counts,
}

/// What happened after a certain event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Since {
    /// All of it, or the first part of it.
    Events(Vec<Published>),
    /// Some of it is not known any more. What comes after `newest` will be.
    Gone { newest: EventId },
}

/// Where the committer publishes and watchers read. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Publisher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    newest: watch::Sender<EventId>,
    events: broadcast::Sender<Published>,
    /// The latest of each job since the last telling.
    changed: Mutex<BTreeMap<JobId, Progress>>,
    progress: broadcast::Sender<Arc<[Progress]>>,
}

/// The last events.
#[derive(Debug, Default)]
struct Ring {
    /// All events after this one are in the ring.
    floor: EventId,
    events: VecDeque<Published>,
}

impl Ring {
    fn newest(&self) -> EventId {
        self.events.back().map_or(self.floor, |last| last.id)
    }

    fn push(&mut self, published: Published) {
        if self.events.len() == EVENTS_KEPT
            && let Some(oldest) = self.events.pop_front()
        {
            self.floor = oldest.id;
        }
        self.events.push_back(published);
    }

    fn since(&self, last: EventId, limit: usize) -> Since {
        let newest = self.newest();
        // An id from the future comes from another store, or one that was put back since.
        if last < self.floor || last > newest {
            return Since::Gone { newest };
        }
        let start = self.events.partition_point(|event| event.id <= last);
        Since::Events(
            self.events
                .iter()
                .skip(start)
                .take(limit)
                .cloned()
                .collect(),
        )
    }
}

impl Publisher {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            ring: Mutex::default(),
            newest: watch::Sender::new(EventId::default()),
            events: broadcast::Sender::new(PUBLISHED_BEHIND_MAX),
            changed: Mutex::default(),
            progress: broadcast::Sender::new(PROGRESS_BEHIND_MAX),
        }))
    }

    /// Says under which start of the server events will be published: those of earlier ones are
    /// not known here.
    pub(crate) fn begin(&self, epoch: Epoch) {
        let floor = EventId(u64::from(epoch.0) << 40);
        let mut ring = lock(&self.0.ring);
        ring.floor = floor;
        ring.events.clear();
        drop(ring);
        self.0.newest.send_replace(floor);
    }

    /// Tells all watchers; nobody watching is no failure.
    pub(crate) fn publish(&self, published: Published) {
        let id = published.id;
        lock(&self.0.ring).push(published.clone());
        self.0.newest.send_replace(id);
        let _ = self.0.events.send(published);
    }

    /// Notes how far jobs are after these batches.
    pub(crate) fn note(&self, batches: &[Batch]) {
        // Counting for nobody would cost the committer a lock and a tree per batch.
        if self.0.progress.receiver_count() == 0 {
            return;
        }
        let mut changed = lock(&self.0.changed);
        for change in batches.iter().flat_map(|batch| &batch.changes) {
            if let Change::JobProgressed {
                job, phase, counts, ..
            } = change
                && (changed.len() < PROGRESS_JOBS_MAX || changed.contains_key(job))
            {
                let (job, phase, counts) = (*job, *phase, *counts);
                changed.insert(job, Progress { job, phase, counts });
            }
        }
    }

    /// Tells how far jobs are, once a second, for ever.
    pub(crate) async fn tell_progress(self) {
        loop {
            time::sleep(PROGRESS_INTERVAL).await;
            let changed = std::mem::take(&mut *lock(&self.0.changed));
            if !changed.is_empty() {
                let _ = self.0.progress.send(changed.into_values().collect());
            }
        }
    }

    /// All events from now on, pushed.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Published> {
        self.0.events.subscribe()
    }

    /// Wakes at each event; the value is the newest one.
    pub(crate) fn newest(&self) -> watch::Receiver<EventId> {
        self.0.newest.subscribe()
    }

    /// All tellings of progress from now on.
    pub(crate) fn progress(&self) -> broadcast::Receiver<Arc<[Progress]>> {
        self.0.progress.subscribe()
    }

    /// What happened after `last`, at most `limit` events of it.
    pub(crate) fn since(&self, last: EventId, limit: usize) -> Since {
        lock(&self.0.ring).since(last, limit)
    }
}

/// What is behind these locks is whole at every moment, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
