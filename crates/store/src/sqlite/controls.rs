//! What was done with jobs, as rows. Few jobs have one.

use flota_model::{
    control::{EndCause, Ending, JobControl, Pause},
    ids::JobId,
};
use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::{apply::micros, columns::Columns};

/// Joins the row of a job, if it has one, to `jobs`.
pub(super) const JOIN: &str = "LEFT JOIN job_controls AS control ON control.job = jobs.job ";
/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str =
    "paused_by, paused_at, paused_reason, cause, ended_by, ended_at, ended_reason, again_at ";

pub(super) fn write(connection: &Connection, job: JobId, control: &JobControl) -> Result<()> {
    const WRITE: &str =
        "INSERT OR REPLACE INTO job_controls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    const REMOVE: &str = "DELETE FROM job_controls WHERE job = ?1";
    let job = job.0.cast_signed();
    if *control == JobControl::default() {
        connection.prepare_cached(REMOVE)?.execute([job])?;
        return Ok(());
    }
    let (paused, ending) = (control.paused.as_deref(), control.ending.as_deref());
    connection.prepare_cached(WRITE)?.execute(params![
        job,
        paused.map(|pause| &pause.by),
        paused.map(|pause| micros(pause.at)),
        paused.and_then(|pause| pause.reason.as_ref()),
        ending.map(|ending| ending.cause as u8),
        ending.map(|ending| &ending.by),
        ending.map(|ending| micros(ending.at)),
        ending.and_then(|ending| ending.reason.as_ref()),
        control.again_at.map(micros),
    ])?;
    Ok(())
}

pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<JobControl> {
    let (by, at) = (columns.take::<Option<String>>()?, columns.time_or_none()?);
    let reason = columns.take()?;
    let paused = by
        .zip(at)
        .map(|(by, at)| Box::new(Pause { by, at, reason }));
    let cause = columns.take::<Option<i64>>()?;
    let cause = cause.map(|number| cause_of(columns, number)).transpose()?;
    let (by, at) = (columns.take::<Option<String>>()?, columns.time_or_none()?);
    let reason = columns.take()?;
    let ending = cause.zip(by).zip(at).map(|((cause, by), at)| {
        Box::new(Ending {
            cause,
            by,
            at,
            reason,
        })
    });
    let again_at = columns.time_or_none()?;
    Ok(JobControl {
        paused,
        ending,
        again_at,
    })
}

/// Who holds back all batch work, if somebody does.
pub(super) fn write_queue(connection: &Connection, pause: Option<&Pause>) -> Result<()> {
    const WRITE: &str = "INSERT OR REPLACE INTO queue_pause VALUES (1, ?1, ?2, ?3)";
    let Some(pause) = pause else {
        connection
            .prepare_cached("DELETE FROM queue_pause")?
            .execute([])?;
        return Ok(());
    };
    let values = params![pause.by, micros(pause.at), pause.reason];
    connection.prepare_cached(WRITE)?.execute(values)?;
    Ok(())
}

pub(super) fn queue(connection: &Connection) -> Result<Option<Pause>> {
    const SQL: &str = "SELECT paused_by, paused_at, reason FROM queue_pause";
    let found = connection.prepare_cached(SQL)?.query_row([], |row| {
        let mut columns = Columns::of(row);
        Ok(Pause {
            by: columns.take()?,
            at: columns.time()?,
            reason: columns.take()?,
        })
    });
    found.optional()
}

fn cause_of(columns: &Columns<'_, '_>, number: i64) -> Result<EndCause> {
    let place = usize::try_from(number).ok();
    let cause = place.and_then(|place| EndCause::ALL.get(place));
    cause.copied().ok_or_else(|| columns.strange(number))
}
