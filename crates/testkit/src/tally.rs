//! How often what can go wrong went wrong, so that a test can say that all of it does.

use std::ops::AddAssign;

/// Something that went wrong, and did something: what met nobody is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Trouble {
    /// An agent was killed; its keepers lived on.
    AgentDied,
    /// An agent was killed between deciding and writing it down.
    AgentDiedInTurn,
    /// A keeper was killed; its agent lived on.
    KeeperDied,
    /// A keeper was killed between two effects of one decision.
    KeeperDiedInTurn,
    /// An agent and all its keepers were killed.
    BothDied,
    /// An agent stood still.
    AgentStopped,
    /// A machine of agents was suspended.
    Suspended,
    /// A machine of agents lost power.
    PowerLost,
    /// A power cut took bytes of a journal with it.
    JournalTorn,
    /// A journal was damaged where it had been synced.
    JournalDamaged,
    /// A journal was replaced by an older copy of it.
    JournalRolledBack,
    /// A folder went on on another machine.
    FolderMoved,
    /// A copy of a folder was started beside the original.
    FolderCopied,
    /// The disk of a journal was full.
    JournalFull,
    /// A wall clock was set.
    ClockJumped,
    /// A server was killed.
    ServerDied,
    /// A server was killed while a transaction ran.
    ServerDiedInCommit,
    /// A server died sooner after its start than a lease lasts.
    ServerDiedYoung,
    /// The machine of the server lost power.
    ServerLostPower,
    /// A server stood still.
    ServerStopped,
    /// Another server took the store from one that found out when it wanted to commit.
    ServerSuperseded,
    /// A transaction failed and was repeated.
    CommitFailed,
    /// A transaction succeeded and its answer was lost.
    CommitAnswerLost,
    /// The store was full, and the reserve helped.
    StoreFull,
    /// The store was full twice: the server ended.
    StoreFullTwice,
    /// A backup was put back.
    Restored,
    /// A server took an epoch that had been taken before.
    EpochRepeated,
    /// A frame was lost, repeated, or overtook others.
    FrameLost,
    /// See [`Trouble::FrameLost`].
    FrameRepeated,
    /// See [`Trouble::FrameLost`].
    FrameOvertook,
    /// An agent got a frame of an earlier session.
    OldFrameDown,
    /// A server got a frame of an earlier session.
    OldFrameUp,
    /// A machine was cut off.
    Cut,
    /// A connection was reset.
    Reset,
    /// The answer to a client was lost.
    ReplyLost,
    /// A program was spawned that had been handed to its keeper ahead of time.
    HandedOver,
    /// One was taken back before its turn came.
    TakenBack,
    /// A service was updated.
    Updated,
    /// An update began before the one before it was done.
    Overtaken,
    /// An update failed and went back.
    WentBack,
    /// An update failed and stopped there.
    UpdateHalted,
    /// A service was scaled.
    Scaled,
    /// A person stopped a service.
    StoppedByHand,
    /// A boot started a service that a person had stopped.
    StartedByBoot,
    /// A service began after those that it depends on.
    WaitedForOthers,
    /// A replica ran once more.
    RanAgain,
    /// A replica that rested before a boot ran after it.
    RanAfterBoot,
    /// Nobody saw how a run ended.
    RunUnknown,
    /// A run was ended for want of memory.
    RanOutOfMemory,
    /// A replica failed again and again.
    CrashLoop,
    /// A run was stopped because it failed its test of life.
    Unhealthy,
    /// A probe got its answer late.
    ProbeLost,
    /// A replica was stopped while it ran.
    ReplicaStopped,
    /// A service became what was applied last.
    Settled,
    /// Tasks that had ended without success wait again.
    TriedAgain,
    /// A job was paused.
    Paused,
    /// A job was cancelled because its time was over.
    Overdue,
    /// A job was cancelled because too many of its tasks had failed.
    FailedTooOften,
}

const COUNT: usize = Trouble::ALL.len();

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 58] = [
        Self::AgentDied,
        Self::AgentDiedInTurn,
        Self::KeeperDied,
        Self::KeeperDiedInTurn,
        Self::BothDied,
        Self::AgentStopped,
        Self::Suspended,
        Self::PowerLost,
        Self::JournalTorn,
        Self::JournalDamaged,
        Self::JournalRolledBack,
        Self::FolderMoved,
        Self::FolderCopied,
        Self::JournalFull,
        Self::ClockJumped,
        Self::ServerDied,
        Self::ServerDiedInCommit,
        Self::ServerDiedYoung,
        Self::ServerLostPower,
        Self::ServerStopped,
        Self::ServerSuperseded,
        Self::CommitFailed,
        Self::CommitAnswerLost,
        Self::StoreFull,
        Self::StoreFullTwice,
        Self::Restored,
        Self::EpochRepeated,
        Self::FrameLost,
        Self::FrameRepeated,
        Self::FrameOvertook,
        Self::OldFrameDown,
        Self::OldFrameUp,
        Self::Cut,
        Self::Reset,
        Self::ReplyLost,
        Self::HandedOver,
        Self::TakenBack,
        Self::Updated,
        Self::Overtaken,
        Self::WentBack,
        Self::UpdateHalted,
        Self::Scaled,
        Self::StoppedByHand,
        Self::StartedByBoot,
        Self::WaitedForOthers,
        Self::RanAgain,
        Self::RanAfterBoot,
        Self::RunUnknown,
        Self::RanOutOfMemory,
        Self::CrashLoop,
        Self::Unhealthy,
        Self::ProbeLost,
        Self::ReplicaStopped,
        Self::Settled,
        Self::TriedAgain,
        Self::Paused,
        Self::Overdue,
        Self::FailedTooOften,
    ];
}

/// How often each happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally([u32; COUNT]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Tally {
    /// How often it happened.
    pub fn of(&self, trouble: Trouble) -> u32 {
        self.0[trouble as usize]
    }

    pub(crate) fn count(&mut self, trouble: Trouble) {
        self.0[trouble as usize] += 1;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(others);
        }
    }
}
