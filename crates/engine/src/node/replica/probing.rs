//! Probes of replicas: which one is due, and what its result means for the replica.

use flota_model::{
    ids::AttemptId,
    replica::PROBE_DETAIL_LENGTH_MAX,
    service::{ExpandedCheck, ProbeNumber, ProbeResult},
    spec::Work,
    units::Timestamp,
};

use crate::{
    keeper::api::Guard,
    node::{
        Node,
        api::Effect,
        expand::{self, Names},
        table::Fate,
        turn::Draft,
    },
    supervise::probe::{Step, is_success},
};

/// Why a probe failed that got no result.
const LATE: &str = "no answer within the timeout of the probe";
/// Why a probe fails that is not begun.
const FORBIDDEN: &str = "the policy of the node forbids the program of the probe";

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
            let (is_late, step) = (probe.is_late(now), probe.tick(now));
            if is_late {
                self.note_silence(attempt, index, draft.now.wall);
            }
            if let Some(step) = step {
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
        (result, detail): (ProbeResult, String),
        draft: &mut Draft,
    ) {
        let now = draft.now.moment;
        let index = usize::try_from(probe).unwrap_or(usize::MAX);
        let replica = self.replicas.by_attempt.get_mut(&attempt);
        let probe = replica
            .filter(|replica| replica.run == run)
            .and_then(|replica| replica.probes.get_mut(index))
            .filter(|probe| probe.awaits(number));
        if let Some(probe) = probe {
            let step = probe.result(number, result, now);
            let reason = (!is_success(result)).then(|| reason(result, detail));
            self.note_probe(attempt, index, reason, draft.now.wall);
            if let Some(step) = step {
                self.probe_step(attempt, index, step, draft);
            }
        }
        self.replicas.arm(attempt);
    }

    /// A probe got no result in time. One that was never begun has its own reason.
    fn note_silence(&mut self, attempt: AttemptId, index: usize, now: Timestamp) {
        let failure = self
            .replicas
            .get(attempt)
            .and_then(|replica| replica.failure.as_ref());
        if failure.is_none_or(|failure| failure.detail != FORBIDDEN) {
            self.note_probe(attempt, index, Some(LATE.to_owned()), now);
        }
    }

    fn probe_step(&mut self, attempt: AttemptId, index: usize, step: Step, draft: &mut Draft) {
        match step {
            Step::Begin(number) => match self.probe(attempt, index, number) {
                Some(effect) => draft.at_once(effect),
                None => {
                    let reason = Some(FORBIDDEN.to_owned());
                    self.note_probe(attempt, index, reason, draft.now.wall);
                }
            },
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
            values: &[],
        };
        let check = expand::check(&spec.check, program, names, self.host());
        let mut guard = Guard::default();
        if let ExpandedCheck::Exec { argv, .. } = &check {
            // What the policy of the node forbids is never run: the probe gets no result, and fails
            // when its time is over.
            let policy = &self.opening.settings.policy;
            guard = policy.admit(argv, &program.execution).ok()?.guard;
        }
        Some(Effect::Probe {
            attempt,
            run: self.replicas.get(attempt)?.run,
            probe: u32::try_from(index).ok()?,
            number,
            check: Box::new(check),
            guard,
            timeout: spec.settings.timeout,
        })
    }
}

/// Why a probe failed, for people.
fn reason(result: ProbeResult, detail: String) -> String {
    let mut reason = match result {
        ProbeResult::Exited { code } if detail.is_empty() => format!("exit {code}"),
        ProbeResult::Exited { code } => format!("exit {code}: {detail}"),
        ProbeResult::Http { .. } | ProbeResult::Connected | ProbeResult::Failed => detail,
    };
    reason.truncate(reason.floor_char_boundary(PROBE_DETAIL_LENGTH_MAX));
    reason
}
