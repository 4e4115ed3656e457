//! The settings of a program. Absent where they are as the agent's own, so that specs from before
//! they existed keep their bytes and their hash.

use std::{borrow::Cow, collections::BTreeMap};

use flota_model::execution::{Bound, Execution, IoPriority, Limits};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ExecutionForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    umask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nice: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ioprio: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rlimits: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_score_adj: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_new_privileges: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitsForm>,
}

#[derive(Serialize)]
struct LimitsForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swap: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pids: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_weight: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    best_effort: bool,
}

impl<'a> ExecutionForm<'a> {
    pub(super) fn of(execution: &'a Execution) -> Self {
        let limits = execution.limits;
        Self {
            user: execution.user.as_deref(),
            group: execution.group.as_deref(),
            groups: execution.groups.as_deref(),
            umask: execution.umask.map(|umask| format!("{umask:03o}")),
            nice: execution.nice,
            ioprio: execution.io_priority.map(io_priority),
            rlimits: execution
                .resource_limits
                .iter()
                .map(|(limit, bound)| (limit.word(), bound_text(*bound)))
                .collect(),
            oom_score_adj: execution.oom_score_adjust,
            no_new_privileges: execution.new_privileges.then_some(false),
            limits: (limits != Limits::default()).then(|| LimitsForm::of(limits)),
        }
    }
}

impl LimitsForm {
    fn of(limits: Limits) -> Self {
        Self {
            memory: limits.memory.map(|bytes| bytes.0),
            swap: limits.swap.map(|bytes| bytes.0),
            pids: limits.pids,
            cpus: limits.cpus.map(|cpus| f64::from(cpus.0) / 1000.0),
            cpu_weight: limits.cpu_weight,
            io_weight: limits.io_weight,
            best_effort: limits.best_effort,
        }
    }
}

fn io_priority(priority: IoPriority) -> String {
    match priority {
        IoPriority::Idle => "idle".to_owned(),
        IoPriority::BestEffort(level) => format!("best-effort:{level}"),
        IoPriority::RealTime(level) => format!("realtime:{level}"),
    }
}

fn bound_text(bound: Bound) -> String {
    let one = |limit: Option<u64>| {
        limit.map_or(Cow::Borrowed("unlimited"), |limit| limit.to_string().into())
    };
    if bound.soft == bound.hard {
        one(bound.soft).into_owned()
    } else {
        format!("{}:{}", one(bound.soft), one(bound.hard))
    }
}
