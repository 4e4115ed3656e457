//! Frames between the server and its agents. An engine carries them: `direct` (gRPC over HTTP/2)
//! today; others implement [`ServerOutlet`] and [`AgentOutlet`], fill the inboxes of [`ServerLink`]
//! and [`AgentLink`], and pass the conformance suite of this crate.
//!
//! What every engine promises: the frames of a connection arrive in order and once, or the connection
//! ends; its end is told once to both sides; sending never blocks; a side that does not take what is
//! sent is cut; nothing from the network ends the process.
//!
//! What this crate does NOT do: it does not look into frames, knows no sessions or leases, decides
//! nothing, and repeats nothing: after a new connection the engines of the ends reconcile.

mod agent;
pub mod direct;
mod server;

#[cfg(test)]
mod conformance;

pub use agent::{AgentEvent, AgentLink, AgentOutlet, AgentSender};
pub use server::{ServerEvent, ServerLink, ServerOutlet, ServerSender};
