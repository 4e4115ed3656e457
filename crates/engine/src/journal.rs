//! The bytes of the agent's journal (PROTOCOL 14). Encode and recover are pure.

use std::sync::Arc;

use flota_model::{
    frame::GrantOrder,
    ids::{AttemptId, AttemptRange, Authority, BootId, NodeId, Nonce, SessionNumber, SpecHash},
    outcome::Report,
    units::Timestamp,
};

/// One record of an agent's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// First record of a journal.
    Created {
        /// The journal's identity.
        journal: Nonce,
    },
    /// An agent started.
    Opened {
        /// The nonce of this start.
        nonce: Nonce,
        /// The boot of the machine.
        boot: BootId,
    },
    /// A session began.
    Session(SessionNumber),
    /// The server's number for this node.
    Joined(NodeId),
    /// The highest authority obeyed.
    Obeyed(Authority),
    /// The bytes of a spec, before the first grant that needs them.
    Spec {
        /// Its hash.
        hash: SpecHash,
        /// Its bytes.
        blob: Arc<[u8]>,
    },
    /// Attempts were accepted.
    Granted(GrantOrder),
    /// An attempt is about to start; synced before the start where `retry = never`.
    Starting {
        /// Which.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// An attempt ended.
    Done(Report),
    /// Reports were acknowledged.
    Acknowledged(Vec<AttemptRange>),
    /// Tombstones: these never start here, and are no longer held.
    Refused(Vec<AttemptRange>),
    /// All that was held is void: the node starts anew (PROTOCOL 3).
    Reset,
}
