//! Switches that break one rule of the protocol each.
//!
//! Without the feature `sabotage` (which only `flota-testkit` turns on) every answer is the
//! constant `false` and the switches cannot be set.

/// A rule that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The keeper kills a `stop` attempt at its deadline (PROTOCOL 10).
    Fencing,
    /// A repeated idempotency key makes no second job.
    IdempotencyKey,
    /// Attempt ids carry the salt of the server start (PROTOCOL 1).
    SaltedEpoch,
    /// Frames of another session are dropped (PROTOCOL 2).
    SessionCheck,
    /// A forgotten attempt is granted elsewhere only after the tombstone (PROTOCOL 6).
    Tombstone,
    /// The agent's lease runs from the sending of the heartbeat (PROTOCOL 9).
    LeaseFromSending,
    /// An update takes a few replicas at a time, and waits for them to be up.
    UpdatePace,
    /// A revision waits for what its service depends on.
    Dependencies,
    /// A replica is granted only when no other revision holds one of its number.
    OneOfANumber,
    /// A run that ended is followed by a delay.
    BackOff,
    /// What was stopped is not run again.
    StaysStopped,
    /// A grant brings the rows of its own tasks.
    OwnRows,
    /// A finished job is taken up again only as it was read after its last end.
    RetryTicket,
    /// A job ends when its time is over.
    Deadline,
    /// A job is cancelled once too many of its tasks have failed.
    MaxFails,
    /// Nothing of a paused job is granted.
    Paused,
}

/// The rule that is broken, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sabotage {
    #[cfg(feature = "sabotage")]
    broken: Option<Rule>,
}

impl Sabotage {
    /// Breaks one rule.
    #[cfg(feature = "sabotage")]
    pub fn of(rule: Rule) -> Self {
        Self { broken: Some(rule) }
    }

    /// Whether `rule` is broken.
    #[cfg(feature = "sabotage")]
    pub fn breaks(self, rule: Rule) -> bool {
        self.broken == Some(rule)
    }

    /// Whether `rule` is broken: never.
    #[cfg(not(feature = "sabotage"))]
    #[expect(clippy::unused_self, reason = "same signature as with the feature")]
    pub const fn breaks(self, _rule: Rule) -> bool {
        false
    }
}
