//! Which grants are accepted and which are refused (PROTOCOL 5, 16).

use std::sync::Arc;

use flota_model::{frame::GrantOrder, ids::AttemptRange, spec::SealedSpec};

use crate::{
    journal::{Record, values::is_sound_order},
    node::{
        Node, Stopping, expand,
        queue::part,
        ranges::{distance, without},
        turn::Draft,
    },
};

impl Node {
    /// Takes grants. `false` if an order cannot be, or its spec is not in the window of the session.
    pub(super) fn grants(
        &mut self,
        specs: Vec<SealedSpec>,
        orders: Vec<GrantOrder>,
        draft: &mut Draft,
    ) -> bool {
        let Some(session) = &mut self.link.session else {
            return true;
        };
        for sealed in specs {
            session.specs.insert(sealed.hash, Arc::new(sealed));
        }
        for order in orders {
            let Some(session) = &self.link.session else {
                return true;
            };
            let Some(spec) = session.specs.get(order.spec_hash).cloned() else {
                return false;
            };
            if !is_sound_order(&order) || !expand::has_its_rows(&spec.spec, &order) {
                return false;
            }
            for range in without(order.attempts, self.known_within(order.attempts)) {
                let offset = distance(order.attempts.first, range.first);
                self.accept(part(&order, offset, range.count), &spec, draft);
            }
        }
        true
    }

    /// Attempts of `range` that are held, or were refused in this session: they are not accepted
    /// a second time.
    fn known_within(&self, range: AttemptRange) -> Vec<AttemptRange> {
        let mut known = self.queue.within(range);
        known.extend(AttemptRange::gather(self.table.within(range)));
        known.extend(AttemptRange::gather(self.table.strays_within(range)));
        known.extend(AttemptRange::gather(self.reports.within(range)));
        if let Some(session) = &self.link.session {
            known.extend(session.refused_within(range));
        }
        known
    }

    /// Accepts as many attempts of the order as may be held, and refuses the others.
    ///
    /// Without a sync: a power cut that takes a grant out of the journal also takes what it started,
    /// and the server learns of the other boot with the next hello. What must start at most once is
    /// synced where it starts (PROTOCOL 7).
    fn accept(&mut self, order: GrantOrder, spec: &Arc<SealedSpec>, draft: &mut Draft) {
        let count = order.attempts.count;
        let accepted = count.min(self.room_for(spec));
        if accepted > 0 {
            let order = part(&order, 0, accepted);
            if self.ledger.add_spec(spec) {
                let (hash, blob) = (spec.hash, Arc::clone(&spec.blob));
                draft.record(Record::Spec { hash, blob });
            }
            draft.record(Record::Granted(order.clone()));
            self.queue.push(order, Arc::clone(spec), draft.number);
        }
        if accepted < count {
            self.refuse(
                vec![part(&order, accepted, count - accepted).attempts],
                draft,
            );
        }
    }

    /// How many more attempts of that spec may be held.
    fn room_for(&self, spec: &SealedSpec) -> u32 {
        let never = self.disk_is_full
            || self.stopping != Stopping::No
            || self.opening.capacity.times_that_fit(&spec.spec.resources) == 0;
        if never {
            return 0;
        }
        let held = self.queue.attempts() + self.table.len() as u64 + self.reports.len() as u64;
        let room = u64::from(self.opening.settings.attempts_max).saturating_sub(held);
        u32::try_from(room).unwrap_or(u32::MAX)
    }
}
