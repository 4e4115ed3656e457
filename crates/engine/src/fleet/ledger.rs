//! What a turn has changed: collected while events are applied, written out once at the end.
//!
//! A job, chunk, grant or node that changes a thousand times in a turn is written once.

use std::collections::BTreeSet;

use flota_model::{
    change::Change,
    ids::{GrantId, JobId, NodeId, TaskIndex},
};

use super::api::Effect;

/// The open turn.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Written as they are, before everything below.
    pub(crate) changes: Vec<Change>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) jobs: BTreeSet<JobId>,
    /// Jobs with which something was done.
    pub(crate) controls: BTreeSet<JobId>,
    pub(crate) chunks: BTreeSet<(JobId, u32)>,
    pub(crate) histories: BTreeSet<(JobId, TaskIndex)>,
    pub(crate) grants: BTreeSet<GrantId>,
    pub(crate) nodes: BTreeSet<NodeId>,
    pub(crate) services: BTreeSet<String>,
    /// Revisions that services remember, or do so no more.
    pub(crate) revisions: BTreeSet<(String, JobId)>,
    /// Jobs of which a task failed.
    pub(crate) failing: BTreeSet<JobId>,
    pub(crate) counters: bool,
    /// Nodes with orders of this turn's placement are told in one frame each.
    pub(crate) orders: BTreeSet<(NodeId, GrantId)>,
}
