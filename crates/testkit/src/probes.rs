//! Probes of replicas: asked by the agent's engine, answered by what the program is.

use std::time::Duration;

use flota_engine::node::api::Event;
use flota_model::{
    ids::AttemptId,
    service::{ProbeNumber, ProbeResult},
};

use crate::{
    processes::Leader,
    service_specs::answer,
    tally::Trouble,
    time::micros,
    world::{AtAgent, Happening, World},
};

/// A probe that was begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbeOf {
    pub(crate) attempt: AttemptId,
    pub(crate) run: u32,
    pub(crate) probe: u32,
    pub(crate) number: ProbeNumber,
}

impl World {
    /// Most probes take a moment; some get no answer in time, or one that is too late.
    pub(crate) fn probe_begins(
        &mut self,
        machine: usize,
        life: u32,
        probe: ProbeOf,
        timeout: Duration,
    ) {
        let lost = self.mishap_of(Trouble::ProbeLost, 60);
        let takes = if lost {
            micros(timeout) * self.random.within(1..=4)
        } else {
            self.random.within(200..=5_000)
        };
        let ends = AtAgent::ProbeEnds(probe);
        self.plan_in(takes, Happening::Agent(machine, life, ends));
    }

    pub(crate) fn probe_ends(&mut self, machine: usize, life: u32, probe: ProbeOf) {
        let result = self.probe_result(machine, probe);
        if result == (ProbeResult::Http { status: 200 }) {
            self.truth.services.answered.insert(probe.attempt);
        }
        let event = Event::ProbeEnded {
            attempt: probe.attempt,
            run: probe.run,
            probe: probe.probe,
            number: probe.number,
            result,
            detail: format!("{result:?}"),
        };
        self.tell_agent(machine, life, event);
    }

    /// What answers is whatever runs there now, be it of another run.
    fn probe_result(&self, machine: usize, probe: ProbeOf) -> ProbeResult {
        let process = self.machines[machine].processes.get(&probe.attempt);
        let runs = process.is_some_and(|it| matches!(it.leader, Leader::Running { .. }));
        let hash = self.truth.spec_hash(probe.attempt);
        let version = hash.and_then(|hash| self.specs.version(hash));
        let spec = self.truth.attempts.get(&probe.attempt);
        let service = spec.and_then(|granted| granted.spec.spec.service.as_deref());
        let number = usize::try_from(probe.probe).unwrap_or(usize::MAX);
        let asked = service.and_then(|service| service.probes.get(number));
        match (version, asked) {
            (Some(version), Some(asked)) if runs => answer(version.breed, asked.settings.purpose),
            (Some(_) | None, Some(_) | None) => ProbeResult::Failed,
        }
    }
}
