//! Rows into records: what a start needs, and the records that readers share with it.

use std::{collections::BTreeMap, sync::Arc};

use flota_model::{
    change::{
        Counters, Grace, GrantRecord, IdempotencyKey, JobRecord, KeyRecord, NodeRecord, Snapshot,
        TaskHistory,
    },
    ids::{AttemptRange, GrantId, JobId, NodeId, Nonce, SessionNumber, SpecHash, TaskIndex},
    resources::Resources,
    spec::SealedSpec,
    state::Counts,
    units::{Bytes, Cpus, Moment},
};
use rusqlite::{Connection, Params, Result, Row, types::FromSql};

use super::{apply::read_head, columns::Columns, controls, notes, rows, services};
use crate::{DecodeSpec, journal::LoadFault};

/// Jobs that are not finished, and finished ones that still have grants. Both sides use an index
/// or a small table, so that finished jobs cost nothing however many there are.
pub(super) const LIVE: &str = "WITH live (job) AS (\
    SELECT job FROM jobs INDEXED BY jobs_unfinished WHERE phase <> 2 \
    UNION SELECT job FROM grants) ";
/// The columns that [`grant`] reads.
pub(super) const GRANT: &str = "SELECT grant, job, first_task, epoch, salt, sequence, count, \
    node, boot, journal, granted_at, unsettled, suspect FROM grants ";
/// The columns that [`job`] reads.
pub(super) const JOB: &str = "jobs.job, spec_hash, principal, submitted_at, phase, finished_at, \
    waiting, parked, granted, succeeded, failed, cancelled, dead, unknown, blocked, \
    skipped, blob, ";

/// Reads everything that is not finished, as of one commit.
pub(super) fn snapshot(connection: &Connection, decode: DecodeSpec) -> Result<Snapshot, LoadFault> {
    let head = read_head(connection)?;
    let mut jobs = live_jobs(connection, decode)?;
    rows::load(connection, &mut jobs)?;
    Ok(Snapshot {
        authority: head.authority,
        restored: head.restored,
        batch: head.batch,
        counters: counters(connection)?,
        queue: controls::queue(connection)?,
        chunks: chunks(connection)?,
        histories: histories(connection, &jobs)?,
        jobs,
        grants: all(connection, &format!("{GRANT} ORDER BY grant"), [], grant)?,
        nodes: nodes(connection)?,
        services: services::all(connection, decode)?,
        revisions: services::all_revisions(connection, decode)?,
        notes: notes::all(connection)?,
        keys: keys(connection)?,
    })
}

/// All rows of a query, each made into a value by `read`.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection
        .prepare_cached(sql)?
        .query_map(values, read)?
        .collect()
}

fn counters(connection: &Connection) -> Result<Counters> {
    const SQL: &str = "SELECT next_job, next_node, next_grant FROM counters";
    connection.prepare_cached(SQL)?.query_row([], |row| {
        let mut columns = Columns::of(row);
        Ok(Counters {
            job: JobId(columns.bits()?),
            node: NodeId(columns.take()?),
            grant: GrantId(columns.bits()?),
        })
    })
}

fn live_jobs(connection: &Connection, decode: DecodeSpec) -> Result<Vec<JobRecord>, LoadFault> {
    let sql = format!(
        "{LIVE} SELECT {JOB} {} FROM live CROSS JOIN jobs ON jobs.job = live.job \
         CROSS JOIN specs ON specs.job = live.job {} ORDER BY live.job",
        controls::COLUMNS,
        controls::JOIN,
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(job(row, decode)?);
    }
    Ok(jobs)
}

/// A job without its rows.
pub(super) fn job(row: &Row<'_>, decode: DecodeSpec) -> Result<JobRecord, LoadFault> {
    let mut columns = Columns::of(row);
    let job = JobId(columns.bits()?);
    let hash = SpecHash(columns.bits()?);
    let principal = columns.take()?;
    let submitted_at = columns.time()?;
    let phase = columns.phase()?;
    let finished_at = columns.time_or_none()?;
    let counts = counts(&mut columns)?;
    let blob: Vec<u8> = columns.take()?;
    let control = controls::read(&mut columns)?;
    let spec = decode(&blob).ok_or_else(|| LoadFault::spec(job))?;
    let spec = SealedSpec {
        spec: Arc::new(spec),
        blob: blob.into(),
        hash,
    };
    Ok(JobRecord {
        job,
        spec,
        rows: None,
        principal,
        submitted_at,
        phase,
        counts,
        finished_at,
        control,
    })
}

pub(super) fn counts(columns: &mut Columns<'_, '_>) -> Result<Counts> {
    let mut counts = Counts::default();
    for count in &mut counts.0 {
        *count = columns.take()?;
    }
    Ok(counts)
}

