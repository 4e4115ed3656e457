//! The agent's decisions: which granted attempts start, what is journalled, what is reported.
//!
//! [`Node::handle`] applies a batch of events at one time and returns a [`api::Turn`].

pub mod api;

use flota_model::units::{Moment, Now};

use crate::{
    journal::Record,
    node::api::{DecodeSpec, Event, Forgotten, Opening, Turn},
};

/// The agent's state.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// Rebuilds the state from the records of the journal and begins a new start of the agent. The
    /// turn's records must be appended and synced before anything else.
    pub fn open(
        records: Vec<Record>,
        decode: DecodeSpec<'_>,
        opening: Opening,
    ) -> (Self, Turn, Forgotten) {
        let _ = (records, decode, opening);
        (Self {}, Turn::default(), Forgotten::default())
    }

    /// Applies `events` in order at `now`.
    pub fn handle(&mut self, events: Vec<Event>, now: Now) -> Turn {
        let _ = (events, now);
        Turn::default()
    }

    /// When a tick is needed at the latest, if no event comes before.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }

    /// The whole journal anew: what is still needed, and nothing else.
    pub fn rewritten(&self) -> Vec<Record> {
        Vec::new()
    }
}
