//! States of a service that people go back to, or go on from.

use std::{fmt, str::FromStr};

use crate::ids::JobId;

/// Which state of a service, for one who changes only what they have seen. Another one after each
/// change by a person or an automatic way back, never the same again, also when it was removed and
/// made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ServiceVersion {
    /// Its first revision.
    pub born: JobId,
    /// Counts changes.
    pub count: u64,
}

/// Written as `7-3`.
impl fmt::Display for ServiceVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.born, self.count)
    }
}

impl FromStr for ServiceVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (born, count) = text.split_once('-').ok_or(())?;
        let born = born.parse().map(JobId).map_err(|_| ())?;
        let count = count.parse().map_err(|_| ())?;
        Ok(Self { born, count })
    }
}

/// In which state a service must be for an apply to go through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Any.
    #[default]
    Anything,
    /// There is no service of that name.
    Absent,
    /// There is one.
    Present,
    /// It is in one of these states.
    OneOf(Vec<ServiceVersion>),
}

/// Why there is a revision with another spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevisionCause {
    /// Somebody applied it.
    Applied,
    /// Somebody went back to it.
    RolledBack,
}

impl RevisionCause {
    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// What an apply changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applied {
    /// There was no service of that name.
    Created,
    /// Another spec: its replicas are moved to a new revision.
    Updated,
    /// Only the number of replicas differed.
    Scaled,
    /// It was stopped, and is started.
    Started,
    /// All is as it was.
    Unchanged,
}

impl Applied {
    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Scaled => "scaled",
            Self::Started => "started",
            Self::Unchanged => "unchanged",
        }
    }
}
