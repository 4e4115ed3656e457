//! What every request passes before a handler sees it.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Desk;
use crate::{
    access::{Caller, Object, Origin, Unproven, Verb, refuse_forgeable},
    clock,
    listener::Arrival,
    pages,
    problem::{
        CREDENTIALS_MISSING, CREDENTIALS_WRONG, CSRF_MISSING, HOST_FOREIGN, ORIGIN_FOREIGN, Problem,
    },
};

/// Headers of every answer.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Refuses requests that a page of another site has sent here: a foreign Host is a name that was
/// made to resolve to this machine (DNS rebinding), a foreign Origin speaks for itself.
pub(crate) async fn own_address(
    State(_): State<Desk>,
    mut request: Request,
    next: Next,
) -> Response {
    let origin = arrival_of(&request)
        .and_then(|arrival| origin_of(arrival, request.uri(), request.headers()));
    let mut response = match origin {
        Ok(origin) => {
            request.extensions_mut().insert(origin);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

fn arrival_of(request: &Request) -> Result<Arrival, Problem> {
    let arrival = request.extensions().get::<Arrival>().copied();
    arrival.ok_or_else(|| super::bug("a request came from nowhere"))
}

fn origin_of(arrival: Arrival, uri: &Uri, headers: &HeaderMap) -> Result<Origin, Problem> {
    // Browsers do not come through the Unix socket, and its clients name any host.
    if matches!(arrival, Arrival::Local { .. }) {
        return Ok(Origin::Absent);
    }
    // HTTP/2 carries the host in the address of the request.
    let host = uri.authority().map(Authority::as_str);
    let host = host
        .or_else(|| headers.get(header::HOST)?.to_str().ok())
        .unwrap_or("");
    if !is_loopback(host) {
        return Err(Problem::new(HOST_FOREIGN, format!("the Host is `{host}`")));
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(Origin::Absent);
    };
    let origin = origin.to_str().unwrap_or("");
    match origin.strip_prefix("http://") {
        Some(same) if same.eq_ignore_ascii_case(host) => Ok(Origin::Own),
        _ => Err(Problem::new(
            ORIGIN_FOREIGN,
            format!("the Origin is `{origin}`"),
        )),
    }
}

/// Whether a name can only mean this machine. Any port: it may be forwarded.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Finds out who asks; handlers get a [`Caller`].
pub(crate) async fn known_caller(
    State(desk): State<Desk>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = match arrival_of(&request) {
        Ok(arrival) => arrival,
        Err(problem) => return problem.into_response(),
    };
    match caller_of(&desk, arrival, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(unproven) => {
            tracing::warn!(path = request.uri().path(), ?unproven, "request refused");
            refused(unproven, request.headers(), request.uri())
        }
    }
}

fn caller_of(desk: &Desk, arrival: Arrival, request: &Request) -> Result<Caller, Unproven> {
    let origin = request
        .extensions()
        .get::<Origin>()
        .copied()
        .unwrap_or(Origin::Absent);
    let now = clock::now().moment;
    let (caller, proof) = desk.credentials().caller(arrival, request.headers(), now)?;
    refuse_forgeable(proof, request.method(), request.headers(), origin)?;
    Ok(caller)
}

fn refused(unproven: Unproven, headers: &HeaderMap, uri: &Uri) -> Response {
    let problem = match unproven {
        Unproven::Missing => {
            Problem::new(CREDENTIALS_MISSING, "the request carries no credentials")
        }
        Unproven::Wrong => Problem::new(
            CREDENTIALS_WRONG,
            "the credentials of the request are not valid",
        ),
        Unproven::Forgeable => Problem::new(
            CSRF_MISSING,
            "the request carries a browser session, but nothing that shows whose page sent it",
        ),
    };
    if pages::wants_page(headers) {
        pages::problem(&problem, headers, uri)
    } else {
        problem.into_response()
    }
}

/// Lets only those through to the link who may be agents.
///
/// An agent carries no token; until it has a certificate, it is known by the user that runs it, as
/// on the Unix socket. No browser gets this far: the link takes only HTTP/2 without TLS.
pub(crate) async fn agents_only(
    State(desk): State<Desk>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let arrival = arrival_of(&request)?;
    let caller = match caller_of(&desk, arrival, &request) {
        Err(Unproven::Missing) => desk.caller_by_user(arrival).await,
        known => known.ok(),
    };
    let caller = caller.ok_or_else(|| {
        tracing::warn!(?arrival, "agent of another user refused");
        Problem::new(
            CREDENTIALS_WRONG,
            "the agent runs as another user than the server",
        )
    })?;
    let _ = caller.may(Verb::NodeConnect, &Object::Fleet)?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LocalHost:7070",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:7070",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:7070",
            "[::2]",
            "::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
