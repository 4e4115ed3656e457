//! What was killed and is still there, as nodes say with their samples. It is only shown to people:
//! an attempt is over when its node reports its end, and not before.

use flota_model::{
    command::UnkillableView,
    ids::{JobId, NodeId},
    sample::Unkillable,
};

use super::{Fleet, settle::Place};

impl Fleet {
    /// Of one job, by node.
    pub(crate) fn unkillable_of(&self, job: JobId) -> Vec<UnkillableView> {
        let nodes = self.nodes.known.keys();
        let said = nodes.flat_map(|node| self.said(*node).iter().map(move |one| (*node, one)));
        let views = said.filter_map(|(node, unkillable)| {
            // One that was settled since has ended.
            let place = self.place_of(unkillable.attempt)?;
            (place.job == job && place.node == node).then(|| UnkillableView {
                node,
                task: place.task,
                unkillable: unkillable.clone(),
            })
        });
        views.collect()
    }

    /// Of one attempt.
    pub(crate) fn unkillable_at(&self, place: Place) -> Option<Unkillable> {
        let mut said = self.said(place.node).iter();
        said.find(|one| one.attempt == place.attempt).cloned()
    }

    fn said(&self, node: NodeId) -> &[Unkillable] {
        let sample = self.nodes.get(node).and_then(|node| node.sample.as_ref());
        sample.map_or(&[], |(_, sample)| sample.unkillable.as_slice())
    }
}
