//! What the log of a dead keeper says about its children.

use std::collections::BTreeMap;

use flota_engine::keeper::api::{ChildState, LogRecord, StopReason};
use flota_model::ids::AttemptId;

/// The last known state of every child that was not forgotten.
pub(crate) fn states(log: &[LogRecord]) -> BTreeMap<AttemptId, ChildState> {
    let mut states = BTreeMap::new();
    for record in log {
        match *record {
            LogRecord::Spawning { attempt, .. } => {
                states.insert(attempt, ChildState::Starting);
            }
            LogRecord::Running {
                attempt,
                identity,
                at,
            } => {
                states.insert(
                    attempt,
                    ChildState::Running {
                        identity,
                        started_at: at,
                    },
                );
            }
            LogRecord::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                states.insert(attempt, ChildState::NotStarted { stage, errno });
            }
            LogRecord::Ended { attempt, end } => {
                states.insert(attempt, ChildState::Ended(end));
            }
            LogRecord::Stopping { .. } => {}
            LogRecord::Forgotten { attempt } => {
                states.remove(&attempt);
            }
        }
    }
    states
}

/// Why the keeper was told to stop a child before it ended, if it was.
pub(crate) fn reason_of(log: &[LogRecord], wanted: AttemptId) -> Option<StopReason> {
    log.iter().rev().find_map(|record| {
        if let LogRecord::Stopping { attempt, reason } = record
            && *attempt == wanted
        {
            return Some(*reason);
        }
        None
    })
}
