//! Time: heartbeats, the lease, deadlines of leased attempts, timeouts (PROTOCOL 9, 10).

use flota_model::{
    frame::UpBody,
    ids::{AttemptId, AttemptRange},
    units::Moment,
};

use crate::{
    node::{
        Node,
        api::Effect,
        session::Session,
        table::{Fate, Place},
        turn::Draft,
    },
    sabotage::Rule,
};

impl Node {
    /// Renews the lease, which runs from the sending of the heartbeat.
    pub(super) fn heartbeat_seen(&mut self, sent_at: Moment, draft: &mut Draft) {
        let Some(session) = &mut self.link.session else {
            return;
        };
        let Some(lease) = session.lease() else { return };
        if let Some(turn) = session.answered(sent_at) {
            self.progress.prove(turn);
        }
        let now = draft.now.moment;
        let from_sending = !self
            .opening
            .settings
            .sabotage
            .breaks(Rule::LeaseFromSending);
        let begin = if from_sending { sent_at.min(now) } else { now };
        self.leased_until = self.leased_until.max(Some(begin + lease));
        // The server sends what it wants gone right behind the welcome, so before any heartbeat is
        // answered: what was granted before our restart and is still here now may start.
        self.queue.open_gate();
        self.move_fences(draft);
    }

    /// When leased attempts must be dead; `None` without a lease.
    pub(super) fn fence(&self) -> Option<Moment> {
        self.leased_until
            .map(|until| until - self.opening.settings.fence_margin)
    }

    /// Whether leased attempts may start and run at `now`.
    pub(super) fn is_leased(&self, now: Moment) -> bool {
        self.fence().is_some_and(|fence| now < fence)
    }

    /// Tells a keeper the deadline that is right now for one attempt, if it has one.
    pub(super) fn fence_at_keeper(&self, attempt: AttemptId, draft: &mut Draft) {
        let Some(deadline) = self.fence() else { return };
        if let Some(running) = self.table.get(attempt)
            && let Place::Keeper(keeper) = running.place
            && running.confirmed
        {
            let safe = self.progress.is_durable(0);
            draft.early_if(
                safe,
                Effect::Fence {
                    keeper,
                    attempt,
                    deadline,
                },
            );
        }
    }

    /// Does what is due at this time.
    pub(super) fn pass_time(&mut self, draft: &mut Draft) {
        if self.keeper.is_none() {
            return;
        }
        let now = draft.now.moment;
        while let Some(attempt) = self.table.pop_expired(now) {
            if self.disk_is_full && self.waits_for_journal(attempt) {
                self.start_time_anew(attempt, now);
            } else {
                self.doom(attempt, Fate::TimedOut, draft);
            }
        }
        if self.table.has_fences_here() && !self.is_leased(now) {
            for attempt in self.table.take_fenced_here() {
                self.doom(attempt, Fate::Fenced, draft);
            }
        }
    }

    /// See [`Node::deadline`].
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.keeper?;
        let heartbeat = self.link.session.as_ref().and_then(Session::next_heartbeat);
        let fence = if self.table.has_fences_here() {
            self.fence()
        } else {
            None
        };
        let replica = self.replicas.next_due();
        [heartbeat, self.table.next_expiry(), fence, replica]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sends a heartbeat if one is due.
    pub(super) fn beat(&mut self, draft: &mut Draft) {
        let sent_at = draft.now.moment;
        let Some(session) = &mut self.link.session else {
            return;
        };
        if session.next_heartbeat().is_none_or(|due| due > sent_at) {
            return;
        }
        session.beat(
            sent_at,
            draft.number,
            sent_at + self.opening.settings.heartbeat,
        );
        let running = AttemptRange::gather(self.table.iter().map(|(attempt, _)| attempt));
        let sample = self.link.sample.take();
        let beat = UpBody::Heartbeat {
            sent_at,
            running,
            sample,
        };
        self.send(beat, draft);
    }

    fn move_fences(&self, draft: &mut Draft) {
        for attempt in self.table.fenced_by_keeper() {
            self.fence_at_keeper(attempt, draft);
        }
    }
}
