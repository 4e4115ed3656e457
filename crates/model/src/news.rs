//! What happened to services and their replicas, for those who watch.

/// What happened to a service as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceNews {
    /// It was made.
    Created,
    /// Another spec was applied.
    Updated,
    /// Another number of replicas is wanted.
    Scaled,
    /// All replicas are replaced by new ones of the same spec.
    Restarted,
    /// Somebody goes back to an earlier spec.
    RolledBack,
    /// An update has reached all replicas, and they are up.
    UpdateDone,
    /// An update did not come up, and stopped there.
    UpdateFailed,
    /// An update did not come up, and goes back by itself.
    WentBack,
    /// It was stopped.
    Stopped,
    /// It was started, by a person or by a boot.
    Started,
    /// It was removed.
    Removed,
}

impl ServiceNews {
    /// The word used in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Scaled => "scaled",
            Self::Restarted => "restarted",
            Self::RolledBack => "rolled-back",
            Self::UpdateDone => "update-done",
            Self::UpdateFailed => "update-failed",
            Self::WentBack => "went-back",
            Self::Stopped => "stopped",
            Self::Started => "started",
            Self::Removed => "removed",
        }
    }
}

/// What happened to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReplicaNews {
    /// A run of its program began.
    Started,
    /// It is ready.
    Ready,
    /// It was ready, runs, and is so no more.
    NotReady,
    /// A run of its program ended.
    Ended,
    /// As `Ended`, after many failures in a short time.
    CrashLoop,
}

impl ReplicaNews {
    /// The word used in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::NotReady => "not-ready",
            Self::Ended => "ended",
            Self::CrashLoop => "crash-loop",
        }
    }
}
