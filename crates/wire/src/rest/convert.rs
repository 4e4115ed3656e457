//! From the model to the JSON of REST.

use std::collections::BTreeMap;

use flota_model::{
    change::{AttemptRecord, JobRecord},
    command::{FleetView, NodeView},
    containment as limits,
    outcome::{Outcome, Output, Stream, StreamName},
    resources as model,
    state::{Counts, TaskState},
    units::{Cpus, Timestamp},
};

use super::{
    Attempt, Containment, Fleet, Job, Node, Resources,
    control::{Ending, Pause},
    sample::Sample,
};
use crate::spec::to_value;

/// Unix seconds. Exact to the microsecond until the year 2255, when 2^53 microseconds are over.
pub fn seconds(at: Timestamp) -> f64 {
    micros_as_seconds(at.0)
}

#[expect(clippy::cast_precision_loss, reason = "for display; exact below 2^53")]
/// Seconds of microseconds.
pub fn micros_as_seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Cores; thousandths are kept.
pub(super) fn cores(cpus: Cpus) -> f64 {
    f64::from(cpus.0) / 1000.0
}

/// Number of tasks by state word; states without a task are left out.
pub fn tasks_by_state(counts: &Counts) -> BTreeMap<String, u32> {
    TaskState::ALL
        .into_iter()
        .map(|state| (state.word().to_owned(), counts.of(state)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

impl From<&FleetView> for Fleet {
    fn from(view: &FleetView) -> Self {
        Self {
            // All crates of the binary share one version.
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: view.authority.epoch.0,
            term: view.authority.term.0,
            jobs_live: view.jobs_live,
            tasks: tasks_by_state(&view.tasks),
            store_behind: view.store_behind.is_some(),
            waiting_for_nodes: view.waiting_for_nodes,
        }
    }
}

impl From<&model::Resources> for Resources {
    fn from(resources: &model::Resources) -> Self {
        Self {
            cpus: cores(resources.cpus),
            memory: resources.memory.0,
            counters: resources.counters.clone(),
        }
    }
}

impl From<limits::Containment> for Containment {
    fn from(containment: limits::Containment) -> Self {
        let words = |set: limits::LimitSet| set.iter().map(|kind| kind.word().to_owned()).collect();
        Self {
            mode: containment.mode.word().to_owned(),
            enforced: words(containment.enforced),
            missing: words(containment.enforced.missing()),
        }
    }
}

/// With a brief sample, as in lists.
impl From<&NodeView> for Node {
    fn from(view: &NodeView) -> Self {
        Self {
            id: view.node.0,
            name: view.name.clone(),
            phase: view.phase.word().to_owned(),
            last_heard_at: view.last_heard_at.map(seconds),
            joined_at: seconds(view.joined_at),
            version: view.version.clone(),
            capacity: Resources::from(&view.capacity),
            reserved: Resources::from(&view.reserved),
            labels: view.labels.clone(),
            granted: view.granted,
            running: view.running,
            unclaimed: view.unclaimed,
            containment: view.containment.map(Containment::from),
            only_kernels: view
                .offer
                .kernels
                .as_ref()
                .map(|kernels| kernels.iter().cloned().collect()),
            listeners: view
                .offer
                .listeners
                .iter()
                .map(|(word, address)| (word.clone(), address.to_string()))
                .collect(),
            sample: brief(view),
        }
    }
}

fn brief(view: &NodeView) -> Option<Sample> {
    let sampled = view.sample.as_ref()?;
    Some(Sample::brief(view.phase, sampled))
}

impl Node {
    /// With all of the sample, as in `GET /api/v1/nodes/{node}`.
    pub fn with_sample(view: &NodeView) -> Self {
        let sampled = view.sample.as_ref();
        Self {
            sample: sampled.map(|sampled| Sample::whole(view.phase, sampled)),
            ..Self::from(view)
        }
    }
}

/// Without the spec, as in lists.
impl From<&JobRecord> for Job {
    fn from(record: &JobRecord) -> Self {
        let spec = &record.spec.spec;
        Self {
            id: record.job.0,
            name: spec.name.clone(),
            principal: record.principal.clone(),
            kind: spec.kind().word().to_owned(),
            phase: record.phase.word().to_owned(),
            priority: spec.priority.0,
            first: spec.tasks.first.0,
            last: spec.tasks.last.0,
            tasks: tasks_by_state(&record.counts_of_wanted()),
            submitted_at: seconds(record.submitted_at),
            finished_at: record.finished_at.map(seconds),
            paused: record.control.paused.as_deref().map(Pause::from),
            ending: record.control.ending.as_deref().map(Ending::from),
            spec: None,
            unkillable: Vec::new(),
        }
    }
}

impl Job {
    /// With the spec, as in `GET /api/v1/jobs/{job}`.
    pub fn with_spec(record: &JobRecord) -> Self {
        Self {
            spec: Some(to_value(&record.spec.spec)),
            ..Self::from(record)
        }
    }
}

impl From<&AttemptRecord> for Attempt {
    fn from(record: &AttemptRecord) -> Self {
        let details = Details::of(&record.outcome);
        Self {
            id: record.attempt.to_string(),
            node: record.node.0,
            outcome: record.outcome.word().to_owned(),
            exit_code: details.exit_code,
            signal: details.signal,
            stage: details.stage,
            errno: details.errno,
            message: details.message,
            counted: record.counted,
            granted_at: seconds(record.granted_at),
            started_at: record.started_at.map(seconds),
            ended_at: seconds(record.ended_at),
            user_seconds: micros_as_seconds(record.usage.user_micros),
            system_seconds: micros_as_seconds(record.usage.system_micros),
            memory_bytes_max: record.usage.memory_bytes_max,
            outputs: record.output.as_deref().map(lengths).unwrap_or_default(),
            truncated: record.output.as_deref().map(truncated).unwrap_or_default(),
        }
    }
}

/// What an outcome says beyond its word.
#[derive(Default)]
pub(super) struct Details {
    pub(super) exit_code: Option<u8>,
    pub(super) signal: Option<u8>,
    pub(super) stage: Option<String>,
    pub(super) errno: Option<i32>,
    pub(super) message: Option<String>,
}

impl Details {
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Exited { code } => Self {
                exit_code: Some(*code),
                ..Self::default()
            },
            Outcome::Signalled { signal } => Self {
                signal: Some(*signal),
                ..Self::default()
            },
            Outcome::NotStarted { stage, errno } => Self {
                stage: Some(stage.word().to_owned()),
                errno: Some(*errno),
                ..Self::default()
            },
            Outcome::Failed { message } => Self {
                message: Some(message.clone()),
                ..Self::default()
            },
            Outcome::Completed
            | Outcome::OutOfMemory
            | Outcome::TimedOut
            | Outcome::Cancelled
            | Outcome::Lost
            | Outcome::Unknown => Self::default(),
        }
    }
}

/// Bytes of each stream that is not empty.
fn lengths(output: &Output) -> BTreeMap<String, u64> {
    let length = |stream: &Stream| match stream {
        Stream::Empty => 0,
        Stream::Inline(bytes) => bytes.len() as u64,
        Stream::OnNode { length, .. } => *length,
    };
    streams(output)
        .map(|(name, stream)| (name.to_owned(), length(stream)))
        .filter(|(_, length)| *length > 0)
        .collect()
}

fn truncated(output: &Output) -> Vec<String> {
    let is_cut = |stream: &Stream| {
        matches!(
            stream,
            Stream::OnNode {
                truncated: true,
                ..
            }
        )
    };
    streams(output)
        .filter(|(_, stream)| is_cut(stream))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn streams(output: &Output) -> impl Iterator<Item = (&'static str, &Stream)> {
    [
        (StreamName::Stdout, &output.stdout),
        (StreamName::Stderr, &output.stderr),
        (StreamName::Result, &output.result),
    ]
    .into_iter()
    .map(|(name, stream)| (name.word(), stream))
}

#[cfg(test)]
mod tests;
