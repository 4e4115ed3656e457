//! The words of Flota as types: ids, units, jobs, tasks, programs, outcomes, frames, commands.
//!
//! What this crate does NOT do: no serialisation, no input or output, no clock, no randomness, no
//! decisions. Bytes are made of these types in `flota-wire`, decisions in `flota-engine`.
#![warn(missing_docs)]

pub mod change;
pub mod command;
pub mod containment;
pub mod control;
pub mod execution;
pub mod frame;
pub mod ids;
pub mod inspect;
pub mod local;
pub mod log;
pub mod news;
pub mod note;
pub mod outcome;
pub mod parameters;
pub mod policy;
pub mod process;
pub mod replica;
pub mod resources;
pub mod revision;
pub mod rules;
pub mod sample;
pub mod service;
pub mod spec;
pub mod state;
pub mod units;
pub mod waiting;
