//! What a node can enforce around a program with all its descendants.

use crate::execution::Limits;

/// The way in which a node holds the processes of a program together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ContainmentMode {
    /// Control groups of version 2 alone.
    Unified,
    /// Version 2 for trees of processes, version 1 for limits.
    Hybrid,
    /// Version 1 alone.
    VersionOne,
    /// No control groups: a session of its own, and whoever loses its parent is found by the keeper.
    #[default]
    Sessions,
}

impl ContainmentMode {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::Unified,
        Self::Hybrid,
        Self::VersionOne,
        Self::Sessions,
    ];

    /// The word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Hybrid => "hybrid",
            Self::VersionOne => "v1",
            Self::Sessions => "none",
        }
    }
}

/// One limit of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// Bytes of memory.
    Memory,
    /// Bytes of swap.
    Swap,
    /// Processes and threads.
    Pids,
    /// Processor time.
    Cpus,
    /// Share of processor time.
    CpuWeight,
    /// Share of the disk.
    IoWeight,
}

impl LimitKind {
    /// All of them. Their places are their bits in frames: new ones go to the end.
    pub const ALL: [Self; 6] = [
        Self::Memory,
        Self::Swap,
        Self::Pids,
        Self::Cpus,
        Self::CpuWeight,
        Self::IoWeight,
    ];

    /// The word of specs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Swap => "swap",
            Self::Pids => "pids",
            Self::Cpus => "cpus",
            Self::CpuWeight => "cpu_weight",
            Self::IoWeight => "io_weight",
        }
    }
}

/// Some of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LimitSet(u8);

impl LimitSet {
    /// All of them.
    pub const ALL: Self = Self((1 << LimitKind::ALL.len()) - 1);

    /// From bits, those of a later version left out.
    pub fn of_bits(bits: u32) -> Self {
        let [low, ..] = bits.to_le_bytes();
        Self(low & Self::ALL.0)
    }

    /// Bit `n` is that of `LimitKind::ALL[n]`.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// Adds one.
    pub fn insert(&mut self, kind: LimitKind) {
        self.0 |= Self::bit(kind);
    }

    /// Whether it has one.
    pub fn has(self, kind: LimitKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// Whether it has all of another one.
    pub fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Those of either.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that it does not have.
    #[must_use]
    pub fn missing(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of [`LimitKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = LimitKind> {
        LimitKind::ALL
            .into_iter()
            .filter(move |kind| self.has(*kind))
    }

    fn bit(kind: LimitKind) -> u8 {
        match kind {
            LimitKind::Memory => 1,
            LimitKind::Swap => 1 << 1,
            LimitKind::Pids => 1 << 2,
            LimitKind::Cpus => 1 << 3,
            LimitKind::CpuWeight => 1 << 4,
            LimitKind::IoWeight => 1 << 5,
        }
    }
}

impl FromIterator<LimitKind> for LimitSet {
    fn from_iter<I: IntoIterator<Item = LimitKind>>(kinds: I) -> Self {
        let mut set = Self::default();
        for kind in kinds {
            set.insert(kind);
        }
        set
    }
}

/// How a node contains programs. The default is that of a node that can enforce nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Containment {
    /// The way.
    pub mode: ContainmentMode,
    /// The limits that it can enforce.
    pub enforced: LimitSet,
}

impl Limits {
    /// Those that a program asks for.
    pub fn asked(&self) -> LimitSet {
        let asked = [
            (LimitKind::Memory, self.memory.is_some()),
            (LimitKind::Swap, self.swap.is_some()),
            (LimitKind::Pids, self.pids.is_some()),
            (LimitKind::Cpus, self.cpus.is_some()),
            (LimitKind::CpuWeight, self.cpu_weight.is_some()),
            (LimitKind::IoWeight, self.io_weight.is_some()),
        ];
        let asked = asked.into_iter().filter(|(_, is_asked)| *is_asked);
        asked.map(|(kind, _)| kind).collect()
    }

    /// Those without which it must not start.
    pub fn required(&self) -> LimitSet {
        if self.best_effort {
            LimitSet::default()
        } else {
            self.asked()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    #[test]
    fn every_limit_has_a_bit_and_a_word_of_its_own() {
        for (place, kind) in LimitKind::ALL.into_iter().enumerate() {
            let set: LimitSet = [kind].into_iter().collect();
            assert_eq!(set.bits(), 1 << place);
            assert_eq!(set.iter().collect::<Vec<_>>(), [kind]);
            assert!(LimitSet::ALL.covers(set) && !set.missing().has(kind));
            assert_eq!(set.with(set.missing()), LimitSet::ALL);
        }
        assert_eq!(LimitSet::of_bits(u32::MAX), LimitSet::ALL);
        assert!(LimitSet::default().is_empty());
    }

    #[test]
    fn best_effort_asks_for_limits_and_requires_none() {
        let mut limits = Limits {
            memory: Some(Bytes(1)),
            pids: Some(3),
            ..Limits::default()
        };
        let expected = [LimitKind::Memory, LimitKind::Pids];
        assert_eq!(limits.asked(), expected.into_iter().collect());
        assert_eq!(limits.required(), limits.asked());
        limits.best_effort = true;
        assert!(limits.required().is_empty() && !limits.asked().is_empty());
    }
}
