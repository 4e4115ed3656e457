//! The whole of Flota in one deterministic simulation.
//!
//! One seed drives a fleet engine with its store, up to eight node engines with their journals on
//! byte disks, their keepers with the programs they own, the network between them and everything
//! that can go wrong with each. The shells here are models of the real ones: they collect events,
//! let an engine decide, make its decisions durable and only then perform them. After every step
//! the invariants of [`Invariant`] are checked against what really happened.
//!
//! What this crate does NOT do: it starts no process, opens no file or socket, reads no clock and
//! has no thread. It knows nothing of formats: a sealed spec is an index into a table.

mod agent;
mod agent_journal;
mod agent_keepers;
mod agent_kernels;
mod agent_link;
mod checker;
mod children;
mod contact;
mod delivery;
mod disk;
mod faults;
mod hosts;
mod keeper;
mod keeper_log;
mod machine_faults;
mod mix;
mod network;
mod orders;
mod outcomes;
mod parameters;
mod plan;
mod probes;
mod processes;
mod random;
mod script;
mod server;
mod server_commit;
mod service_checks;
mod service_clients;
mod service_settles;
mod service_specs;
mod service_truth;
mod simulation;
mod store;
mod tally;
mod time;
mod trace;
mod truth;
mod workload;
mod world;

pub use plan::Switch;
pub use simulation::{Failure, Options, Summary, simulate, trace};
pub use tally::{Tally, Trouble};
pub use truth::Invariant;
