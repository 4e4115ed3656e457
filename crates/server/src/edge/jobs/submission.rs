//! From the body of a submission to a checked job.

use std::sync::Arc;

use axum::{body::Body, http::HeaderMap};
use bytes::Bytes;
use flota_wire::spec::{Job, Notation, SpecFault, SpecFaults, parse_job, split_rows};
use tokio::sync::Semaphore;

use crate::{
    edge::{
        Desk, body,
        body::{BODY_WITH_ROWS_MAX, ROWS_PATIENCE},
        bug, kernels,
    },
    problem::{Problem, SPEC_INVALID},
};

/// Bodies with rows that are in memory at a time: each may take 65 MiB, twice while it is read.
static LARGE_BODIES: Semaphore = Semaphore::const_new(2);

/// Reads the job of a body, and checks it with its rows and its kernel.
pub(super) async fn read(desk: &Desk, headers: &HeaderMap, body: Body) -> Result<Job, Problem> {
    let within = desk.settings().limits.body_within;
    if !body::is_with_rows(headers) {
        body::require_json(headers)?;
        let text = body::read(body, within).await?;
        return checked(&text, None, &desk.settings().kernels);
    }
    let _place = LARGE_BODIES
        .acquire()
        .await
        .map_err(|fault| bug(&fault.to_string()))?;
    let within = within * ROWS_PATIENCE;
    let whole: Bytes = body::read_at_most(body, BODY_WITH_ROWS_MAX, within).await?;
    let known = desk.settings().kernels.clone();
    // The hash of 64 MiB takes too long for a thread that others wait for.
    let task = tokio::task::spawn_blocking(move || {
        let (text, rows) = split_rows(&whole);
        checked(text, Some(rows.into()), &known)
    });
    task.await.map_err(|fault| bug(&fault.to_string()))?
}

fn checked(text: &[u8], attached: Option<Arc<[u8]>>, known: &[String]) -> Result<Job, Problem> {
    let invalid = |faults| Problem::of_spec(SPEC_INVALID, faults);
    let text = std::str::from_utf8(text).map_err(|fault| {
        invalid(SpecFaults {
            list: vec![SpecFault {
                field: String::new(),
                what: format!("no UTF-8 from byte {} on", fault.valid_up_to()),
                hint: None,
            }],
        })
    })?;
    let job = parse_job(text, Notation::Json, attached).map_err(invalid)?;
    kernels::check(&job.spec, job.rows.as_ref(), known)?;
    Ok(job)
}
