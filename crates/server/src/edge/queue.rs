//! Pause and resume of a job, and of all batch work.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::Uri,
    routing::on,
};
use flota_model::command::{Command, Query, Reply};
use flota_wire::rest::{self, control::Queue};

use super::{
    Desk, Parameters, bug,
    jobs::{REASON, reason},
    routes::{Answer, Chapter, JOB, OF_FLEET, OF_STORE, Route, schema},
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{
        JOB_CANCELLING, JOB_FINISHED, JOB_NOT_FOUND, Kind, Problem, SERVICE_KIND, STORE_BEHIND,
    },
};

const OF_JOB: &[&[Kind]] = &[
    OF_FLEET,
    OF_STORE,
    &[
        JOB_NOT_FOUND,
        JOB_FINISHED,
        JOB_CANCELLING,
        SERVICE_KIND,
        STORE_BEHIND,
    ],
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Jobs,
        parameters: &[JOB, REASON],
        answers: &[Answer::json(
            "The job. What runs goes on; nothing more of it starts.",
            schema::<rest::Job>,
        )],
        problems: OF_JOB,
        ..Route::post(
            "/api/v1/jobs/{job}/pause",
            "pauseJob",
            "Holds a job back.",
            |method| on(method, pause_job),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        parameters: &[JOB],
        answers: &[Answer::json("The job.", schema::<rest::Job>)],
        problems: OF_JOB,
        ..Route::post(
            "/api/v1/jobs/{job}/resume",
            "resumeJob",
            "Goes on with a job.",
            |method| on(method, resume_job),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        answers: &[Answer::json("The queue.", schema::<Queue>)],
        problems: &[OF_FLEET],
        ..Route::get(
            "/api/v1/queue",
            "getQueue",
            "Batch work that waits, as a whole.",
            |method| on(method, queue),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        parameters: &[REASON],
        answers: &[Answer::json(
            "The queue. What runs, and services, go on.",
            schema::<Queue>,
        )],
        problems: &[OF_FLEET],
        ..Route::post(
            "/api/v1/queue/pause",
            "pauseQueue",
            "Holds all batch work back.",
            |method| on(method, pause_queue),
        )
    },
    Route {
        chapter: Chapter::Jobs,
        answers: &[Answer::json("The queue.", schema::<Queue>)],
        problems: &[OF_FLEET],
        ..Route::post(
            "/api/v1/queue/resume",
            "resumeQueue",
            "Goes on with batch work.",
            |method| on(method, resume_queue),
        )
    },
];

/// `POST /api/v1/jobs/{job}/pause`
pub(super) async fn pause_job(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<rest::Job>, Problem> {
    let parameters = Parameters::parse(&uri, &["reason"])?;
    let reason = reason(&parameters)?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobPause, &Object::Job(job))?;
    job_after(&desk, permit, Command::PauseJob { job, reason }).await
}

/// `POST /api/v1/jobs/{job}/resume`
pub(super) async fn resume_job(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<rest::Job>, Problem> {
    Parameters::parse(&uri, &[])?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobResume, &Object::Job(job))?;
    job_after(&desk, permit, Command::ResumeJob { job }).await
}

async fn job_after(
    desk: &Desk,
    permit: Permit,
    command: Command,
) -> Result<Json<rest::Job>, Problem> {
    let Reply::Job(record) = desk.command(permit, command).await? else {
        return Err(bug("a pause got another answer"));
    };
    Ok(Json(rest::Job::from(&*record)))
}

/// `GET /api/v1/queue`
pub(super) async fn queue(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Queue>, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::FleetRead, &Object::Fleet)?;
    shown(&desk.query(permit, Query::Queue).await?)
}

/// `POST /api/v1/queue/pause`
pub(super) async fn pause_queue(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Queue>, Problem> {
    let parameters = Parameters::parse(&uri, &["reason"])?;
    let reason = reason(&parameters)?;
    let permit = caller.may(Verb::QueuePause, &Object::Fleet)?;
    let command = Command::PauseQueue { reason };
    shown(&desk.command(permit, command).await?)
}

/// `POST /api/v1/queue/resume`
pub(super) async fn resume_queue(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<Queue>, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::QueueResume, &Object::Fleet)?;
    shown(&desk.command(permit, Command::ResumeQueue).await?)
}

fn shown(reply: &Reply) -> Result<Json<Queue>, Problem> {
    let Reply::Held(view) = reply else {
        return Err(bug("the queue got another answer"));
    };
    Ok(Json(Queue::from(view)))
}
