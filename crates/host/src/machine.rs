//! What there is on this machine: cores, memory, and programs of agents.

use std::{io, path::Path};

use flota_model::{
    resources::Resources,
    units::{Bytes, Cpus},
};

/// The name under which an agent starts this binary as its keeper.
pub const KEEPER: &str = "__keeper";

/// As [`flota_agent::stop_all`]; what fails is logged, because the caller has more to stop.
pub async fn stop_all(data: &Path) {
    if let Err(fault) = flota_agent::stop_all(data).await {
        tracing::warn!(data = %data.display(), %fault, "not everything could be stopped");
    }
}

/// The cores that this process may use, and all memory.
pub fn machine() -> io::Result<Resources> {
    let cores = rustix::thread::sched_getaffinity(None)?.count().max(1);
    let system = rustix::system::sysinfo();
    // `unsigned long` of the kernel, in units of `mem_unit` bytes (`man 2 sysinfo`).
    let memory = system.totalram.saturating_mul(system.mem_unit.into());
    let memory = Bytes(memory);
    Ok(Resources {
        cpus: Cpus::whole(cores),
        memory,
        ..Resources::default()
    })
}

/// The agent's own reader of processes without the fleet around it, for the bench: each call reads all
/// of them and says how many there are.
pub fn process_lister() -> io::Result<impl FnMut() -> io::Result<usize>> {
    flota_agent::process_lister()
}
