//! The agent's decisions: which granted attempts start, what is journalled, what is reported.
//!
//! [`Node::handle`] applies a batch of events at one time and returns a [`api::Turn`].
//!
//! An attempt is in exactly one of three places: the queue (granted), the table (running), the
//! reports (ended); each way from one to the next is one record of the journal, so that reading the
//! journal gives the same state. What a frame or an effect depends on is in the same or an earlier
//! batch.

pub mod api;
mod asks;
mod chain;
mod classes;
mod ending;
pub mod expand;
mod granting;
mod lease;
mod ledger;
mod queue;
mod ranges;
mod recovery;
mod replica;
mod reports;
mod retract;
mod session;
mod starting;
mod table;
#[cfg(test)]
mod tests;
mod tombstones;
mod turn;

use flota_model::units::{Moment, Now};

use crate::{
    journal::Record,
    keeper::api::KeeperId,
    node::{
        api::{DecodeSpec, Event, Forgotten, Opening, Turn},
        chain::Chain,
        ledger::Ledger,
        queue::Queue,
        recovery::Replay,
        replica::Replicas,
        reports::Reports,
        session::Link,
        starting::{Paces, Stall},
        table::Table,
        turn::{Draft, Progress},
    },
};

/// The agent's state.
#[derive(Debug)]
pub struct Node {
    opening: Opening,
    chain: Chain,
    link: Link,
    /// Takes new programs; `None` until the keepers were asked.
    keeper: Option<KeeperId>,
    /// Granted attempts.
    queue: Queue,
    /// Running attempts.
    table: Table,
    /// What is known of those that are of services.
    replicas: Replicas,
    /// Ended attempts.
    reports: Reports,
    ledger: Ledger,
    progress: Progress,
    /// End of the lease.
    leased_until: Option<Moment>,
    paces: Paces,
    stall: Option<Stall>,
    disk_is_full: bool,
    stopping: Stopping,
}

/// Whether the agent is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stopping {
    No,
    /// A person asked.
    Asked,
    /// Nothing runs any more.
    Ended,
}

impl Node {
    /// Rebuilds the state from the records of the journal and begins a new start of the agent. The
    /// turn's records must be appended and synced before anything else; it has no effects.
    ///
    /// Of a journal that is damaged, give no records: the agent then begins with a new one.
    pub fn open(
        records: Vec<Record>,
        decode: DecodeSpec<'_>,
        opening: Opening,
    ) -> (Self, Turn, Forgotten) {
        let (nonce, journal, boot, now) =
            (opening.nonce, opening.journal, opening.boot, opening.now);
        let mut node = Self::new(opening);
        let mut replay = Replay::default();
        node.ledger.grow(&records);
        for record in records {
            node.replay(record, decode, &mut replay);
        }
        let mut draft = node.draft(now);
        if !replay.is_of_journal() {
            node.chain.journal = journal;
            draft.record_synced(Record::Created { journal });
        }
        node.chain.begin(replay.opened, nonce);
        draft.record_synced(Record::Opened {
            nonce: node.chain.nonce,
            boot,
        });
        let restarted = replay.boot.is_some_and(|before| before != boot);
        node.replay_boot(boot, &mut replay);
        node.refuse_misfits(restarted, &replay, &mut draft);
        let turn = node.finish(draft);
        (
            node,
            turn,
            Forgotten {
                attempts: replay.forgotten(),
            },
        )
    }

    /// Applies `events` in order at `now`.
    pub fn handle(&mut self, events: Vec<Event>, now: Now) -> Turn {
        let mut draft = self.draft(now);
        for event in events {
            self.apply(event, &mut draft);
        }
        self.conclude_listed(&mut draft);
        self.pass_time(&mut draft);
        self.supervise(&mut draft);
        self.leave_silence(&mut draft);
        self.start_what_fits(&mut draft);
        self.greet_waiting(&mut draft);
        self.flush(&mut draft);
        self.beat(&mut draft);
        self.give_up_orders(&mut draft);
        self.quit_when_empty(&mut draft);
        self.finish(draft)
    }

    /// When a tick is needed at the latest, if no event comes before.
    pub fn deadline(&self) -> Option<Moment> {
        self.next_deadline()
    }

    /// The whole journal anew: what is still needed, and nothing else.
    pub fn rewritten(&self) -> Vec<Record> {
        self.live_records()
    }

    fn new(opening: Opening) -> Self {
        Self {
            opening,
            chain: Chain::default(),
            link: Link::default(),
            keeper: None,
            queue: Queue::default(),
            table: Table::default(),
            replicas: Replicas::default(),
            reports: Reports::default(),
            ledger: Ledger::default(),
            progress: Progress::default(),
            leased_until: None,
            paces: Paces::default(),
            stall: None,
            disk_is_full: false,
            stopping: Stopping::No,
        }
    }

    fn draft(&mut self, now: Now) -> Draft {
        self.progress.turn += 1;
        Draft::new(self.progress.turn, now)
    }

    fn apply(&mut self, event: Event, draft: &mut Draft) {
        match event {
            Event::Recovered { children, keeper } => self.recovered(children, keeper, draft),
            Event::Connected { connection } => self.connected(connection, draft),
            Event::Disconnected { connection } => self.disconnected(connection),
            Event::Frame { connection, frame } => self.frame(connection, frame, draft),
            Event::Started { attempt, at } => self.started(attempt, at, draft),
            Event::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                self.not_started(attempt, stage, errno, draft);
            }
            Event::Ended { attempt, run, .. } if self.is_of_earlier_run(attempt, run) => {}
            Event::Ended {
                attempt,
                end,
                output,
                ..
            } => self.ended(attempt, end, output, draft),
            Event::KeeperGone {
                keeper,
                replacement,
            } => {
                self.keeper_gone(keeper, replacement, draft);
            }
            Event::KernelEnded {
                attempt,
                end,
                ran,
                usage,
            } => {
                self.kernel_ended(attempt, end, ran, usage, draft);
            }
            Event::OutputRead {
                connection,
                request,
                part,
            } => {
                self.output_read(connection, request, part, draft);
            }
            Event::Answered {
                connection,
                request,
                answer,
            } => self.answered(connection, request, answer, draft),
            Event::LocalOrder { request, order } => self.local_order(request, order, draft),
            Event::Sampled(sample) => self.link.sample = Some(sample),
            Event::DiskFull => self.disk_is_full = true,
            Event::DiskFree => self.disk_is_free(draft),
            Event::PolicyRead(policy) => self.opening.settings.policy = policy,
            Event::StopAll => self.stop_all(draft),
            Event::ProbeEnded {
                attempt,
                run,
                probe,
                number,
                result,
                detail,
            } => self.probe_ended((attempt, run), (probe, number), (result, detail), draft),
            Event::Tailed { attempt, lines } => self.tailed(attempt, lines),
            Event::Tick => {}
        }
    }

    /// Completes a turn, and asks for the journal to be written anew when it has grown too much.
    fn finish(&mut self, draft: Draft) -> Turn {
        let mut turn = draft.turn;
        self.ledger.grow(&turn.records);
        if !self.disk_is_full && self.ledger.is_due(self.opening.settings.rewrite_bytes) {
            turn.rewrite = true;
            self.ledger.rewrite(&self.live_records());
        }
        turn
    }
}
