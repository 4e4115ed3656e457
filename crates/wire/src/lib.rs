//! Bytes to model and back, pure: agent frames (protobuf), the job spec (one form for REST, files and
//! the stored blob), REST v1, and what clients of older systems speak.
//!
//! What this crate does NOT do: no input or output, no decisions, no waiting.
#![warn(missing_docs)]

pub mod browser;
pub mod frames;
pub mod hpc;
pub mod inputs;
pub mod instant;
pub mod line;
pub mod quantity;
pub mod rest;
pub mod signal;
pub mod spec;
pub mod watch;

#[cfg(test)]
mod random;
