//! From the journal to the state and back, and what the keepers say after a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use flota_model::{
    frame::GrantOrder,
    ids::{AttemptId, AttemptRange, BootId, Nonce, SpecHash},
    outcome::{Outcome, Report},
    spec::{Retry, SealedSpec},
    units::{Moment, Now, Timestamp},
};

use crate::{
    journal::Record,
    keeper::api::{Child, ChildState, Identity, KeeperId},
    node::{
        Node, Stopping,
        api::{DecodeSpec, Effect},
        ending::{Fact, fact_of_listed, outcome_as_told},
        queue::Piece,
        ranges::last,
        table::{Fate, Place, Running, place_of_work},
        turn::Draft,
    },
};

/// Longer than `execve` takes, but where a mount is dead: by so much may a clock that was set back
/// lengthen the time of a program each time its agent starts.
const EXECUTE_MAX: Duration = Duration::from_mins(1);

/// What is needed only while the journal is read.
#[derive(Default)]
pub(super) struct Replay {
    created: bool,
    /// The nonce of the last start.
    pub(super) opened: Option<Nonce>,
    /// The boot of that start.
    pub(super) boot: Option<BootId>,
    /// Attempts whose spec does not decode.
    undecodable: BTreeSet<AttemptId>,
}

impl Replay {
    /// Whether the records were of a journal.
    pub(super) fn is_of_journal(&self) -> bool {
        self.created
    }

    /// Attempts that could not be kept.
    pub(super) fn forgotten(&self) -> Vec<AttemptRange> {
        AttemptRange::gather(self.undecodable.iter().copied())
    }
}

impl Node {
    /// Applies one record of the journal.
    pub(super) fn replay(&mut self, record: Record, decode: DecodeSpec<'_>, replay: &mut Replay) {
        match record {
            Record::Created { journal } => {
                self.chain.journal = journal;
                replay.created = true;
            }
            Record::Opened { nonce, boot } => {
                replay.opened = Some(nonce);
                self.replay_boot(boot, replay);
            }
            Record::Session(number) => self.chain.session = number,
            Record::Joined(node) => {
                self.chain.node = Some(node);
                self.chain.recorded = replay.opened;
            }
            Record::Obeyed(authority) => self.chain.obeyed = authority,
            Record::Spec { hash, blob } => {
                if let Some(spec) = decode(&blob) {
                    self.ledger
                        .add_spec(&Arc::new(SealedSpec { spec, blob, hash }));
                }
            }
            Record::Granted(order) => match self.ledger.spec(order.spec_hash).cloned() {
                Some(spec) => self.queue.push_gated(order, spec),
                None => replay.undecodable.extend(order.attempts.iter()),
            },
            Record::Starting { attempt, at } => self.replay_start(attempt, at),
            Record::Done(report) => {
                self.drop_held(AttemptRange::one(report.attempt), replay);
                self.reports.insert(report);
            }
            Record::Acknowledged(ranges) => {
                for range in ranges {
                    self.reports.remove_within(range);
                }
            }
            Record::Refused(ranges) => {
                for range in ranges {
                    self.drop_held(range, replay);
                }
            }
            Record::RunEnded(rest) => self.replay_rest(*rest),
            Record::RunStarting { attempt, run, at } => self.replay_run(attempt, run, at),
            Record::Stopping {
                attempt,
                is_forgotten,
            } => self.replay_stop(attempt, is_forgotten),
            Record::Reset => self.replay_reset(replay),
        }
    }

    /// An agent started. What the records before this one say was ended by a boot, if there was one
    /// between them, also if that agent died before it could write more.
    pub(super) fn replay_boot(&mut self, boot: BootId, replay: &mut Replay) {
        if let Some(before) = replay.boot.replace(boot)
            && before != boot
        {
            self.replicas.after_boot(before, self.opening.now.moment);
        }
    }

    fn replay_start(&mut self, attempt: AttemptId, at: Timestamp) {
        for piece in self.queue.carve(AttemptRange::one(attempt)) {
            self.take_as_running(&piece, at);
        }
    }

