//! Disks without room.

use std::{
    env,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
    process::Command,
};

use flota_model::{change::Change, ids::JobId};
use tempfile::TempDir;

use super::stored;
use crate::{
    conformance::sample::{added, attempt, batch, decode, ended, first},
    journal::{ApplyFault, Journal},
    space::{RESERVE_LENGTH, space},
    sqlite::open,
};

/// A file system of its own, of 48 MiB.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where we may not mount.
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let arguments = ["-t", "tmpfs", "-o", "size=48m", "tmpfs"];
        run("mount", &arguments, folder.path()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        for length in [1 << 20, 4096, 1] {
            loop {
                match file.write_all(&vec![1; length]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        assert!(run("umount", &["-l"], self.0.path()));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "mounting a small disk for a test"
)]
fn run(program: &str, arguments: &[&str], last: &Path) -> bool {
    Command::new(program)
        .args(arguments)
        .arg(last)
        .output()
        .is_ok_and(|done| done.status.success())
}

/// A batch of results with their outputs: some 0.4 MiB.
fn results(number: u64) -> Vec<Change> {
    let mut changes: Vec<Change> = (0..20)
        .map(|offset| {
            let sequence = number * 20 + offset;
            let mut record = attempt(1, u32::try_from(sequence).unwrap(), sequence);
            let bytes = vec![u8::try_from(number % 251).unwrap(); 16 * 1024];
            record.output.get_or_insert_default().stdout =
                flota_model::outcome::Stream::Inline(bytes);
            ended(record)
        })
        .collect();
    let bytes = number.to_be_bytes().to_vec();
    changes.push(Change::ChunkWritten {
        job: JobId(1),
        number: 0,
        bytes,
    });
    changes
}

#[test]
fn results_commit_on_a_full_disk_once_the_reserve_is_released() {
    let Some(disk) = SmallDisk::mount() else {
        assert!(
            env::var_os("CI").is_none(),
            "this test needs the right to mount"
        );
        eprintln!("skipped: no right to mount a small file system here");
        return;
    };
    let mut opened = open(&disk.path().join("store"), decode).unwrap();
    assert!(opened.reserve.restore().unwrap());
    opened.journal.apply(&[first(vec![added(1)])]).unwrap();
    disk.fill();
    assert_eq!(space(disk.path()).unwrap().free, 0);

    let mut number = 2;
    let fault = loop {
        match opened.journal.apply(&[batch(number, 1, results(number))]) {
            Ok(()) => number += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, ApplyFault::DiskFull { .. }), "{fault:?}");
    // Nothing acknowledged is lost, and all can still be read.
    assert_eq!(opened.journal.last_batch().unwrap().0, number - 1);
    assert_eq!(opened.journal.load().unwrap().jobs.len(), 1);

    assert!(opened.reserve.release().unwrap());
    // The same batch once more, and some that follow.
    for number in number..number + 5 {
        opened
            .journal
            .apply(&[batch(number, 1, results(number))])
            .unwrap();
    }
    // With too little room for another one the reserve is not taken back.
    assert!(!opened.reserve.restore().unwrap());
    drop(opened);
    let mut opened = open(&disk.path().join("store"), decode).unwrap();
    let snapshot = opened.journal.load().unwrap();
    assert_eq!(snapshot.batch.0, number + 4);
    assert_eq!(snapshot.chunks[0].2, (number + 4).to_be_bytes());
    fs::remove_file(disk.path().join("filler")).unwrap();
    assert!(opened.reserve.restore().unwrap());
    assert!(opened.reserve.is_held());
}

#[test]
fn the_reserve_is_allocated_and_given_back() {
    let (folder, path) = stored();
    let reserve = open(&path, decode).unwrap().reserve;
    assert!(!reserve.is_held());
    assert!(!reserve.release().unwrap());
    assert!(reserve.restore().unwrap());
    assert!(reserve.restore().unwrap());
    let metadata = fs::metadata(folder.path().join("reserve")).unwrap();
    let allocated = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
    assert!(allocated >= RESERVE_LENGTH, "{allocated} bytes");
    assert!(reserve.release().unwrap());
    assert!(!reserve.is_held());
}

#[test]
fn the_space_of_what_is_not_there_is_a_fault() {
    assert!(space(Path::new("/nonexistent")).is_err());
    let here = space(Path::new("/")).unwrap();
    assert!(here.free <= here.total && here.total > 0);
}
