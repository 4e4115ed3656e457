//! What a seed makes of a simulation: limits, durations, and how often what goes wrong.

use std::time::Duration;

use flota_engine::{
    fleet::api as fleet,
    keeper::api as keeper,
    node::api as node,
    sabotage::{Rule, Sabotage},
};

use crate::{
    mix::{Mix, Taste},
    random::Random,
    time::micros,
};

/// A rule of the protocol that a simulation breaks on purpose, to show that it would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// A rule that an engine keeps.
    Rule(Rule),
    /// The server's shell replies, grants and tells before the commit.
    ReplyBeforeCommit,
    /// The server's shell does not wait for earlier batches when the batch itself wrote nothing
    /// but its audit (PROTOCOL 18).
    ReplyBeforeEarlierCommit,
    /// The agent's shell performs effects before the batch is in the journal.
    JournalAfterSend,
}

impl Switch {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Rule(Rule::Fencing),
        Self::Rule(Rule::IdempotencyKey),
        Self::Rule(Rule::SaltedEpoch),
        Self::Rule(Rule::SessionCheck),
        Self::Rule(Rule::Tombstone),
        Self::Rule(Rule::LeaseFromSending),
        Self::Rule(Rule::UpdatePace),
        Self::Rule(Rule::Dependencies),
        Self::Rule(Rule::OneOfANumber),
        Self::Rule(Rule::BackOff),
        Self::Rule(Rule::OwnRows),
        Self::Rule(Rule::StaysStopped),
        Self::Rule(Rule::RetryTicket),
        Self::Rule(Rule::Deadline),
        Self::Rule(Rule::MaxFails),
        Self::Rule(Rule::Paused),
        Self::ReplyBeforeCommit,
        Self::ReplyBeforeEarlierCommit,
        Self::JournalAfterSend,
    ];
}

/// The plan of one simulation. Chances are per mille of each occasion.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) switch: Option<Switch>,
    pub(crate) mix: Mix,
    pub(crate) taste: Taste,
    pub(crate) fleet: fleet::Settings,
    pub(crate) node: node::Settings,
    pub(crate) keeper: keeper::Settings,
    pub(crate) nodes: usize,
    /// Microseconds.
    pub(crate) lease: u64,
    /// Several servers may share the store: each batch asks it who leads, also one that wrote
    /// nothing. (One server with a lock on its store need not ask.)
    pub(crate) several_servers: bool,
    /// When the faults end, microseconds.
    pub(crate) heals_at: u64,
    pub(crate) frame_lost: u32,
    pub(crate) frame_repeated: u32,
    pub(crate) frame_overtakes: u32,
    pub(crate) stray: u32,
    pub(crate) failed_commit: u32,
    pub(crate) crash_in_commit: u32,
    pub(crate) crash_in_sync: u32,
    /// The agent dies within a turn that writes something, or right after it.
    pub(crate) crash_in_turn: u32,
    /// A keeper dies between two effects of a turn.
    pub(crate) keeper_crash: u32,
    pub(crate) reply_lost: u32,
}

impl Plan {
    pub(crate) fn draw(switch: Option<Switch>, random: &mut Random) -> Self {
        let mix = Mix::draw(random);
        let lease = Duration::from_millis(*random.pick(&[3_000, 5_000, 8_000]));
        let sabotage = match switch {
            Some(Switch::Rule(rule)) => Sabotage::of(rule),
            Some(_) | None => Sabotage::default(),
        };
        // Each seed has some of the mishaps and not others: what never goes wrong hides less.
        let mut chance = |pressed: Mix, most: u64| {
            let most = if mix == pressed { most * 6 } else { most };
            if mix == pressed || random.chance(500) {
                u32::try_from(random.below(most + 1)).unwrap_or(0)
            } else {
                0
            }
        };
        Self {
            switch,
            mix,
            taste: mix.taste(),
            frame_lost: chance(Mix::Anything, 10),
            frame_repeated: chance(Mix::Anything, 30),
            frame_overtakes: chance(Mix::Anything, 20),
            stray: chance(Mix::Anything, 30),
            failed_commit: chance(Mix::SlowCommits, 20),
            crash_in_commit: chance(Mix::SlowCommits, 10),
            crash_in_sync: chance(Mix::CrashesWithin, 15),
            crash_in_turn: chance(Mix::CrashesWithin, 12),
            keeper_crash: chance(Mix::CrashesWithin, 3),
            reply_lost: chance(Mix::SlowCommits, 100),
            fleet: fleet::Settings {
                lease,
                lease_margin: lease / 8 + Duration::from_millis(300),
                sabotage,
                ..fleet::Settings::default()
            },
            node: node::Settings {
                heartbeat: Duration::from_millis(500),
                fence_margin: Duration::from_millis(250),
                rewrite_bytes: *random.pick(&[600, 4_000, 1 << 20]),
                sabotage,
                ..node::Settings::default()
            },
            keeper: keeper::Settings {
                sabotage,
                ..keeper::Settings::default()
            },
            several_servers: random.chance(500),
            nodes: usize::try_from(random.within(mix.nodes_min()..=8)).unwrap_or(1),
            lease: micros(lease),
            heals_at: random.within(mix.heals_after()..=70_000_000),
        }
    }

    /// After this much silence, microseconds, somebody may believe that the other is lost. A little
    /// below what was promised, because clocks drift.
    pub(crate) fn silence(&self) -> u64 {
        (self.lease - micros(self.node.fence_margin)) * 9 / 10
    }
}
