//! The server's decisions: queue, placement, sessions, leases, outcomes, retries.
//!
//! [`Fleet::handle`] applies a batch of events at one time and returns a [`Turn`]: the changes that
//! must be committed in one transaction, and the effects that may be performed only once that
//! transaction, and every earlier one, is durable (PROTOCOL 18).

pub mod api;
mod asks;
mod bits;
pub mod chunk;
mod control;
mod explain;
mod grant;
mod job;
mod keys;
mod leases;
mod ledger;
mod load;
mod node;
mod notes;
mod office;
mod opening;
mod outcomes;
mod placement;
mod principals;
mod queue;
mod requests;
mod retract;
mod retry;
mod services;
mod sessions;
mod settle;
mod unkillable;

#[cfg(test)]
mod tests;

use api::{Effect, Event, FleetEvent, Turn};
use flota_model::{
    change::{Change, Snapshot},
    frame::DownBody,
    ids::{BatchNumber, JobId, NodeId},
    state::JobPhase,
    units::{Moment, Now},
};
pub use opening::mandate_of;

use self::{
    grant::Grants, job::Jobs, keys::Keys, ledger::Ledger, node::Nodes, office::Office, queue::Queue,
};

/// The server's state machine.
#[derive(Debug)]
pub struct Fleet {
    office: Office,
    jobs: Jobs,
    grants: Grants,
    nodes: Nodes,
    queue: Queue,
    keys: Keys,
    ledger: Ledger,
}

impl Fleet {
    /// Applies `events` in order at `now`, then places what can be placed.
    pub fn handle(&mut self, events: Vec<Event>, now: Now) -> Turn {
        self.office.now = now;
        for event in events {
            match event {
                Event::Request(request) => self.request(request),
                Event::Frame { connection, frame } => self.frame(connection, frame),
                Event::Disconnected { connection } => self.disconnected(connection),
                Event::Tick => {}
            }
        }
        self.expire();
        self.enforce_max_fails();
        self.move_services();
        self.place();
        self.close_turn()
    }

    /// When the next [`Event::Tick`] must come at the latest; `None` when nothing is due.
    pub fn deadline(&self) -> Option<Moment> {
        if self.office.is_frozen() {
            // Nothing expires until a person lets the fleet go on.
            return None;
        }
        let lease = self.nodes.next_lease_end().map(|(until, _)| until);
        let give_up = self.grants.give_up.first().map(|(at, _)| *at);
        let due = self.next_due();
        [lease, give_up, due, self.queue.next_release()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the store must give back by `load` once all turns so far are committed; `batch` is the
    /// number of the last one.
    pub fn durable(&self, batch: BatchNumber) -> Snapshot {
        let jobs = self.jobs.live.values();
        Snapshot {
            authority: self.office.mandate.authority,
            restored: self.office.restored,
            batch,
            counters: self.office.counters,
            queue: self.queue.paused.clone(),
            jobs: jobs.clone().map(|job| job.record.clone()).collect(),
            chunks: jobs
                .clone()
                .flat_map(|job| {
                    job.stored_chunks()
                        .map(|(number, bytes)| (job.record.job, number, bytes))
                })
                .collect(),
            histories: jobs
                .flat_map(|job| {
                    let id = job.record.job;
                    job.histories
                        .iter()
                        .map(move |(task, history)| (id, *task, *history))
                })
                .collect(),
            grants: self.grants.iter().map(grant::Grant::record).collect(),
            nodes: self
                .nodes
                .known
                .values()
                .map(|node| node.record.clone())
                .collect(),
            services: self
                .jobs
                .services
                .known
                .values()
                .map(|entry| entry.record.clone())
                .collect(),
            revisions: self.jobs.services.all_revisions(),
            notes: self.jobs.notes.all(),
            keys: self.keys.all(),
        }
    }

    /// Sends a frame to a node that has a session; without one nothing is lost, because the next
    /// hello reconciles.
    fn send(&mut self, node: NodeId, body: DownBody) {
        let authority = self.office.mandate.authority;
        if let Some(session) = self.nodes.session(node) {
            let frame = session.frame(authority, body);
            let connection = session.connection;
            self.ledger.effects.push(Effect::Send { connection, frame });
        }
    }

    fn publish(&mut self, event: FleetEvent) {
        let id = self.office.next_event();
        self.ledger.effects.push(Effect::Publish { id, event });
    }

    /// Writes out all that the turn has changed.
    fn close_turn(&mut self) -> Turn {
        // What changed after services were looked at in this turn is looked at in the next one.
        self.stir_changed();
        let ledger = std::mem::take(&mut self.ledger);
        let mut changes = ledger.changes;
        for (job, number) in ledger.chunks {
            let bytes = self.jobs.live(job).encode_chunk(number);
            changes.push(Change::ChunkWritten { job, number, bytes });
        }
        for (job, task) in ledger.histories {
            let history = self
                .jobs
                .get(job)
                .and_then(|job| job.histories.get(&task))
                .copied();
            changes.push(Change::TaskHistoryWritten { job, task, history });
        }
        for job in ledger.controls {
            let control = self.jobs.live(job).record.control.clone();
            changes.push(Change::JobControlled { job, control });
        }
        for job in &ledger.jobs {
            let record = &self.jobs.live(*job).record;
            changes.push(Change::JobProgressed {
                job: *job,
                phase: record.phase,
                counts: record.counts,
                finished_at: record.finished_at,
            });
        }
        for grant in ledger.grants {
            changes.push(match self.grants.get(grant) {
                Some(entry) => {
                    let record = entry.record();
                    let (unsettled, suspect) = (record.unsettled, record.suspect);
                    Change::GrantWritten {
                        grant,
                        unsettled,
                        suspect,
                    }
                }
                None => Change::GrantRemoved(grant),
            });
        }
        for node in ledger.nodes {
            changes.push(Change::NodeWritten(Box::new(
                self.nodes.known(node).record.clone(),
            )));
        }
        for name in ledger.services {
            changes.push(match self.jobs.services.known.get(&name) {
                Some(entry) => Change::ServiceWritten(Box::new(entry.record.clone())),
                None => Change::ServiceRemoved(name),
            });
        }
        for (service, job) in ledger.revisions {
            changes.push(self.revision_change(service, job));
        }
        if ledger.counters {
            changes.push(Change::CountersWritten(self.office.counters));
        }
        ledger
            .jobs
            .into_iter()
            .for_each(|job| self.forget_finished(job));
        Turn {
            changes,
            effects: ledger.effects,
        }
    }

    /// Forgets a job of which nothing is left to do: the store has it.
    fn forget_finished(&mut self, job: JobId) {
        let entry = self.jobs.live(job);
        if entry.record.phase == JobPhase::Finished && entry.grants.is_empty() {
            if let Some(name) = self.jobs.service_of(job) {
                self.revision_gone(job, &name);
            }
            self.jobs.remove(job);
        }
    }
}
