//! The one port and the Unix socket: accepting, limits, protocols, the end.
//!
//! Not `axum::serve`: that has no limit on slow headers, on silent connections or on their number.

mod connection;
mod patient;
mod protocol;

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
#[cfg(test)]
pub(crate) use connection::STREAMS_MAX;
pub(crate) use connection::{Arrival, serve as serve_connection};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time,
};

use crate::{
    holder::{self, Holder},
    settings::Limits,
    stop::Stop,
};

/// Connections that the kernel keeps for us until they are accepted: a whole fleet comes back at
/// once after a restart. The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4_096;
/// Pause after an accept that failed for want of descriptors or memory, instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Answer to a connection above the limit.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    retry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// Why the server cannot listen.
#[derive(Debug, Error)]
pub enum ListenFault {
    /// Other machines could reach it, and there is no encryption yet.
    #[error("refused to listen on {0}: only loopback addresses are allowed without TLS")]
    NotLoopback(SocketAddr),
    /// Somebody else listens there.
    #[error(
        "the address {address} is taken{}; choose another one with --listen",
        held_by(holder.as_ref())
    )]
    Taken {
        /// Where.
        address: SocketAddr,
        /// By whom, where it can be found.
        holder: Option<Holder>,
    },
    /// Anything else about the port.
    #[error("failed to listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The Unix socket cannot be made.
    #[error("failed to make the Unix socket `{}`", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

/// An address that is ours, though nobody can connect yet.
pub(crate) struct Reserved {
    socket: TcpSocket,
    /// The port is never 0.
    pub(crate) address: SocketAddr,
}

/// Takes the address, so that a server that could not listen in the end stops before it has opened
/// its store.
pub(crate) fn reserve(listen: SocketAddr) -> Result<Reserved, ListenFault> {
    if !listen.ip().is_loopback() {
        return Err(ListenFault::NotLoopback(listen));
    }
    let socket = if listen.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let bound = socket.and_then(|socket| {
        // The connections of a server before us may linger on the port (`man 7 tcp`, TIME_WAIT).
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        let address = socket.local_addr()?;
        Ok(Reserved { socket, address })
    });
    bound.map_err(|source| bind_fault(listen, source))
}

fn bind_fault(address: SocketAddr, source: io::Error) -> ListenFault {
    if source.kind() == io::ErrorKind::AddrInUse {
        return ListenFault::Taken {
            address,
            holder: holder::of_port(address),
        };
    }
    ListenFault::Bind { address, source }
}

/// Sockets that listen.
pub(crate) struct Listeners {
    tcp: TcpListener,
    local: UnixListener,
}

impl Reserved {
    /// Lets clients connect here alone.
    pub(crate) fn listen_alone(self) -> Result<TcpListener, ListenFault> {
        let address = self.address;
        self.socket
            .listen(BACKLOG)
            .map_err(|source| bind_fault(address, source))
    }

    /// Lets clients connect, here and at `socket`. The caller holds the lock of the folder, so a
    /// socket that lies there is dead.
    pub(crate) fn listen(self, socket: &Path) -> Result<Listeners, ListenFault> {
        let address = self.address;
        let tcp = self
            .socket
            .listen(BACKLOG)
            .map_err(|source| bind_fault(address, source))?;
        let local = bind_local(socket).map_err(|source| ListenFault::Socket {
            path: socket.into(),
            source,
        })?;
        Ok(Listeners { tcp, local })
    }
}

impl Listeners {
    /// Serves until `stop` says true, then lets open connections finish for a while.
    pub(crate) async fn serve(self, router: Router, limits: Limits, stop: Stop) {
        let mut server = Server {
            router,
            remote: Arc::new(Semaphore::new(limits.connections_max)),
            local: Arc::new(Semaphore::new(limits.local_connections_max)),
            connections: JoinSet::new(),
            limits,
            stop,
        };
        server.accept(&self).await;
        drop(self);
        server.drain().await;
    }
}

fn bind_local(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    // The folder is 0700, so nobody slips in before this; peers are checked one by one as well.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

struct Server {
    router: Router,
    remote: Arc<Semaphore>,
    local: Arc<Semaphore>,
    connections: JoinSet<()>,
    limits: Limits,
    stop: Stop,
}

impl Server {
    async fn accept(&mut self, listeners: &Listeners) {
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stop.said() => return,
                accepted = listeners.tcp.accept() => match accepted {
                    Ok((stream, peer)) => self.take_remote(stream, peer),
                    Err(fault) => pause_after(&fault).await,
                },
                accepted = listeners.local.accept() => match accepted {
                    Ok((stream, _)) => self.take_local(stream),
                    Err(fault) => pause_after(&fault).await,
                },
                Some(ended) = self.connections.join_next() => report(ended),
            }
        }
    }

    fn take_remote(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.remote).try_acquire_owned() else {
            tracing::warn!(%peer, limit = self.limits.connections_max, "connection refused: too many");
            let _ = stream.try_write(BUSY);
            return;
        };
        // Without this, small answers wait for the peer's delayed acknowledgement (40 ms).
        if let Err(fault) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %fault, "connection gone before it was served");
            return;
        }
        match stream.local_addr() {
            Ok(local) => self.start(stream, Arrival::Port { peer, local }, permit),
            Err(fault) => tracing::debug!(%peer, %fault, "connection gone before it was served"),
        }
    }

    fn take_local(&mut self, stream: UnixStream) {
        let Ok(permit) = Arc::clone(&self.local).try_acquire_owned() else {
            let limit = self.limits.local_connections_max;
            tracing::warn!(limit, "local connection refused: too many");
            let _ = stream.try_write(BUSY);
            return;
        };
        match stream.peer_cred() {
            Ok(credentials) => self.start(
                stream,
                Arrival::Local {
                    uid: credentials.uid(),
                },
                permit,
            ),
            Err(fault) => tracing::warn!(%fault, "local connection without credentials refused"),
        }
    }

    fn start<S: connection::Stream>(
        &mut self,
        stream: S,
        arrival: Arrival,
        permit: OwnedSemaphorePermit,
    ) {
        let served = connection::serve(
            stream,
            arrival,
            self.router.clone(),
            &self.limits,
            self.stop.clone(),
        );
        self.connections.spawn(async move {
            served.await;
            drop(permit);
        });
    }

    /// Connections have been told to finish by the same `stop`; those that do not are cut.
    async fn drain(mut self) {
        let all_ended = async {
            while let Some(ended) = self.connections.join_next().await {
                report(ended);
            }
        };
        if time::timeout(self.limits.drain_within, all_ended)
            .await
            .is_err()
        {
            tracing::info!(
                open = self.connections.len(),
                "connections cut at the end of the drain"
            );
            self.connections.shutdown().await;
        }
    }
}

/// A connection's own failures are its own; a panic is a bug of ours and must be seen.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(fault) = ended
        && fault.is_panic()
    {
        tracing::error!(%fault, "a connection's task panicked");
    }
}

async fn pause_after(fault: &io::Error) {
    if fault.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    tracing::warn!(%fault, "failed to accept a connection");
    time::sleep(ACCEPT_PAUSE).await;
}
