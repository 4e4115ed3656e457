//! Nodes as slaves and as monitors.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use flota_model::{
    command::NodeView,
    state::NodePhase,
    units::{Cpus, Timestamp},
};
use flota_wire::{
    hpc::{
        answer::Slave,
        metrics::{CurrentMetrics, MemoryReport, RemoteReport, megabytes},
    },
    rest::convert::seconds,
};

use crate::{
    access::{Caller, Object},
    clock,
    edge::{Desk, node_views},
    problem::Problem,
};

/// Where the slave of a node listens, by the word of its offer.
pub(super) const SLAVE: &str = "hpc.slave";
/// Most foreign monitors that are remembered.
const MONITORS_MAX: usize = 1_000;

/// All nodes, by name.
pub(super) async fn slaves(
    desk: &Desk,
    caller: &Caller,
) -> Result<BTreeMap<String, Slave>, Problem> {
    let views = node_views(desk, caller, &Object::Fleet).await?;
    Ok(views
        .iter()
        .map(|view| (view.name.clone(), slave(view)))
        .collect())
}

fn slave(view: &NodeView) -> Slave {
    let address = view.offer.listeners.get(SLAVE);
    let metrics = metrics(view);
    Slave {
        ip: address.map(|address| address.ip().to_string()),
        port: address.map(std::net::SocketAddr::port),
        active: view.phase == NodePhase::Up,
        heard_at: view.last_heard_at.map(seconds),
        cpu_percent: metrics.and_then(|metrics| metrics.cpu.percent),
        memory_free: metrics
            .and_then(|metrics| metrics.memory.available)
            .map(megabytes),
    }
}

fn metrics(view: &NodeView) -> Option<CurrentMetrics> {
    let sampled = view.sample.as_ref()?;
    Some(CurrentMetrics::of(
        &sampled.sample,
        whole(view.capacity.cpus),
    ))
}

fn whole(cpus: Cpus) -> u32 {
    (cpus.0 / 1_000).max(1)
}

/// Whole cores of the largest node that answers; 1 where none does.
pub(super) async fn cores(desk: &Desk, caller: &Caller) -> Result<u32, Problem> {
    let views = node_views(desk, caller, &Object::Fleet).await?;
    let up = views.iter().filter(|view| view.phase == NodePhase::Up);
    Ok(up.map(|view| whole(view.capacity.cpus)).max().unwrap_or(1))
}

/// What nodes and foreign monitors measured last, by name.
pub(super) async fn reports(
    desk: &Desk,
    caller: &Caller,
    foreign: &Reports,
) -> Result<BTreeMap<String, MemoryReport>, Problem> {
    let views = node_views(desk, caller, &Object::Fleet).await?;
    let now = clock::now().wall;
    let mut all = foreign.all();
    for view in &views {
        let (Some(metrics), Some(sampled)) = (metrics(view), &view.sample) else {
            continue;
        };
        let age = u64::try_from(sampled.age.as_micros()).unwrap_or(u64::MAX);
        let report = MemoryReport {
            alarms: metrics.alarms(),
            metrics,
            timestamp: seconds(Timestamp(now.0.saturating_sub(age))),
        };
        all.insert(view.name.clone(), report);
    }
    Ok(all)
}

/// What foreign monitors said last. In memory: it is measured anew every few seconds.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<BTreeMap<String, MemoryReport>>);

impl Reports {
    /// Takes the place of what the monitor said before.
    ///
    /// # Errors
    /// In Spanish, where there are too many.
    pub(super) fn keep(&self, report: RemoteReport, at: Timestamp) -> Result<(), String> {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() >= MONITORS_MAX && !reports.contains_key(&report.node) {
            return Err(format!("ya hay {MONITORS_MAX} monitores"));
        }
        let kept = MemoryReport {
            alarms: report.alarms,
            metrics: report.metrics,
            timestamp: seconds(at),
        };
        reports.insert(report.node, kept);
        drop(reports);
        Ok(())
    }

    fn all(&self) -> BTreeMap<String, MemoryReport> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_number_of_foreign_monitors_is_remembered() {
        let reports = Reports::default();
        let report = |number: usize| RemoteReport {
            node: format!("m{number}"),
            alarms: flota_wire::hpc::metrics::Alarms::default(),
            metrics: CurrentMetrics::default(),
        };
        for number in 0..MONITORS_MAX {
            reports.keep(report(number), Timestamp(1)).unwrap();
        }
        assert!(reports.keep(report(MONITORS_MAX), Timestamp(2)).is_err());
        reports.keep(report(0), Timestamp(3_000_000)).unwrap();
        assert_eq!(reports.all().len(), MONITORS_MAX);
        assert!((reports.all()["m0"].timestamp - 3.0).abs() < 1e-9);
    }
}
