//! Idempotency keys: a submission that is repeated makes no second job.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flota_model::{
    change::{IdempotencyKey, KeyRecord},
    units::Timestamp,
};

/// All keys within the retention.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    made: BTreeMap<IdempotencyKey, KeyRecord>,
    by_age: BTreeSet<(Timestamp, IdempotencyKey)>,
}

impl Keys {
    pub(crate) fn get(&self, key: &IdempotencyKey) -> Option<KeyRecord> {
        self.made.get(key).copied()
    }

    pub(crate) fn insert(&mut self, key: IdempotencyKey, made: KeyRecord) {
        self.by_age.insert((made.at, key.clone()));
        self.made.insert(key, made);
    }

    /// Takes out one key that is older than the retention. Wall time is good enough here: a clock
    /// that jumps makes a key live longer or shorter, never another job.
    pub(crate) fn expire(&mut self, now: Timestamp, retention: Duration) -> Option<IdempotencyKey> {
        let (at, _) = self.by_age.first()?;
        let age = Duration::from_micros(now.0.saturating_sub(at.0));
        if age < retention {
            return None;
        }
        let (_, key) = self.by_age.pop_first()?;
        self.made.remove(&key);
        Some(key)
    }

    pub(crate) fn all(&self) -> Vec<(IdempotencyKey, KeyRecord)> {
        self.made
            .iter()
            .map(|(key, made)| (key.clone(), *made))
            .collect()
    }
}
