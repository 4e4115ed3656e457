//! Rows of notes.

use flota_model::note::{NoteKind, NoteRecord};
use rusqlite::{Connection, params};

use super::{apply::micros, columns::Columns};
use crate::journal::{ApplyFault, LoadFault};

fn number(kind: NoteKind) -> u8 {
    match kind {
        NoteKind::Template => 0,
        NoteKind::Watch => 1,
    }
}

pub(super) fn write(connection: &Connection, record: &NoteRecord) -> Result<(), ApplyFault> {
    const SQL: &str = "INSERT OR REPLACE INTO notes \
                       (kind, name, revision, principal, changed_at, bytes) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(SQL)?.execute(params![
        number(record.kind),
        record.name,
        record.revision.cast_signed(),
        record.principal,
        micros(record.changed_at),
        &*record.bytes,
    ])?;
    Ok(())
}

pub(super) fn remove(
    connection: &Connection,
    kind: NoteKind,
    name: &str,
) -> Result<(), ApplyFault> {
    const SQL: &str = "DELETE FROM notes WHERE kind = ?1 AND name = ?2";
    let values = params![number(kind), name];
    connection.prepare_cached(SQL)?.execute(values)?;
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Vec<NoteRecord>, LoadFault> {
    const SQL: &str = "SELECT kind, name, revision, principal, changed_at, bytes FROM notes \
                       ORDER BY kind, name";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query([])?;
    let mut notes = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let number: u8 = columns.take()?;
        let name: String = columns.take()?;
        let kind = match number {
            0 => NoteKind::Template,
            1 => NoteKind::Watch,
            other => {
                return Err(LoadFault::Damaged {
                    what: format!("note `{name}` is of the unknown kind {other}"),
                    source: None,
                });
            }
        };
        let (revision, principal) = (columns.bits()?, columns.take()?);
        let changed_at = columns.time()?;
        let bytes: Vec<u8> = columns.take()?;
        notes.push(NoteRecord {
            kind,
            name,
            revision,
            principal,
            changed_at,
            bytes: bytes.into(),
        });
    }
    Ok(notes)
}
