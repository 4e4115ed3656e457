//! Whether a service answers: results of probes go in, changes of its health come out.

use flota_model::{
    service::{ProbeNumber, ProbeResult, ProbeSettings, Purpose},
    units::Moment,
};

/// Whether the service is well, as far as this result shows.
pub fn is_success(result: ProbeResult) -> bool {
    match result {
        ProbeResult::Http { status } => (200..=399).contains(&status),
        ProbeResult::Connected => true,
        ProbeResult::Exited { code } => code == 0,
        ProbeResult::Failed => false,
    }
}

/// What follows from the time or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Probe now, and give the result by [`Probe::result`].
    Begin(ProbeNumber),
    /// The service answers, for the first time or again. Readiness only.
    Ready,
    /// The service does not answer any more. Readiness only.
    NotReady,
    /// Stop the run and let the restart policy decide. Liveness only, once a run.
    Restart,
}

/// The probe of one run of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    settings: ProbeSettings,
    health: Health,
    /// Successes in a row.
    successes: u32,
    /// Failures in a row.
    failures: u32,
    number: u64,
    waits: Waits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// Neither threshold was reached yet. Not ready, and alive.
    Unproven,
    Healthy,
    Unhealthy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For the time of the next probe.
    Until(Moment),
    /// For a result.
    Result { timeout_at: Moment },
    /// For nothing more: the run is being restarted.
    Nothing,
}

impl Probe {
    /// For a run that started at `started_at`.
    pub fn new(settings: ProbeSettings, started_at: Moment) -> Self {
        Self {
            settings,
            health: Health::Unproven,
            successes: 0,
            failures: 0,
            number: 0,
            waits: Waits::Until(started_at + settings.start_delay),
        }
    }

    /// When [`Self::tick`] is needed.
    pub fn deadline(&self) -> Option<Moment> {
        match self.waits {
            Waits::Until(moment) | Waits::Result { timeout_at: moment } => Some(moment),
            Waits::Nothing => None,
        }
    }

    /// Begins a probe that is due, or fails one that takes too long.
    pub fn tick(&mut self, now: Moment) -> Option<Step> {
        match self.waits {
            Waits::Until(due) if due <= now => {
                self.number += 1;
                self.waits = Waits::Result {
                    timeout_at: now + self.settings.timeout,
                };
                Some(Step::Begin(ProbeNumber(self.number)))
            }
            Waits::Result { timeout_at } if timeout_at <= now => self.note(false, now),
            Waits::Until(_) | Waits::Result { .. } | Waits::Nothing => None,
        }
    }

    /// Takes the result of a probe; that of an earlier one is ignored.
    pub fn result(
        &mut self,
        number: ProbeNumber,
        result: ProbeResult,
        now: Moment,
    ) -> Option<Step> {
        match self.waits {
            Waits::Result { .. } if number.0 == self.number => self.note(is_success(result), now),
            Waits::Result { .. } | Waits::Until(_) | Waits::Nothing => None,
        }
    }

    /// Whether it takes too long.
    pub fn is_late(&self, now: Moment) -> bool {
        matches!(self.waits, Waits::Result { timeout_at } if timeout_at <= now)
    }

    /// Whether the result of that probe is waited for.
    pub fn awaits(&self, number: ProbeNumber) -> bool {
        matches!(self.waits, Waits::Result { .. }) && number.0 == self.number
    }

    /// Whether the run may get requests; `true` for a liveness probe until it has failed.
    pub fn is_up(&self) -> bool {
        match (self.settings.purpose, self.health) {
            (_, Health::Healthy) | (Purpose::Liveness, Health::Unproven) => true,
            (Purpose::Readiness, Health::Unproven) | (_, Health::Unhealthy) => false,
        }
    }

    fn note(&mut self, is_success: bool, now: Moment) -> Option<Step> {
        self.waits = Waits::Until(now + self.settings.interval);
        if is_success {
            (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
        } else {
            (self.successes, self.failures) = (0, self.failures.saturating_add(1));
        }
        let reached = if self.successes >= self.settings.success_threshold.max(1) {
            Health::Healthy
        } else if self.failures >= self.settings.failure_threshold.max(1) {
            Health::Unhealthy
        } else {
            return None;
        };
        let before = std::mem::replace(&mut self.health, reached);
        match (self.settings.purpose, before, reached) {
            (Purpose::Readiness, Health::Unproven | Health::Unhealthy, Health::Healthy) => {
                Some(Step::Ready)
            }
            (Purpose::Readiness, Health::Healthy, Health::Unhealthy) => Some(Step::NotReady),
            (Purpose::Liveness, _, Health::Unhealthy) => {
                self.waits = Waits::Nothing;
                Some(Step::Restart)
            }
            (Purpose::Readiness, Health::Healthy, Health::Healthy)
            | (Purpose::Readiness, Health::Unproven | Health::Unhealthy, Health::Unhealthy)
            | (Purpose::Liveness, _, Health::Healthy)
            | (_, _, Health::Unproven) => None,
        }
    }
}
