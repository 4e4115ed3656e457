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

/// What the bytes of a journal say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// In order.
    pub records: Vec<Record>,
    /// Length of the valid part: cut the file here before anything is appended.
    pub valid_length: u64,
    /// Set when bytes that were durable are invalid: set the journal aside and report it.
    pub damage: Option<Damage>,
}

/// Durable bytes of a journal that are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where the first invalid batch begins.
    pub offset: u64,
    /// Where the valid batch begins that proves them durable.
    pub witness: u64,
}

/// Appends one batch to `out`. `previous_length` is the length up to which the journal was synced
/// when this batch was written; at most the length of the file.
pub fn encode(records: &[Record], previous_length: u64, out: &mut Vec<u8>) {
    let _ = (records, previous_length, out);
}

/// Reads a journal. Never fails: what is invalid is cut, or is damage.
pub fn recover(bytes: &[u8]) -> Recovered {
    let _ = bytes;
    Recovered::default()
}