    /// Takes the one attempt of `piece` for started, by nobody knows whom.
    fn take_as_running(&mut self, piece: &Piece, ordered_at: Timestamp) {
        let class = self.queue.classes.of_adopted(&piece.spec.spec);
        self.queue.classes.hold(class, 1);
        let running = Running {
            job: piece.order.job,
            task: piece.order.first_task,
            row: piece.order.rows.clone(),
            spec: Arc::clone(&piece.spec),
            class,
            place: place_of_work(&piece.spec.spec.work),
            ordered_at,
            started_at: None,
            fate: Fate::Open,
            turn: 0,
            confirmed: false,
            expires: None,
        };
        if piece.spec.spec.service.is_some() {
            self.replicas.begin(piece.order.attempts.first, ordered_at);
        }
        self.table.insert(piece.order.attempts.first, running);
    }

    fn drop_held(&mut self, range: AttemptRange, replay: &mut Replay) {
        self.queue.carve(range);
        for attempt in self.table.within(range) {
            self.replicas.remove(attempt);
            if let Some(running) = self.table.remove(attempt) {
                self.queue.classes.release(running.class, attempt);
            }
        }
        let last = last(range);
        replay
            .undecodable
            .retain(|attempt| !(range.first..=last).contains(attempt));
    }

    fn replay_reset(&mut self, replay: &mut Replay) {
        self.queue.clear();
        self.reports.clear();
        replay.undecodable.clear();
        let running: Vec<AttemptId> = self.table.iter().map(|(attempt, _)| attempt).collect();
        for attempt in running {
            self.replicas.remove(attempt);
            if let Some(running) = self.table.remove(attempt) {
                self.queue.classes.release(running.class, attempt);
            }
        }
    }

    /// Gives back attempts that do not fit this machine any more, cannot be understood, or may have
    /// run before the machine was restarted: the record of a start that may be repeated is not
    /// synced, and the same attempt never starts twice.
    pub(super) fn refuse_misfits(&mut self, restarted: bool, replay: &Replay, draft: &mut Draft) {
        let capacity = &self.opening.capacity;
        let misfits: Vec<AttemptRange> = self
            .queue
            .pieces()
            .filter(|piece| {
                let spec = &piece.spec.spec;
                capacity.times_that_fit(&spec.resources) == 0
                    || (restarted && spec.retry != Retry::Never)
            })
            .map(|piece| piece.order.attempts)
            .collect();
        for range in &misfits {
            self.queue.carve(*range);
        }
        let refused: Vec<AttemptRange> = misfits.into_iter().chain(replay.forgotten()).collect();
        if !refused.is_empty() {
            self.refuse(refused, draft);
        }
    }

    /// The keepers were asked: what runs is taken over, what nobody knows the end of is `unknown`.
    pub(super) fn recovered(
        &mut self,
        children: Vec<(Option<KeeperId>, Child)>,
        keeper: KeeperId,
        draft: &mut Draft,
    ) {
        self.keeper = Some(keeper);
        let running = self.table.iter();
        let mut unseen: BTreeSet<AttemptId> = running
            .filter(|(_, running)| running.place != Place::Resting)
            .map(|(attempt, _)| attempt)
            .collect();
        for (_, child) in &children {
            if !self.is_of_earlier_run(child.attempt, child.run) {
                unseen.remove(&child.attempt);
            }
        }
        // First, while nothing waits that could take over what they held: keepers did not let
        // anything start in their place.
        for attempt in unseen {
            self.conclude(attempt, Fact::bare(Outcome::Unknown, draft.now.wall), draft);
        }
        for (keeper, child) in children {
            self.adopt(keeper, child, draft);
        }
        if self.stopping != Stopping::No {
            self.stop_all(draft);
        }
    }

