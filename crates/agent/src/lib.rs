//! The agent of a node and its keeper: shells around `flota_engine::{node, keeper}`.
//!
//! What this crate does NOT do: it decides nothing about attempts (the engines do), speaks no
//! transport of its own (`flota_link` does), and reads no environment variables.

mod activity;
mod control;
mod dead;
mod end;
mod finisher;
mod folder;
pub mod groups;
mod hpc;
mod input;
mod journal;
pub mod keeper;
mod keepers;
mod line;
mod local;
mod logs;
mod machine;
mod orphans;
mod outputs;
pub mod policy;
mod pool;
mod probes;
mod proc;
mod processes;
mod run;
mod samples;
mod settings;
mod shell;
mod signal;
mod stop;
mod sys;
#[cfg(test)]
mod testing;
mod unexecuted;

pub use end::{AgentEnd, AgentFault};
pub use flota_engine::logs::Limits as LogLimits;
pub use folder::FolderFault;
pub use hpc::HpcListener;
pub use journal::JournalFault;
pub use keepers::KeepersFault;
pub use processes::process_lister;
pub use run::run;
pub use settings::{AgentSettings, OUTPUT_BYTES_MAX};
pub use stop::{StopFault, stop_all};
