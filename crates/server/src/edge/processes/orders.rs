//! Signals and stops.
//!
//! A handle names a process; a number names whoever has it when the node is asked, which may be
//! another one than a person saw. So a number is taken only with `force=true`.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::Uri,
};
use flota_model::{
    command::Command,
    process::{Answer, GRACE_MAX, ProcessTarget},
};
use flota_wire::{
    quantity::parse_duration,
    rest::process::{Signalled, Stopped},
    signal as signals,
};

use super::{
    super::{Desk, Parameters, bug},
    asking, handle_of, no_process, node_of,
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{PROCESS_NUMBER, Problem, QUERY_INVALID},
};

/// From SIGTERM to SIGKILL where the caller does not say.
const GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// A node answers to a signal at once.
const SIGNAL_WITHIN: Duration = Duration::from_secs(2);
/// What a stop may take beyond its grace: killing, looking, telling.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// `POST /api/v1/processes/{handle}/signal?signal=TERM`
pub(super) async fn signal(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    uri: Uri,
) -> Result<Json<Signalled>, Problem> {
    let parameters = Parameters::parse(&uri, &["signal"])?;
    let target = by_handle(&desk, &caller, &text).await?;
    send(&desk, &caller, target, &parameters).await
}

/// `POST /api/v1/nodes/{node}/processes/{pid}/signal?signal=TERM&force=true`
pub(super) async fn signal_number(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((node, pid)): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<Signalled>, Problem> {
    let parameters = Parameters::parse(&uri, &["signal", "force"])?;
    let target = by_number(&desk, &caller, (&node, &pid), &parameters).await?;
    send(&desk, &caller, target, &parameters).await
}

/// `POST /api/v1/processes/{handle}/stop?grace=10s`: answers when the process and its descendants are
/// gone.
pub(super) async fn stop(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    uri: Uri,
) -> Result<Json<Stopped>, Problem> {
    let parameters = Parameters::parse(&uri, &["grace"])?;
    let target = by_handle(&desk, &caller, &text).await?;
    end(&desk, &caller, target, &parameters).await
}

/// `POST /api/v1/nodes/{node}/processes/{pid}/stop?grace=10s&force=true`
pub(super) async fn stop_number(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((node, pid)): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<Stopped>, Problem> {
    let parameters = Parameters::parse(&uri, &["grace", "force"])?;
    let target = by_number(&desk, &caller, (&node, &pid), &parameters).await?;
    end(&desk, &caller, target, &parameters).await
}

async fn by_handle(desk: &Desk, caller: &Caller, text: &str) -> Result<ProcessTarget, Problem> {
    let handle = handle_of(text)?;
    node_of(desk, caller, &handle.node.to_string()).await?;
    Ok(ProcessTarget::Handle(handle))
}

async fn by_number(
    desk: &Desk,
    caller: &Caller,
    (node, pid): (&str, &str),
    parameters: &Parameters,
) -> Result<ProcessTarget, Problem> {
    let pid = pid.parse().map_err(|_| no_process(pid))?;
    let force = parameters.parsed("force", "true or false", |text| text.parse().ok())?;
    if force != Some(true) {
        let detail = format!("`{node}/{pid}` may be another process than the one you saw");
        return Err(Problem::new(PROCESS_NUMBER, detail));
    }
    let node = node_of(desk, caller, node).await?.node;
    Ok(ProcessTarget::Pid { node, pid })
}

async fn send(
    desk: &Desk,
    caller: &Caller,
    target: ProcessTarget,
    parameters: &Parameters,
) -> Result<Json<Signalled>, Problem> {
    let wanted = "the name or number of a signal, such as TERM or 15";
    let signal = parameters.parsed("signal", wanted, signals::parse)?;
    let signal = signal
        .ok_or_else(|| Problem::new(QUERY_INVALID, format!("`signal` is missing: {wanted}")))?;
    let permit = caller.may(Verb::ProcessSignal, &Object::Process(target))?;
    let command = Command::SignalProcess { target, signal };
    match asking::order(desk, permit, command, SIGNAL_WITHIN).await? {
        Answer::Signalled => Ok(Json(Signalled {
            process: target.to_string(),
            signal,
        })),
        Answer::Processes(_) | Answer::Inspected(_) | Answer::Stopped { .. } | Answer::Log(_) => {
            Err(bug("a signal got another answer"))
        }
    }
}

async fn end(
    desk: &Desk,
    caller: &Caller,
    target: ProcessTarget,
    parameters: &Parameters,
) -> Result<Json<Stopped>, Problem> {
    let grace = parameters.parsed("grace", "a duration of at most 5m", |text| {
        parse_duration(text)
            .ok()
            .filter(|grace| *grace <= GRACE_MAX)
    })?;
    let grace = grace.unwrap_or(GRACE_DEFAULT);
    let permit = caller.may(Verb::ProcessStop, &Object::Process(target))?;
    end_now(desk, permit, target, grace).await.map(Json)
}

/// Ends a process with its descendants.
pub(in crate::edge) async fn end_now(
    desk: &Desk,
    permit: Permit,
    target: ProcessTarget,
    grace: Duration,
) -> Result<Stopped, Problem> {
    let command = Command::StopProcess { target, grace };
    match asking::order(desk, permit, command, grace + STOP_WITHIN).await? {
        Answer::Stopped { processes, killed } => Ok(Stopped {
            process: target.to_string(),
            processes,
            killed,
        }),
        Answer::Processes(_) | Answer::Inspected(_) | Answer::Signalled | Answer::Log(_) => {
            Err(bug("a stop got another answer"))
        }
    }
}
