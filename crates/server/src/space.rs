//! Watches the free space of the data folder's disk.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flota_store::space::{Reserve, space};
use tokio::{task, time};

use crate::{chain::Chain, settings::FreeSpace};

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks at the disk and says whether it is nearly full.
pub(crate) struct SpaceWatch {
    pub(crate) folder: PathBuf,
    pub(crate) required: FreeSpace,
    pub(crate) reserve: Reserve,
    /// Set while the disk is nearly full.
    pub(crate) full: Arc<AtomicBool>,
}

impl SpaceWatch {
    /// Looks once. Blocks on the disk.
    pub(crate) fn look(&self) {
        let space = match space(&self.folder) {
            Ok(space) => space,
            // What cannot be measured is no reason to refuse work; a commit will say what is wrong.
            Err(fault) => {
                tracing::warn!(fault = %Chain(&fault), "failed to measure the free space");
                return;
            }
        };
        let required = self.required.required(space.total);
        let full = space.free < required;
        if self.full.swap(full, Ordering::Relaxed) != full {
            let (free, total) = (space.free, space.total);
            if full {
                tracing::error!(
                    free,
                    total,
                    required,
                    "disk nearly full, submissions are refused"
                );
            } else {
                tracing::info!(free, total, required, "disk has room again");
            }
        }
        if !full && let Err(fault) = self.reserve.restore() {
            tracing::warn!(fault = %Chain(&fault), "failed to set space aside for a full disk");
        }
    }

    /// Looks once, on a thread that may block.
    pub(crate) async fn look_apart(self: &Arc<Self>) {
        let watch = Arc::clone(self);
        if let Err(fault) = task::spawn_blocking(move || watch.look()).await {
            tracing::error!(%fault, "the look at the free space panicked");
        }
    }

    /// Looks every second, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            time::sleep(LOOK_INTERVAL).await;
            self.look_apart().await;
        }
    }
}
