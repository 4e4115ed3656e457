//! Reading a body within its limits.

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use flota_model::{parameters::ROWS_LENGTH_MAX, spec::SPEC_LENGTH_MAX};
use flota_wire::spec::JOB_WITH_ROWS;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::{Duration, timeout};

use crate::problem::{BODY_BROKEN, BODY_SLOW, BODY_TOO_LARGE, BODY_TYPE, Problem};

/// Longest body that is read, in bytes; anything longer could not be accepted as a spec.
pub(crate) const BODY_LENGTH_MAX: usize = SPEC_LENGTH_MAX;

/// Longest body of a job with its rows.
pub(crate) const BODY_WITH_ROWS_MAX: usize = BODY_LENGTH_MAX + ROWS_LENGTH_MAX;
/// How much longer than another a body with rows may take to arrive.
pub(crate) const ROWS_PATIENCE: u32 = 10;

/// All bytes of the body.
pub(crate) async fn read(body: Body, within: Duration) -> Result<Bytes, Problem> {
    read_at_most(body, BODY_LENGTH_MAX, within).await
}

/// All bytes of a body of at most so many.
pub(crate) async fn read_at_most(
    body: Body,
    most: usize,
    within: Duration,
) -> Result<Bytes, Problem> {
    let read = timeout(within, Limited::new(body, most).collect()).await;
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
            format!("more than {most} bytes"),
        )),
        Err(fault) => Err(Problem::new(BODY_BROKEN, fault.to_string())),
    }
}

/// What the body says to be, without what follows a semicolon.
fn media(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::CONTENT_TYPE)?;
    let media = given.to_str().unwrap_or("").split(';').next();
    Some(media.unwrap_or("").trim())
}

/// Whether the body says to be a job with its rows.
pub(crate) fn is_with_rows(headers: &HeaderMap) -> bool {
    media(headers).is_some_and(|media| media.eq_ignore_ascii_case(JOB_WITH_ROWS))
}

/// Refuses a body that says to be something else than JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(media) = media(headers) else {
        return Ok(());
    };
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        BODY_TYPE,
        format!("the Content-Type is `{media}`"),
    ))
}
