//! Copies that become stores again.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::stored;
use crate::{
    conformance::sample::{added, batch, decode},
    journal::Journal,
    sqlite::{RestoreFault, back_up, open, restore},
};

/// How many jobs the store has, and whether it is marked.
fn look(path: &Path) -> (usize, bool) {
    let snapshot = open(path, decode).unwrap().journal.load().unwrap();
    (snapshot.jobs.len(), snapshot.restored)
}

/// A store of one job, and a copy of it.
fn copied() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let (folder, path) = stored();
    let copy = folder.path().join("copy");
    back_up(&path, &copy).unwrap();
    (folder, path, copy)
}

#[test]
fn a_copy_becomes_a_new_store_that_is_marked_and_stays_a_copy() {
    let (folder, _path, copy) = copied();
    let before = fs::read(&copy).unwrap();
    let new = folder.path().join("new");
    assert_eq!(restore(&copy, &new, false).unwrap(), None);
    assert_eq!(look(&new), (1, true));
    assert_eq!(fs::read(&copy).unwrap(), before);
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read it");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert!(
        names
            .iter()
            .all(|entry| !entry.file_name().to_string_lossy().contains("restoring")),
        "{names:?}"
    );
}

#[test]
fn a_copy_made_by_other_means_is_marked_too() {
    let (folder, path) = stored();
    drop(open(&path, decode).unwrap());
    let copy = folder.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    let new = folder.path().join("new");
    restore(&copy, &new, false).unwrap();
    assert_eq!(look(&new), (1, true));
}

#[test]
fn a_store_is_replaced_only_when_asked_and_then_kept_with_all_it_has() {
    let (_folder, path, copy) = copied();
    // As a server that was killed leaves it: the last commit is only in the log.
    let mut opened = open(&path, decode).unwrap();
    opened
        .journal
        .apply(&[batch(2, 1, vec![added(2)])])
        .unwrap();
    std::mem::forget(opened);

    let fault = restore(&copy, &path, false).unwrap_err();
    assert!(matches!(fault, RestoreFault::Exists { .. }), "{fault}");
    let aside = restore(&copy, &path, true).unwrap().expect("it was there");
    assert!(aside.ends_with("store.before-restore"), "{aside:?}");
    assert_eq!(look(&path), (1, true));
    assert_eq!(look(&aside), (2, false));
    // Again: the first one is not lost.
    let second = restore(&copy, &path, true).unwrap().expect("it was there");
    assert!(second.ends_with("store.before-restore-2"), "{second:?}");
    assert_eq!(look(&aside), (2, false));
}

#[test]
fn what_is_no_whole_store_of_ours_changes_nothing() {
    let (folder, path, copy) = copied();
    let bad = folder.path().join("bad");
    let mut bytes = fs::read(&copy).unwrap();
    let cases: [(&str, Vec<u8>); 3] = [
        ("empty", Vec::new()),
        (
            "notes",
            b"no database at all, but long enough to look at".to_vec(),
        ),
        ("torn", {
            // The header is whole, so it opens.
            let half = bytes.len() / 2;
            bytes[half..].fill(0xAA);
            bytes
        }),
    ];
    for (name, bytes) in cases {
        fs::write(&bad, bytes).unwrap();
        let fault = restore(&bad, &path, true).unwrap_err();
        let fits = match name {
            "empty" => matches!(fault, RestoreFault::Missing { .. }),
            "notes" => matches!(fault, RestoreFault::Source(_)),
            _ => matches!(
                fault,
                RestoreFault::Damaged { .. } | RestoreFault::Source(_)
            ),
        };
        assert!(fits, "{name}: {fault}");
        assert_eq!(look(&path), (1, false), "{name}");
    }
    let nowhere = folder.path().join("nowhere");
    let fault = back_up(&nowhere, &folder.path().join("to")).unwrap_err();
    assert!(matches!(fault, RestoreFault::Missing { .. }), "{fault}");
    assert!(!nowhere.exists(), "looking makes nothing");
}

#[test]
fn a_damaged_store_makes_room_as_it_is() {
    let (_folder, path, copy) = copied();
    fs::write(&path, "damaged beyond all reading").unwrap();
    let aside = restore(&copy, &path, true).unwrap().expect("it was there");
    assert_eq!(fs::read(aside).unwrap(), b"damaged beyond all reading");
    assert_eq!(look(&path), (1, true));
}
