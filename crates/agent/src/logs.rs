//! Rotated logs on the disk: `logs/ATTEMPT.RUN/` with, for each stream, a FIFO while it is open,
//! segments named after the offset of their first byte, and an index of times beside each.
//!
//! All that a writer must know is in these files, so that whoever finds a FIFO that nobody has
//! locked can go on where a killed one stopped: how far it came is the length of the last segment.
//! Bytes go from the FIFO to the segment by `splice`, which takes them out of the one when they are
//! in the other; a read and a write would lose what lies between them.

mod index;
mod names;
mod orphaned;
mod pump;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::{io, path::Path, sync::Arc};

use flota_engine::logs::Limits;

use self::orphaned::Orphaned;
pub(crate) use self::{
    names::LogId,
    pump::Pump,
    reader::{last_lines, read},
    store::Store,
};

/// Folder of rotated logs below the data folder.
pub(crate) const FOLDER: &str = "logs";

/// The logs of a node, as its agent has them.
#[derive(Debug)]
pub(crate) struct Logs {
    /// For readers.
    pub(crate) store: Arc<Store>,
    pub(crate) orphaned: Orphaned,
}

impl Logs {
    /// Opens the folder and starts the thread that writes what dead keepers left.
    pub(crate) fn start(data: &Path, limits: Limits) -> io::Result<Self> {
        Ok(Self {
            store: Arc::new(Store::open(data, limits)?),
            orphaned: Orphaned::start(Pump::new(Store::open(data, limits)?)?)?,
        })
    }
}
