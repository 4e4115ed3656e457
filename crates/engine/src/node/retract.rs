//! Work that is taken back: forgotten, cancelled, voided, stopped (PROTOCOL 3, 6, 8).

use std::time::Duration;

use flota_model::{
    ids::{AttemptId, AttemptRange},
    outcome::{Outcome, Report, Usage},
};

use crate::{
    journal::Record,
    keeper::api::{KeeperId, StopReason},
    node::{
        Node, Stopping,
        api::Effect,
        ending::Fact,
        queue::Piece,
        ranges::without,
        table::{Fate, Place, Stray},
        turn::Draft,
    },
};

/// Of `man 7 signal`.
const SIGTERM: u8 = 15;
/// From the signal to the kill for programs of which the spec is not known.
const STRAY_GRACE: Duration = Duration::from_secs(5);

impl Node {
    /// The server wants these gone: what has not started never will, what runs is stopped, what
    /// ended is reported again.
    pub(super) fn forget(&mut self, range: AttemptRange, draft: &mut Draft) {
        self.queue.carve(range);
        self.retract(range, Vec::new(), Fate::Forgotten, draft);
    }

    /// Another node is idle: what has not started is given back to run there.
    pub(super) fn give_back(&mut self, range: AttemptRange, draft: &mut Draft) {
        let granted = self.queue.carve(range);
        if !granted.is_empty() {
            let ranges = granted.iter().map(|piece| piece.order.attempts).collect();
            self.refuse(ranges, draft);
        }
    }

    /// A person wants these stopped.
    pub(super) fn cancel(&mut self, range: AttemptRange, draft: &mut Draft) {
        let granted = self.queue.carve(range);
        let answered = granted.iter().map(|piece| piece.order.attempts).collect();
        self.retract(range, answered, Fate::Cancelled, draft);
        for piece in granted {
            for offset in 0..piece.order.attempts.count {
                self.report(cancelled(&piece, offset, draft), draft);
            }
        }
    }

    /// Stops what runs of `range`, reports again what ended, refuses what is not held and not
    /// `answered`.
    fn retract(
        &mut self,
        range: AttemptRange,
        mut answered: Vec<AttemptRange>,
        fate: Fate,
        draft: &mut Draft,
    ) {
        let running = self.table.within(range);
        let strays = self.table.strays_within(range);
        let ended = self.reports.within(range);
        let held = running.iter().chain(&strays).chain(&ended).copied();
        answered.extend(AttemptRange::gather(held));
        let absent = without(range, answered);
        for attempt in running {
            self.doom(attempt, fate, draft);
        }
        for attempt in strays {
            if let Some(stray) = self.table.stray_mut(attempt) {
                stray.asked_for = true;
            }
        }
        let again = ended
            .iter()
            .filter_map(|attempt| self.reports.get(*attempt));
        draft.reports.extend(again.cloned());
        if !absent.is_empty() {
            self.refuse(absent, draft);
        }
    }

    /// Sets tombstones: these never start here. Confirmed once that is durable.
    pub(super) fn refuse(&mut self, ranges: Vec<AttemptRange>, draft: &mut Draft) {
        if let Some(session) = &mut self.link.session {
            for range in &ranges {
                session.bury(*range);
            }
        }
        draft.tombstones.extend(&ranges);
        draft.record_synced(Record::Refused(ranges));
    }

    pub(super) fn refuse_one(&mut self, attempt: AttemptId, draft: &mut Draft) {
        self.refuse(vec![AttemptRange::one(attempt)], draft);
    }

    /// Stops a running attempt, if it is not being stopped for a reason that weighs more, and notes
    /// why.
    pub(super) fn doom(&mut self, attempt: AttemptId, fate: Fate, draft: &mut Draft) {
        let Some(running) = self.table.get_mut(attempt) else {
            return;
        };
        let is_news = running.fate < fate;
        running.fate = running.fate.max(fate);
        let reason = running.fate.reason();
        let (is_replica, fate_now) = (running.spec.spec.service.is_some(), running.fate);
        if running.place == Place::Resting {
            // Nothing of it runs.
            let fact = Fact::bare(Outcome::Lost, draft.now.wall);
            return self.conclude(attempt, fact, draft);
        }
        let (place, confirmed) = (running.place, running.confirmed);
        // The lease leaves no time for a grace, not even for one that has begun.
        let grace = if fate == Fate::Fenced {
            Duration::ZERO
        } else {
            running.spec.spec.grace
        };
        if fate == Fate::Fenced && place == Place::Pool {
            // The end of a lease waits for nothing, least of all for a full disk.
            draft.at_once(Effect::StopKernel { attempt });
            if confirmed {
                return;
            }
        }
        if let Some(reason) = reason.filter(|_| is_news || fate == Fate::Fenced) {
            if is_replica && is_news && fate_now >= Fate::Cancelled {
                // It would start again with the machine. The stop does not wait for the journal,
                // whose disk may be full.
                draft.record_synced(Record::Stopping {
                    attempt,
                    is_forgotten: fate_now == Fate::Forgotten,
                });
            }
            self.order_stop(attempt, (place, confirmed), (grace, reason), draft);
        }
        self.note_replica(attempt, draft.now.wall);
    }

    /// The journal says that a replica was being stopped for good.
    pub(super) fn replay_stop(&mut self, attempt: AttemptId, is_forgotten: bool) {
        if let Some(running) = self.table.get_mut(attempt) {
            running.fate = if is_forgotten {
                Fate::Forgotten
            } else {
                Fate::Cancelled
            };
        }
    }

