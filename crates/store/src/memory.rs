//! A store that forgets everything at the end of the process; for tests.
//!
//! It keeps the promises of the traits but that of durability, in the plainest way: a batch is
//! applied to a copy, which replaces the original when all of it went well.

mod read;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flota_model::{
    change::{Batch, Snapshot},
    ids::BatchNumber,
};

use self::state::State;
use crate::journal::{ApplyFault, Journal, LoadFault};

/// Both traits over one state, which all clones share.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is replaced whole, so a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryStore {
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ApplyFault> {
        let mut state = self.state();
        let mut next = state.clone();
        for batch in batches {
            next.apply(batch)?;
        }
        *state = next;
        drop(state);
        Ok(())
    }

    fn load(&mut self) -> Result<Snapshot, LoadFault> {
        Ok(self.state().snapshot())
    }

    fn last_batch(&mut self) -> Result<BatchNumber, LoadFault> {
        Ok(self.state().last_batch())
    }
}
