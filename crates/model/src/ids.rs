//! Identifiers. Each is a type of its own, so that no two can be confused at a call.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    };
}

id!(
    /// A job, numbered from 1 in the order of acceptance. Never used again.
    JobId(u64)
);
id!(
    /// A node as the server knows it, numbered from 1. Never used again.
    NodeId(u32)
);
id!(
    /// A task of a job: the value in the submitted range.
    TaskIndex(u32)
);
id!(
    /// A grant: one contiguous range of attempts sent to one node.
    GrantId(u64)
);
id!(
    /// Counts the starts of the server on one store; durable before the server listens.
    Epoch(u32)
);
id!(
    /// Counts the leaders of a store with several servers; 1 where there is one server.
    Term(u64)
);
id!(
    /// Counts the connections of one agent; durable at the agent before its `hello`.
    SessionNumber(u64)
);
id!(
    /// One connection of the link, as the server's shell numbers them. Not durable.
    ConnectionId(u64)
);
id!(
    /// One request waiting for a reply in the server's shell. Not durable.
    RequestId(u64)
);
id!(
    /// First eight bytes (big-endian) of the SHA-256 of a sealed job spec.
    SpecHash(u64)
);
id!(
    /// Random number drawn by an agent at each start (PROTOCOL 3).
    Nonce(u64)
);
id!(
    /// Number of a committed batch, from 1 without gaps.
    BatchNumber(u64)
);
id!(
    /// Number of a published event, ordered across restarts.
    EventId(u64)
);

/// The boot of a machine: `/proc/sys/kernel/random/boot_id` as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootId(pub u128);

/// One execution of one task, unique for ever (PROTOCOL 1).
///
/// The salt is drawn at each server start, so that after a restore from a backup, when the epoch
/// counter repeats, no outcome of another task can be taken for this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AttemptId {
    /// The start of the server that made the grant.
    pub epoch: Epoch,
    /// Random number of that start.
    pub salt: u64,
    /// Position within that start.
    pub sequence: u64,
}

impl AttemptId {
    /// Returns the attempt `offset` places after this one in the same range.
    #[must_use]
    pub fn plus(self, offset: u32) -> Self {
        Self {
            sequence: self.sequence + u64::from(offset),
            ..self
        }
    }
}

/// Written as `EPOCH-SALT-SEQUENCE`, the salt as 16 hexadecimal digits.
impl fmt::Display for AttemptId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}-{:016x}-{}",
            self.epoch, self.salt, self.sequence
        )
    }
}

impl std::str::FromStr for AttemptId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().ok_or(());
        Ok(Self {
            epoch: Epoch(next()?.parse().map_err(|_| ())?),
            salt: u64::from_str_radix(next()?, 16).map_err(|_| ())?,
            sequence: next()?.parse().map_err(|_| ())?,
        })
    }
}

/// A contiguous range of attempts of one epoch: `first`, `first + 1`, … (`count` of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptRange {
    /// The first attempt.
    pub first: AttemptId,
    /// How many; at least 1.
    pub count: u32,
}

impl AttemptRange {
    /// A range of one attempt.
    pub fn one(attempt: AttemptId) -> Self {
        Self {
            first: attempt,
            count: 1,
        }
    }

    /// All attempts of the range, in order.
    pub fn iter(self) -> impl Iterator<Item = AttemptId> {
        (0..self.count).map(move |offset| self.first.plus(offset))
    }

    /// Gathers sorted or unsorted attempts into the fewest ranges, in ascending order.
    pub fn gather(attempts: impl IntoIterator<Item = AttemptId>) -> Vec<Self> {
        let mut sorted: Vec<AttemptId> = attempts.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut ranges: Vec<Self> = Vec::new();
        for attempt in sorted {
            match ranges.last_mut() {
                Some(range) if range.first.plus(range.count) == attempt => range.count += 1,
                _ => ranges.push(Self::one(attempt)),
            }
        }
        ranges
    }
}

/// The server start that a frame speaks for. An agent refuses lower ones than it has obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Authority {
    /// The term of the leader.
    pub term: Term,
    /// The start of the server.
    pub epoch: Epoch,
}
