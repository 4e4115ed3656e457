//! What time brings: leases that end, suspects that are given up, back-offs that are over.

use std::time::Duration;

use flota_model::{
    change::{Change, Grace},
    ids::{GrantId, NodeId},
    outcome::Outcome,
    spec::OnDisconnect,
    state::{NodePhase, TaskState},
};

use super::{Fleet, api::FleetEvent, settle::Place};

/// Keys that are dropped in one turn: the rest follows in the next ones.
const KEYS_PER_TURN: usize = 1_000;
/// Until a suspect that was not given up, because its replacement still ran, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Fleet {
    /// Applies all that is due. While the store is behind the fleet nothing is given up: what looks
    /// lost may be known to the part of the history that is missing.
    pub(crate) fn expire(&mut self) {
        let now = self.office.now;
        for _ in 0..KEYS_PER_TURN {
            match self
                .keys
                .expire(now.wall, self.office.settings.key_retention)
            {
                Some(key) => self.ledger.changes.push(Change::KeyRemoved(key)),
                None => break,
            }
        }
        if self.office.is_frozen() {
            return;
        }
        self.end_overdue();
        self.release_parked(now.moment);
        while let Some((until, node)) = self.nodes.next_lease_end() {
            if until > now.moment {
                break;
            }
            self.lease_ended(node);
        }
        while let Some((at, grant)) = self.grants.give_up.first().copied() {
            if at > now.moment {
                break;
            }
            self.grants.give_up_at(grant, None);
            for place in self.unsettled_of(grant) {
                if place.suspect {
                    self.give_up(place);
                }
            }
        }
    }

    /// A node that was leased gets one full lease from now, which is recorded (PROTOCOL 12).
    pub(crate) fn grant_grace(&mut self, node: NodeId) {
        let settings = &self.office.settings;
        let until = self.office.now.moment + settings.lease + settings.lease_margin;
        let boot = self.office.boot;
        let entry = self.nodes.known(node);
        if entry.record.leased {
            entry.record.grace = Some(Grace { boot, until });
            self.ledger.nodes.insert(node);
            self.nodes.lease(node, Some(until));
            self.nodes.awaited.insert(node);
        }
    }

    fn lease_ended(&mut self, node: NodeId) {
        self.nodes.lease(node, None);
        self.nodes.awaited.remove(&node);
        self.end_session(node);
        let entry = self.nodes.known(node);
        entry.record.leased = false;
        entry.record.grace = None;
        let grants: Vec<GrantId> = entry.grants.iter().copied().collect();
        self.ledger.nodes.insert(node);
        let at = self.office.now.wall;
        self.publish(FleetEvent::Node {
            node,
            phase: NodePhase::Lost,
            at,
        });
        for grant in grants {
            for place in self.unsettled_of(grant) {
                self.lease_lost(place);
            }
            self.arm(grant);
        }
    }

    fn lease_lost(&mut self, place: Place) {
        let job = self.jobs.live(place.job);
        let stop = job.record.spec.spec.on_disconnect == OnDisconnect::Stop;
        let state = job.state(place.task);
        if state.is_terminal() && state != TaskState::Unknown {
            // The node was asked for it and is gone: nothing waits for its answer any more. What it
            // still holds is not known at its next hello, and stopped.
            self.record_without_report(place, Outcome::Lost, false);
            self.settle(place);
        } else if !stop || state == TaskState::Unknown {
            self.suspect(place, true);
        } else if job.never_retries() {
            // The keeper has killed it, but it may have ended by itself before: its agent may know.
            self.suspect(place, true);
            self.record_without_report(place, Outcome::Unknown, true);
            self.end_task(place.job, place.task, TaskState::Unknown);
        } else {
            self.lost_with_journal(place);
        }
    }

    /// Sets the time at which the suspects of a grant are given up, if it has any.
    pub(crate) fn arm(&mut self, grant: GrantId) {
        let Some(entry) = self.grants.get(grant) else {
            return;
        };
        let (job, none) = (entry.head().job, entry.suspect.is_empty());
        let keep = self
            .jobs
            .get(job)
            .map(|job| job.record.spec.spec.on_disconnect);
        let at = match keep {
            Some(OnDisconnect::Keep { lost_after }) if !none => {
                Some(self.office.now.moment + lost_after)
            }
            _ => None,
        };
        self.grants.give_up_at(grant, at);
    }

    fn give_up(&mut self, place: Place) {
        let job = self.jobs.live(place.job);
        let cancelling = job.is_cancelling() || !job.wants(place.task);
        let never = job.never_retries();
        if job.state(place.task).is_terminal() {
            return;
        }
        if self.is_replaced(place) {
            if cancelling {
                // It must be known to be over, or given up, before the task is.
                let again = self.office.now.moment + LOOK_AGAIN;
                self.grants.give_up_at(place.grant, Some(again));
            }
            return;
        }
        if never || cancelling {
            self.record_without_report(place, Outcome::Unknown, true);
            if !never {
                self.settle(place);
            }
            // A replica that nobody wants may be wanted again.
            let is_service = self.jobs.live(place.job).is_service();
            let state = if is_service && !never {
                TaskState::Cancelled
            } else {
                TaskState::Unknown
            };
            self.end_task(place.job, place.task, state);
        } else {
            self.replace(place);
        }
    }
}
