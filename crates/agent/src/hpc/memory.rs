//! A monitor of memory: what the machine does now, and what it did.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use flota_wire::{
    hpc::{answer::Alive, metrics::NodeMetrics},
    rest::convert::seconds,
};
use hyper::{Method, StatusCode};

use super::{
    Here,
    http::{Answer, Asked, ok, refused, unknown},
};
use crate::sys::clock;

/// Measurements that are remembered: ten minutes, one a second.
const HISTORY_MAX: usize = 600;

/// The monitor. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    here: Here,
    history: Arc<Mutex<VecDeque<NodeMetrics>>>,
}

impl Memory {
    pub(super) fn new(here: Here) -> Self {
        Self {
            here,
            history: Arc::default(),
        }
    }

    /// Remembers every sample.
    pub(super) async fn follow(self) {
        let mut samples = self.here.counter.samples();
        while samples.changed().await.is_ok() {
            let metrics = samples
                .borrow_and_update()
                .as_deref()
                .map(|sample| NodeMetrics::of(&self.here.name, sample, self.here.counter.cores()));
            if let Some(metrics) = metrics {
                self.keep(metrics);
            }
        }
    }

    fn keep(&self, metrics: NodeMetrics) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY_MAX {
            history.pop_front();
        }
        history.push_back(metrics);
    }

    fn last(&self) -> Option<NodeMetrics> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.back().cloned()
    }

    pub(super) fn answer(&self, asked: &Asked) -> Answer {
        if asked.method != Method::GET {
            let known = ["/ping", "/metricas", "/historial", "/alertas"];
            let methods = known.contains(&asked.path.as_str()).then_some("GET");
            return unknown(asked, methods);
        }
        let soon = || {
            refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "todavía no se ha medido nada",
            )
        };
        match asked.path.as_str() {
            "/ping" => ok(&Alive {
                status: "active",
                timestamp: seconds(clock::wall()),
            }),
            "/metricas" => self.last().map_or_else(soon, |metrics| ok(&metrics)),
            "/alertas" => self
                .last()
                .map_or_else(soon, |metrics| ok(&metrics.alarms())),
            "/historial" => {
                let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
                ok(&*history)
            }
            _ => unknown(asked, None),
        }
    }
}
