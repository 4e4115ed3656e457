//! Listeners for clients of the line protocol: two older process managers ([`flota_wire::line`]).
//!
//! They list and measure here; what starts or ends something is asked of the server, so that it is
//! authorised, audited and kept like everything else.

mod session;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use flota_wire::line::Dialect;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use crate::local::Counter;

/// Connections of all listeners of an agent: each costs a descriptor and some kilobytes.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;
/// After a connection could not be accepted: descriptors are short, or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// The answer to one connection too many.
const FULL: &[u8] = "Error: demasiadas conexiones\n".as_bytes();

/// How long clients are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A segment without a newline is a whole command when nothing follows for so long.
    silence: Duration,
    /// Longest time for one command to arrive.
    command: Duration,
    /// Longest time without a command.
    idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            silence: Duration::from_millis(30),
            command: Duration::from_secs(10),
            idle: Duration::from_mins(2),
        }
    }
}

/// An address that was bound.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) dialect: Dialect,
    listener: TcpListener,
}

impl Bound {
    /// Binds an address.
    pub(crate) async fn new(dialect: Dialect, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { dialect, listener })
    }

    /// With the port that was chosen where none was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Serves all of them until it is dropped.
pub(crate) async fn serve(listeners: Vec<Bound>, counter: Counter, patience: Patience) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut loops = JoinSet::new();
    for bound in listeners {
        loops.spawn(accept(
            bound,
            counter.clone(),
            patience,
            Arc::clone(&places),
        ));
    }
    loops.join_all().await;
}

async fn accept(bound: Bound, counter: Counter, patience: Patience, places: Arc<Semaphore>) {
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        let Ok((stream, _)) = bound.listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            refuse(stream);
            continue;
        };
        let (dialect, counter) = (bound.dialect, counter.clone());
        sessions.spawn(async move {
            // A client that closes early, or only looks whether somebody is here, is no error.
            if let Err(error) = session::serve(stream, dialect, &counter, patience).await {
                tracing::debug!(%error, "a line connection ended");
            }
            drop(place);
        });
    }
}

/// Says why, if that takes no waiting.
fn refuse(mut stream: TcpStream) {
    tokio::spawn(async move {
        let said = stream.write_all(FULL);
        let _ = tokio::time::timeout(PAUSE, said).await;
    });
}