    /// A keeper holds a replica that was being stopped for good: the order may be lost with the
    /// agent that gave it.
    pub(super) fn stop_again(&mut self, attempt: AttemptId, draft: &mut Draft) {
        let Some(running) = self.table.get(attempt) else {
            return;
        };
        if let Some(reason) = running.fate.reason() {
            let place = (running.place, running.confirmed);
            let stop = (running.spec.spec.grace, reason);
            self.order_stop(attempt, place, stop, draft);
        }
    }

    /// Everything held is void (PROTOCOL 3).
    pub(super) fn reset(&mut self, draft: &mut Draft) {
        let running: Vec<AttemptId> = self.table.iter().map(|(attempt, _)| attempt).collect();
        if running.is_empty() && self.queue.attempts() == 0 && self.reports.len() == 0 {
            return;
        }
        draft.record_synced(Record::Reset);
        self.queue.clear();
        self.reports.clear();
        draft.reports.clear();
        draft.tombstones.clear();
        for attempt in running {
            self.replicas.remove(attempt);
            if let Some(running) = self.table.remove(attempt) {
                if running.place == Place::Resting {
                    self.queue.classes.release(running.class, attempt);
                    continue;
                }
                let stray = Stray {
                    class: Some(running.class),
                    place: running.place,
                    asked_for: false,
                };
                self.table.insert_stray(attempt, stray);
                let place = (running.place, running.confirmed);
                let stop = (running.spec.spec.grace, StopReason::Stray);
                self.order_stop(attempt, place, stop, draft);
            }
        }
    }

    /// Stops a program that nobody knows, and has it forgotten when it has ended.
    pub(super) fn stop_unknown(&mut self, attempt: AttemptId, place: Place, draft: &mut Draft) {
        self.table.insert_stray(
            attempt,
            Stray {
                class: None,
                place,
                asked_for: false,
            },
        );
        let stop = (STRAY_GRACE, StopReason::Stray);
        self.order_stop(attempt, (place, true), stop, draft);
    }

    /// A person wants the agent to stop everything and to end. What has not started is given back
    /// by tombstone, so that it runs elsewhere; what runs was stopped because a person asked.
    pub(super) fn stop_all(&mut self, draft: &mut Draft) {
        self.stopping = self.stopping.max(Stopping::Asked);
        if self.keeper.is_none() {
            return;
        }
        let granted = self.queue.clear();
        if !granted.is_empty() {
            self.refuse(
                granted.iter().map(|piece| piece.order.attempts).collect(),
                draft,
            );
        }
        let running: Vec<AttemptId> = self.table.iter().map(|(attempt, _)| attempt).collect();
        for attempt in running {
            self.doom(attempt, Fate::Cancelled, draft);
        }
    }

    /// Ends, once after [`Self::stop_all`], when nothing runs any more.
    pub(super) fn quit_when_empty(&mut self, draft: &mut Draft) {
        let is_empty = self.keeper.is_some() && self.table.occupied() == 0;
        if self.stopping == Stopping::Asked && is_empty {
            self.stopping = Stopping::Ended;
            draft.after(Effect::Quit);
        }
    }

    /// A keeper is dead. Stops that were on their way to it are ordered again, of the shell.
    pub(super) fn keeper_gone(
        &mut self,
        keeper: KeeperId,
        replacement: KeeperId,
        draft: &mut Draft,
    ) {
        self.keeper = Some(replacement);
        for attempt in self.table.orphan(keeper) {
            let stop = match self.table.get(attempt) {
                Some(running) => match running.fate.reason() {
                    Some(reason) => (running.spec.spec.grace, reason),
                    None => continue,
                },
                None => (STRAY_GRACE, StopReason::Stray),
            };
            self.order_stop(attempt, (Place::Orphaned, false), stop, draft);
        }
    }

    /// The first signal of a stop. For strays the spec is gone.
    fn stop_signal(&self, attempt: AttemptId) -> u8 {
        let service = self
            .table
            .get(attempt)
            .and_then(|running| running.spec.spec.service.as_ref());
        service
            .and_then(|service| service.stop_signal)
            .unwrap_or(SIGTERM)
    }

    /// Orders a stop: at once if the order cannot overtake the start, else behind it.
    fn order_stop(
        &self,
        attempt: AttemptId,
        (place, confirmed): (Place, bool),
        (grace, reason): (Duration, StopReason),
        draft: &mut Draft,
    ) {
        let effect = match place {
            Place::Pool => Effect::StopKernel { attempt },
            Place::Resting => return,
            Place::Keeper(_) | Place::Orphaned => Effect::Stop {
                keeper: place.keeper(),
                attempt,
                signal: self.stop_signal(attempt),
                grace,
                reason,
            },
        };
        draft.early_if(confirmed && self.progress.is_durable(0), effect);
    }
}

/// The report of an attempt that never started because a person asked for it.
fn cancelled(piece: &Piece, offset: u32, draft: &Draft) -> Report {
    Report {
        attempt: piece.order.attempts.first.plus(offset),
        job: piece.order.job,
        task: piece.order.task(offset),
        spec_hash: piece.spec.hash,
        outcome: Outcome::Cancelled,
        started_at: None,
        ended_at: draft.now.wall,
        usage: Usage::default(),
        output: None,
    }
}
