//! The policy of the node, read again when its owner sends SIGHUP.

use std::{io, sync::Arc};

use flota_engine::policy::Policy;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::policy::{self, PolicySource};

/// Waits for the signal.
#[derive(Debug, Default)]
pub(crate) struct Reload(Option<(PolicySource, Signal)>);

impl Reload {
    /// Needs a runtime. Without a source it waits for ever, and leaves the signal to others.
    pub(crate) fn new(source: Option<PolicySource>) -> io::Result<Self> {
        let signal = |source| Ok::<_, io::Error>((source, signal(SignalKind::hangup())?));
        Ok(Self(source.map(signal).transpose()?))
    }

    /// The policy, each time that it was read; `None` where it cannot be used, so that the one from before
    /// stays. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self) -> Option<Arc<Policy>> {
        let Some((source, signal)) = &mut self.0 else {
            return std::future::pending().await;
        };
        if signal.recv().await.is_none() {
            return std::future::pending().await;
        }
        match policy::load(source.path.as_deref(), source.is_root) {
            Ok(policy) => {
                tracing::info!(path = ?source.path, "the policy was read again");
                Some(Arc::new(policy))
            }
            Err(fault) => {
                let fault: &dyn std::error::Error = &fault;
                tracing::error!(
                    error = fault,
                    "the policy cannot be used: the one from before still counts"
                );
                None
            }
        }
    }
}
