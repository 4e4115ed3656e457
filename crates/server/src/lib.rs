//! The server's shell: collects events for the fleet, commits what it decides, performs the rest;
//! the one port, REST v1, authorisation, and the status pages for people.
//!
//! What this crate does NOT do: no decision about jobs, nodes or attempts (`flota-engine`), no SQL
//! (`flota-store`), no frames (`flota-link`, `flota-wire`), no printing, no reading of the
//! environment.

mod clock;
mod folder;
mod holder;
mod listener;
mod random;
mod settings;

pub use folder::{Addresses, FolderFault};
pub use holder::Holder;
pub use listener::ListenFault;
pub use settings::{FreeSpace, Limits, PORT, Settings};
