//! Copies of the store of a data folder, and their way back.
//!
//! A copy holds all that the server promised: jobs, tasks, attempts with their outputs of up to
//! 16 KiB, nodes, keys and the audit. It does not hold longer outputs, which stay on the nodes, nor
//! the token, so that who gets a copy gets no access.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flota_store::sqlite::{self, RestoreFault};
use thiserror::Error;

use crate::{
    folder::{Folder, FolderFault},
    run::STORE,
};

/// Why there is no copy, or why it is not the store.
#[derive(Debug, Error)]
pub enum CopyFault {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// The store was not copied.
    #[error(transparent)]
    Store(#[from] RestoreFault),
}

/// Copies the store of the data folder, also while a server uses it, to the new file `to`; gives
/// the length of the copy in bytes. Blocks for about as long as reading and writing all of it.
pub fn back_up(data: &Path, to: &Path) -> Result<u64, CopyFault> {
    sqlite::back_up(&data.join(STORE), to)?;
    // It was synced a moment ago; who removes it meanwhile gets a 0.
    Ok(fs::metadata(to).map_or(0, |copy| copy.len()))
}

/// Makes the copy `from` the store of the data folder, which no server may be using. The next
/// server places nothing on it until a person says so (PROTOCOL 4).
///
/// A store that is there is refused, or kept with `replaces`: under the name that is returned.
pub fn restore(from: &Path, data: &Path, replaces: bool) -> Result<Option<PathBuf>, CopyFault> {
    let _folder = Folder::open(data)?;
    Ok(sqlite::restore(from, &data.join(STORE), replaces)?)
}
