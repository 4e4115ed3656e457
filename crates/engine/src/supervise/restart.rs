//! Whether and when a service that ended runs again.

use std::{collections::VecDeque, time::Duration};

use flota_model::{
    outcome::Outcome,
    service::{RestartPolicy, RestartSettings},
    units::Moment,
};

/// Failures that are remembered for the detection of a crash loop, whatever the settings ask for.
const FAILURES_MAX: u32 = 100;

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it started.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// How.
    pub outcome: Outcome,
    /// It was stopped because a liveness probe failed: whatever its exit code, that is a failure.
    pub is_unhealthy: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The policy asks for no further run.
    Finished {
        /// Whether the last run failed.
        failed: bool,
    },
    /// It runs again.
    Restart {
        /// Not before this time.
        at: Moment,
        /// Whether it fails again and again: a person should look.
        is_crash_loop: bool,
    },
}

/// The history of one replica, as far as restarts need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restarts {
    /// Failures since the last stable run.
    streak: u32,
    /// When the last failures were.
    failures: VecDeque<Moment>,
}

impl Restarts {
    /// Decides what follows a run that ended by itself. `draw` is a random number; the delay is
    /// between nothing and the longest one ("full jitter"), so that replicas that failed together
    /// do not come back together.
    pub fn ended(&mut self, settings: &RestartSettings, run: &Run, draw: u64) -> Verdict {
        let failed = run.is_unhealthy || !is_success(settings, &run.outcome);
        self.note(settings, run, failed);
        let runs_again = match settings.policy {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => failed,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        };
        if !runs_again {
            return Verdict::Finished { failed };
        }
        let at = run.ended_at + jittered(self.longest_delay(settings), draw);
        Verdict::Restart {
            at,
            is_crash_loop: self.is_crash_loop(settings, run.ended_at),
        }
    }

    /// For a journal: failures in a row, and when the last failures were.
    pub fn parts(&self) -> (u32, Vec<Moment>) {
        (self.streak, self.failures.iter().copied().collect())
    }

    /// From what [`Self::parts`] gave.
    pub fn of_parts(streak: u32, failures: Vec<Moment>) -> Self {
        let failures = VecDeque::from(failures);
        Self { streak, failures }
    }

    /// Forgets all failures: a person has started it anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn note(&mut self, settings: &RestartSettings, run: &Run, failed: bool) {
        if !failed || run.ended_at.since(run.started_at) >= settings.stable_after {
            self.clear();
        }
        if failed {
            self.streak = self.streak.saturating_add(1);
            self.failures.push_back(run.ended_at);
        }
        while self.failures.len() > FAILURES_MAX as usize {
            self.failures.pop_front();
        }
    }

    /// Also after a success there is a delay, that of a first failure: a service that always runs
    /// and returns at once must not spin.
    fn longest_delay(&self, settings: &RestartSettings) -> Duration {
        let doublings = self.streak.saturating_sub(1).min(31);
        settings
            .backoff
            .saturating_mul(1 << doublings)
            .min(settings.backoff_max)
    }

    fn is_crash_loop(&self, settings: &RestartSettings, now: Moment) -> bool {
        let recent = |failure: &&Moment| now.since(**failure) <= settings.loop_window;
        let count = self.failures.iter().filter(recent).count();
        let needed = settings.loop_failures.clamp(1, FAILURES_MAX);
        count >= needed as usize
    }
}

/// Whether an outcome is no failure.
pub fn is_success(settings: &RestartSettings, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Completed => true,
        Outcome::Exited { code } => settings.success_codes.contains(code),
        Outcome::Signalled { .. }
        | Outcome::OutOfMemory
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::NotStarted { .. }
        | Outcome::Failed { .. }
        | Outcome::Lost
        | Outcome::Unknown => false,
    }
}

/// Whether a service starts after a boot of its machine, or when a starting agent finds that it does
/// not run.
pub fn starts_after_boot(policy: RestartPolicy, last: BeforeBoot) -> bool {
    use RestartPolicy::{Always, Never, OnFailure, UnlessStopped};
    match (policy, last) {
        (Always, BeforeBoot::Running | BeforeBoot::Stopped | BeforeBoot::Finished)
        | (UnlessStopped, BeforeBoot::Running | BeforeBoot::Finished)
        // The boot interrupted it, which is no success.
        | (OnFailure, BeforeBoot::Running) => true,
        (UnlessStopped, BeforeBoot::Stopped)
        | (OnFailure, BeforeBoot::Stopped | BeforeBoot::Finished)
        | (Never, _) => false,
    }
}

/// What a service was doing before a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeBoot {
    /// It ran, or waited for a restart.
    Running,
    /// A person had stopped it.
    Stopped,
    /// Its policy had asked for no further run.
    Finished,
}

/// `longest` times a fraction of 0 to 1.
fn jittered(longest: Duration, draw: u64) -> Duration {
    let scaled = (longest.as_micros().saturating_mul(u128::from(draw))) >> u64::BITS;
    Duration::from_micros(u64::try_from(scaled).unwrap_or(u64::MAX))
}