    fn adopt(&mut self, keeper: Option<KeeperId>, child: Child, draft: &mut Draft) {
        let (attempt, state) = (child.attempt, child.state);
        if self.is_of_earlier_run(attempt, child.run) {
            // Its end is in the journal; the order to forget it was lost.
            if let Some(keeper) = keeper {
                draft.after(Effect::Forget { keeper, attempt });
            }
            return;
        }
        // The record of the start was not synced, and the child shows that there was one.
        for piece in self.queue.carve(AttemptRange::one(attempt)) {
            draft.record(Record::Starting {
                attempt,
                at: draft.now.wall,
            });
            self.take_as_running(&piece, draft.now.wall);
        }
        let place = keeper.map_or(Place::Orphaned, Place::Keeper);
        if let Some(running) = self.table.remove(attempt) {
            match state {
                ChildState::Starting | ChildState::Running { .. } => {}
                ChildState::Waiting | ChildState::NotStarted { .. } | ChildState::Ended(_) => {
                    self.queue.classes.hold_nothing_for(running.class, attempt);
                }
            }
            self.table
                .insert(attempt, adopted(running, place, state, draft.now));
            if let ChildState::Running {
                identity,
                started_at,
            } = state
            {
                let since = runs_since(&identity, started_at, draft.now);
                self.replica_runs(attempt, since, draft.now.wall);
            }
            self.stop_again(attempt, draft);
            draft.listed_ends.push((attempt, state));
            return;
        }
        match state {
            ChildState::Waiting | ChildState::Starting | ChildState::Running { .. } => {
                self.stop_unknown(attempt, place, draft);
            }
            ChildState::NotStarted { .. } | ChildState::Ended(_) => {
                self.supersede_unknown(attempt, state, draft);
                if let Some(keeper) = keeper {
                    draft.after(Effect::Forget { keeper, attempt });
                }
            }
        }
    }

    /// The real outcome of an attempt replaces one that was not known (PROTOCOL 7).
    fn supersede_unknown(&mut self, attempt: AttemptId, state: ChildState, draft: &mut Draft) {
        let Some(unknown) = self.reports.get(attempt).cloned() else {
            return;
        };
        let Some(fact) = fact_of_listed(state, draft.now) else {
            return;
        };
        let outcome = outcome_as_told(&fact);
        if unknown.outcome == Outcome::Unknown && outcome != Outcome::Unknown {
            let Fact {
                outcome: _,
                started_at,
                ended_at,
                usage,
                output,
                stopped: _,
            } = fact;
            let report = Report {
                outcome,
                started_at,
                ended_at,
                usage,
                output,
                ..unknown
            };
            self.report(report, draft);
        }
    }

    /// See [`Node::rewritten`].
    pub(super) fn live_records(&self) -> Vec<Record> {
        let mut records = self.identity_records();
        let mut specs: BTreeMap<SpecHash, &Arc<SealedSpec>> = BTreeMap::new();
        let mut orders: Vec<GrantOrder> = Vec::new();
        for piece in self.queue.pieces() {
            specs.insert(piece.spec.hash, &piece.spec);
            orders.push(piece.order.clone());
        }
        for (attempt, running) in self.table.iter() {
            specs.insert(running.spec.hash, &running.spec);
            push_order(&mut orders, attempt, running);
        }
        records.extend(specs.into_iter().map(|(hash, sealed)| Record::Spec {
            hash,
            blob: Arc::clone(&sealed.blob),
        }));
        records.extend(orders.into_iter().map(Record::Granted));
        let started = self
            .table
            .iter()
            .filter(|(_, running)| running.is_recorded());
        records.extend(started.map(|(attempt, running)| Record::Starting {
            attempt,
            at: running.ordered_at,
        }));
        for (attempt, running) in self.table.iter() {
            self.put_runs(attempt, running.ordered_at, &mut records);
        }
        records.extend(self.reports.iter().cloned().map(Record::Done));
        if self.replicas.interrupted_in().is_some() {
            records.push(self.opened(self.opening.boot));
        }
        records
    }

    fn opened(&self, boot: BootId) -> Record {
        let nonce = self.chain.nonce;
        Record::Opened { nonce, boot }
    }

