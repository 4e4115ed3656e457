//! The start of a fleet from what its store gives back.

use flota_model::{
    change::{Change, Grace, JobRecord, NodeRecord, Snapshot},
    ids::{Authority, Epoch, Term},
    spec::OnDisconnect,
    state::{JobPhase, TaskState},
    units::Now,
};

use super::{
    Fleet,
    api::{LoadFault, Mandate, Opening, Turn},
    grant::{Grant, Grants},
    job::{Job, Jobs},
    keys::Keys,
    ledger::Ledger,
    node::Nodes,
    office::Office,
    queue::Queue,
};
use crate::sabotage::Rule;

/// The mandate of the start after the one that the store knows.
pub fn mandate_of(stored: Authority, salt: u64) -> Mandate {
    let authority = Authority {
        term: Term(stored.term.0.max(1)),
        epoch: Epoch(stored.epoch.0 + 1),
    };
    Mandate { authority, salt }
}

impl Fleet {
    /// Builds the fleet that `snapshot` describes and takes the next epoch. The turn must be
    /// committed before the server listens (PROTOCOL 1).
    ///
    /// # Errors
    /// When parts of the snapshot contradict each other: the store is damaged.
    pub fn open(snapshot: Snapshot, opening: Opening) -> Result<(Self, Turn), LoadFault> {
        let salted = !opening.settings.sabotage.breaks(Rule::SaltedEpoch);
        let salt = if salted { opening.salt } else { 0 };
        let mandate = mandate_of(snapshot.authority, salt);
        let now = opening.now;
        let mut office = Office::new(mandate, opening, snapshot.authority);
        office.counters = snapshot.counters;
        office.restored = snapshot.restored;
        let mut queue = Queue::default();
        queue.paused.clone_from(&snapshot.queue);
        let mut fleet = Self {
            office,
            jobs: Jobs::default(),
            grants: Grants::default(),
            nodes: Nodes::default(),
            queue,
            keys: Keys::default(),
            ledger: Ledger::default(),
        };
        fleet.ledger.changes.push(Change::AuthorityTaken {
            authority: mandate.authority,
            salt,
            at: now.wall,
            recovered: false,
        });
        fleet.load_services(&snapshot);
        fleet.load_jobs(&snapshot)?;
        for node in snapshot.nodes {
            fleet.load_node(node, now);
        }
        for grant in snapshot.grants {
            let what = format!("grant {} does not fit its job, node or length", grant.grant);
            let grant = Grant::new(grant).ok_or_else(|| LoadFault { what: what.clone() })?;
            fleet.load_grant(grant).ok_or(LoadFault { what })?;
        }
        for note in snapshot.notes {
            fleet.jobs.notes.insert(note);
        }
        for (key, made) in snapshot.keys {
            fleet.keys.insert(key, made);
        }
        let turn = fleet.close_turn();
        Ok((fleet, turn))
    }

    /// The authority that the fleet speaks for, and the salt of its attempts.
    pub fn mandate(&self) -> Mandate {
        self.office.mandate
    }

    fn load_services(&mut self, snapshot: &Snapshot) {
        let now = self.office.now.moment;
        for record in &snapshot.services {
            self.jobs.services.load(record.clone(), now);
        }
        for (name, revision) in &snapshot.revisions {
            self.jobs.services.load_revision(name, revision.clone());
        }
    }

    fn load_jobs(&mut self, snapshot: &Snapshot) -> Result<(), LoadFault> {
        let fault = |what: String| LoadFault { what };
        for record in &snapshot.jobs {
            self.jobs.insert(Job::new(record.clone()));
        }
        for (job, number, bytes) in &snapshot.chunks {
            let restored = self
                .jobs
                .live
                .get_mut(job)
                .is_some_and(|entry| entry.restore_chunk(*number, bytes));
            if !restored {
                return Err(fault(format!("chunk {number} of job {job} is damaged")));
            }
        }
        for (job, task, history) in &snapshot.histories {
            let Some(entry) = self.jobs.live.get_mut(job) else {
                return Err(fault(format!(
                    "task {task} has a history but its job {job} is gone"
                )));
            };
            entry.histories.insert(*task, *history);
        }
        let records: Vec<JobRecord> = snapshot.jobs.clone();
        for record in records {
            self.adopt_revision(record.job);
            let entry = self.jobs.live(record.job);
            if !entry.has_its_rows() {
                return Err(fault(format!("rows of job {} are missing", record.job)));
            }
            if entry.recount() != record.counts {
                return Err(fault(format!(
                    "counts of job {} do not fit its tasks",
                    record.job
                )));
            }
            if record.phase == JobPhase::Finished {
                continue;
            }
            let parked = entry.tasks_in(TaskState::Parked);
            self.watch_time(record.job);
            // The clock of the back-off did not survive: it is over.
            for task in parked {
                self.queue.park(self.office.now.moment, record.job, task);
            }
            self.enqueue(record.job);
        }
        Ok(())
    }

    fn load_node(&mut self, mut record: NodeRecord, now: Now) {
        let node = record.node;
        let leased = record.leased;
        let settings = &self.office.settings;
        let full = now.moment + settings.lease + settings.lease_margin;
        let until = match record.grace {
            Some(grace) if grace.boot == self.office.boot => grace.until,
            _ => full,
        };
        if leased && record.grace.map(|grace| grace.until) != Some(until) {
            record.grace = Some(Grace {
                boot: self.office.boot,
                until,
            });
            self.ledger.nodes.insert(node);
        }
        let last_heard_at = record.last_heard_at;
        self.nodes.insert(record);
        self.nodes.known(node).last_heard_at = Some(last_heard_at);
        if leased {
            self.nodes.lease(node, Some(until));
            self.nodes.awaited.insert(node);
        }
    }

    fn load_grant(&mut self, grant: Grant) -> Option<()> {
        let head = grant.head().clone();
        let job = self.jobs.live.get_mut(&head.job)?;
        let last = head
            .first_task
            .0
            .checked_add(head.attempts.count.checked_sub(1)?)?;
        if head.first_task < job.tasks().first || last > job.tasks().last.0 {
            return None;
        }
        job.grants.insert((head.first_task, head.grant));
        job.unsettled += grant.unsettled.count();
        let suspects = grant.suspect.count();
        let class = job.class.clone();
        let on_disconnect = job.record.spec.spec.on_disconnect;
        let node = self.nodes.known.get_mut(&head.node)?;
        node.grants.insert(head.grant);
        let capacity = node.record.capacity.clone();
        node.load.add(
            &class,
            grant.unsettled.count(),
            &capacity,
            self.office.now.moment,
        );
        self.grants.insert(grant);
        if suspects > 0
            && let OnDisconnect::Keep { lost_after } = on_disconnect
        {
            let at = self.office.now.moment + lost_after;
            self.grants.give_up_at(head.grant, Some(at));
        }
        Some(())
    }
}
