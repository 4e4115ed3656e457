//! From a one-time link to a browser session.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{Desk, Parameters};
use crate::{
    access::{COOKIE, SESSION_AGE_MAX},
    clock, pages,
    problem::{LOGIN_EXPIRED, Problem},
};

/// `GET /login?token=…`: sets the cookie and goes to the overview.
///
/// The cookie has no `Secure`: there is no TLS on loopback yet.
pub(crate) async fn login(State(desk): State<Desk>, headers: HeaderMap, uri: Uri) -> Response {
    match session(&desk, &uri) {
        Ok(secret) => {
            let age = SESSION_AGE_MAX.as_secs();
            let cookie =
                format!("{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age}");
            let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, "/".into())];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(problem) if pages::wants_page(&headers) => pages::problem(&problem, &headers, &uri),
        Err(problem) => problem.into_response(),
    }
}

fn session(desk: &Desk, uri: &Uri) -> Result<String, Problem> {
    let parameters = Parameters::parse(uri, &["token"])?;
    let token = parameters.text("token").unwrap_or("");
    desk.credentials()
        .sessions
        .open(token, clock::now().moment)
        .ok_or_else(|| {
            tracing::warn!("login with a wrong or used link refused");
            Problem::new(
                LOGIN_EXPIRED,
                "the token of the link is wrong or was used before",
            )
        })
}
