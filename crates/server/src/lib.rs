//! The server's shell: collects events for the fleet, commits what it decides, performs the rest;
//! the one port, REST v1, authorisation, and the status pages for people.
//!
//! What this crate does NOT do: no decision about jobs, nodes or attempts (`flota-engine`), no SQL
//! (`flota-store`), no frames (`flota-link`, `flota-wire`), no printing, no reading of the
//! environment.

mod access;
mod adapters;
mod chain;
mod clock;
mod copies;
mod edge;
mod folder;
mod holder;
mod listener;
mod meter;
mod owned;
mod pages;
mod problem;
mod random;
mod run;
mod settings;
mod shell;
mod space;
mod stop;
mod tcp_table;
mod watcher;

pub use adapters::hpc::HpcSettings;
pub use copies::{CopyFault, back_up, restore};
pub use folder::{Addresses, FolderFault};
pub use holder::{Holder, of_port as holder_of_port};
pub use listener::ListenFault;
pub use problem::{CATALOGUE, Kind};
pub use run::{Running, ServerFault, run};
pub use settings::{FreeSpace, Limits, PORT, Settings};
pub use shell::CommitFault;

#[cfg(test)]
mod tests;
