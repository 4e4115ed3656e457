//! The JSON of an older cluster of a master, slaves and monitors of memory: its keys are Spanish and
//! fixed. Pure: who listens, and what is done, is elsewhere.

pub mod answer;
pub mod file;
pub mod job;
pub mod metrics;
#[cfg(test)]
mod tests;
