//! The server's end of a link, whatever the engine.

use std::{fmt, sync::Arc};

use flota_model::{
    frame::{Down, Up},
    ids::ConnectionId,
};
use tokio::sync::mpsc;

/// Something that came from the agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A frame. The first one on a connection tells of the connection.
    Frame {
        /// Never used again while the process lives.
        connection: ConnectionId,
        /// The frame.
        frame: Up,
    },
    /// A connection that had brought a frame is gone. Comes once, and nothing of it after that.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
}

/// How an engine sends to agents. No call blocks.
pub trait ServerOutlet: Send + Sync {
    /// Sends a frame, or cuts the connection when it does not drain. Without effect on a connection
    /// that is gone.
    fn send(&self, connection: ConnectionId, frame: Down);
    /// Closes a connection after what was sent on it.
    fn close(&self, connection: ConnectionId);
    /// Closes every connection after what was sent on it, and takes no new ones.
    fn close_all(&self);
}

/// Sends to agents. Cheap to clone.
#[derive(Clone)]
pub struct ServerSender {
    outlet: Arc<dyn ServerOutlet>,
}

impl ServerSender {
    /// Sends a frame, or cuts the connection when it does not drain. Never blocks. Without effect on
    /// a connection that is gone.
    pub fn send(&self, connection: ConnectionId, frame: Down) {
        self.outlet.send(connection, frame);
    }

    /// Closes a connection after what was sent on it.
    pub fn close(&self, connection: ConnectionId) {
        self.outlet.close(connection);
    }
}

impl fmt::Debug for ServerSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerSender")
            .finish_non_exhaustive()
    }
}

/// The server's end of a link. Dropping it closes all connections.
#[derive(Debug)]
pub struct ServerLink {
    inbox: mpsc::Receiver<ServerEvent>,
    sender: ServerSender,
}

impl ServerLink {
    /// For engines: what arrives in `inbox` is handed out, what is sent goes to `outlet`.
    pub fn new(inbox: mpsc::Receiver<ServerEvent>, outlet: Arc<dyn ServerOutlet>) -> Self {
        Self {
            inbox,
            sender: ServerSender { outlet },
        }
    }

    /// The next event; `None` when the engine is gone. Loses nothing when it is dropped early.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        self.inbox.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<ServerEvent> {
        self.inbox.try_recv().ok()
    }

    /// The way to the agents.
    pub fn sender(&self) -> ServerSender {
        self.sender.clone()
    }
}

impl Drop for ServerLink {
    fn drop(&mut self) {
        self.sender.outlet.close_all();
    }
}
