//! A turn while it is being decided, and what is known to be durable.

use flota_model::{
    ids::{AttemptId, AttemptRange},
    outcome::Report,
    units::Now,
};

use crate::{
    journal::Record,
    keeper::api::ChildState,
    node::api::{Effect, Turn},
};

/// A turn while it is being decided.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) now: Now,
    /// Its number within this start of the agent.
    pub(super) number: u64,
    pub(super) turn: Turn,
    /// To be sent when the turn is complete, if a session is open then.
    pub(super) reports: Vec<Report>,
    /// To be confirmed when the turn is complete, if a session is open then.
    pub(super) tombstones: Vec<AttemptRange>,
    /// Children that a keeper listed as ended; they end without output unless the batch has it.
    pub(super) listed_ends: Vec<(AttemptId, ChildState)>,
}

impl Draft {
    pub(super) fn new(number: u64, now: Now) -> Self {
        Self {
            now,
            number,
            turn: Turn::default(),
            reports: Vec::new(),
            tombstones: Vec::new(),
            listed_ends: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, record: Record) {
        self.turn.records.push(record);
    }

    /// Appends a record that must be durable before what comes after the batch.
    pub(super) fn record_synced(&mut self, record: Record) {
        self.turn.records.push(record);
        self.turn.sync = true;
    }

    pub(super) fn at_once(&mut self, effect: Effect) {
        self.turn.at_once.push(effect);
    }

    pub(super) fn after(&mut self, effect: Effect) {
        self.turn.after.push(effect);
    }

    /// At once if that is `safe`, else in order after the batch.
    pub(super) fn early_if(&mut self, safe: bool, effect: Effect) {
        if safe {
            self.at_once(effect);
        } else {
            self.after(effect);
        }
    }
}

/// What is known to be durable.
///
/// Batches may still be on their way to the disk when the next turn is decided. What comes back
/// from the outside (an answer to a frame, the end of a kernel) proves that the effects of its turn
/// were performed, and with them that this batch and all earlier ones are in the journal.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last turn.
    pub(super) turn: u64,
    durable: u64,
    /// The turn that journalled the authority that is obeyed.
    obeyed: u64,
}

impl Progress {
    /// Something came back that was sent after the batch of `turn`.
    pub(super) fn prove(&mut self, turn: u64) {
        self.durable = self.durable.max(turn);
    }

    /// A higher authority is journalled in this turn.
    pub(super) fn obey(&mut self) {
        self.obeyed = self.turn;
    }

    /// Whether an effect that depends on the batch of `turn`, and on the authority obeyed, may be
    /// performed at once.
    pub(super) fn is_durable(&self, turn: u64) -> bool {
        turn.max(self.obeyed) <= self.durable
    }
}