    /// What the journal must say of the runs of a replica.
    fn put_runs(&self, attempt: AttemptId, at: Timestamp, records: &mut Vec<Record>) {
        let Some(replica) = self.replicas.get(attempt) else {
            return;
        };
        let rest = replica.rest(attempt);
        records.extend(rest.map(|rest| Record::RunEnded(Box::new(rest))));
        if replica.run > 1 && !replica.is_resting() {
            let run = replica.run;
            records.push(Record::RunStarting { attempt, run, at });
        }
        let fate = self.table.get(attempt).map(|running| running.fate);
        if let Some(fate @ (Fate::Cancelled | Fate::Forgotten)) = fate {
            let is_forgotten = fate == Fate::Forgotten;
            records.push(Record::Stopping {
                attempt,
                is_forgotten,
            });
        }
    }

    fn identity_records(&self) -> Vec<Record> {
        let chain = &self.chain;
        // Replicas that a boot has ended are told as such by the start that follows what they did.
        let interrupted_in = self.replicas.interrupted_in();
        let boot = interrupted_in.unwrap_or(self.opening.boot);
        let mut records = vec![Record::Created {
            journal: chain.journal,
        }];
        if let Some(node) = chain.node {
            let nonce = chain.recorded.unwrap_or(chain.nonce);
            records.extend([Record::Opened { nonce, boot }, Record::Joined(node)]);
        }
        if chain.recorded != Some(chain.nonce) {
            records.push(self.opened(boot));
        }
        records.extend([Record::Session(chain.session), Record::Obeyed(chain.obeyed)]);
        records
    }
}

/// A running attempt with what its keeper says.
fn adopted(running: Running, place: Place, state: ChildState, now: Now) -> Running {
    let timeout = running.spec.spec.timeout;
    let (started_at, since) = match state {
        // Its time begins with its turn.
        ChildState::Waiting => (None, None),
        ChildState::Running {
            identity,
            started_at,
        } => (
            Some(started_at),
            Some(runs_since(&identity, started_at, now)),
        ),
        ChildState::Starting | ChildState::NotStarted { .. } | ChildState::Ended(_) => {
            (None, Some(now.moment))
        }
    };
    let expires = timeout.zip(since).map(|(timeout, since)| since + timeout);
    Running {
        place,
        started_at,
        expires,
        confirmed: true,
        ..running
    }
}

/// Since when a program has its time. `execve` may have taken long after the process was made, and
/// does not count; only a wall clock tells when it returned, which may have jumped since.
fn runs_since(identity: &Identity, started_at: Timestamp, now: Now) -> Moment {
    let born = born_at(identity).min(now.moment);
    let ran = Duration::from_micros(now.wall.0.saturating_sub(started_at.0));
    let latest = (born + EXECUTE_MAX).min(now.moment);
    (now.moment - ran).clamp(born, latest)
}

/// When a process was made: field 22 of `/proc/PID/stat` counts ticks of a hundredth of a second
/// since boot, suspends included (`man 5 proc`; `USER_HZ` is 100 wherever Linux runs today).
fn born_at(identity: &Identity) -> Moment {
    Moment(identity.start_time.saturating_mul(10_000))
}

/// Adds one attempt to the last order, if it follows it.
fn push_order(orders: &mut Vec<GrantOrder>, attempt: AttemptId, running: &Running) {
    if let Some(order) = orders.last_mut() {
        let count = order.attempts.count;
        let follows = (&order.rows, &running.row) == (&None, &None)
            && order.attempts.first.plus(count) == attempt
            && (order.job, order.spec_hash) == (running.job, running.spec.hash)
            && order.task(count) == running.task;
        if follows {
            order.attempts.count += 1;
            return;
        }
    }
    orders.push(GrantOrder {
        attempts: AttemptRange::one(attempt),
        job: running.job,
        first_task: running.task,
        spec_hash: running.spec.hash,
        rows: running.row.clone(),
    });
}
