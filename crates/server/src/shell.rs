//! Around the fleet: collect → decide → commit → perform (PROTOCOL 18–20).
//!
//! A [`collect::Collector`] task gathers what happened, applies it to the fleet in one synchronous
//! call and hands the turn on. A committer thread makes durable, in one transaction, all turns that
//! gathered during its previous commit, and then performs their effects in order. The collector
//! goes on meanwhile: what it decides next is based on changes that may not be durable yet, but
//! nobody hears of it before they are.

mod collect;
mod commit;
mod handle;
mod publish;

pub(crate) use collect::Collector;
pub use commit::CommitFault;
pub(crate) use commit::{Committer, commit};
use flota_engine::fleet::api::Effect;
use flota_model::{
    change::Batch,
    ids::{NodeId, RequestId},
    local::LocalOrder,
};
pub(crate) use handle::{AskFault, Asker, FleetHandle, Inbound};
#[cfg(test)]
pub(crate) use publish::EVENTS_KEPT;
pub(crate) use publish::{Progress, Published, Publisher, Since};

/// Turns between the collector and the end of their commit. Above it the collector waits, so that
/// events gather into larger turns instead of more of them.
pub(crate) const TURNS_IN_FLIGHT_MAX: usize = 64;
/// Most events that wait for the collector; senders wait above it.
pub(crate) const INBOX_LENGTH: usize = 8_192;
/// Events that watchers may be behind before they must read the state anew.
pub(crate) const PUBLISHED_BEHIND_MAX: usize = 4_096;

/// What a client of a node wants, on its way to whoever authorises and carries it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalWish {
    pub(crate) node: NodeId,
    /// The name of the node.
    pub(crate) name: String,
    pub(crate) request: RequestId,
    pub(crate) order: LocalOrder,
}

/// What the fleet decided, on its way to the committer.
#[derive(Debug)]
pub(crate) struct NumberedTurn {
    /// `None` when there is nothing to make durable; the effects wait all the same.
    pub(crate) batch: Option<Batch>,
    pub(crate) effects: Vec<Effect>,
    /// Who waits for the replies to the requests of this turn. A reply may come in a later turn.
    pub(crate) askers: Vec<(RequestId, Asker)>,
}

#[cfg(test)]
mod tests;
