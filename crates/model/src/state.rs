//! States of tasks, jobs and nodes.

/// State of a task. `Succeeded`, `Failed`, `Cancelled`, `Dead`, `Unknown` and `Skipped` are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TaskState {
    /// Ready, in the queue.
    Waiting = 0,
    /// Between two attempts, until its back-off is over.
    Parked = 1,
    /// At least one attempt is granted to a node and not settled.
    Granted = 2,
    /// An attempt succeeded.
    Succeeded = 3,
    /// The last allowed attempt failed.
    Failed = 4,
    /// Cancelled: nothing of it runs.
    Cancelled = 5,
    /// Set aside as poison: too many attempts were lost (PROTOCOL 30).
    Dead = 6,
    /// It may have run or not, and must not be started twice.
    Unknown = 7,
    /// Held until what it depends on has ended as it asks; not in the queue.
    Blocked = 8,
    /// It never ran and will not: what it depends on did not end as it asks.
    Skipped = 9,
}

/// How many states there are.
const STATES: usize = TaskState::ALL.len();

impl TaskState {
    /// All states, by their number.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Parked,
        Self::Granted,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Dead,
        Self::Unknown,
        Self::Blocked,
        Self::Skipped,
    ];

    /// The state of that number, 0..=9.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether it never changes again by itself.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Waiting | Self::Parked | Self::Granted | Self::Blocked => false,
            Self::Succeeded
            | Self::Failed
            | Self::Cancelled
            | Self::Dead
            | Self::Unknown
            | Self::Skipped => true,
        }
    }

    /// The word used in SQL, API and UI.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Granted => "granted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
            Self::Blocked => "blocked",
            Self::Skipped => "skipped",
        }
    }
}

/// How many tasks of a job are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts(pub [u32; STATES]);

impl Counts {
    /// Tasks in `state`.
    pub fn of(&self, state: TaskState) -> u32 {
        self.0[state as usize]
    }

    /// All tasks.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Tasks in a terminal state.
    pub fn ended(&self) -> u64 {
        TaskState::ALL
            .into_iter()
            .filter(|state| state.is_terminal())
            .map(|state| u64::from(self.of(state)))
            .sum()
    }
}

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobPhase {
    /// Some task is not terminal.
    Active,
    /// Cancel was asked for; some attempt is not settled yet.
    Cancelling,
    /// Every task is terminal; what became of them is in the counts.
    Finished,
}

impl JobPhase {
    /// The word used in SQL, API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cancelling => "cancelling",
            Self::Finished => "finished",
        }
    }
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// Its tasks end.
    Batch,
    /// A revision of a service: its tasks are replicas, and those that nobody wants are cancelled.
    Service,
}

impl JobKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Batch, Self::Service];

    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Service => "service",
        }
    }
}

/// Whether a node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodePhase {
    /// It has a session, and its lease runs.
    Up,
    /// It has no session, and its lease still runs: it may be restarting.
    Away,
    /// Its lease ended.
    Lost,
}

impl NodePhase {
    /// The word used in API and UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Away => "away",
            Self::Lost => "lost",
        }
    }
}
