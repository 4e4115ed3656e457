//! Attempts that ended and whose reports are not acknowledged.

use std::collections::BTreeMap;

use flota_model::{
    ids::{AttemptId, AttemptRange},
    outcome::Report,
};

use crate::{journal, node::ranges::keys_within};

/// The reports, by attempt.
#[derive(Debug, Default)]
pub(super) struct Reports {
    ended: BTreeMap<AttemptId, Report>,
    bytes: u64,
}

impl Reports {
    /// Keeps a report; replaces an earlier one of the same attempt.
    pub(super) fn insert(&mut self, report: Report) {
        self.bytes += size(&report);
        if let Some(replaced) = self.ended.insert(report.attempt, report) {
            self.bytes -= size(&replaced);
        }
    }

    fn remove(&mut self, attempt: AttemptId) -> Option<Report> {
        let report = self.ended.remove(&attempt)?;
        self.bytes -= size(&report);
        Some(report)
    }

    /// Removes the reports within `range` and returns their attempts.
    pub(super) fn remove_within(&mut self, range: AttemptRange) -> Vec<AttemptId> {
        let attempts = keys_within(&self.ended, range);
        for attempt in &attempts {
            self.remove(*attempt);
        }
        attempts
    }

    pub(super) fn get(&self, attempt: AttemptId) -> Option<&Report> {
        self.ended.get(&attempt)
    }

    /// All, by attempt.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Report> {
        self.ended.values()
    }

    pub(super) fn within(&self, range: AttemptRange) -> Vec<AttemptId> {
        keys_within(&self.ended, range)
    }

    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }

    /// About as many bytes as they take in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn size(report: &Report) -> u64 {
    size_of::<Report>() as u64 + journal::report_weight(report)
}
