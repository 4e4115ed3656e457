//! What runs for the fleet, for clients of our own listeners.

use std::collections::{BTreeSet, VecDeque};

use flota_model::ids::JobId;

/// Jobs that have ended and are remembered: whoever waits for one looks at every change.
const ENDED_KEPT: usize = 256;

/// Jobs that have an attempt here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Activity {
    /// That runs.
    pub(crate) running: BTreeSet<JobId>,
    /// That has ended, the newest last.
    pub(crate) ended: VecDeque<JobId>,
}

impl Activity {
    /// Takes what runs now; tells whether that changed anything.
    pub(crate) fn update(&mut self, running: BTreeSet<JobId>) -> bool {
        if running == self.running {
            return false;
        }
        let gone: Vec<JobId> = self.running.difference(&running).copied().collect();
        for job in gone {
            if self.ended.len() == ENDED_KEPT {
                self.ended.pop_front();
            }
            self.ended.push_back(job);
        }
        self.running = running;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_longer_runs_has_ended_and_the_oldest_are_forgotten() {
        let mut activity = Activity::default();
        assert!(!activity.update(BTreeSet::new()));
        assert!(activity.update(BTreeSet::from([JobId(1), JobId(2)])));
        assert!(activity.update(BTreeSet::from([JobId(2)])));
        assert_eq!(activity.ended, [JobId(1)]);
        for job in 3..300 {
            activity.update(BTreeSet::from([JobId(job)]));
        }
        assert_eq!(activity.ended.len(), ENDED_KEPT);
        assert_eq!(activity.ended.back(), Some(&JobId(298)));
    }
}
