//! Grants: which attempts are granted to which node and not settled.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    change::GrantRecord,
    frame::GrantOrder,
    ids::{AttemptId, GrantId, NodeId, SpecHash, TaskIndex},
    parameters::Rows,
    units::Moment,
};

use super::bits::Bits;

/// Longest range of one grant: keeps its bits within 512 bytes.
pub(crate) const GRANT_TASKS_MAX: u32 = 4_096;

/// All grants with an unsettled attempt.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    live: BTreeMap<GrantId, Grant>,
    /// By first attempt; ranges never overlap.
    by_attempt: BTreeMap<AttemptId, GrantId>,
    /// When the suspect attempts of a grant are given up (PROTOCOL 11).
    pub(crate) give_up: BTreeSet<(Moment, GrantId)>,
}

/// A range of attempts on one node.
#[derive(Debug)]
pub(crate) struct Grant {
    record: GrantRecord,
    pub(crate) unsettled: Bits,
    pub(crate) suspect: Bits,
    /// When its suspects are given up; the same as in `Grants::give_up`.
    pub(crate) give_up_at: Option<Moment>,
}

impl Grants {
    pub(crate) fn get(&self, grant: GrantId) -> Option<&Grant> {
        self.live.get(&grant)
    }

    /// A grant that an index of the fleet names.
    pub(crate) fn live(&mut self, grant: GrantId) -> &mut Grant {
        self.live
            .get_mut(&grant)
            .expect("the indexes name only live grants")
    }

    /// The grant of an attempt and its offset there, settled or not.
    pub(crate) fn find(&self, attempt: AttemptId) -> Option<(GrantId, u32)> {
        let (_, id) = self.by_attempt.range(..=attempt).next_back()?;
        let range = self.live[id].record.attempts;
        let same_start = range.first.epoch == attempt.epoch && range.first.salt == attempt.salt;
        // Of another start the sequence may be lower, because the salt decides the order first.
        let distance = attempt.sequence.checked_sub(range.first.sequence)?;
        let offset = u32::try_from(distance).ok()?;
        (same_start && offset < range.count).then_some((*id, offset))
    }

    pub(crate) fn insert(&mut self, grant: Grant) {
        self.by_attempt
            .insert(grant.record.attempts.first, grant.record.grant);
        self.live.insert(grant.record.grant, grant);
    }

    pub(crate) fn remove(&mut self, grant: GrantId) -> Option<Grant> {
        let removed = self.live.remove(&grant)?;
        self.by_attempt.remove(&removed.record.attempts.first);
        if let Some(at) = removed.give_up_at {
            self.give_up.remove(&(at, grant));
        }
        Some(removed)
    }

    /// Sets or moves the time at which the suspects of a grant are given up.
    pub(crate) fn give_up_at(&mut self, grant: GrantId, at: Option<Moment>) {
        let entry = self.live(grant);
        if let Some(before) = std::mem::replace(&mut entry.give_up_at, at) {
            self.give_up.remove(&(before, grant));
        }
        if let Some(at) = at {
            self.give_up.insert((at, grant));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.live.values()
    }
}

impl Grant {
    /// A grant as made or loaded; `None` if its bits do not fit its length.
    pub(crate) fn new(mut record: GrantRecord) -> Option<Self> {
        let count = record.attempts.count;
        let unsettled = Bits::of_bytes(&std::mem::take(&mut record.unsettled), count)?;
        let suspect = Bits::of_bytes(&std::mem::take(&mut record.suspect), count)?;
        Some(Self {
            record,
            unsettled,
            suspect,
            give_up_at: None,
        })
    }

    /// Everything but the bits, which are in the fields.
    pub(crate) fn head(&self) -> &GrantRecord {
        &self.record
    }

    /// The record as the store holds it.
    pub(crate) fn record(&self) -> GrantRecord {
        GrantRecord {
            unsettled: self.unsettled.bytes().to_vec(),
            suspect: self.suspect.bytes().to_vec(),
            ..self.record.clone()
        }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.record.node
    }

    pub(crate) fn attempt(&self, offset: u32) -> AttemptId {
        self.record.attempts.first.plus(offset)
    }

    pub(crate) fn task(&self, offset: u32) -> TaskIndex {
        TaskIndex(self.record.first_task.0 + offset)
    }

    /// The offset of a task, if it is in the range.
    pub(crate) fn offset_of(&self, task: TaskIndex) -> Option<u32> {
        let offset = task.0.checked_sub(self.record.first_task.0)?;
        (offset < self.record.attempts.count).then_some(offset)
    }

    pub(crate) fn order(&self, spec_hash: SpecHash, rows: Option<Rows>) -> GrantOrder {
        GrantOrder {
            attempts: self.record.attempts,
            job: self.record.job,
            first_task: self.record.first_task,
            spec_hash,
            rows,
        }
    }
}
