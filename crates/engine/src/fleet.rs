//! The server's decisions: queue, placement, sessions, leases, outcomes, retries.
//!
//! [`Fleet::handle`] applies a batch of events at one time and returns a [`Turn`]: the changes that
//! must be committed in one transaction, and the effects that may be performed only once that
//! transaction, and every earlier one, is durable (PROTOCOL 18).

pub mod api;
