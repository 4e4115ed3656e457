//! Rows of services.

use std::sync::Arc;

use flota_model::{
    change::{Left, RevisionRecord, Revival, ServiceRecord, UpdateRecord},
    ids::{JobId, NodeId, SpecHash},
    revision::{RevisionCause, ServiceVersion},
    spec::SealedSpec,
};
use rusqlite::{Connection, params};

use super::{apply::micros, columns::Columns};
use crate::{
    DecodeSpec,
    journal::{ApplyFault, LoadFault},
};

const COLUMNS: &str = "name, principal, replicas, job, stopped, completed, changed_at, spec_hash, \
                       blob, from_job, from_hash, from_blob, moved, halted, remaining, goes_back, \
                       revival, revival_due, born, version, parallel";

/// Bytes of one [`Left`].
const LEFT_LENGTH: usize = 16;

pub(super) fn write(connection: &Connection, record: &ServiceRecord) -> Result<(), ApplyFault> {
    const SQL: &str = "INSERT OR REPLACE INTO services VALUES \
                       (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                       ?17, ?18, ?19, ?20, ?21)";
    let update = record.update.as_ref();
    connection.prepare_cached(SQL)?.execute(params![
        record.name,
        record.principal,
        record.replicas,
        record.job.0.cast_signed(),
        record.stopped,
        record.completed,
        micros(record.changed_at),
        record.spec.hash.0.cast_signed(),
        &*record.spec.blob,
        update.map(|update| update.from.0.cast_signed()),
        update.map(|update| update.spec.hash.0.cast_signed()),
        update.map(|update| &*update.spec.blob),
        update.map(|update| record.replicas.saturating_sub(update.left_count())),
        update.map(|update| update.halted),
        update.map(|update| bytes_of_left(&update.left)),
        update.map(|update| update.goes_back),
        bytes_of_nodes(&record.revival.nodes),
        record.revival.due,
        record.version.born.0.cast_signed(),
        record.version.count.cast_signed(),
        update.and_then(|update| update.parallel),
    ])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, name: &str) -> Result<(), ApplyFault> {
    const SQL: &str = "DELETE FROM services WHERE name = ?1";
    connection.prepare_cached(SQL)?.execute([name])?;
    Ok(())
}

pub(super) fn all(
    connection: &Connection,
    decode: DecodeSpec,
) -> Result<Vec<ServiceRecord>, LoadFault> {
    let sql = format!("SELECT {COLUMNS} FROM services ORDER BY name");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut services = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let name: String = columns.take()?;
        let sealed = |hash, blob: Vec<u8>| sealed(&name, decode, hash, blob);
        let (principal, replicas) = (columns.take()?, columns.take()?);
        let job = JobId(columns.bits()?);
        let (stopped, completed) = (columns.take()?, columns.take()?);
        let changed_at = columns.time()?;
        let spec = sealed(SpecHash(columns.bits()?), columns.take()?)?;
        let from = columns.bits_or_none()?.map(JobId);
        let from_hash = columns.bits_or_none()?.map(SpecHash);
        let from_blob: Option<Vec<u8>> = columns.take()?;
        let (moved, halted): (Option<u32>, Option<bool>) = (columns.take()?, columns.take()?);
        let (left, goes_back): (Option<Vec<u8>>, Option<bool>) = (columns.take()?, columns.take()?);
        let (nodes, due): (Option<Vec<u8>>, Option<bool>) = (columns.take()?, columns.take()?);
        let version = ServiceVersion {
            born: JobId(columns.bits()?),
            count: columns.bits()?,
        };
        let parallel = columns.take()?;
        let update = match (from, from_hash, from_blob, moved, halted) {
            (Some(from), Some(hash), Some(blob), Some(moved), Some(halted)) => Some(UpdateRecord {
                from,
                spec: sealed(hash, blob)?,
                left: match left {
                    Some(bytes) => left_of_bytes(&bytes).ok_or_else(|| damaged(&name))?,
                    None => left_of_moved(from, moved, replicas),
                },
                goes_back: goes_back.unwrap_or(false),
                halted,
                parallel,
            }),
            _ => None,
        };
        let revival = Revival {
            nodes: nodes_of_bytes(&nodes.unwrap_or_default()).ok_or_else(|| damaged(&name))?,
            due: due.unwrap_or(false),
        };
        services.push(ServiceRecord {
            name,
            spec,
            principal,
            replicas,
            job,
            update,
            stopped,
            revival,
            completed,
            changed_at,
            version,
        });
    }
    Ok(services)
}

