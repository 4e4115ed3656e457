//! What a program gets besides its arguments, as numbers: all names were looked up before.

use std::os::fd::RawFd;

use flota_engine::keeper::api::Guard;

/// Longest text of a number for `/proc/self/oom_score_adj`.
const ADJUST_LENGTH_MAX: usize = 8;

/// Settings of one program. The default changes nothing but that set-user-ID programs have no effect.
#[derive(Debug, Default)]
pub(crate) struct Setting {
    pub(crate) umask: Option<u32>,
    pub(crate) nice: Option<i32>,
    /// As `ioprio_set` takes it.
    pub(crate) io_priority: Option<u32>,
    /// Resource, soft and hard limit.
    pub(crate) resource_limits: Vec<(u32, [u64; 2])>,
    pub(crate) oom_score_adjust: Option<Adjust>,
    pub(crate) new_privileges: bool,
    pub(crate) identity: Option<Account>,
    pub(crate) membership: Membership,
    pub(crate) no_shell: bool,
    /// Absolute paths without links; with `/*` at the end all below a folder.
    pub(crate) programs: Option<Vec<Vec<u8>>>,
}

/// User and groups by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Supplementary ones; as ours where absent.
    pub(crate) groups: Option<Vec<u32>>,
}

/// The control groups of a program. The descriptors stay open in the parent.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    /// The folder of a group of version 2, in which the child is born.
    pub(crate) born_in: Option<RawFd>,
    /// The file `cgroup.procs` of the same group, where a child cannot be born in it.
    pub(crate) unified: Option<RawFd>,
    /// The same of groups of version 1.
    pub(crate) join: Vec<RawFd>,
}

/// A number as text, without an allocation in the child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adjust {
    bytes: [u8; ADJUST_LENGTH_MAX],
    length: usize,
}

impl Adjust {
    pub(crate) fn new(value: i16) -> Self {
        let text = value.to_string();
        let mut bytes = [0; ADJUST_LENGTH_MAX];
        let length = text.len().min(ADJUST_LENGTH_MAX);
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self { bytes, length }
    }

    pub(super) fn bytes(&self) -> (*const u8, usize) {
        (self.bytes.as_ptr(), self.length)
    }
}

impl Setting {
    /// Takes over what the node's policy leaves to the child.
    pub(crate) fn guard(&mut self, guard: &Guard) {
        self.no_shell = guard.no_shell;
        let bytes =
            |paths: &Vec<String>| paths.iter().map(|path| path.clone().into_bytes()).collect();
        self.programs = guard.programs.as_ref().map(bytes);
    }

    /// Whether the child must not share our memory: a change of user makes shared memory reachable for
    /// that user's processes unless the kernel notices, and the score of the out-of-memory killer is
    /// set for all who share a memory (`fs/proc/base.c`).
    pub(super) fn needs_own_memory(&self) -> bool {
        self.identity.is_some() || self.oom_score_adjust.is_some()
    }

    pub(super) fn guards_files(&self) -> bool {
        self.no_shell || self.programs.is_some()
    }
}
