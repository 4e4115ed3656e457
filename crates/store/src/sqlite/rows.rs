//! Rows of parameters: blocks of bytes beside the jobs.

use flota_model::{change::JobRecord, ids::JobId, parameters::Rows};
use rusqlite::{Connection, params};

use super::{columns::Columns, load::LIVE};
use crate::journal::{ApplyFault, LoadFault};

/// Writes the rows of the tasks of a job from `first` on, counted from its first task.
pub(super) fn add(
    connection: &Connection,
    job: JobId,
    first: u32,
    rows: &Rows,
) -> Result<(), ApplyFault> {
    const SQL: &str = "INSERT INTO job_rows (job, first, columns, bytes) VALUES (?1, ?2, ?3, ?4)";
    let columns = u32::try_from(rows.columns()).unwrap_or(u32::MAX);
    let values = params![job.0.cast_signed(), first, columns, rows.bytes()];
    connection.prepare_cached(SQL)?.execute(values)?;
    Ok(())
}

/// Gives `jobs`, all that are live in ascending order, their rows.
pub(super) fn load(connection: &Connection, jobs: &mut [JobRecord]) -> Result<(), LoadFault> {
    let sql = format!(
        "{LIVE} SELECT job_rows.job, columns, bytes \
         FROM live CROSS JOIN job_rows ON job_rows.job = live.job ORDER BY live.job, first"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let job = JobId(columns.bits()?);
        let (width, bytes): (u32, Vec<u8>) = (columns.take()?, columns.take()?);
        let damaged = || LoadFault::Damaged {
            what: format!("the rows of job {job} cannot be read"),
            source: None,
        };
        let block = Rows::parse(bytes.into(), width as usize).map_err(|_| damaged())?;
        let place = jobs.binary_search_by_key(&job, |record| record.job);
        jobs[place.map_err(|_| damaged())?].rows = Some(block);
    }
    Ok(())
}
