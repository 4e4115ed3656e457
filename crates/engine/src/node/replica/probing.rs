//! Probes of replicas: which one is due, and what its result means for the replica.

use flota_model::{
    ids::AttemptId,
    service::{ExpandedCheck, ProbeNumber, ProbeResult},
    spec::Work,
};

use crate::{
    node::{
        Node,
        api::Effect,
        expand::{self, Names},
        table::Fate,
        turn::Draft,
    },
    supervise::probe::Step,
};

impl Node {
    /// Begins the probes of a replica that are due, and fails those that take too long.
    pub(super) fn probe_due(&mut self, attempt: AttemptId, draft: &mut Draft) {
        let now = draft.now.moment;
        let mut index = 0;
        loop {
            let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) else {
                return;
            };
            let Some(probe) = replica.probes.get_mut(index) else {
                break;
            };
            if let Some(step) = probe.tick(now) {
                self.probe_step(attempt, index, step, draft);
            }
            index += 1;
        }
        self.replicas.arm(attempt);
    }

    /// The result of a probe of a run; that of an earlier run is ignored.
    pub(in crate::node) fn probe_ended(
        &mut self,
        (attempt, run): (AttemptId, u32),
        (probe, number): (u32, ProbeNumber),
        result: ProbeResult,
        draft: &mut Draft,
    ) {
        let now = draft.now.moment;
        let index = usize::try_from(probe).unwrap_or(usize::MAX);
        let replica = self.replicas.by_attempt.get_mut(&attempt);
        let step = replica
            .filter(|replica| replica.run == run)
            .and_then(|replica| replica.probes.get_mut(index))
            .and_then(|probe| probe.result(number, result, now));
        if let Some(step) = step {
            self.probe_step(attempt, index, step, draft);
        }
        self.replicas.arm(attempt);
    }

    fn probe_step(&mut self, attempt: AttemptId, index: usize, step: Step, draft: &mut Draft) {
        match step {
            Step::Begin(number) => {
                if let Some(effect) = self.probe(attempt, index, number) {
                    draft.at_once(effect);
                }
            }
            Step::Ready | Step::NotReady => self.note_replica(attempt, draft.now.wall),
            Step::Restart => {
                self.doom(attempt, Fate::Unhealthy, draft);
                self.note_replica(attempt, draft.now.wall);
            }
        }
    }

    fn probe(&self, attempt: AttemptId, index: usize, number: ProbeNumber) -> Option<Effect> {
        let running = self.table.get(attempt)?;
        let spec = running.spec.spec.service.as_deref()?.probes.get(index)?;
        let Work::Program(program) = &running.spec.spec.work else {
            return None;
        };
        let names = Names {
            attempt,
            job: running.job,
            task: running.task,
        };
        let check = expand::check(&spec.check, program, names, self.host());
        if let ExpandedCheck::Exec { argv, .. } = &check {
            // What the policy of the node forbids is never run: the probe gets no result, and fails.
            let policy = &self.opening.settings.policy;
            policy.admit(argv, &program.execution).ok()?;
        }
        Some(Effect::Probe {
            attempt,
            run: self.replicas.get(attempt)?.run,
            probe: u32::try_from(index).ok()?,
            number,
            check: Box::new(check),
            timeout: spec.settings.timeout,
        })
    }
}
