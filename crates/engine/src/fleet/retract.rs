//! Work that was sent ahead to one node while another one is idle is taken back (PROTOCOL 29).

use std::time::Duration;

use flota_model::{
    containment::LimitSet,
    frame::DownBody,
    ids::{AttemptId, AttemptRange, NodeId},
};

use super::{Fleet, queue::ClassKey};

/// Work that a node will have begun by then stays there: to take it back would take about as long.
const WORTH_IT: Duration = Duration::from_millis(100);
/// Attempts that are asked back from one node at a time.
const RETRACT_MAX: u32 = 1_024;

impl Fleet {
    /// Nothing waits, and these nodes may be idle: asks the node with most work ahead to give back
    /// what they could start at once. What it gives back waits again and is placed as always.
    pub(crate) fn retract(&mut self) {
        let now = self.office.now.moment;
        let busiest = self
            .nodes
            .known
            .iter()
            .filter(|(_, node)| node.session.is_some() && node.asked.is_empty());
        let longest = busiest.filter_map(|(id, node)| {
            let (class, ahead, span) = node.load.longest_ahead(now)?;
            Some((span, *id, class, ahead))
        });
        let Some((span, donor, class, ahead)) = longest.max() else {
            return;
        };
        if span < WORTH_IT {
            return;
        }
        let class = class.clone();
        let limits = self.enforceable(&class);
        let room: u32 = self
            .nodes
            .dirty
            .iter()
            .filter(|id| **id != donor)
            .map(|id| self.room(*id, &class, limits))
            .sum();
        let wanted = room.min(ahead).min(RETRACT_MAX);
        let attempts = self.newest_of(donor, &class, wanted);
        if attempts.is_empty() {
            return;
        }
        self.nodes
            .known(donor)
            .asked
            .extend(attempts.iter().copied());
        self.send(donor, DownBody::Retract(AttemptRange::gather(attempts)));
    }

    /// How many attempts of a class a node could start at once.
    fn room(&self, node: NodeId, class: &ClassKey, limits: LimitSet) -> u32 {
        let node = self
            .nodes
            .get(node)
            .filter(|node| node.session.is_some() && node.suits(class, limits));
        node.map_or(0, |node| {
            node.load
                .free(&node.record.capacity)
                .times_that_fit(&class.resources)
                .min(RETRACT_MAX)
        })
    }

    /// The attempts of a class that were granted last to a node: those that will start last there.
    fn newest_of(&self, node: NodeId, class: &ClassKey, count: u32) -> Vec<AttemptId> {
        let mut newest = Vec::new();
        let Some(entry) = self.nodes.get(node) else {
            return newest;
        };
        let of_class = entry
            .grants
            .iter()
            .rev()
            .filter_map(|grant| self.grants.get(*grant))
            .filter(|grant| {
                self.jobs
                    .get(grant.head().job)
                    .is_some_and(|job| job.class == *class)
            });
        for grant in of_class {
            let offsets: Vec<u32> = grant.unsettled.iter().collect();
            let left = (count as usize).saturating_sub(newest.len());
            newest.extend(
                offsets
                    .into_iter()
                    .rev()
                    .take(left)
                    .map(|offset| grant.attempt(offset)),
            );
            if newest.len() >= count as usize {
                break;
            }
        }
        newest
    }
}
