//! Rows of services.

use std::sync::Arc;

use flota_model::{
    change::{ServiceRecord, UpdateRecord},
    ids::{JobId, SpecHash},
    spec::SealedSpec,
};
use rusqlite::{Connection, params};

use super::{apply::micros, columns::Columns};
use crate::{
    DecodeSpec,
    journal::{ApplyFault, LoadFault},
};

const COLUMNS: &str = "name, principal, replicas, job, stopped, completed, changed_at, spec_hash, \
                       blob, from_job, from_hash, from_blob, moved, halted";

pub(super) fn write(connection: &Connection, record: &ServiceRecord) -> Result<(), ApplyFault> {
    const SQL: &str = "INSERT OR REPLACE INTO services VALUES \
                       (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
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
        update.map(|update| update.moved),
        update.map(|update| update.halted),
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
        let update = match (from, from_hash, from_blob, moved, halted) {
            (Some(from), Some(hash), Some(blob), Some(moved), Some(halted)) => Some(UpdateRecord {
                from,
                spec: sealed(hash, blob)?,
                moved,
                halted,
            }),
            _ => None,
        };
        services.push(ServiceRecord {
            name,
            spec,
            principal,
            replicas,
            job,
            update,
            stopped,
            completed,
            changed_at,
        });
    }
    Ok(services)
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
