//! Restart policies and probes of services, as pure state machines.

pub mod probe;
pub mod restart;
#[cfg(test)]
mod tests;
