//! From a tree to a spec. Every fault of form is listed; bounds are checked elsewhere.

use std::{collections::BTreeMap, time::Duration};

use flota_model::{
    ids::TaskIndex,
    parameters::Rows,
    resources::Resources,
    rules::JobRules,
    spec::{
        Constraints, JobSpec, KernelCall, LogKind, OnDisconnect, Priority, Program, Retry,
        TaskRange, Work,
    },
    units::{Bytes, Cpus},
};

use super::{
    check::REPLICAS,
    fault::{Faults, quoted},
    tree::Tree,
};

mod execution;
mod fields;
pub(super) mod file;
mod parameters;
mod rules;
mod service;

pub use execution::{parse_bound, parse_io_priority, parse_umask};
use fields::{Fields, Given};
pub use rules::{parse_cause, parse_max_fails};

/// From the stop signal to the kill, where a spec does not say.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(10);

/// Reads a spec, without rows that are written out in it.
pub(super) fn spec(tree: Tree, faults: &mut Faults) -> JobSpec {
    job(tree, faults).0
}

/// Reads a spec, with its rows where they are written out. What is missing or wrong is a fault, and
/// has a stand-in in the result.
pub(super) fn job(tree: Tree, faults: &mut Faults) -> (JobSpec, Option<Rows>) {
    let mut fields = Fields::of(String::new(), tree, faults).unwrap_or_default();
    let service = fields
        .take("service")
        .and_then(|given| service::service(given, faults));
    let (tasks_default, cpus_default) = if service.is_some() {
        (REPLICAS, SERVICE_CPUS)
    } else {
        (ONE_TASK, Cpus::whole(1))
    };
    let parameters = fields
        .take("parameters")
        .and_then(|given| parameters::parameters(given, faults));
    let (parameters, rows) = parameters.unzip();
    let tasks_default = parameters.as_ref().map_or(tasks_default, parameters::tasks);
    let mut rules = rules::rules(&mut fields, faults);
    let spec = JobSpec {
        name: fields
            .required("name", faults)
            .and_then(|given| given.text(faults))
            .unwrap_or_default(),
        work: work(&mut fields, faults),
        tasks: fields
            .take("tasks")
            .and_then(|given| tasks(given, faults))
            .unwrap_or(tasks_default),
        parameters,
        priority: fields
            .take("priority")
            .and_then(|given| given.whole(faults))
            .map_or(Priority::MEDIUM, Priority),
        resources: resources(fields.take("resources"), cpus_default, faults),
        constraints: constraints(fields.take("constraints"), faults),
        retry: fields
            .take("retry")
            .and_then(|given| retry(given, &mut rules, faults))
            .unwrap_or_default(),
        timeout: fields
            .take("timeout")
            .and_then(|given| given.duration(faults)),
        grace: fields
            .take("grace")
            .and_then(|given| given.duration(faults))
            .unwrap_or(GRACE_DEFAULT),
        on_disconnect: fields
            .take("on_disconnect")
            .and_then(|given| on_disconnect(given, faults))
            .unwrap_or_default(),
        service: service.map(Box::new),
        rules: Box::new(rules),
    };
    fields.finish(faults);
    (spec, rows.flatten())
}

/// What a replica holds of its node where the spec does not say: services mostly wait, and hundreds of
/// them share a machine. The least that a spec can say.
pub(super) const SERVICE_CPUS: Cpus = Cpus(1);

const ONE_TASK: TaskRange = TaskRange {
    first: TaskIndex(0),
    last: TaskIndex(0),
};

