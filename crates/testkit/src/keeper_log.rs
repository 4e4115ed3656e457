//! What the log of a dead keeper says about its children.

use std::collections::BTreeMap;

use flota_engine::keeper::api::{ChildState, LogRecord, StopReason};
use flota_model::ids::AttemptId;

/// The last known state of every child that was not forgotten.
pub(crate) fn states(log: &[LogRecord]) -> BTreeMap<AttemptId, (u32, ChildState)> {
    let mut states: BTreeMap<AttemptId, (u32, ChildState)> = BTreeMap::new();
    for record in log {
        match *record {
            LogRecord::Spawning { attempt, run, .. } => {
                states.insert(attempt, (run, ChildState::Starting));
            }
            LogRecord::Running {
                attempt,
                identity,
                at,
            } => {
                let state = ChildState::Running {
                    identity,
                    started_at: at,
                };
                let run = run_of(&states, attempt);
                states.insert(attempt, (run, state));
            }
            LogRecord::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                let run = run_of(&states, attempt);
                states.insert(attempt, (run, ChildState::NotStarted { stage, errno }));
            }
            LogRecord::Ended { attempt, end } => {
                let run = run_of(&states, attempt);
                states.insert(attempt, (run, ChildState::Ended(end)));
            }
            LogRecord::Stopping { .. } => {}
            LogRecord::Forgotten { attempt } => {
                states.remove(&attempt);
            }
        }
    }
    states
}

fn run_of(states: &BTreeMap<AttemptId, (u32, ChildState)>, attempt: AttemptId) -> u32 {
    states.get(&attempt).map_or(1, |(run, _)| *run)
}

/// Why the keeper was told to stop that run of a child before it ended, if it was.
pub(crate) fn reason_of(log: &[LogRecord], wanted: AttemptId, run: u32) -> Option<StopReason> {
    let (mut logged, mut reason) = (1, None);
    for record in log {
        match record {
            LogRecord::Spawning { attempt, run, .. } if *attempt == wanted => {
                (logged, reason) = (*run, None);
            }
            LogRecord::Stopping {
                attempt,
                reason: told,
            } if *attempt == wanted => reason = Some(*told),
            LogRecord::Spawning { .. }
            | LogRecord::Stopping { .. }
            | LogRecord::Running { .. }
            | LogRecord::NotStarted { .. }
            | LogRecord::Ended { .. }
            | LogRecord::Forgotten { .. } => {}
        }
    }
    reason.filter(|_| logged == run)
}