pub(super) fn write_revision(
    connection: &Connection,
    service: &str,
    revision: &RevisionRecord,
) -> Result<(), ApplyFault> {
    const SQL: &str = "INSERT OR REPLACE INTO revisions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(SQL)?.execute(params![
        service,
        revision.job.0.cast_signed(),
        revision.principal,
        micros(revision.at),
        match revision.cause {
            RevisionCause::Applied => 0,
            RevisionCause::RolledBack => 1,
        },
        revision.spec.hash.0.cast_signed(),
        &*revision.spec.blob,
    ])?;
    Ok(())
}

pub(super) fn remove_revision(
    connection: &Connection,
    service: &str,
    job: JobId,
) -> Result<(), ApplyFault> {
    const SQL: &str = "DELETE FROM revisions WHERE service = ?1 AND job = ?2";
    let values = params![service, job.0.cast_signed()];
    connection.prepare_cached(SQL)?.execute(values)?;
    Ok(())
}

pub(super) fn all_revisions(
    connection: &Connection,
    decode: DecodeSpec,
) -> Result<Vec<(String, RevisionRecord)>, LoadFault> {
    const SQL: &str = "SELECT service, job, principal, at, cause, spec_hash, blob \
                       FROM revisions ORDER BY service, job";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query([])?;
    let mut revisions = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let service: String = columns.take()?;
        let job = JobId(columns.bits()?);
        let (principal, at) = (columns.take()?, columns.time()?);
        let cause = match columns.take::<u8>()? {
            0 => RevisionCause::Applied,
            1 => RevisionCause::RolledBack,
            _ => return Err(damaged(&service)),
        };
        let hash = SpecHash(columns.bits()?);
        let spec = sealed(&service, decode, hash, columns.take()?)?;
        let revision = RevisionRecord {
            job,
            spec,
            principal,
            at,
            cause,
        };
        revisions.push((service, revision));
    }
    Ok(revisions)
}

fn damaged(name: &str) -> LoadFault {
    LoadFault::Damaged {
        what: format!("a row of service `{name}` cannot be read"),
        source: None,
    }
}

/// What rows of before `remaining` say: replicas were moved in the order of their numbers.
fn left_of_moved(job: JobId, moved: u32, replicas: u32) -> Vec<Left> {
    let count = replicas.saturating_sub(moved);
    let first = moved;
    let left = (count > 0).then_some(Left { first, count, job });
    left.into_iter().collect()
}

/// 16 bytes each: first, count, job, little-endian.
fn bytes_of_left(left: &[Left]) -> Vec<u8> {
    let bytes = left.iter().flat_map(|left| {
        let mut bytes = [0; LEFT_LENGTH];
        bytes[..4].copy_from_slice(&left.first.to_le_bytes());
        bytes[4..8].copy_from_slice(&left.count.to_le_bytes());
        bytes[8..].copy_from_slice(&left.job.0.to_le_bytes());
        bytes
    });
    bytes.collect()
}

fn left_of_bytes(bytes: &[u8]) -> Option<Vec<Left>> {
    let (parts, rest) = bytes.as_chunks::<LEFT_LENGTH>();
    let left = parts.iter().map(|part| {
        let (numbers, job) = part.split_at(8);
        let (first, count) = numbers.split_at(4);
        Some(Left {
            first: u32::from_le_bytes(first.try_into().ok()?),
            count: u32::from_le_bytes(count.try_into().ok()?),
            job: JobId(u64::from_le_bytes(job.try_into().ok()?)),
        })
    });
    left.collect::<Option<Vec<Left>>>()
        .filter(|_| rest.is_empty())
}

fn bytes_of_nodes(nodes: &[NodeId]) -> Vec<u8> {
    nodes.iter().flat_map(|node| node.0.to_le_bytes()).collect()
}

fn nodes_of_bytes(bytes: &[u8]) -> Option<Vec<NodeId>> {
    let (parts, rest) = bytes.as_chunks::<4>();
    let nodes = parts.iter().map(|part| NodeId(u32::from_le_bytes(*part)));
    rest.is_empty().then(|| nodes.collect())
}

fn sealed(
    name: &str,
    decode: DecodeSpec,
    hash: SpecHash,
    blob: Vec<u8>,
) -> Result<SealedSpec, LoadFault> {
    let spec = decode(&blob).ok_or_else(|| LoadFault::Damaged {
        what: format!("the spec of service `{name}` cannot be read"),
        source: None,
    })?;
    Ok(SealedSpec {
        spec: Arc::new(spec),
        blob: blob.into(),
        hash,
    })
}
