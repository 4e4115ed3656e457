//! Reading a body within its limits.

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use flota_model::spec::SPEC_LENGTH_MAX;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::{Duration, timeout};

use crate::problem::{BODY_BROKEN, BODY_SLOW, BODY_TOO_LARGE, BODY_TYPE, Problem};

/// Longest body that is read, in bytes; anything longer could not be accepted as a spec.
pub(crate) const BODY_LENGTH_MAX: usize = SPEC_LENGTH_MAX;

/// All bytes of the body.
pub(crate) async fn read(body: Body, within: Duration) -> Result<Bytes, Problem> {
    let read = timeout(within, Limited::new(body, BODY_LENGTH_MAX).collect()).await;
    let read = read.map_err(|_| {
        Problem::new(
            BODY_SLOW,
            format!("the body took more than {} s", within.as_secs_f32()),
        )
    })?;
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(fault) if fault.is::<LengthLimitError>() => Err(Problem::new(
            BODY_TOO_LARGE,
            format!("more than {BODY_LENGTH_MAX} bytes"),
        )),
        Err(fault) => Err(Problem::new(BODY_BROKEN, fault.to_string())),
    }
}

/// Refuses a body that says to be something else than JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let media = given
        .to_str()
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        BODY_TYPE,
        format!("the Content-Type is `{media}`"),
    ))
}
