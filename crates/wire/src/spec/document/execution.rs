//! The settings of a program.

use std::collections::BTreeMap;

use flota_model::execution::{GROUPS_MAX, ResourceLimit, USER_NAME_LENGTH_MAX};
use schemars::JsonSchema;

use super::SpecSize;
use crate::spec::check::CPUS_MAX;

const USER: &str = r"^[^:\x00-\x20\x7f]+$";
const IO_PRIORITY: &str = "^(idle|(best-effort|realtime):[0-7])$";
const BOUND: &str = "^(unlimited|[0-9]+)(:(unlimited|[0-9]+))?$";

/// As whom and within which limits a program is executed. What is not given is as the agent's own.
#[derive(JsonSchema)]
pub struct SpecExecution {
    /// Name or number.
    pub user: Option<SpecUser>,
    /// Name or number; that of the user if not given.
    pub group: Option<SpecUser>,
    /// Supplementary groups; those of the user if not given.
    #[schemars(length(max = GROUPS_MAX), inner(regex(pattern = USER)))]
    pub groups: Option<Vec<String>>,
    /// Octal digits.
    #[schemars(regex(pattern = "^0?[0-7]{1,3}$"))]
    pub umask: Option<String>,
    /// Lower runs more.
    #[schemars(range(min = -20, max = 19))]
    pub nice: Option<i8>,
    /// `idle`, `best-effort:0` to `best-effort:7`, `realtime:0` to `realtime:7`.
    #[schemars(regex(pattern = IO_PRIORITY))]
    pub ioprio: Option<String>,
    /// By the names of `limits.conf`: a number, `unlimited`, or SOFT:HARD.
    #[schemars(extend("propertyNames" = {"enum": ResourceLimit::ALL.map(ResourceLimit::word)}))]
    pub rlimits: Option<BTreeMap<String, SpecBound>>,
    /// Higher is killed earlier when memory runs out.
    #[schemars(range(min = -1000, max = 1000))]
    pub oom_score_adj: Option<i16>,
    /// Whether set-user-ID programs stay without effect; `true` if not given.
    pub no_new_privileges: Option<bool>,
    /// Limits of the program with all its descendants.
    pub limits: Option<SpecLimits>,
}

/// A user or a group.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecUser {
    /// As in `/etc/passwd` or `/etc/group`.
    Name(#[schemars(regex(pattern = USER), length(max = USER_NAME_LENGTH_MAX))] String),
    /// Its number.
    Number(u32),
}

/// A limit of one process.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SpecBound {
    /// `unlimited`, or SOFT:HARD.
    Text(#[schemars(regex(pattern = BOUND))] String),
    /// Soft and hard.
    Number(u64),
}

/// What a program and all its descendants may use together.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecLimits {
    /// What would exceed it is killed.
    pub memory: Option<SpecSize>,
    /// Beside the memory.
    pub swap: Option<SpecSize>,
    /// Processes and threads.
    #[schemars(range(min = 1, max = 4_194_304))]
    pub pids: Option<u32>,
    /// Cores.
    #[schemars(range(min = 0.01, max = CPUS_MAX))]
    pub cpus: Option<f64>,
    /// Against others, who have 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub cpu_weight: Option<u16>,
    /// Against others, who have 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub io_weight: Option<u16>,
    /// Whether it may start where a limit cannot be enforced; `false` if not given.
    pub best_effort: Option<bool>,
}
