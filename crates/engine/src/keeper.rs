//! The keeper's decisions: what to spawn, stop, kill at a deadline, remember and forget.

pub mod api;
pub mod codec;

use flota_model::{
    ids::BootId,
    units::{Moment, Now},
};

use crate::keeper::api::{Effect, Event, Settings};

/// The keeper's state.
#[derive(Debug)]
pub struct Keeper {}

impl Keeper {
    /// A keeper without children on a machine of that boot.
    pub fn open(boot: BootId, now: Now, settings: Settings) -> Self {
        let _ = (boot, now, settings);
        Self {}
    }

    /// Applies `events` in order at `now` and returns what must be done, in order.
    pub fn handle(&mut self, events: Vec<Event>, now: Now) -> Vec<Effect> {
        let _ = (events, now);
        Vec::new()
    }

    /// When a tick is needed at the latest, if no event comes before.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }
}
