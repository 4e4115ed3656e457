//! The normal form of a spec: what is stored, hashed and shown.
//!
//! The order and the names of the fields are part of the hash, and so of idempotency: a change needs
//! a new fixture beside the old ones. All that has a default is written out, so that a spec keeps
//! its meaning when a default changes.

use std::collections::BTreeMap;

use flota_model::spec::{JobSpec, LogKind, OnDisconnect, Retry, Work};
use serde::Serialize;

use self::{
    execution::ExecutionForm, parameters::ParametersForm, rules::RulesForm, service::ServiceForm,
};
use crate::quantity::format_duration;

mod execution;
mod parameters;
mod rules;
mod service;

#[derive(Serialize)]
pub(super) struct Form<'a> {
    name: &'a str,
    tasks: TasksForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<ParametersForm<'a>>,
    #[serde(flatten)]
    work: WorkForm<'a>,
    priority: u8,
    resources: ResourcesForm<'a>,
    #[serde(skip_serializing_if = "ConstraintsForm::is_empty")]
    constraints: ConstraintsForm<'a>,
    retry: RetryForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    grace: String,
    on_disconnect: OnDisconnectForm,
    #[serde(flatten)]
    rules: RulesForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceForm<'a>>,
}

#[derive(Serialize)]
struct TasksForm {
    first: u32,
    last: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum WorkForm<'a> {
    Program(Box<ProgramForm<'a>>),
    Kernel {
        name: &'a str,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        parameters: &'a BTreeMap<String, String>,
    },
}

#[derive(Serialize)]
struct ProgramForm<'a> {
    argv: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<&'static str>,
    #[serde(flatten)]
    execution: ExecutionForm<'a>,
}

#[derive(Serialize)]
struct ResourcesForm<'a> {
    cpus: f64,
    memory: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    counters: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct ConstraintsForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

impl ConstraintsForm<'_> {
    fn is_empty(&self) -> bool {
        self.node.is_none() && self.labels.is_empty()
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum RetryForm {
    Word(&'static str),
    Limited {
        retries: u16,
        backoff: String,
        backoff_max: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        on: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_on: Vec<String>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum OnDisconnectForm {
    Word(&'static str),
    Keep { keep: String },
}

impl<'a> Form<'a> {
    pub(super) fn of(spec: &'a JobSpec) -> Self {
        Self {
            name: &spec.name,
            tasks: TasksForm {
                first: spec.tasks.first.0,
                last: spec.tasks.last.0,
            },
            parameters: spec.parameters.as_ref().map(ParametersForm::of),
            work: work_form(&spec.work),
            priority: spec.priority.0,
            resources: ResourcesForm {
                cpus: f64::from(spec.resources.cpus.0) / 1000.0,
                memory: spec.resources.memory.0,
                counters: &spec.resources.counters,
            },
            constraints: ConstraintsForm {
                node: spec.constraints.node.as_deref(),
                labels: &spec.constraints.labels,
            },
            retry: match &spec.retry {
                Retry::Never => RetryForm::Word("never"),
                Retry::Limited {
                    retries,
                    backoff,
                    backoff_max,
                } => RetryForm::Limited {
                    retries: *retries,
                    backoff: format_duration(*backoff),
                    backoff_max: format_duration(*backoff_max),
                    on: rules::causes(&spec.rules.retry_on),
                    not_on: rules::causes(&spec.rules.retry_not_on),
                },
            },
            timeout: spec.timeout.map(format_duration),
            grace: format_duration(spec.grace),
            on_disconnect: match spec.on_disconnect {
                OnDisconnect::Stop => OnDisconnectForm::Word("stop"),
                OnDisconnect::Keep { lost_after } => OnDisconnectForm::Keep {
                    keep: format_duration(lost_after),
                },
            },
            rules: RulesForm::of(&spec.rules),
            service: spec.service.as_deref().map(ServiceForm::of),
        }
    }
}

fn work_form(work: &Work) -> WorkForm<'_> {
    match work {
        Work::Program(program) => WorkForm::Program(Box::new(ProgramForm {
            argv: &program.argv,
            environment: &program.environment,
            working_directory: program.working_directory.as_deref(),
            stdin: program.stdin.as_deref(),
            // Younger than the first fixtures: the default has no place in the form.
            logs: (program.logs != LogKind::Captured).then(|| program.logs.word()),
            execution: ExecutionForm::of(&program.execution),
        })),
        Work::Kernel(call) => WorkForm::Kernel {
            name: &call.name,
            parameters: &call.parameters,
        },
    }
}
