//! Who may write and how far the writing has come: the rules of PROTOCOL 19 and 20, for every
//! engine alike.

use flota_model::{
    change::{Batch, Change},
    ids::{Authority, BatchNumber},
    units::Timestamp,
};

use crate::journal::ApplyFault;

/// The row that every transaction reads, checks and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) authority: Authority,
    pub(crate) salt: u64,
    pub(crate) taken_at: Timestamp,
    pub(crate) restored: bool,
    pub(crate) batch: BatchNumber,
}

impl Head {
    /// Checks that `batch` may follow, and goes on to it.
    pub(crate) fn follow(&mut self, batch: &Batch) -> Result<(), ApplyFault> {
        self.obey(batch)?;
        self.count(batch.number)?;
        for change in &batch.changes {
            self.take(batch.number, change)?;
        }
        Ok(())
    }

    /// A batch speaks for the stored authority, or takes a higher one. One that takes exactly the
    /// stored one, salt included, is our own, seen again: it is left to the check of the number.
    /// (Two servers may draw the same epoch, but not the same salt; the second must not take the
    /// first one's batch for its own.)
    fn obey(&self, batch: &Batch) -> Result<(), ApplyFault> {
        let fits = match batch.changes.iter().find_map(taking) {
            None => batch.authority == self.authority,
            Some((taken, salt)) if taken == self.authority => salt == self.salt,
            Some((taken, _)) => {
                taken > self.authority && [self.authority, taken].contains(&batch.authority)
            }
        };
        if fits {
            Ok(())
        } else {
            Err(self.superseded(batch.number, batch.authority))
        }
    }

    fn count(&mut self, number: BatchNumber) -> Result<(), ApplyFault> {
        let last = self.batch;
        if number <= last {
            return Err(ApplyFault::AlreadyCommitted { number, last });
        }
        if number.0 != last.0 + 1 {
            return Err(ApplyFault::Gap { number, last });
        }
        self.batch = number;
        Ok(())
    }

    fn take(&mut self, number: BatchNumber, change: &Change) -> Result<(), ApplyFault> {
        if let Change::AuthorityTaken {
            authority,
            salt,
            at,
            recovered,
        } = change
        {
            if *authority <= self.authority {
                return Err(self.superseded(number, *authority));
            }
            self.authority = *authority;
            self.salt = *salt;
            self.taken_at = *at;
            self.restored &= !recovered;
        }
        Ok(())
    }

    fn superseded(&self, number: BatchNumber, carried: Authority) -> ApplyFault {
        ApplyFault::Superseded {
            number,
            stored: self.authority,
            carried,
        }
    }
}

fn taking(change: &Change) -> Option<(Authority, u64)> {
    if let Change::AuthorityTaken {
        authority, salt, ..
    } = change
    {
        Some((*authority, *salt))
    } else {
        None
    }
}
