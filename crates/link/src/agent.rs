//! The agent's end of a link, whatever the engine.

use std::{fmt, sync::Arc, time::Duration};

use flota_model::{
    frame::{Down, Up},
    ids::ConnectionId,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Something that happened between this agent and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEvent {
    /// A connection stands.
    Connected {
        /// From 1, ascending.
        connection: ConnectionId,
    },
    /// A frame.
    Frame {
        /// On which connection.
        connection: ConnectionId,
        /// The frame.
        frame: Down,
    },
    /// The connection is gone. Comes once, and nothing of it after that. The engine connects again.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Why, for people.
        why: String,
    },
    /// No connection could be made.
    Retrying {
        /// Why, for people.
        why: String,
        /// When the next attempt comes.
        after: Duration,
    },
}

/// How an engine sends to the server. No call blocks.
pub trait AgentOutlet: Send + Sync {
    /// Sends a frame, or cuts the connection when it does not drain. Without effect on a connection
    /// that is gone.
    fn send(&self, connection: ConnectionId, frame: Up);
    /// Closes a connection after what was sent on it.
    fn close(&self, connection: ConnectionId);
}

/// Sends to the server. Cheap to clone.
#[derive(Clone)]
pub struct AgentSender {
    outlet: Arc<dyn AgentOutlet>,
}

impl AgentSender {
    /// Sends a frame, or cuts the connection when it does not drain. Never blocks. Without effect on
    /// a connection that is gone.
    pub fn send(&self, connection: ConnectionId, frame: Up) {
        self.outlet.send(connection, frame);
    }

    /// Closes a connection after what was sent on it.
    pub fn close(&self, connection: ConnectionId) {
        self.outlet.close(connection);
    }
}

impl fmt::Debug for AgentSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AgentSender")
            .finish_non_exhaustive()
    }
}

/// The agent's end of a link. Dropping it cuts the connection and ends the attempts to connect.
#[derive(Debug)]
pub struct AgentLink {
    inbox: mpsc::Receiver<AgentEvent>,
    sender: AgentSender,
    task: JoinHandle<()>,
}

impl AgentLink {
    /// For engines: what arrives in `inbox` is handed out, what is sent goes to `outlet`; `task`
    /// does the work and ends with the link.
    pub fn new(
        inbox: mpsc::Receiver<AgentEvent>,
        outlet: Arc<dyn AgentOutlet>,
        task: JoinHandle<()>,
    ) -> Self {
        Self {
            inbox,
            sender: AgentSender { outlet },
            task,
        }
    }

    /// The next event; `None` when the engine has died, which is a bug. Loses nothing when it is
    /// dropped early.
    pub async fn next(&mut self) -> Option<AgentEvent> {
        self.inbox.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<AgentEvent> {
        self.inbox.try_recv().ok()
    }

    /// The way to the server.
    pub fn sender(&self) -> AgentSender {
        self.sender.clone()
    }
}

impl Drop for AgentLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}
