//! What the fleet makes durable, and how it is read back.
//!
//! Two traits: [`Journal`](journal::Journal) for the one writer, the engine's shell, and
//! [`History`](history::History) for readers. [`sqlite`] is the store of a real server, [`memory`]
//! one that forgets at the end of the process; one conformance suite holds for both.
//!
//! What this crate does NOT do: it decides nothing, knows no JSON (the meaning of a sealed spec is
//! asked of the [`DecodeSpec`] handed in), reads no clock, logs nothing, and never retries a commit.

#[cfg(test)]
mod conformance;
mod head;
pub mod history;
pub mod journal;
pub mod memory;
pub mod space;
pub mod sqlite;

use flota_model::spec::JobSpec;

/// Gives the meaning of the bytes of a sealed spec; `None` when they are none.
///
/// Handed in at the opening, so that the store does not depend on the format of the bytes.
pub type DecodeSpec = fn(&[u8]) -> Option<JobSpec>;

/// The error of the engine below, kept as the source of ours.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;
