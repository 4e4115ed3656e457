//! The decisions of Flota as pure state machines: the server's, the agent's and the keeper's.
//!
//! What this crate does NOT do: nothing here waits, reads a clock, draws a random number, logs,
//! opens a file or a socket, or fails for outside reasons. Each machine has one synchronous entry
//! (`handle`) that takes events and the time and returns what must be made durable and what must be
//! done; a shell in `flota-server` or `flota-agent` performs it, and `flota-testkit` drives all of
//! them together from one seed.
#![warn(missing_docs)]

pub mod fleet;
pub mod journal;
pub mod keeper;
pub mod logs;
pub mod node;
pub mod policy;
pub mod sabotage;
pub mod supervise;
