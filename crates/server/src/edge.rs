//! What a request passes: guard → decode → authorize → ask fleet or store → encode.

mod body;
mod desk;
mod etag;
mod events;
mod fleet;
mod guard;
mod jobs;
mod login;
mod metrics;
mod output;
mod query;
mod tasks;
mod wait;

use axum::{
    Extension, Router,
    extract::State,
    http::{Method, Uri},
    middleware,
    routing::{get, post},
};

pub(crate) use desk::{Desk, DeskParts};
pub(crate) use fleet::node_views;
pub(crate) use jobs::{record, summaries};
pub(crate) use query::Parameters;
pub(crate) use tasks::{TaskFilter, page as task_page};

use flota_model::command::Query;

use crate::{
    access::{Caller, Object, Verb},
    pages,
    problem::{METHOD_WRONG, Problem, ROUTE_UNKNOWN},
};

/// All routes. `link` are those of the agents.
pub(crate) fn router(desk: Desk, link: Router) -> Router {
    let tagged = Router::new()
        .route("/api/v1/nodes", get(fleet::nodes))
        .route("/api/v1/nodes/{node}", get(fleet::node))
        .route("/api/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/api/v1/jobs/{job}", get(jobs::job))
        .route("/api/v1/jobs/{job}/tasks", get(tasks::list))
        .route("/api/v1/jobs/{job}/tasks/{task}", get(tasks::task))
        .layer(middleware::from_fn(etag::tag));
    let guarded = tagged
        .route("/api/v1/fleet", get(fleet::fleet))
        .route("/api/v1/fleet/recover", post(fleet::recover))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/kernels", get(fleet::kernels))
        .route("/api/v1/jobs/{job}/cancel", post(jobs::cancel))
        .route("/api/v1/jobs/{job}/wait", get(wait::wait))
        .route(
            "/api/v1/jobs/{job}/tasks/{task}/output/{stream}",
            get(output::output),
        )
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/", get(pages::overview))
        .route("/jobs/{job}", get(pages::job))
        .method_not_allowed_fallback(method_wrong)
        .fallback(route_unknown)
        .with_state(desk.clone())
        .layer(middleware::from_fn_with_state(
            desk.clone(),
            guard::known_caller,
        ));
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/login", get(login::login))
        .method_not_allowed_fallback(method_wrong)
        .with_state(desk.clone());
    let link = link.layer(middleware::from_fn_with_state(
        desk.clone(),
        guard::agents_only,
    ));
    open.merge(guarded)
        .merge(link)
        .layer(middleware::from_fn_with_state(
            desk.clone(),
            guard::own_address,
        ))
        .layer(middleware::from_fn_with_state(desk, metrics::count))
}

/// Whether requests would be served: the fleet answers and submissions are accepted.
async fn readyz(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
) -> Result<&'static str, Problem> {
    let permit = caller.may(Verb::FleetRead, &Object::Fleet)?;
    desk.query(permit, Query::Fleet).await?;
    desk.refuse_when_full()?;
    Ok("ready\n")
}

async fn route_unknown(uri: Uri) -> Problem {
    Problem::new(
        ROUTE_UNKNOWN,
        format!("there is nothing at `{}`", uri.path()),
    )
}

async fn method_wrong(method: Method, uri: Uri) -> Problem {
    Problem::new(
        METHOD_WRONG,
        format!("`{}` has no method {method}", uri.path()),
    )
}

/// For handlers that cannot fail in another way than by contradicting themselves.
pub(crate) fn bug(what: &str) -> Problem {
    tracing::error!(what, "the server contradicts itself");
    Problem::new(crate::problem::SERVER_BUG, what)
}
