//! One child of a keeper.

use flota_model::{
    outcome::{StartStage, Usage},
    units::{Moment, Timestamp},
};

use crate::keeper::api::{ChildState, End, Identity, StopReason};

/// What a keeper holds of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Handed over ahead of time; its turn has not come.
    Waiting,
    /// It may have processes.
    Live(Live),
    /// It never ran.
    NotStarted { stage: StartStage, errno: i32 },
    /// It has no processes any more.
    Ended(End),
}

impl Held {
    /// As it is told to an agent.
    pub(super) fn state(&self) -> ChildState {
        match self {
            Self::Live(Live {
                identity: Some(identity),
                started_at,
                ..
            }) => ChildState::Running {
                identity: *identity,
                started_at: *started_at,
            },
            Self::Waiting => ChildState::Waiting,
            Self::Live(_) => ChildState::Starting,
            Self::NotStarted { stage, errno } => ChildState::NotStarted {
                stage: *stage,
                errno: *errno,
            },
            Self::Ended(end) => ChildState::Ended(*end),
        }
    }
}

/// A child that may have processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    /// Whose end lets the next one of the same class start.
    pub(super) class: u64,
    /// Known once `execve` has succeeded.
    pub(super) identity: Option<Identity>,
    /// When it was spawned, then when it was executed.
    pub(super) started_at: Timestamp,
    /// When to kill it unless this is moved.
    pub(super) fence: Option<Moment>,
    /// No process is left.
    pub(super) is_empty: bool,
    stop: Stop,
    /// Set once the leader was reaped.
    leader: Option<Leader>,
    is_fenced: bool,
    /// Why it was told to stop before its leader was reaped.
    stopped: Option<StopReason>,
}

/// How far a stop has come. It holds from the order on, also before `execve` has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    /// Signalled; killed at that time.
    Asked {
        kill_at: Moment,
    },
    /// All that is left of the tree is being killed.
    Sweeping,
}

/// How a leader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) status: i32,
    pub(super) usage: Usage,
    pub(super) out_of_memory: bool,
    pub(super) ended_at: Timestamp,
}

/// What a change asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Nothing,
    /// Ask the tree to end.
    Signal,
    /// Kill all of it.
    Kill,
    /// Kill what its leader left behind.
    Sweep,
}

impl Live {
    pub(super) fn new(class: u64, fence: Option<Moment>, spawned_at: Timestamp) -> Self {
        Self {
            class,
            identity: None,
            started_at: spawned_at,
            fence,
            is_empty: false,
            stop: Stop::No,
            leader: None,
            is_fenced: false,
            stopped: None,
        }
    }

    /// When it is killed, if nothing changes.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self.stop {
            Stop::No => self.fence,
            Stop::Asked { kill_at } => Some(self.fence.map_or(kill_at, |fence| fence.min(kill_at))),
            Stop::Sweeping => None,
        }
    }

    /// Notes why it is about to be stopped; whether that replaces what was noted before.
    pub(super) fn stop_for(&mut self, reason: StopReason) -> bool {
        // What it did before it was told is a result of its own.
        let is_news = self.leader.is_none() && self.stopped < Some(reason);
        if is_news {
            self.stopped = Some(reason);
        }
        is_news
    }

    /// Stops it; a second stop can only shorten the grace.
    pub(super) fn stop(&mut self, kill_at: Moment, is_immediate: bool) -> Order {
        match self.stop {
            Stop::Sweeping => Order::Nothing,
            Stop::No | Stop::Asked { .. } if is_immediate => self.sweep(),
            Stop::No => {
                self.stop = Stop::Asked { kill_at };
                Order::Signal
            }
            Stop::Asked { kill_at: earlier } => {
                self.stop = Stop::Asked {
                    kill_at: earlier.min(kill_at),
                };
                Order::Nothing
            }
        }
    }

    /// Kills it at a deadline, of the stop or of the fence.
    pub(super) fn kill(&mut self, now: Moment) -> Order {
        let is_fence = self.fence.is_some_and(|fence| fence <= now);
        self.is_fenced = is_fence && self.leader.is_none();
        self.sweep()
    }

    /// The leader was reaped: what is left of its tree goes with it.
    pub(super) fn leader_exited(&mut self, leader: Leader) -> Order {
        self.leader.get_or_insert(leader);
        self.sweep()
    }

    /// How it ended, once it has.
    pub(super) fn end(&self) -> Option<End> {
        let leader = self.leader.filter(|_| self.is_empty)?;
        Some(End::Known {
            status: leader.status,
            usage: leader.usage,
            out_of_memory: leader.out_of_memory,
            started_at: self.started_at,
            ended_at: leader.ended_at,
            fenced: self.is_fenced,
            stopped: self.stopped,
        })
    }

    fn sweep(&mut self) -> Order {
        match self.stop {
            Stop::Sweeping => Order::Nothing,
            Stop::No | Stop::Asked { .. } => {
                self.stop = Stop::Sweeping;
                if self.leader.is_some() {
                    Order::Sweep
                } else {
                    Order::Kill
                }
            }
        }
    }
}
