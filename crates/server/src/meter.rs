//! What the server counts about itself.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flota_engine::fleet::api::FleetEvent;
use flota_model::{state::JobPhase, units::Timestamp};

use crate::shell::TURNS_IN_FLIGHT_MAX;

/// Upper bounds of the commit histogram, in microseconds, with their text in seconds: from a fast
/// disk to one that nobody should use.
pub(crate) const COMMIT_BOUNDS: [(u64, &str); 9] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
];
/// Upper bounds of the histogram of batches in one commit: up to all that can be in flight.
pub(crate) const BATCHES_BOUNDS: [usize; 7] = [1, 2, 4, 8, 16, 32, TURNS_IN_FLIGHT_MAX];
/// One more than the highest HTTP status.
const STATUS_END: usize = 600;

/// Counters, from the start of the server on.
#[derive(Debug)]
pub(crate) struct Meter {
    /// When counting began.
    since: Timestamp,
    requests: [AtomicU64; STATUS_END],
    requests_in_flight: AtomicU64,
    jobs_finished: AtomicU64,
    /// Not cumulative; the last one is above all bounds.
    commits: [AtomicU64; COMMIT_BOUNDS.len() + 1],
    commit_micros: AtomicU64,
    batches: AtomicU64,
    /// Not cumulative; the last one stays empty.
    batch_counts: [AtomicU64; BATCHES_BOUNDS.len() + 1],
}

/// One request that is being answered, until it is dropped: also when nobody waits any more.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Meter);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.requests_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Meter {
    /// All zero, counting from `since` on.
    pub(crate) fn new(since: Timestamp) -> Self {
        Self {
            since,
            requests_in_flight: AtomicU64::new(0),
            jobs_finished: AtomicU64::new(0),
            batch_counts: [const { AtomicU64::new(0) }; BATCHES_BOUNDS.len() + 1],
            requests: [const { AtomicU64::new(0) }; STATUS_END],
            commits: [const { AtomicU64::new(0) }; COMMIT_BOUNDS.len() + 1],
            commit_micros: AtomicU64::new(0),
            batches: AtomicU64::new(0),
        }
    }

    /// When counting began.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// Counts a request that is being answered.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.requests_in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// Counts a published event.
    pub(crate) fn event(&self, event: &FleetEvent) {
        if let FleetEvent::Job {
            phase: JobPhase::Finished,
            ..
        } = event
        {
            self.jobs_finished.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an answered request.
    pub(crate) fn request(&self, status: u16) {
        if let Some(count) = self.requests.get(usize::from(status)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a commit of that many batches.
    pub(crate) fn commit(&self, batches: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = COMMIT_BOUNDS.partition_point(|(bound, _)| *bound < micros);
        self.commits[bucket].fetch_add(1, Ordering::Relaxed);
        self.commit_micros.fetch_add(micros, Ordering::Relaxed);
        self.batches.fetch_add(batches as u64, Ordering::Relaxed);
        let bucket = BATCHES_BOUNDS.partition_point(|bound| *bound < batches);
        self.batch_counts[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// Answered requests by status, those that came.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self
            .requests
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        counts.enumerate().filter(|(_, count)| *count > 0)
    }

    /// Commits by bucket, not cumulative.
    pub(crate) fn commits(&self) -> [u64; COMMIT_BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.commits[bucket].load(Ordering::Relaxed))
    }

    /// Commits by their number of batches, not cumulative.
    pub(crate) fn batch_counts(&self) -> [u64; BATCHES_BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.batch_counts[bucket].load(Ordering::Relaxed))
    }

    /// Requests that are being answered.
    pub(crate) fn requests_in_flight(&self) -> u64 {
        self.requests_in_flight.load(Ordering::Relaxed)
    }

    /// Jobs that finished.
    pub(crate) fn jobs_finished(&self) -> u64 {
        self.jobs_finished.load(Ordering::Relaxed)
    }

    /// Microseconds of all commits.
    pub(crate) fn commit_micros(&self) -> u64 {
        self.commit_micros.load(Ordering::Relaxed)
    }

    /// Batches of all commits.
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }
}
