//! What is in the journal that is not state: the bytes of specs, and how much it has grown.

use std::{collections::BTreeMap, sync::Arc};

use flota_model::{ids::SpecHash, spec::SealedSpec};

use crate::journal::{Record, weight};

/// Bookkeeping of the journal.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    specs: BTreeMap<SpecHash, Arc<SealedSpec>>,
    /// Bytes when it was last written anew.
    base: u64,
    /// Bytes since then.
    grown: u64,
}

impl Ledger {
    /// Notes that the journal has, or will have, that spec. Whether that is news.
    pub(super) fn add_spec(&mut self, spec: &Arc<SealedSpec>) -> bool {
        self.specs.insert(spec.hash, Arc::clone(spec)).is_none()
    }

    pub(super) fn spec(&self, hash: SpecHash) -> Option<&Arc<SealedSpec>> {
        self.specs.get(&hash)
    }

    /// Notes what is appended.
    pub(super) fn grow(&mut self, records: &[Record]) {
        self.grown += records.iter().map(weight).sum::<u64>();
    }

    /// Whether the journal has grown by `bytes_max` and by half.
    pub(super) fn is_due(&self, bytes_max: u64) -> bool {
        self.grown >= bytes_max && self.grown >= self.base / 2
    }

    /// The journal is written anew as `records`.
    pub(super) fn rewrite(&mut self, records: &[Record]) {
        let kept = records.iter().filter_map(|record| match record {
            Record::Spec { hash, .. } => self.specs.remove_entry(hash),
            Record::Created { .. }
            | Record::Opened { .. }
            | Record::Session(_)
            | Record::Joined(_)
            | Record::Obeyed(_)
            | Record::Granted(_)
            | Record::Starting { .. }
            | Record::RunEnded(_)
            | Record::RunStarting { .. }
            | Record::Stopping { .. }
            | Record::Done(_)
            | Record::Acknowledged(_)
            | Record::Refused(_)
            | Record::Reset => None,
        });
        self.specs = kept.collect();
        self.base = records.iter().map(weight).sum();
        self.grown = 0;
    }
}
