//! The programs that run on a machine: the truth that keepers and agents can only observe.

use flota_engine::keeper::api::{Identity, KeeperId};
use flota_model::ids::AttemptId;

use crate::{
    script::{Script, ScriptedEnding},
    time::Time,
};

/// SIGKILL and SIGTERM of `man 7 signal`.
pub(crate) const KILL: i32 = 9;
pub(crate) const TERM: i32 = 15;

/// One program with its tree.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) attempt: AttemptId,
    /// Which run of it.
    pub(crate) run: u32,
    pub(crate) identity: Identity,
    /// Its parent, dead or alive.
    pub(crate) keeper: KeeperId,
    /// As the agent told the keeper.
    pub(crate) class: u64,
    /// Whether it has a deadline, and so dies with its parent (PROTOCOL 25).
    pub(crate) fenced: bool,
    pub(crate) script: Script,
    pub(crate) leader: Leader,
    /// Descendants of the leader are alive.
    pub(crate) tree: bool,
    /// Counts the plans for its end, so that only the last one is carried out.
    pub(crate) plan: u32,
    /// Somebody of ours has signalled it.
    pub(crate) signalled: bool,
    /// Nothing of it is swept yet, and somebody waits for that.
    pub(crate) sweeping: bool,
}

/// The leader of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    /// Between `clone` and the result of `execve`; a SIGTERM waits until then.
    Starting {
        pending: Option<i32>,
    },
    Running {
        since: Time,
    },
    Gone(Exit),
    /// `execve` failed.
    NeverRan,
}

/// How a leader ended, as `waitid` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) status: i32,
    pub(crate) out_of_memory: bool,
    pub(crate) at: Time,
}

impl Process {
    /// Whether any process of the attempt is there.
    pub(crate) fn is_alive(&self) -> bool {
        self.tree
            || matches!(
                self.leader,
                Leader::Starting { .. } | Leader::Running { .. }
            )
    }
}

/// The wait status of `man 2 wait` of a scripted ending, and whether memory was the reason.
pub(crate) fn status_of(ending: ScriptedEnding) -> (i32, bool) {
    match ending {
        ScriptedEnding::Exit(code) => (exit_status(code), false),
        ScriptedEnding::Signal(signal) => (i32::from(signal), false),
        ScriptedEnding::OutOfMemory => (KILL, true),
    }
}

/// The wait status of an exit with that code.
pub(crate) fn exit_status(code: u8) -> i32 {
    i32::from(code) << 8
}
