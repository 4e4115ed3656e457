//! What agent and keeper say to each other, and what goes into and out of a keeper engine.

use std::time::Duration;

use flota_model::{
    execution::Execution,
    ids::{AttemptId, BootId, Nonce},
    outcome::{StartStage, Usage},
    sample::Unkillable,
    units::{Moment, Timestamp},
};

use crate::sabotage::Sabotage;

/// Most children in one part of a list. Each may carry three descriptors (pidfd, stdout, stderr), and
/// one packet carries at most 253 (`SCM_MAX_FD`, `man 7 unix`).
pub const LIST_PART_MAX: usize = 80;

/// `ETIME` (`man 3 errno`), the answer to a start after its own deadline: the lease ended on the way.
pub const TOO_LATE: i32 = 62;
/// `ECANCELED` (`man 3 errno`): a program handed over ahead of time was stopped before its turn came.
pub const TAKEN_BACK: i32 = 125;

/// A keeper of a folder, as the agent's shell numbers them. Not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeeperId(pub u32);

/// A connection of the keeper's socket, as its shell numbers them, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u32);

/// A process beyond doubt (PROTOCOL 24). Before Linux 6.9 the inode is not unique: then a process
/// whose pidfd was lost must never be signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The boot of the machine.
    pub boot: BootId,
    /// Inode of the PID namespace.
    pub pid_namespace: u64,
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot.
    pub start_time: u64,
    /// Inode of its pidfd.
    pub pidfd_inode: u64,
}

/// A program, ready to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Which run of it, from 1 (PROTOCOL 17); 1 for batch work.
    pub run: u32,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The whole environment, in order.
    pub environment: Vec<(String, String)>,
    /// Absolute path.
    pub working_directory: String,
    /// Path of a file to read; `/dev/null` when absent.
    pub stdin: Option<String>,
    /// When to kill it unless the deadline is moved (`on_disconnect = stop`). The direct child then
    /// also gets `PR_SET_PDEATHSIG` (PROTOCOL 25).
    pub fence: Option<Moment>,
    /// Programs of one class ask for the same resources.
    pub class: u64,
    /// Handed over ahead of time: starts, in order, once fewer than this many programs of its class
    /// are live. `None` for one that starts at once, as all do that have a fence.
    pub places: Option<u32>,
    /// Where its stdout and stderr go.
    pub logs: LogMode,
    /// As whom and within which limits; `None` for all defaults.
    pub execution: Option<Box<Execution>>,
    /// What the node's policy leaves to be found out when the program is executed.
    pub guard: Guard,
}

/// Where the stdout and stderr of a program go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMode {
    /// Into a file each, which the agent reads when the program has ended.
    Captured,
    /// Through a FIFO each into segments that are rotated ([`crate::logs`]).
    Rotated {
        /// Which run of the attempt it is, counted from 1.
        run: u32,
    },
}

/// Which files may be executed. Looked at by the child itself, after it has become the user and
/// entered the working directory: a path means something else before, and reading it may hang.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// No shell, under whatever name.
    pub no_shell: bool,
    /// Only these files, by their absolute paths without links; any where absent.
    pub programs: Option<Vec<String>>,
}

/// Why a program is told to stop; a later one of this list replaces an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopReason {
    /// The agent's journal knows nothing of it, or has been told that it is void.
    Stray,
    /// A liveness probe of a service failed: it runs again.
    Unhealthy,
    /// The lease ended, and no keeper enforces that.
    Fenced,
    /// It ran too long.
    TimedOut,
    /// A person asked.
    Cancelled,
    /// The server wants it gone.
    Forgotten,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As `waitid` told.
    Known {
        /// The wait status as in `man 2 wait`.
        status: i32,
        /// What it used.
        usage: Usage,
        /// Whether the kernel's out-of-memory killer ended it.
        out_of_memory: bool,
        /// When it started.
        started_at: Timestamp,
        /// When it ended.
        ended_at: Timestamp,
        /// Whether the keeper killed it at its deadline (PROTOCOL 10).
        fenced: bool,
        /// Why an agent had asked to stop it before it ended, if one had: then what it did is no
        /// result of its own, also for an agent that was started since.
        stopped: Option<StopReason>,
    },
    /// Nobody saw it end.
    Unknown {
        /// When it started, where known.
        started_at: Option<Timestamp>,
        /// When it was found to be gone.
        found_at: Timestamp,
    },
}

/// A child as a keeper lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Which run of it: that of a service may start again once the one before is forgotten.
    pub run: u32,
    /// In which state.
    pub state: ChildState,
}

/// State of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// It waits for the end of another one of its class.
    Waiting,
    /// Between the order and the result of `execve`.
    Starting,
    /// It runs.
    Running {
        /// Which process.
        identity: Identity,
        /// Since when.
        started_at: Timestamp,
    },
    /// It could not be started.
    NotStarted {
        /// Which step failed.
        stage: StartStage,
        /// `errno` of that step.
        errno: i32,
    },
    /// It ended, its whole tree is gone.
    Ended(End),
}

