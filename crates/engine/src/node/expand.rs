//! Placeholders of programs and kernels, and the environment of programs. Pure text.

use std::collections::BTreeMap;

use flota_model::{
    execution::{Execution, Limits},
    frame::GrantOrder,
    ids::{AttemptId, JobId, NodeId, TaskIndex},
    parameters::{Parameters, Rows, combination},
    policy::Rule,
    service::{Check, ExpandedCheck},
    spec::{JobSpec, KernelCall, LogKind, Program},
    units::Moment,
};

use crate::{
    keeper::api::{Launch, LogMode},
    policy::{Admission, Policy},
};

/// What the keeper must know of an attempt besides its program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) run: u32,
    pub(super) fence: Option<Moment>,
    pub(super) class: u64,
    pub(super) places: Option<u32>,
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// `{attempt}`
    pub attempt: AttemptId,
    /// `{job}`
    pub job: JobId,
    /// `{index}`
    pub task: TaskIndex,
    /// The parameters of the task.
    pub values: &'a [(&'a str, &'a str)],
}

/// The parameters of a task of that job: of a sweep those that its index says, else those of its
/// `row`.
pub fn values<'a>(
    spec: &'a JobSpec,
    task: TaskIndex,
    row: Option<&'a Rows>,
) -> Vec<(&'a str, &'a str)> {
    let Some(parameters) = &spec.parameters else {
        return Vec::new();
    };
    let values = match parameters {
        Parameters::Sweep(axes) => combination(axes, task.0.saturating_sub(spec.tasks.first.0)),
        Parameters::Rows(_) => row.and_then(|row| row.get(0)).unwrap_or_default(),
    };
    parameters.names().into_iter().zip(values).collect()
}

/// Whether an order brings the rows that its spec speaks of, and no others.
pub(super) fn has_its_rows(spec: &JobSpec, order: &GrantOrder) -> bool {
    match (&spec.parameters, &order.rows) {
        (Some(Parameters::Rows(named)), Some(rows)) => named.columns.len() == rows.columns(),
        (Some(Parameters::Rows(_)), None) | (Some(Parameters::Sweep(_)) | None, Some(_)) => false,
        (Some(Parameters::Sweep(_)) | None, None) => true,
    }
}

/// Replaces `{index}`, `{job}`, `{attempt}` and the parameters; `{{` and `}}` give the braces themselves. Other
/// braces stay as they are: what a spec may contain is decided where it is accepted.
pub(super) fn expand(text: &str, names: Names<'_>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        let (before, from_brace) = rest.split_at(brace);
        expanded.push_str(before);
        rest = replace_first(from_brace, names, &mut expanded);
    }
    expanded.push_str(rest);
    expanded
}

/// Replaces what `text`, which begins with a brace, begins with, and returns what is behind it.
fn replace_first<'a>(text: &'a str, names: Names<'_>, expanded: &mut String) -> &'a str {
    let replacements: [(&str, &dyn Fn() -> String); 5] = [
        ("{{", &|| "{".to_owned()),
        ("}}", &|| "}".to_owned()),
        ("{index}", &|| names.task.to_string()),
        ("{job}", &|| names.job.to_string()),
        ("{attempt}", &|| names.attempt.to_string()),
    ];
    for (placeholder, value) in replacements {
        if let Some(behind) = text.strip_prefix(placeholder) {
            expanded.push_str(&value());
            return behind;
        }
    }
    let parameter = text[1..].split_once('}').and_then(|(name, behind)| {
        let found = names.values.iter().find(|(known, _)| *known == name)?;
        Some((found.1, behind))
    });
    if let Some((value, behind)) = parameter.filter(|_| text.starts_with('{')) {
        expanded.push_str(value);
        return behind;
    }
    let (brace, behind) = text.split_at(1);
    expanded.push_str(brace);
    behind
}

/// The call of one task.
pub fn kernel_call(call: &KernelCall, names: Names<'_>) -> KernelCall {
    let parameters = call
        .parameters
        .iter()
        .map(|(name, value)| (name.clone(), expand(value, names)))
        .collect();
    KernelCall {
        name: call.name.clone(),
        parameters,
    }
}

/// Where a program runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'a> {
    pub(super) node: NodeId,
    /// As people call it.
    pub(super) name: &'a str,
    pub(super) policy: &'a Policy,
}

/// The program of one task, ready to be executed, if the policy of the node allows it.
///
/// # Errors
/// The rule that forbids it.
pub(super) fn launch(
    program: &Program,
    names: Names<'_>,
    host: Host<'_>,
    terms: Terms,
) -> Result<Launch, Rule> {
    let argv: Vec<String> = program
        .argv
        .iter()
        .map(|argument| expand(argument, names))
        .collect();
    let Admission { guard, limits } = host.policy.admit(&argv, &program.execution)?;
    let execution = Execution {
        limits,
        ..(*program.execution).clone()
    };
    Ok(Launch {
        attempt: names.attempt,
        run: terms.run,
        argv,
        environment: environment(program, names, host),
        working_directory: working_directory(program, names),
        stdin: program.stdin.as_ref().map(|path| expand(path, names)),
        fence: terms.fence,
        class: terms.class,
        places: terms.places,
        logs: match program.logs {
            LogKind::Captured => LogMode::Captured,
            LogKind::Rotated => LogMode::Rotated { run: terms.run },
        },
        execution: (execution != Execution::default()).then(|| Box::new(execution)),
        guard,
    })
}

pub(super) fn working_directory(program: &Program, names: Names<'_>) -> String {
    let given = program.working_directory.as_ref();
    given.map_or_else(|| "/".to_owned(), |path| expand(path, names))
}

/// The clean environment, what the spec adds or replaces, and what Flota tells, which cannot be
/// replaced.
pub(super) fn environment(
    program: &Program,
    names: Names<'_>,
    host: Host<'_>,
) -> Vec<(String, String)> {
    let mut environment = BTreeMap::new();
    for (name, value) in [("PATH", PATH), ("HOME", "/"), ("LANG", "C.UTF-8")] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    if program.execution.user.is_some() {
        // The keeper knows it, and adds it where the spec does not.
        environment.remove("HOME");
    }
    for (name, value) in &program.environment {
        environment.insert(name.clone(), expand(value, names));
    }
    let own = [
        ("FLOTA_JOB", names.job.to_string()),
        ("FLOTA_TASK", names.task.to_string()),
        ("FLOTA_ATTEMPT", names.attempt.to_string()),
        ("FLOTA_NODE", host.name.to_owned()),
        ("FLOTA_NODE_ID", host.node.to_string()),
    ];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
    environment.into_iter().collect()
}

/// A check of a probe with all placeholders replaced.
pub(super) fn check(
    check: &Check,
    program: &Program,
    names: Names<'_>,
    host: Host<'_>,
) -> ExpandedCheck {
    match check {
        Check::Http {
            host: name,
            port,
            path,
        } => ExpandedCheck::Http {
            host: expand(name, names),
            port: *port,
            path: expand(path, names),
        },
        Check::Tcp { host: name, port } => ExpandedCheck::Tcp {
            host: expand(name, names),
            port: *port,
        },
        Check::Exec { argv } => ExpandedCheck::Exec {
            argv: argv
                .iter()
                .map(|argument| expand(argument, names))
                .collect(),
            environment: environment(program, names, host),
            working_directory: working_directory(program, names),
            execution: Box::new(Execution {
                limits: Limits::default(),
                ..(*program.execution).clone()
            }),
        },
    }
}
