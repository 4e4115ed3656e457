//! The signals that ask a process to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and perhaps SIGHUP, taken over when this is made.
pub struct EndSignals {
    usual: [Signal; 2],
    hangup: Option<Signal>,
}

impl EndSignals {
    pub fn take_over() -> io::Result<Self> {
        Ok(Self {
            hangup: Some(signal(SignalKind::hangup())?),
            ..Self::without_hangup()?
        })
    }

    /// For who uses SIGHUP for something else.
    pub fn without_hangup() -> io::Result<Self> {
        Ok(Self {
            usual: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ],
            hangup: None,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.usual;
        let hangup = &mut self.hangup;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}
