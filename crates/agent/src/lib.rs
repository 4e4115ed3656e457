//! The agent of a node and its keeper: shells around `flota_engine::{node, keeper}`.
//!
//! What this crate does NOT do: it decides nothing about attempts (the engines do), speaks no
//! transport of its own (`flota_link` does), and reads no environment variables.

mod folder;
mod journal;
pub mod keeper;
mod machine;
mod outputs;
mod pool;
mod proc;
mod sys;
#[cfg(test)]
mod testing;
