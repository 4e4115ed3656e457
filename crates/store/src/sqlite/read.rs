//! What readers ask.

use flota_model::{
    change::{AttemptRecord, GrantRecord, JobRecord, NodeRecord},
    ids::{AttemptId, Epoch, JobId, NodeId, SpecHash, TaskIndex},
    outcome::{Output, Stream, StreamName, Usage},
    spec::{Priority, TaskRange},
    state::{JobKind, JobPhase},
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{
    SqliteHistory,
    columns::{Columns, phase_number, stream_number},
    controls, ill,
    load::{self, all},
};
use crate::{
    history::{
        AttemptPage, AttemptPosition, AttemptSummary, AuditEntry, AuditNumber, AuditPage,
        FailureGroup, History, IllPage, JobPage, JobSummary, OutputFound, OutputSizes,
        OutputWanted, Page, StreamSize, TASK_ATTEMPTS_MAX, TaskRows, chunk_numbers, page_rows,
    },
    journal::LoadFault,
};

impl History for SqliteHistory {
    fn jobs(&self, page: &JobPage) -> Result<Page<JobSummary, JobId>, LoadFault> {
        let limit = page_rows(page.limit);
        let rows = self
            .pool
            .read(|connection| Ok(jobs(connection, page, limit + 1)?))?;
        Ok(Page::cut(rows, limit, |summary| summary.job))
    }

    fn succeeded_of(&self, principal: &str) -> Result<u64, LoadFault> {
        // The words of the index `jobs_of_others`, so that it is used.
        let sql = "SELECT count(*) FROM jobs WHERE principal <> 'local' AND phase = 2 \
            AND succeeded > 0 AND principal = ?1";
        self.pool.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let count: i64 = statement.query_row([principal], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
    }

    fn job(&self, job: JobId) -> Result<Option<JobRecord>, LoadFault> {
        self.pool.read(|connection| {
            let sql = format!(
                "SELECT {} {} FROM jobs CROSS JOIN specs ON specs.job = jobs.job {} \
                 WHERE jobs.job = ?1",
                load::JOB,
                controls::COLUMNS,
                controls::JOIN,
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([job.0.cast_signed()])?;
            rows.next()?
                .map(|row| load::job(row, self.decode))
                .transpose()
        })
    }

    fn chunks(&self, job: JobId, tasks: TaskRange) -> Result<Vec<(u32, Vec<u8>)>, LoadFault> {
        self.pool
            .read(|connection| Ok(chunks(connection, job, &[tasks])?))
    }

    fn attempts(
        &self,
        page: &AttemptPage,
    ) -> Result<Page<AttemptSummary, AttemptPosition>, LoadFault> {
        self.pool.read(|connection| Ok(attempts(connection, page)?))
    }

    fn tasks(&self, page: &AttemptPage) -> Result<TaskRows, LoadFault> {
        self.pool.read(|connection| {
            Ok(TaskRows {
                chunks: chunks(connection, page.job, &page.tasks)?,
                attempts: attempts(connection, page)?,
            })
        })
    }

    fn task(&self, job: JobId, task: TaskIndex) -> Result<Vec<AttemptRecord>, LoadFault> {
        self.pool
            .read(|connection| Ok(task_attempts(connection, job, task)?))
    }

    fn output(&self, wanted: &OutputWanted) -> Result<Option<OutputFound>, LoadFault> {
        self.pool.read(|connection| Ok(output(connection, wanted)?))
    }

    fn grants(&self, job: JobId) -> Result<Vec<GrantRecord>, LoadFault> {
        // Without an index: there are only as many grants as nodes are busy with.
        let sql = format!("{} WHERE job = ?1 ORDER BY grant", load::GRANT);
        self.pool
            .read(|connection| Ok(all(connection, &sql, [job.0.cast_signed()], load::grant)?))
    }

    fn failures(&self, job: JobId, limit: u32) -> Result<Vec<FailureGroup>, LoadFault> {
        self.pool
            .read(|connection| Ok(ill::failures(connection, job, page_rows(limit))?))
    }

    fn ill_jobs(&self, page: &IllPage) -> Result<Vec<JobSummary>, LoadFault> {
        self.pool
            .read(|connection| Ok(ill::jobs(connection, page)?))
    }

    fn nodes(&self) -> Result<Vec<NodeRecord>, LoadFault> {
        self.pool.read(|connection| Ok(load::nodes(connection)?))
    }

    fn audit(&self, page: &AuditPage) -> Result<Page<AuditEntry, AuditNumber>, LoadFault> {
        let limit = page_rows(page.limit);
        let rows = self
            .pool
            .read(|connection| Ok(audit(connection, page, limit + 1)?))?;
        Ok(Page::cut(rows, limit, |entry| entry.number))
    }
}

fn jobs(connection: &Connection, page: &JobPage, rows_max: u32) -> Result<Vec<JobSummary>> {
    let (index, filter) = match page.phase {
        None => ("", ""),
        Some(JobPhase::Finished) => ("", "AND phase = 2"),
        // Both conditions, because SQLite uses a partial index only where its condition stands.
        Some(JobPhase::Active | JobPhase::Cancelling) => (
            "INDEXED BY jobs_unfinished",
            "AND phase <> 2 AND phase = ?3",
        ),
    };
    let kind = match page.kind {
        None => "",
        Some(JobKind::Batch) => "AND is_service = 0",
        Some(JobKind::Service) => "AND is_service = 1",
    };
    let sql = format!(
        "SELECT {SUMMARY} {} FROM jobs {index} {} WHERE jobs.job < ?1 {filter} {kind} ORDER BY jobs.job DESC LIMIT ?2",
        controls::COLUMNS,
        controls::JOIN,
    );
    let before = page.before.map_or(i64::MAX, |job| job.0.cast_signed());
    match page.phase {
        Some(phase @ (JobPhase::Active | JobPhase::Cancelling)) => all(
            connection,
            &sql,
            params![before, rows_max, phase_number(phase)],
            summary,
        ),
        Some(JobPhase::Finished) | None => {
            all(connection, &sql, params![before, rows_max], summary)
        }
    }
}

/// The columns that [`summary`] reads before those of its control.
pub(super) const SUMMARY: &str = "jobs.job, name, priority, first, last, spec_hash, principal, \
    submitted_at, is_service, phase, finished_at, waiting, parked, granted, succeeded, failed, \
    cancelled, dead, unknown, blocked, skipped, ";

pub(super) fn summary(row: &Row<'_>) -> Result<JobSummary> {
    let mut columns = Columns::of(row);
    Ok(JobSummary {
        job: JobId(columns.bits()?),
        name: columns.take()?,
        priority: Priority(columns.take()?),
        tasks: TaskRange {
            first: TaskIndex(columns.take()?),
            last: TaskIndex(columns.take()?),
        },
        spec_hash: SpecHash(columns.bits()?),
        principal: columns.take()?,
        submitted_at: columns.time()?,
        kind: if columns.take()? {
            JobKind::Service
        } else {
            JobKind::Batch
        },
        phase: columns.phase()?,
        finished_at: columns.time_or_none()?,
        counts: load::counts(&mut columns)?,
        control: controls::read(&mut columns)?,
    })
}

fn chunks(connection: &Connection, job: JobId, tasks: &[TaskRange]) -> Result<Vec<(u32, Vec<u8>)>> {
    const RANGE: &str = "SELECT first, last FROM jobs WHERE job = ?1";
    const CHUNKS: &str = "SELECT number, bytes FROM chunks \
                          WHERE job = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number";
    let job = job.0.cast_signed();
    let range = connection.prepare_cached(RANGE)?.query_row([job], |row| {
        Ok(TaskRange {
            first: TaskIndex(row.get(0)?),
            last: TaskIndex(row.get(1)?),
        })
    });
    let Some(range) = range.optional()? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for numbers in chunk_numbers(range, tasks) {
        let values = params![job, numbers.start(), numbers.end()];
        found.extend(all(connection, CHUNKS, values, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?);
    }
    Ok(found)
}

/// The columns that [`attempt_summary`] reads.
const ATTEMPT: &str = "SELECT epoch, salt, sequence, task, node, outcome, detail, errno, message, \
    counted, granted_at, started_at, ended_at, user_micros, system_micros, memory_bytes_max, \
    stdout_length, stderr_length, result_length, on_node, truncated FROM attempts ";

fn attempts(
    connection: &Connection,
    page: &AttemptPage,
) -> Result<Page<AttemptSummary, AttemptPosition>> {
    let sql = format!(
        "{ATTEMPT} WHERE job = ?1 AND task <= ?2 \
         AND (task, epoch, salt, sequence) > (?3, ?4, ?5, ?6) \
         ORDER BY task, epoch, salt, sequence LIMIT ?7"
    );
    let limit = page_rows(page.limit);
    let mut rows = Vec::new();
    for range in &page.tasks {
        if rows.len() > limit as usize {
            break;
        }
        let (task, epoch, salt, sequence) = lower_bound(page.after, *range);
        let job = page.job.0.cast_signed();
        let values = params![job, range.last.0, task, epoch, salt, sequence, limit + 1];
        rows.extend(all(connection, &sql, values, attempt_summary)?);
    }
    Ok(Page::cut(rows, limit, |summary| {
        (summary.task, summary.attempt)
    }))
}

/// The key after which the attempts of `range` begin: that of the cursor where it is inside or
/// beyond, else one below every attempt of the first task.
fn lower_bound(after: Option<AttemptPosition>, range: TaskRange) -> (u32, i64, i64, i64) {
    match after {
        Some((
            task,
            AttemptId {
                epoch: Epoch(epoch),
                salt,
                sequence,
            },
        )) if task >= range.first => (
            task.0,
            i64::from(epoch),
            salt.cast_signed(),
            sequence.cast_signed(),
        ),
        _ => (range.first.0, -1, 0, 0),
    }
}

fn attempt_summary(row: &Row<'_>) -> Result<AttemptSummary> {
    let mut columns = Columns::of(row);
    Ok(AttemptSummary {
        attempt: columns.attempt()?,
        task: TaskIndex(columns.take()?),
        node: NodeId(columns.take()?),
        outcome: columns.outcome()?,
        counted: columns.take()?,
        granted_at: columns.time()?,
        started_at: columns.time_or_none()?,
        ended_at: columns.time()?,
        usage: Usage {
            user_micros: columns.bits()?,
            system_micros: columns.bits()?,
            memory_bytes_max: columns.bits_or_none()?,
        },
        outputs: output_sizes(&mut columns)?,
    })
}

fn output_sizes(columns: &mut Columns<'_, '_>) -> Result<OutputSizes> {
    let lengths = [
        columns.bits_or_none()?,
        columns.bits_or_none()?,
        columns.bits_or_none()?,
    ];
    let on_node: u8 = columns.take()?;
    let truncated: u8 = columns.take()?;
    let size = |name| {
        let bit = 1 << stream_number(name);
        match lengths[usize::from(stream_number(name))] {
            None => StreamSize::Empty,
            Some(length) if on_node & bit == 0 => StreamSize::Inline { length },
            Some(length) => StreamSize::OnNode {
                length,
                truncated: truncated & bit != 0,
            },
        }
    };
    Ok(OutputSizes {
        stdout: size(StreamName::Stdout),
        stderr: size(StreamName::Stderr),
        result: size(StreamName::Result),
    })
}

fn task_attempts(
    connection: &Connection,
    job: JobId,
    task: TaskIndex,
) -> Result<Vec<AttemptRecord>> {
    let sql =
        format!("{ATTEMPT} WHERE job = ?1 AND task = ?2 ORDER BY epoch, salt, sequence LIMIT ?3");
    let values = params![job.0.cast_signed(), task.0, TASK_ATTEMPTS_MAX];
    let summaries = all(connection, &sql, values, attempt_summary)?;
    summaries
        .into_iter()
        .map(|summary| with_output(connection, job, summary))
        .collect()
}

fn with_output(
    connection: &Connection,
    job: JobId,
    summary: AttemptSummary,
) -> Result<AttemptRecord> {
    let key = OutputKey {
        job,
        task: summary.task,
        attempt: summary.attempt,
    };
    let mut output = None;
    if summary.outputs != OutputSizes::default() {
        output = Some(Box::new(Output {
            stdout: stream(connection, &key, StreamName::Stdout, summary.outputs.stdout)?,
            stderr: stream(connection, &key, StreamName::Stderr, summary.outputs.stderr)?,
            result: stream(connection, &key, StreamName::Result, summary.outputs.result)?,
        }));
    }
    Ok(AttemptRecord {
        attempt: summary.attempt,
        job,
        task: summary.task,
        node: summary.node,
        outcome: summary.outcome,
        counted: summary.counted,
        granted_at: summary.granted_at,
        started_at: summary.started_at,
        ended_at: summary.ended_at,
        usage: summary.usage,
        output,
    })
}

/// Where the outputs of an attempt are kept.
struct OutputKey {
    job: JobId,
    task: TaskIndex,
    attempt: AttemptId,
}

fn stream(
    connection: &Connection,
    key: &OutputKey,
    name: StreamName,
    size: StreamSize,
) -> Result<Stream> {
    const SQL: &str = "SELECT bytes FROM outputs WHERE job = ?1 AND task = ?2 AND epoch = ?3 \
                       AND salt = ?4 AND sequence = ?5 AND stream = ?6";
    match size {
        StreamSize::Empty => Ok(Stream::Empty),
        StreamSize::OnNode { length, truncated } => Ok(Stream::OnNode { length, truncated }),
        StreamSize::Inline { .. } => {
            let AttemptId {
                epoch,
                salt,
                sequence,
            } = key.attempt;
            let values = params![
                key.job.0.cast_signed(),
                key.task.0,
                epoch.0,
                salt.cast_signed(),
                sequence.cast_signed(),
                stream_number(name),
            ];
            let bytes = connection
                .prepare_cached(SQL)?
                .query_row(values, |row| row.get(0))?;
            Ok(Stream::Inline(bytes))
        }
    }
}

fn output(connection: &Connection, wanted: &OutputWanted) -> Result<Option<OutputFound>> {
    let OutputWanted {
        job,
        task,
        stream: name,
        attempt,
    } = *wanted;
    let Some(summary) = wanted_attempt(connection, job, task, attempt)? else {
        return Ok(None);
    };
    let size = match name {
        StreamName::Stdout => summary.outputs.stdout,
        StreamName::Stderr => summary.outputs.stderr,
        StreamName::Result => summary.outputs.result,
    };
    let key = OutputKey {
        job,
        task,
        attempt: summary.attempt,
    };
    Ok(Some(OutputFound {
        attempt: summary.attempt,
        node: summary.node,
        counted: summary.counted,
        stream: stream(connection, &key, name, size)?,
    }))
}

fn wanted_attempt(
    connection: &Connection,
    job: JobId,
    task: TaskIndex,
    attempt: Option<AttemptId>,
) -> Result<Option<AttemptSummary>> {
    let job = job.0.cast_signed();
    let found = if let Some(AttemptId {
        epoch,
        salt,
        sequence,
    }) = attempt
    {
        let sql = format!(
            "{ATTEMPT} WHERE job = ?1 AND task = ?2 \
             AND epoch = ?3 AND salt = ?4 AND sequence = ?5"
        );
        let values = params![
            job,
            task.0,
            epoch.0,
            salt.cast_signed(),
            sequence.cast_signed()
        ];
        connection
            .prepare_cached(&sql)?
            .query_row(values, attempt_summary)
    } else {
        let sql = format!(
            "{ATTEMPT} WHERE job = ?1 AND task = ?2 \
             ORDER BY counted DESC, ended_at DESC, epoch DESC, salt DESC, sequence DESC LIMIT 1"
        );
        connection
            .prepare_cached(&sql)?
            .query_row(params![job, task.0], attempt_summary)
    };
    found.optional()
}

fn audit(connection: &Connection, page: &AuditPage, rows_max: u32) -> Result<Vec<AuditEntry>> {
    const SQL: &str = "SELECT number, at, principal, verb, object, reason, refused FROM audit \
                       WHERE number < ?1 ORDER BY number DESC LIMIT ?2";
    let before = page
        .before
        .map_or(i64::MAX, |number| number.0.cast_signed());
    all(connection, SQL, params![before, rows_max], |row| {
        let mut columns = Columns::of(row);
        Ok(AuditEntry {
            number: AuditNumber(columns.bits()?),
            at: columns.time()?,
            principal: columns.take()?,
            verb: columns.take()?,
            object: columns.take()?,
            reason: columns.take()?,
            refused: columns.take()?,
        })
    })
}