fn tasks(given: Given, faults: &mut Faults) -> Option<TaskRange> {
    if let Tree::Text(text) = &given.tree {
        let range = task_range(text);
        if range.is_none() {
            let hint = "for example `1-1000`, or `7-7` for the one task of index 7";
            faults.add_with_hint(&given.path, format!("{} is no range", quoted(text)), hint);
        }
        return range;
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let mut index = |name| {
        fields
            .required(name, faults)
            .and_then(|given| given.whole(faults))
    };
    let (first, last) = (index("first"), index("last"));
    fields.finish(faults);
    Some(TaskRange {
        first: TaskIndex(first?),
        last: TaskIndex(last?),
    })
}

/// `FIRST-LAST`, both decimal.
fn task_range(text: &str) -> Option<TaskRange> {
    let (first, last) = text.split_once('-')?;
    let index = |part: &str| part.trim().parse().ok().map(TaskIndex);
    Some(TaskRange {
        first: index(first)?,
        last: index(last)?,
    })
}

fn work(fields: &mut Fields, faults: &mut Faults) -> Work {
    match (fields.take("program"), fields.take("kernel")) {
        (Some(given), None) => Work::Program(program(given, faults)),
        (None, Some(given)) => Work::Kernel(kernel(given, faults)),
        (None, None) => {
            faults.add("program", "missing: a job runs a `program` or a `kernel`");
            Work::Program(Program::default())
        }
        (Some(given), Some(_)) => {
            faults.add("kernel", "a job runs a `program` or a `kernel`, not both");
            Work::Program(program(given, faults))
        }
    }
}

fn program(given: Given, faults: &mut Faults) -> Program {
    let Some(mut fields) = Fields::of(given.path, given.tree, faults) else {
        return Program::default();
    };
    let program = Program {
        argv: fields
            .required("argv", faults)
            .map(|given| given.texts(faults))
            .unwrap_or_default(),
        environment: entries(fields.take("environment"), faults, Given::text),
        working_directory: fields
            .take("working_directory")
            .and_then(|given| given.text(faults)),
        stdin: fields.take("stdin").and_then(|given| given.text(faults)),
        logs: fields
            .take("logs")
            .and_then(|given| logs(given, faults))
            .unwrap_or_default(),
        execution: Box::new(execution::read(&mut fields, faults)),
    };
    fields.finish(faults);
    program
}

fn logs(given: Given, faults: &mut Faults) -> Option<LogKind> {
    let path = given.path.clone();
    let word = given.text(faults)?;
    let kinds = [LogKind::Captured, LogKind::Rotated];
    let kind = kinds.into_iter().find(|kind| kind.word() == word);
    if kind.is_none() {
        let what = format!("{} is neither `captured` nor `rotated`", quoted(&word));
        faults.add(&path, what);
    }
    kind
}

fn kernel(given: Given, faults: &mut Faults) -> KernelCall {
    let Some(mut fields) = Fields::of(given.path, given.tree, faults) else {
        return KernelCall::default();
    };
    let name = fields
        .required("name", faults)
        .and_then(|given| given.text(faults));
    let call = KernelCall {
        name: name.unwrap_or_default(),
        parameters: entries(fields.take("parameters"), faults, Given::scalar),
    };
    fields.finish(faults);
    call
}

fn resources(given: Option<Given>, cpus_default: Cpus, faults: &mut Faults) -> Resources {
    let fields = given.and_then(|given| Fields::of(given.path, given.tree, faults));
    let Some(mut fields) = fields else {
        return Resources::of_cpus(cpus_default);
    };
    let resources = Resources {
        cpus: fields
            .take("cpus")
            .and_then(|given| given.cpus(faults))
            .unwrap_or(cpus_default),
        memory: fields
            .take("memory")
            .and_then(|given| given.size(faults))
            .unwrap_or(Bytes(0)),
        counters: entries(fields.take("counters"), faults, Given::whole),
    };
    fields.finish(faults);
    resources
}

fn constraints(given: Option<Given>, faults: &mut Faults) -> Constraints {
    let fields = given.and_then(|given| Fields::of(given.path, given.tree, faults));
    let Some(mut fields) = fields else {
        return Constraints::default();
    };
    let constraints = Constraints {
        node: fields.take("node").and_then(|given| given.text(faults)),
        labels: entries(fields.take("labels"), faults, Given::text),
    };
    fields.finish(faults);
    constraints
}

/// Its causes go to the rules of the job.
fn retry(given: Given, rules: &mut JobRules, faults: &mut Faults) -> Option<Retry> {
    if let Tree::Text(word) = &given.tree {
        if word == "never" {
            return Some(Retry::Never);
        }
        let what = format!("{} is neither `never` nor a table", quoted(word));
        faults.add_with_hint(
            &given.path,
            what,
            r#"for example {"retries": 3, "backoff": "1s"}"#,
        );
        return None;
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let retries = fields
        .take("retries")
        .and_then(|given| given.whole(faults))
        .unwrap_or(0);
    let mut span = |name| fields.take(name).and_then(|given| given.duration(faults));
    let backoff = span("backoff").unwrap_or(Duration::from_secs(1));
    // Whoever gives only a long back-off must not be told that it is above a bound never given.
    let backoff_max = span("backoff_max").unwrap_or(backoff.max(Duration::from_mins(1)));
    rules.retry_on = rules::causes(fields.take("on"), faults);
    rules.retry_not_on = rules::causes(fields.take("not_on"), faults);
    fields.finish(faults);
    Some(Retry::Limited {
        retries,
        backoff,
        backoff_max,
    })
}

fn on_disconnect(given: Given, faults: &mut Faults) -> Option<OnDisconnect> {
    if let Tree::Text(word) = &given.tree {
        return match word.as_str() {
            "stop" => Some(OnDisconnect::Stop),
            "keep" => Some(OnDisconnect::default()),
            _ => {
                let what = format!("{} is neither `stop` nor `keep`", quoted(word));
                faults.add_with_hint(&given.path, what, r#"or {"keep": "10m"}"#);
                None
            }
        };
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let lost_after = fields
        .required("keep", faults)
        .and_then(|given| given.duration(faults));
    fields.finish(faults);
    Some(OnDisconnect::Keep {
        lost_after: lost_after?,
    })
}

/// Reads each value of a table with `read`; an absent table is an empty one.
fn entries<T>(
    given: Option<Given>,
    faults: &mut Faults,
    read: impl Fn(Given, &mut Faults) -> Option<T>,
) -> BTreeMap<String, T> {
    given
        .and_then(|given| Fields::of(given.path, given.tree, faults))
        .map(|fields| fields.entries(faults, read))
        .unwrap_or_default()
}
