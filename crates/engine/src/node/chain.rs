//! Who this agent is to the server, as its journal tells (PROTOCOL 2, 3).

use flota_model::ids::{Authority, NodeId, Nonce, SessionNumber};

/// The identity of a journal, and of this start.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The journal's identity.
    pub(super) journal: Nonce,
    /// The nonce of the last start that the server welcomed; it is the one the server recorded, or
    /// its successor of which the answer was lost.
    pub(super) recorded: Option<Nonce>,
    /// What the hellos of this start carry as previous nonce.
    pub(super) previous: Option<Nonce>,
    /// The nonce of this start; while the journal is read, of the last start read.
    pub(super) nonce: Nonce,
    /// The number that the server gave.
    pub(super) node: Option<NodeId>,
    /// The highest authority obeyed.
    pub(super) obeyed: Authority,
    /// The last session.
    pub(super) session: SessionNumber,
}

impl Chain {
    /// Begins a new start with a fresh random nonce.
    ///
    /// A start that was never welcomed leaves its nonce to the next one: the server may have
    /// recorded it (its answer was lost) or not (it was never reached), and the same pair is right
    /// in both cases. A fresh nonce would fit only one of them, and a machine that boots twice while
    /// the server is down would lose all that it holds.
    pub(super) fn begin(&mut self, opened: Option<Nonce>, fresh: Nonce) {
        self.previous = self.recorded;
        self.nonce = opened
            .filter(|nonce| self.recorded != Some(*nonce))
            .unwrap_or(fresh);
    }

    /// The server welcomed this start. Whether that is news for the journal.
    pub(super) fn join(&mut self, node: NodeId) -> bool {
        let is_news = self.node != Some(node) || self.recorded != Some(self.nonce);
        self.node = Some(node);
        self.recorded = Some(self.nonce);
        is_news
    }
}
