//! A service with the policy `always` that a person has stopped starts again when a machine that had
//! a replica of it is booted: that is all in which it differs from `unless-stopped`.

use std::collections::BTreeSet;

use flota_model::{
    change::{Revival, ServiceRecord},
    ids::NodeId,
    news::ServiceNews,
    state::TaskState,
};

use crate::{
    fleet::Fleet,
    sabotage::Rule,
    supervise::restart::{BeforeBoot, starts_after_boot},
};

impl Fleet {
    /// What will start a service again that is being stopped now.
    pub(super) fn revival_after_stop(&self, record: &ServiceRecord) -> Revival {
        let service = record.spec.spec.service.as_deref();
        let starts = service
            .is_some_and(|service| starts_after_boot(service.restart.policy, BeforeBoot::Stopped));
        let unchecked = self.office.settings.sabotage.breaks(Rule::StaysStopped);
        if !starts && !unchecked {
            return Revival::default();
        }
        if record.stopped {
            // Stopped once more: where it ran is known from the first time.
            return Revival {
                nodes: record.revival.nodes.clone(),
                due: false,
            };
        }
        let mut nodes: BTreeSet<NodeId> = BTreeSet::new();
        for job in self.jobs.services.revisions_of(&record.name) {
            let granted = self
                .jobs
                .get(job)
                .map(|job| job.tasks_in(TaskState::Granted));
            for task in granted.unwrap_or_default() {
                let places = self.attempts_of(job, task);
                // Of one that is away nobody knows whether it was booted before the stop or after.
                let here = places.iter().map(|place| place.node);
                nodes.extend(here.filter(|node| {
                    let node = self.nodes.get(*node);
                    node.is_some_and(|node| node.session.is_some())
                }));
            }
        }
        Revival {
            nodes: nodes.into_iter().collect(),
            due: false,
        }
    }

    /// A machine was booted since its agent was heard last.
    pub(crate) fn node_booted(&mut self, node: NodeId) {
        let services = &mut self.jobs.services;
        for (name, entry) in &mut services.known {
            let revival = &mut entry.record.revival;
            if entry.record.stopped && revival.nodes.binary_search(&node).is_ok() && !revival.due {
                revival.due = true;
                self.ledger.services.insert(name.clone());
                services.moving.insert(name.clone());
            }
        }
    }

    /// Starts a service again that is due, once nothing of the time before is left. Where there are
    /// too many jobs it waits.
    pub(super) fn revive(&mut self, name: &str) {
        let Some(entry) = self.jobs.services.known.get(name) else {
            return;
        };
        let record = &entry.record;
        let tasks = record.spec.spec.tasks.count();
        let is_due = record.stopped && record.revival.due;
        if is_due && self.is_down(name).is_ok() && self.admit_job(tasks).is_ok() {
            self.start_anew(name, None);
            self.tell_service(name, ServiceNews::Started);
        }
    }
}
