//! What only the SQLite store has: files, schemas, copies, the log, and disks that fail.

mod disk;
mod log;
mod restore;
mod schema;

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{
    Opened,
    checkpoint::Thresholds,
    open,
    open::{Fitting, OpenFault, open_with, shipped},
};
use crate::{
    conformance::sample::{added, authority, batch, decode, first, taken},
    journal::{Journal, LoadFault},
};

/// A store that makes a checkpoint every few batches.
pub(crate) fn open_with_small_log(path: &Path) -> Opened {
    let thresholds = Thresholds { due: 8, writer: 32 };
    open_with(path, Fitting { decode, thresholds }, &shipped()).unwrap()
}

/// A folder with a store of one job, closed.
fn stored() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let mut opened = open(&path, decode).unwrap();
    opened.journal.apply(&[first(vec![added(1)])]).unwrap();
    (folder, path)
}

/// Opening `bytes` fails, changes nothing and leaves nothing beside.
fn refused(bytes: &[u8]) -> OpenFault {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, bytes).unwrap();
    let fault = open(&path, decode).err().expect("it was opened");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fault
}

#[test]
fn what_is_no_database_is_refused_unchanged() {
    let fault = refused(b"these are the notes of somebody, and no database at all");
    assert!(
        matches!(
            fault,
            OpenFault::Load {
                source: LoadFault::Damaged { .. },
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn a_truncated_store_is_refused_unchanged() {
    let (_folder, path) = stored();
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 8192);
    let fault = refused(&bytes);
    assert!(
        matches!(
            fault,
            OpenFault::Load {
                source: LoadFault::Damaged { .. },
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn the_database_of_another_program_is_refused_unchanged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE photos (name TEXT)")
        .unwrap();
    drop(other);
    let fault = refused(&fs::read(&path).unwrap());
    assert!(matches!(fault, OpenFault::Foreign { .. }), "{fault}");
}

#[test]
fn a_page_of_rubbish_is_found_by_the_load() {
    let (_folder, path) = stored();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'";
    let page: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    let start = usize::try_from((page - 1) * 4096).unwrap();
    bytes[start..start + 4096].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let mut opened = open(&path, decode).unwrap();
    let fault = opened.journal.load().unwrap_err();
    assert!(matches!(fault, LoadFault::Damaged { .. }), "{fault}");
}

#[test]
fn a_spec_that_cannot_be_read_is_damage_and_names_its_job() {
    let (_folder, path) = stored();
    let mut opened = open(&path, |_| None).unwrap();
    let fault = opened.journal.load().unwrap_err();
    let LoadFault::Damaged { what, .. } = fault else {
        panic!("{fault}")
    };
    assert_eq!(what, "the spec of job 1 cannot be read");
}

#[test]
fn a_number_that_means_nothing_is_damage() {
    let (_folder, path) = stored();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE jobs SET phase = 9", []).unwrap();
    drop(connection);
    let fault = open(&path, decode).unwrap().journal.load().unwrap_err();
    assert!(matches!(fault, LoadFault::Damaged { .. }), "{fault}");
}

#[test]
fn a_copy_of_a_live_store_is_whole_and_marked_until_a_person_goes_on() {
    let (folder, path) = stored();
    let mut opened = open(&path, decode).unwrap();
    opened
        .journal
        .apply(&[batch(2, 1, vec![added(2)])])
        .unwrap();
    let copy = folder.path().join("copy");
    opened.history.backup(&copy).unwrap();
    opened
        .journal
        .apply(&[batch(3, 1, vec![added(3)])])
        .unwrap();
    assert!(!opened.journal.load().unwrap().restored);

    let mut restored = open(&copy, decode).unwrap();
    assert_eq!(restored.backup, None);
    let snapshot = restored.journal.load().unwrap();
    assert_eq!((snapshot.jobs.len(), snapshot.batch.0), (2, 2));
    assert!(snapshot.restored);
    restored
        .journal
        .apply(&[batch(3, 1, vec![taken(2, 5)])])
        .unwrap();
    assert!(restored.journal.load().unwrap().restored);
    let mut goes_on = taken(3, 5);
    if let flota_model::change::Change::AuthorityTaken { recovered, .. } = &mut goes_on {
        *recovered = true;
    }
    restored
        .journal
        .apply(&[batch(4, 2, vec![goes_on])])
        .unwrap();
    let snapshot = restored.journal.load().unwrap();
    assert_eq!(
        (snapshot.restored, snapshot.authority),
        (false, authority(3))
    );
}

#[test]
fn a_copy_never_replaces_a_file() {
    let (folder, path) = stored();
    let opened = open(&path, decode).unwrap();
    let copy = folder.path().join("copy");
    fs::write(&copy, "precious").unwrap();
    assert!(opened.history.backup(&copy).is_err());
    assert_eq!(fs::read(&copy).unwrap(), b"precious");
    assert!(
        opened
            .history
            .backup(&folder.path().join("missing/copy"))
            .is_err()
    );
}
