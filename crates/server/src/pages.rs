//! The status pages for people: server-rendered, no script, English and Spanish.

mod api;
mod error;
mod html;
mod job;
mod language;
mod node;
mod overview;
mod process;
mod processes;
mod room;
mod service;
mod texts;
mod time;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::on,
};
pub(crate) use processes::processes;

use crate::{
    edge::{
        login,
        routes::{
            AFTER, Answer, BEFORE, Chapter, Content, Gate, JOB, LANGUAGE, NODE, OF_FLEET, OF_STORE,
            PAGE, PID, Parameter, Route, SERVICE, STATE, Shape,
        },
    },
    pages::{
        html::{Text, document},
        language::Language,
    },
    problem::{
        JOB_NOT_FOUND, LOGIN_EXPIRED, NODE_NOT_FOUND, NODE_UNREACHABLE, PROCESS_NOT_FOUND,
        PROCESS_UNREADABLE, Problem, QUERY_INVALID, QUERY_UNKNOWN, ROUTE_UNKNOWN,
        SERVICE_NOT_FOUND,
    },
    random,
};

pub(crate) const ROUTES: &[Route] = &[
    Route {
        chapter: Chapter::Pages,
        parameters: &[
            LANGUAGE,
            BEFORE,
            Parameter::query(
                "refresh",
                Shape::OneOf(&["on", "off"]),
                "Whether the page loads itself anew; `on` if not given.",
            ),
        ],
        answers: &[Answer::media("The fleet at a glance.", HTML)],
        problems: &[OF_FLEET, OF_STORE],
        ..Route::get("/", "showFleet", "The fleet, for people.", |method| {
            on(method, overview::overview)
        })
    },
    Route {
        chapter: Chapter::Pages,
        parameters: &[JOB, LANGUAGE, AFTER, STATE, PAGE],
        answers: &[Answer::media("The job and its tasks.", HTML)],
        problems: &[OF_FLEET, OF_STORE, &[JOB_NOT_FOUND]],
        ..Route::get("/jobs/{job}", "showJob", "A job, for people.", |method| {
            on(method, job::job)
        })
    },
    Route {
        chapter: Chapter::Pages,
        parameters: &[NODE, LANGUAGE],
        answers: &[Answer::media("The node and what its machine does.", HTML)],
        problems: &[OF_FLEET, &[NODE_NOT_FOUND]],
        ..Route::get(
            "/nodes/{node}",
            "showNode",
            "A node, for people.",
            |method| on(method, node::node),
        )
    },
    Route {
        chapter: Chapter::Pages,
        parameters: &[NODE, PID, LANGUAGE],
        answers: &[Answer::media("The process from all sides.", HTML)],
        problems: &[
            OF_FLEET,
            &[
                NODE_NOT_FOUND,
                NODE_UNREACHABLE,
                PROCESS_NOT_FOUND,
                PROCESS_UNREADABLE,
            ],
        ],
        ..Route::get(
            "/nodes/{node}/processes/{pid}",
            "showProcess",
            "A process, for people.",
            |method| on(method, process::process),
        )
    },
    Route {
        chapter: Chapter::Pages,
        parameters: &[SERVICE, LANGUAGE],
        answers: &[Answer::media("The service and its replicas.", HTML)],
        problems: &[OF_FLEET, &[SERVICE_NOT_FOUND]],
        ..Route::get(
            "/services/{service}",
            "showService",
            "A service, for people.",
            |method| on(method, service::service),
        )
    },
    Route {
        chapter: Chapter::Pages,
        parameters: &[LANGUAGE],
        answers: &[Answer::media("All operations and schemas.", HTML)],
        ..Route::get("/docs/api", "showApi", "This API, for people.", |method| {
            on(method, api::api)
        })
    },
    Route {
        chapter: Chapter::Pages,
        gate: Gate::Open,
        parameters: &[CODE, LANGUAGE],
        answers: &[Answer::media("What it means and what to do.", HTML)],
        problems: &[&[ROUTE_UNKNOWN, QUERY_INVALID, QUERY_UNKNOWN]],
        ..Route::get(
            "/docs/errors/{code}",
            "showError",
            "An error, for people.",
            |method| on(method, error::error),
        )
    },
    Route {
        chapter: Chapter::Pages,
        gate: Gate::Open,
        parameters: &[Parameter::query(
            "token",
            Shape::Text,
            "Of the link that the server printed at its start; works once.",
        )],
        answers: &[Answer {
            status: 303,
            about: "A session is open; goes on to the overview.",
            content: Content::None,
        }],
        problems: &[&[LOGIN_EXPIRED, QUERY_INVALID, QUERY_UNKNOWN]],
        ..Route::get(
            "/login",
            "logIn",
            "From a one-time link to a session of a browser.",
            |method| on(method, login),
        )
    },
];
const HTML: &[&str] = &["text/html"];
/// `{code}`
const CODE: Parameter = Parameter::path("code", "The code of an error.", "E-JOB-NOTFOUND");

/// Whether the one who asks is a person with a browser.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// An error as a page, with the status of the error.
pub(crate) fn problem(problem: &Problem, headers: &HeaderMap, uri: &Uri) -> Response {
    let language = Language::of_request(headers, uri);
    let texts = language.texts();
    let kind = problem.kind();
    let what = match kind.status {
        401 => texts.login_needed,
        404 => texts.not_found,
        _ => texts.failed,
    };
    let body = format!(
        "<main><h1>{}</h1><p>{}</p><p class=\"quiet\">{} \
         <a href=\"/docs/errors/{code}\"><code>{code}</code></a></p></main>",
        Text(what),
        if kind.status == 401 {
            Text(texts.login_how)
        } else {
            Text("")
        },
        Text(problem.detail()),
        code = Text(kind.code),
    );
    let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = page(language, what, Refresh::Never, &body);
    *response.status_mut() = status;
    response
}

/// Whether a page loads itself anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresh {
    Never,
    /// Every few seconds.
    Often,
}

/// A whole page. Its own style is allowed by a number used once, everything else is not.
fn page(language: Language, title: &str, refresh: Refresh, body: &str) -> Response {
    let Ok(nonce) = random::digits::<16>() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no random numbers\n").into_response();
    };
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let text = document(language, title, refresh == Refresh::Often, &nonce, body);
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(language.word()),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