fn chunks(connection: &Connection) -> Result<Vec<(JobId, u32, Vec<u8>)>> {
    let sql = format!(
        "{LIVE} SELECT chunks.job, number, bytes \
         FROM live CROSS JOIN chunks ON chunks.job = live.job ORDER BY live.job, number"
    );
    all(connection, &sql, [], |row| {
        let mut columns = Columns::of(row);
        Ok((JobId(columns.bits()?), columns.take()?, columns.take()?))
    })
}

/// Those of `jobs`. Read from end to end: a history goes away when its task ends, so hardly any is
/// of another job, while a search for each of a million jobs takes its time.
fn histories(
    connection: &Connection,
    jobs: &[JobRecord],
) -> Result<Vec<(JobId, TaskIndex, TaskHistory)>> {
    const SQL: &str =
        "SELECT job, task, failures, losses, apart FROM task_histories ORDER BY job, task";
    let mut histories = all(connection, SQL, [], |row| {
        let mut columns = Columns::of(row);
        let (job, task) = (JobId(columns.bits()?), TaskIndex(columns.take()?));
        let history = TaskHistory {
            failures: columns.take()?,
            losses: columns.take()?,
            apart: columns.take()?,
        };
        Ok((job, task, history))
    })?;
    histories.retain(|(job, ..)| jobs.binary_search_by_key(job, |record| record.job).is_ok());
    Ok(histories)
}

pub(super) fn grant(row: &Row<'_>) -> Result<GrantRecord> {
    let mut columns = Columns::of(row);
    Ok(GrantRecord {
        grant: GrantId(columns.bits()?),
        job: JobId(columns.bits()?),
        first_task: TaskIndex(columns.take()?),
        attempts: AttemptRange {
            first: columns.attempt()?,
            count: columns.take()?,
        },
        node: NodeId(columns.take()?),
        boot: columns.boot()?,
        journal: Nonce(columns.bits()?),
        granted_at: columns.time()?,
        unsettled: columns.take()?,
        suspect: columns.take()?,
    })
}

pub(super) fn nodes(connection: &Connection) -> Result<Vec<NodeRecord>> {
    const SQL: &str = "SELECT node, name, nonce, boot, journal, session, cpus, memory, joined_at, \
                       last_heard_at, leased, grace_boot, grace_until FROM nodes ORDER BY node";
    let mut labels = node_map(connection, "SELECT node, name, value FROM node_labels")?;
    let mut counters = node_map(connection, "SELECT node, name, amount FROM node_counters")?;
    all(connection, SQL, [], |row| {
        let mut record = node(row)?;
        record.labels = labels.remove(&record.node).unwrap_or_default();
        let counters: BTreeMap<String, i64> = counters.remove(&record.node).unwrap_or_default();
        record.capacity.counters = counters
            .into_iter()
            .map(|(name, amount)| (name, amount.cast_unsigned()))
            .collect();
        Ok(record)
    })
}

/// A node without its labels and counters.
fn node(row: &Row<'_>) -> Result<NodeRecord> {
    let mut columns = Columns::of(row);
    Ok(NodeRecord {
        node: NodeId(columns.take()?),
        name: columns.take()?,
        nonce: Nonce(columns.bits()?),
        boot: columns.boot()?,
        journal: Nonce(columns.bits()?),
        session: SessionNumber(columns.bits()?),
        capacity: Resources {
            cpus: Cpus(columns.take()?),
            memory: Bytes(columns.bits()?),
            counters: BTreeMap::new(),
        },
        labels: BTreeMap::new(),
        joined_at: columns.time()?,
        last_heard_at: columns.time()?,
        leased: columns.take()?,
        grace: grace(&mut columns)?,
    })
}

fn grace(columns: &mut Columns<'_, '_>) -> Result<Option<Grace>> {
    let boot = columns.boot_or_none()?;
    let until = columns.bits_or_none()?.map(Moment);
    Ok(boot.zip(until).map(|(boot, until)| Grace { boot, until }))
}

fn node_map<T: FromSql>(
    connection: &Connection,
    sql: &str,
) -> Result<BTreeMap<NodeId, BTreeMap<String, T>>> {
    let mut maps: BTreeMap<NodeId, BTreeMap<String, T>> = BTreeMap::new();
    let rows = all(connection, sql, [], |row| {
        let mut columns = Columns::of(row);
        Ok((NodeId(columns.take()?), columns.take()?, columns.take()?))
    })?;
    for (node, name, value) in rows {
        maps.entry(node).or_default().insert(name, value);
    }
    Ok(maps)
}

fn keys(connection: &Connection) -> Result<Vec<(IdempotencyKey, KeyRecord)>> {
    const SQL: &str = "SELECT principal, key, job, spec_hash, at FROM keys ORDER BY 1, 2";
    all(connection, SQL, [], |row| {
        let mut columns = Columns::of(row);
        let key = IdempotencyKey {
            principal: columns.take()?,
            key: columns.take()?,
        };
        let (job, spec_hash) = (JobId(columns.bits()?), SpecHash(columns.bits()?));
        Ok((
            key,
            KeyRecord {
                job,
                spec_hash,
                at: columns.time()?,
            },
        ))
    })
}
