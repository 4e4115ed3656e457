//! Answers that need not be sent again (RFC 9110, sections 8.8.3 and 13.1.2).

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use sha2::{Digest as _, Sha256};

use super::bug;
use crate::problem::Problem;

/// Above every page of a thousand tasks; the bodies are whole in memory before they come here.
const BODY_LENGTH_MAX: usize = 64 << 20;
/// Bytes of the hash that are shown: two bodies of one address never share 128 bits by chance.
const TAG_LENGTH: usize = 16;

/// Gives answers to GET a tag of their bytes, and spares the body to one who has it already.
pub(super) async fn tag(request: Request, next: Next) -> Result<Response, Problem> {
    let asked = request.method() == Method::GET;
    let held = request.headers().clone();
    let response = next.run(request).await;
    if !asked || response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_LENGTH_MAX).await;
    let body = body.map_err(|_| bug("an answer is longer than any can be"))?;
    let tag = tag_of(&body, parts.headers.get(header::ETAG));
    let unchanged = holds(&held, &tag);
    let tag = HeaderValue::from_str(&tag).expect("digits and quotes are visible");
    parts.headers.insert(header::ETAG, tag);
    // May be kept by the one who asked, and is asked for again each time.
    let control = HeaderValue::from_static("private, no-cache");
    parts.headers.insert(header::CACHE_CONTROL, control);
    if !unchanged {
        return Ok(Response::from_parts(parts, Body::from(body)));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::empty()))
}

/// Where the handler names the state of what it shows, that comes first: one who changes it says which
/// state they have seen, whatever else has changed in the bytes.
fn tag_of(body: &Bytes, state: Option<&HeaderValue>) -> String {
    let mut short = [0; TAG_LENGTH];
    short.copy_from_slice(&Sha256::digest(body)[..TAG_LENGTH]);
    let hash = u128::from_be_bytes(short);
    match state.and_then(|state| state.to_str().ok()) {
        Some(state) => format!("\"{}.{hash:032x}\"", state.trim_matches('"')),
        None => format!("\"{hash:032x}\""),
    }
}

/// Tags of `If-Match`, each up to the dot; `None` where the header is not there. Weak ones never match
/// (RFC 9110, section 13.1.1).
pub(super) fn states(headers: &HeaderMap) -> Option<Vec<String>> {
    if !headers.contains_key(header::IF_MATCH) {
        return None;
    }
    let lists = headers.get_all(header::IF_MATCH).iter();
    let tags = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|tag| !tag.starts_with("W/"));
    let states = tags.map(|tag| {
        let tag = tag.trim_matches('"');
        let (state, _) = tag.split_once('.').unwrap_or((tag, ""));
        state.to_owned()
    });
    Some(states.collect())
}

/// Whether `If-None-Match` lists the tag; the comparison is the weak one. Our tags have no commas.
fn holds(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}
