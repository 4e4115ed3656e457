//! What belongs to the fleet as a whole: its mandate, limits, counters and dice.

use std::time::Duration;

use flota_model::{
    change::Counters,
    ids::{AttemptId, AttemptRange, Authority, BootId, EventId, GrantId, JobId, NodeId},
    units::Now,
};

use super::api::{Mandate, Settings};
use crate::sabotage::Rule;

/// State of the fleet as a whole.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) mandate: Mandate,
    pub(crate) settings: Settings,
    /// The boot of the server's machine.
    pub(crate) boot: BootId,
    pub(crate) counters: Counters,
    /// The authority that the store had before this start: an agent that obeyed a higher one knows
    /// more than the store (PROTOCOL 4).
    pub(crate) stored: Authority,
    /// `Some` while the store is behind the fleet: the highest authority that an agent obeyed.
    pub(crate) behind: Option<Authority>,
    /// Whether the store was put back from a backup and nobody has said to go on.
    pub(crate) restored: bool,
    /// The time of the running turn.
    pub(crate) now: Now,
    sequence: u64,
    events: u64,
    dice: u64,
}

impl Office {
    pub(crate) fn new(mandate: Mandate, opening: super::api::Opening, stored: Authority) -> Self {
        Self {
            mandate,
            settings: opening.settings,
            boot: opening.boot,
            counters: Counters::default(),
            stored,
            behind: None,
            restored: false,
            now: opening.now,
            sequence: 0,
            events: 0,
            dice: opening.seed,
        }
    }

    /// Whether the store is older than the fleet: nothing is placed, stopped or given up.
    pub(crate) fn is_frozen(&self) -> bool {
        self.restored || self.behind.is_some()
    }

    pub(crate) fn next_job(&mut self) -> JobId {
        let job = self.counters.job;
        self.counters.job.0 += 1;
        job
    }

    pub(crate) fn next_node(&mut self) -> NodeId {
        let node = self.counters.node;
        self.counters.node.0 += 1;
        node
    }

    pub(crate) fn next_grant(&mut self) -> GrantId {
        let grant = self.counters.grant;
        self.counters.grant.0 += 1;
        grant
    }

    /// Attempt ids that were never given out before.
    pub(crate) fn next_attempts(&mut self, count: u32) -> AttemptRange {
        let first = AttemptId {
            epoch: self.mandate.authority.epoch,
            salt: self.mandate.salt,
            sequence: self.sequence,
        };
        self.sequence += u64::from(count);
        AttemptRange { first, count }
    }

    /// Ordered across restarts, because the epoch is in the upper bits.
    pub(crate) fn next_event(&mut self) -> EventId {
        self.events += 1;
        EventId((u64::from(self.mandate.authority.epoch.0) << 40) | self.events)
    }

    /// Takes another mandate: its attempts are counted anew.
    pub(crate) fn take(&mut self, mandate: Mandate) {
        self.mandate = mandate;
        self.sequence = 0;
        self.events = 0;
    }

    /// A random number (`SplitMix64`, Steele et al. 2014).
    pub(crate) fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The salt of another mandate of this start.
    pub(crate) fn next_salt(&mut self) -> u64 {
        let salt = self.roll();
        if self.settings.sabotage.breaks(Rule::SaltedEpoch) {
            return 0;
        }
        salt
    }

    /// A random span below `most` ("full jitter").
    pub(crate) fn jitter(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.roll() % micros.max(1))
    }
}
