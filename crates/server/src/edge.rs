//! What a request passes: guard → decode → authorize → ask fleet or store → encode.

mod body;
mod desk;
mod etag;
mod events;
mod fleet;
mod guard;
mod health;
mod jobs;
mod kernels;
mod local;
mod login;
mod logs;
mod metrics;
pub(crate) mod openapi;
mod output;
mod processes;
mod query;
mod queue;
mod retry;
pub(crate) mod routes;
mod services;
mod tasks;
mod wait;
mod watches;

use axum::{
    Router,
    http::{Method, Uri},
    middleware,
};
pub(crate) use body::read as read_body;
pub(crate) use desk::{Desk, DeskParts};
pub(crate) use fleet::{node_named, node_views};
pub(crate) use jobs::{record, summaries, unkillable};
pub(crate) use kernels::check as check_kernels;
pub(crate) use local::serve_local;
pub(crate) use login::login;
pub(crate) use processes::{details_of_number, processes_of_page};
pub(crate) use query::Parameters;
pub(crate) use retry::failures_of;
pub(crate) use services::{detail as service_detail, views as service_views};
pub(crate) use tasks::{TaskFilter, page as task_page};

use self::routes::Gate;
use crate::problem::{METHOD_WRONG, Problem, ROUTE_UNKNOWN};

/// All routes. `link` are those of the agents.
pub(crate) fn router(desk: Desk, link: Router) -> Router {
    let guarded = routes::router(Gate::Known)
        .method_not_allowed_fallback(method_wrong)
        .fallback(route_unknown)
        .with_state(desk.clone())
        .layer(middleware::from_fn_with_state(
            desk.clone(),
            guard::known_caller,
        ));
    let open = routes::router(Gate::Open)
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
