//! One gRPC stream an agent, over HTTP/2 without TLS: loopback only.
//!
//! The messages are those of `flota-wire`, passed through as bytes.

mod agent;
mod backoff;
mod codec;
mod incoming;
mod outlets;
mod server;

use std::net::SocketAddr;

pub use self::{
    agent::{AgentSettings, CONNECT_WITHIN, agent},
    server::{ServerSettings, server},
};

/// Where a session is opened (service `flota.agent.v1.Agent`, method `Session`).
pub const SESSION_PATH: &str = "/flota.agent.v1.Agent/Session";

/// Events that wait for an end to take them. More wait in the windows of HTTP/2 and then at the
/// peer, so this only has to cover the time between two turns of the taker.
const INBOX_LENGTH_MAX: usize = 1_024;

/// Frames that wait for a connection to take them; with more the connection is cut. Above the
/// greatest burst that an engine makes in one turn (one frame for each of 10,000 requests), and at
/// some hundred bytes a frame a few mebibytes.
const QUEUE_LENGTH_MAX: usize = 16_384;

/// The address is on another machine, or can be reached from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused the address {address}: it is not a loopback address, and a connection between machines \
     needs TLS, which Flota does not have yet"
)]
pub struct NotLoopback {
    /// Which.
    pub address: SocketAddr,
}

fn require_loopback(address: SocketAddr) -> Result<(), NotLoopback> {
    if address.ip().is_loopback() {
        Ok(())
    } else {
        Err(NotLoopback { address })
    }
}

#[cfg(test)]
mod tests;
