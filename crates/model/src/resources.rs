//! What a task asks for and what a node has.

use std::collections::BTreeMap;

use crate::units::{Bytes, Cpus};

/// An amount of processors, memory and named counters (licences, devices).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpus: Cpus,
    /// Bytes of memory; 0 in a request means that memory is not counted.
    pub memory: Bytes,
    /// Named counters. A name that a node lacks counts as 0 there.
    pub counters: BTreeMap<String, u64>,
}

impl Resources {
    /// Only processors.
    pub fn of_cpus(cpus: Cpus) -> Self {
        Self {
            cpus,
            ..Self::default()
        }
    }

    /// How many times `request` fits; `u32::MAX` when it asks for nothing.
    pub fn times_that_fit(&self, request: &Self) -> u32 {
        let mut times = u64::from(u32::MAX);
        if let Some(fit) = self.cpus.0.checked_div(request.cpus.0) {
            times = times.min(u64::from(fit));
        }
        if let Some(fit) = self.memory.0.checked_div(request.memory.0) {
            times = times.min(fit);
        }
        for (name, asked) in &request.counters {
            let have = self.counters.get(name).copied().unwrap_or(0);
            if let Some(fit) = have.checked_div(*asked) {
                times = times.min(fit);
            }
        }
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// Adds `count` times `other`; saturates.
    pub fn add(&mut self, other: &Self, count: u32) {
        let factor = u64::from(count);
        self.cpus.0 = self
            .cpus
            .0
            .saturating_add(other.cpus.0.saturating_mul(count));
        self.memory.0 = self
            .memory
            .0
            .saturating_add(other.memory.0.saturating_mul(factor));
        for (name, amount) in &other.counters {
            let have = self.counters.entry(name.clone()).or_default();
            *have = have.saturating_add(amount.saturating_mul(factor));
        }
    }

    /// Takes away `count` times `other`; stops at zero.
    pub fn subtract(&mut self, other: &Self, count: u32) {
        let factor = u64::from(count);
        self.cpus.0 = self
            .cpus
            .0
            .saturating_sub(other.cpus.0.saturating_mul(count));
        self.memory.0 = self
            .memory
            .0
            .saturating_sub(other.memory.0.saturating_mul(factor));
        for (name, amount) in &other.counters {
            if let Some(have) = self.counters.get_mut(name) {
                *have = have.saturating_sub(amount.saturating_mul(factor));
            }
        }
    }
}
