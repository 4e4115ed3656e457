//! Whether the server lives, whether it serves, and what it measures.

use axum::{Extension, extract::State, http::Uri, routing::on};
use flota_model::command::Query;

use super::{
    Desk, Parameters, metrics,
    routes::{Answer, Chapter, Gate, OF_FLEET, Route},
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{Problem, STORE_FULL},
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Health,
        gate: Gate::Open,
        answers: &[Answer::media("The process answers.", &["text/plain"])],
        ..Route::get(
            "/healthz",
            "getHealth",
            "Whether the process answers.",
            |method| on(method, || async { "ok\n" }),
        )
    },
    Route {
        chapter: Chapter::Health,
        answers: &[Answer::media("Requests are served.", &["text/plain"])],
        problems: &[OF_FLEET, &[STORE_FULL]],
        ..Route::get(
            "/readyz",
            "getReadiness",
            "Whether the fleet answers and submissions are accepted.",
            |method| on(method, readyz),
        )
    },
    Route {
        chapter: Chapter::Health,
        answers: &[Answer::media(
            "Prometheus text format 0.0.4.",
            &["text/plain"],
        )],
        problems: &[OF_FLEET],
        ..Route::get(
            "/metrics",
            "getMetrics",
            "Numbers for Prometheus.",
            |method| on(method, metrics::metrics),
        )
    },
];

/// `GET /readyz`
async fn readyz(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<&'static str, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::FleetRead, &Object::Fleet)?;
    desk.query(permit, Query::Fleet).await?;
    desk.refuse_when_full()?;
    Ok("ready\n")
}
