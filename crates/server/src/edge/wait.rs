//! Waiting for a job.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Path, State},
    http::Uri,
    response::Response,
    routing::on,
};
use flota_model::{change::JobRecord, ids::JobId, state::JobPhase};
use flota_wire::rest;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    Desk, Parameters,
    desk::{concerns, stopping},
    jobs::{record, shown},
    routes::{Answer, Chapter, JOB, OF_STORE, Parameter, Route, Shape, schema},
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{JOB_NOT_FOUND, Problem, SERVER_STOPPING},
    shell::Published,
};

/// How long a caller waits that does not say, in milliseconds.
const TIMEOUT_DEFAULT: u64 = 30_000;
/// How long a caller may wait at once; proxies give up on a silent answer soon after.
const TIMEOUT_MAX: u64 = 60_000;

pub(super) const ROUTES: &[Route] = &[Route {
    chapter: Chapter::Jobs,
    parameters: &[
        JOB,
        Parameter::query(
            "timeout_ms",
            Shape::Number {
                min: 0,
                max: TIMEOUT_MAX,
            },
            "Milliseconds to wait at most; 30000 if not given.",
        ),
    ],
    answers: &[Answer::json(
        "The job when it is finished, or as it is when the time is over.",
        schema::<rest::Job>,
    )],
    problems: &[OF_STORE, &[JOB_NOT_FOUND, SERVER_STOPPING]],
    ..Route::get(
        "/api/v1/jobs/{job}/wait",
        "waitForJob",
        "Waits until a job is finished.",
        |method| on(method, wait),
    )
}];

/// `GET /api/v1/jobs/{job}/wait`: the job when it is finished, or as it is at the timeout.
pub(super) async fn wait(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::parse(&uri, &["timeout_ms"])?;
    let patience = parameters
        .number("timeout_ms", 0..=TIMEOUT_MAX)?
        .unwrap_or(TIMEOUT_DEFAULT);
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let mut stop = desk.stop();
    tokio::select! {
        waited = timeout(Duration::from_millis(patience), finished(&desk, &permit, job)) => {
            match waited {
                Ok(record) => Ok(shown(&record?)),
                Err(_) => Ok(shown(&record(&desk, &permit, job).await?)),
            }
        }
        // The stop of the server ends all waits; the client asks the next one.
        () = stop.said() => Err(stopping()),
    }
}

/// Waits for the job to finish, woken by the events of the fleet.
async fn finished(desk: &Desk, permit: &Permit, job: JobId) -> Result<JobRecord, Problem> {
    // Watching begins before reading, so that no change falls between the two.
    let mut watch = desk.watch(permit);
    loop {
        let record = record(desk, permit, job).await?;
        if record.phase == JobPhase::Finished {
            return Ok(record);
        }
        changed(&mut watch, job).await?;
    }
}

/// Waits until the job may have changed.
async fn changed(watch: &mut Receiver<Published>, job: JobId) -> Result<(), Problem> {
    loop {
        match watch.recv().await {
            Ok(published) if concerns(&published, job) => return Ok(()),
            Ok(_) => {}
            // Some events were missed, perhaps the one that matters.
            Err(RecvError::Lagged(_)) => return Ok(()),
            Err(RecvError::Closed) => return Err(stopping()),
        }
    }
}