/// From agent to keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToKeeper {
    /// First message of a connection; the keeper closes the older one unread (PROTOCOL 22) and
    /// answers with all that it holds.
    Hello {
        /// The agent's start, for the keeper's log.
        nonce: Nonce,
    },
    /// Start a program. Refused if the attempt was ever seen and not forgotten.
    Start(Box<Launch>),
    /// Stop a program and its tree: a signal, then SIGKILL after the grace.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// The first signal (`man 7 signal`), SIGTERM for batch work.
        signal: u8,
        /// From the signal to the kill.
        grace: Duration,
        /// Told again with its end, also to a later agent.
        reason: StopReason,
    },
    /// Move a deadline.
    Fence {
        /// Which.
        attempt: AttemptId,
        /// The new one.
        deadline: Moment,
    },
    /// Its end is durable at the agent: forget it. Ignored for a running one.
    Forget {
        /// Which.
        attempt: AttemptId,
    },
    /// End as soon as no child is left; take no new ones.
    Quit,
}

/// From keeper to agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromKeeper {
    /// Answer to the hello: a part of all children; the last part says so.
    Listed {
        /// At most [`LIST_PART_MAX`].
        children: Vec<Child>,
        /// Whether this is the last part.
        last: bool,
    },
    /// A program runs. Carries its pidfd and the descriptors of stdout and stderr (`SCM_RIGHTS`).
    Started {
        /// Which.
        attempt: AttemptId,
        /// The process.
        identity: Identity,
        /// When.
        at: Timestamp,
    },
    /// A program could not be started.
    NotStarted {
        /// Which.
        attempt: AttemptId,
        /// Which step failed.
        stage: StartStage,
        /// `errno` of that step.
        errno: i32,
    },
    /// A program and its tree ended.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How.
        end: End,
    },
    /// The attempt was seen before (or the keeper is about to end): it was not started again.
    Refused {
        /// Which.
        attempt: AttemptId,
    },
    /// It was killed and does not die. Told again when something of it changes, and to each new agent;
    /// over with its end. Not told to agents that speak version 1.
    Unkillable(Unkillable),
}

/// Something that happened at the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message arrived.
    Message {
        /// From whom.
        peer: Peer,
        /// The message.
        message: ToKeeper,
    },
    /// A connection is gone.
    PeerGone {
        /// Which.
        peer: Peer,
    },
    /// `execve` succeeded.
    Executed {
        /// Which attempt.
        attempt: AttemptId,
        /// The process.
        identity: Identity,
    },
    /// A step before or at `execve` failed; the child is reaped.
    NotExecuted {
        /// Which attempt.
        attempt: AttemptId,
        /// Which step.
        stage: StartStage,
        /// `errno` of that step.
        errno: i32,
    },
    /// The leader of an attempt was reaped.
    LeaderExited {
        /// Which attempt.
        attempt: AttemptId,
        /// Wait status.
        status: i32,
        /// What it used.
        usage: Usage,
        /// Whether the kernel's out-of-memory killer ended it.
        out_of_memory: bool,
    },
    /// No process of the attempt is left.
    TreeEmpty {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A while after all processes of an attempt were killed, these are left.
    Unkillable(Unkillable),
    /// Time has passed; at least at [`Keeper::deadline`].
    ///
    /// [`Keeper::deadline`]: super::Keeper::deadline
    Tick,
}

/// Something for the keeper's shell to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Appends to the keeper's own log (no sync: it must survive processes, not the machine).
    Log(LogRecord),
    /// Sends a message.
    Send {
        /// To whom.
        peer: Peer,
        /// The message.
        message: FromKeeper,
    },
    /// Closes a connection without reading what it still holds.
    Close {
        /// Which.
        peer: Peer,
    },
    /// Spawns a program.
    Spawn(Box<Launch>),
    /// Sends a signal to every process of an attempt, with SIGCONT after it.
    Signal {
        /// Which attempt.
        attempt: AttemptId,
        /// Signal number.
        signal: i32,
    },
    /// Kills what is left of an attempt's tree until it is empty, then gives
    /// [`Event::TreeEmpty`]. Also asked for when the leader ended by itself.
    Sweep {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Releases the descriptors of an attempt.
    Release {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The keeper ends.
    End,
}

/// One record of the keeper's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRecord {
    /// A program is about to be spawned.
    Spawning {
        /// Which attempt.
        attempt: AttemptId,
        /// Which run of it.
        run: u32,
        /// When.
        at: Timestamp,
    },
    /// A program runs.
    Running {
        /// Which attempt.
        attempt: AttemptId,
        /// The process.
        identity: Identity,
        /// When.
        at: Timestamp,
    },
    /// A program is about to be stopped, for the first time or for a reason that replaces the one
    /// before.
    Stopping {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        reason: StopReason,
    },
    /// A program could not be started.
    NotStarted {
        /// Which attempt.
        attempt: AttemptId,
        /// Which step.
        stage: StartStage,
        /// `errno` of that step.
        errno: i32,
    },
    /// A program ended.
    Ended {
        /// Which attempt.
        attempt: AttemptId,
        /// How.
        end: End,
    },
    /// The agent has it: nothing more needs to be known.
    Forgotten {
        /// Which attempt.
        attempt: AttemptId,
    },
}

/// Durations and limits of a keeper.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most attempts held at a time, ended ones that were not forgotten included.
    pub children_max: u32,
    /// A keeper without an agent and without children ends after this time.
    pub idle_end: Duration,
    /// Longest time for which starts and ends are gathered before the agent is told, while programs
    /// handed over ahead of time keep the machine busy.
    pub tell_within: Duration,
    /// For the simulator only.
    pub sabotage: Sabotage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            children_max: 4_096,
            idle_end: Duration::from_secs(30),
            tell_within: Duration::from_millis(15),
            sabotage: Sabotage::default(),
        }
    }
}
