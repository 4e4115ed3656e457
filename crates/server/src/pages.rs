//! The status pages for people: server-rendered, no script, English and Spanish.

mod html;
mod job;
mod language;
mod overview;
mod texts;
mod time;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

pub(crate) use job::job;
pub(crate) use overview::overview;

use crate::{
    pages::{
        html::{Text, document},
        language::Language,
    },
    problem::Problem,
    random,
};

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
        "<main><h1>{}</h1><p>{}</p><p class=\"quiet\">{} <code>{}</code></p></main>",
        Text(what),
        if kind.status == 401 {
            Text(texts.login_how)
        } else {
            Text("")
        },
        Text(problem.detail()),
        Text(kind.code),
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
