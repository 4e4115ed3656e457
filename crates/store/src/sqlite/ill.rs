//! What did not succeed: groups of failures of a job, and jobs that have some.

use flota_model::ids::{JobId, NodeId, TaskIndex};
use rusqlite::{Connection, Result, params};

use super::{
    columns::Columns,
    controls,
    load::all,
    read::{SUMMARY, summary},
};
use crate::history::{FailureGroup, IllPage, IllState, JobSummary, page_rows};

/// Groups of failures of a job, the largest first.
pub(super) fn failures(
    connection: &Connection,
    job: JobId,
    limit: u32,
) -> Result<Vec<FailureGroup>> {
    // Beside the one MIN the bare columns are those of the row with the lowest task. Neither a
    // success (0, or 1 with 0) nor a cancel (5) is a failure.
    const SQL: &str = "SELECT outcome, detail, errno, message, node, COUNT(*) AS tasks, \
        MIN(task) AS example, epoch, salt, sequence FROM attempts \
        WHERE job = ?1 AND counted = 1 AND outcome NOT IN (0, 5) \
        AND NOT (outcome = 1 AND detail = 0) \
        GROUP BY outcome, detail, errno, message, node ORDER BY tasks DESC, example LIMIT ?2";
    all(
        connection,
        SQL,
        params![job.0.cast_signed(), limit],
        |row| {
            let mut columns = Columns::of(row);
            Ok(FailureGroup {
                outcome: columns.outcome()?,
                node: NodeId(columns.take()?),
                tasks: columns.bits()?,
                example: TaskIndex(columns.take()?),
                attempt: columns.attempt()?,
            })
        },
    )
}

/// Jobs with tasks in that state, newest first.
pub(super) fn jobs(connection: &Connection, page: &IllPage) -> Result<Vec<JobSummary>> {
    let column = match page.state {
        IllState::Failed => "failed",
        IllState::Dead => "dead",
        IllState::Unknown => "unknown",
    };
    // The condition of the index must stand here word for word.
    let sql = format!(
        "SELECT {SUMMARY} {} FROM jobs INDEXED BY jobs_ill {} \
         WHERE failed + dead + unknown > 0 AND {column} > 0 AND is_service = 0 AND jobs.job <= ?1 \
         ORDER BY jobs.job DESC LIMIT ?2",
        controls::COLUMNS,
        controls::JOIN,
    );
    let up_to = page.up_to.map_or(i64::MAX, |job| job.0.cast_signed());
    let values = params![up_to, page_rows(page.limit)];
    all(connection, &sql, values, summary)
}
