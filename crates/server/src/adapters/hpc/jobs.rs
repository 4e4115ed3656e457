//! Pictures as jobs.

use flota_model::{
    command::{Command, Query, Reply},
    spec::JobSpec,
    state::TaskState,
};
use flota_wire::{
    hpc::job::{ALGORITHMS, JobRequest, call_of},
    quantity::format_duration,
    spec::{parse_json, seal},
};
use serde_json::{Value, json};

use super::{HpcSettings, nodes};
use crate::{
    access::{Caller, Object, Verb},
    edge::{Desk, bug, check_kernels},
    problem::{KERNEL_UNKNOWN, Problem, SPEC_INVALID},
};

/// Longest part of the name of a job that is the name of its algorithm, in bytes.
const ALGORITHM_LENGTH_MAX: usize = 32;

/// Submits a picture: the number of its job.
pub(super) async fn submit(
    (desk, caller): (&Desk, &Caller),
    settings: &HpcSettings,
    request: &JobRequest,
    idempotency_key: Option<String>,
) -> Result<u64, Problem> {
    let permit = caller.may(Verb::JobSubmit, &Object::Fleet)?;
    desk.refuse_when_full()?;
    let cores = nodes::cores(desk, caller).await?;
    let spec = spec(settings, request, cores)?;
    check_kernels(&spec, None, &desk.settings().kernels)?;
    let command = Command::Submit {
        spec: seal(spec),
        rows: None,
        idempotency_key,
    };
    let Reply::Submitted { job, .. } = desk.command(permit, command).await? else {
        return Err(bug("a submission got another answer"));
    };
    Ok(job.0)
}

/// The job that computes a picture; `cores` are those of the largest node, which the variant that
/// uses several takes all.
fn spec(settings: &HpcSettings, request: &JobRequest, cores: u32) -> Result<JobSpec, Problem> {
    let (work, cpus) = work(settings, request, cores)?;
    let mut name: String = request
        .algorithm
        .chars()
        .filter(|character| character.is_ascii_alphanumeric() || "._-".contains(*character))
        .collect();
    name.truncate(ALGORITHM_LENGTH_MAX);
    let mut body = json!({
        "name": format!("hpc-{name}-{}x{}", request.width, request.height),
        "priority": request.priority.0,
        "resources": {"cpus": cpus},
        "retry": {"retries": settings.retries},
        "timeout": format_duration(settings.work_within),
        // A picture can be drawn again at once: a slave that is gone holds nothing up.
        "on_disconnect": {"keep": "0s"},
    });
    for (key, value) in work.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    parse_json(body.to_string().as_bytes()).map_err(|faults| Problem::of_spec(SPEC_INVALID, faults))
}

fn work(settings: &HpcSettings, request: &JobRequest, cores: u32) -> Result<(Value, u32), Problem> {
    if let Some(argv) = settings.algorithms.get(&request.algorithm) {
        let literal = |text: &String| text.replace('{', "{{").replace('}', "}}");
        let mut argv: Vec<String> = argv.iter().map(literal).collect();
        let numbers = [request.width, request.height, request.iterations];
        argv.extend(numbers.map(|number| number.to_string()));
        return Ok((json!({"program": {"argv": argv}}), 1));
    }
    let Some(call) = call_of(request, cores) else {
        let built_in = ALGORITHMS.iter().map(|(name, _)| *name);
        let others = settings.algorithms.keys().map(String::as_str);
        let known: Vec<&str> = built_in.chain(others).collect();
        return Err(Problem::new(
            KERNEL_UNKNOWN,
            format!("`{}`; se conocen {}", request.algorithm, known.join(", ")),
        ));
    };
    let threads = call.parameters.get("threads");
    let cpus = threads
        .and_then(|threads| threads.parse().ok())
        .unwrap_or(1);
    let kernel = json!({"kernel": {"name": call.name, "parameters": call.parameters}});
    Ok((kernel, cpus))
}

/// How many tasks of the adapter wait.
pub(super) async fn pending(desk: &Desk, caller: &Caller) -> Result<u64, Problem> {
    let permit = caller.may(Verb::JobRead, &Object::Fleet)?;
    let query = Query::QueueOf {
        principal: caller.name().to_owned(),
    };
    let Reply::Queue(counts) = desk.query(permit, query).await? else {
        return Err(bug("a query of a queue got another answer"));
    };
    let waiting = [TaskState::Waiting, TaskState::Parked].map(|state| counts.of(state));
    Ok(waiting.into_iter().map(u64::from).sum())
}

/// How many jobs of the adapter have succeeded since the store was made.
pub(super) async fn completed(desk: &Desk, caller: &Caller) -> Result<u64, Problem> {
    let permit = caller.may(Verb::JobRead, &Object::Fleet)?;
    let principal = caller.name().to_owned();
    desk.read(&permit, move |history| history.succeeded_of(&principal))
        .await
}

/// Cancels what waits of the adapter: how many tasks.
pub(super) async fn clear(desk: &Desk, caller: &Caller) -> Result<u64, Problem> {
    let permit = caller.may(Verb::QueueClear, &Object::Fleet)?;
    let Reply::Cleared { tasks } = desk.command(permit, Command::ClearQueue).await? else {
        return Err(bug("a clearing of a queue got another answer"));
    };
    Ok(tasks)
}
