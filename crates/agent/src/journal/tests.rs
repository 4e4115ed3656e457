use std::{
    fs,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use flota_model::{
    frame::GrantOrder,
    ids::{AttemptId, AttemptRange, NodeId, Nonce, SessionNumber},
};

use super::*;

struct Bench {
    opened: Opened,
    bell: Receiver<()>,
}

fn open(path: &Path) -> Bench {
    let (ring, bell) = channel();
    let opened = Opened::new(path, move || {
        let _ = ring.send(());
    });
    Bench {
        opened: opened.unwrap(),
        bell,
    }
}

impl Bench {
    /// Waits for a progress that fits.
    fn wait(&self, fits: impl Fn(&Progress) -> bool) -> Progress {
        loop {
            let progress = self.opened.writer.progress();
            if fits(&progress) {
                return progress;
            }
            self.bell
                .recv_timeout(Duration::from_secs(10))
                .expect("the writer made no progress");
        }
    }

    fn append(&mut self, records: &[Record]) {
        let ticket = self.opened.writer.append(records.to_vec(), true);
        self.wait(|progress| progress.done >= ticket);
    }
}

fn sample(number: u64) -> Vec<Record> {
    vec![
        Record::Session(SessionNumber(number)),
        Record::Joined(NodeId(3)),
    ]
}

#[test]
fn what_was_appended_is_found_after_a_restart_and_a_torn_tail_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut bench = open(&path);
    assert!(bench.opened.records.is_empty());
    bench.append(&sample(1));
    bench.append(&sample(2));
    bench.opened.writer.close();
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(b"FLJ1 torn");
    fs::write(&path, &bytes).unwrap();
    let bench = open(&path);
    assert_eq!(bench.opened.records, [sample(1), sample(2)].concat());
    assert_eq!(bench.opened.set_aside, None);
    assert_eq!(fs::metadata(&path).unwrap().len(), whole as u64);
}

#[test]
fn tickets_are_done_in_order_also_those_of_empty_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = open(&folder.path().join("journal"));
    let mut last = Ticket(0);
    for number in 0..1_000 {
        let records = if number % 3 == 0 {
            Vec::new()
        } else {
            sample(number)
        };
        last = bench.opened.writer.append(records, number % 2 == 0);
    }
    assert_eq!(last, Ticket(1_000));
    bench.wait(|progress| progress.done == last);
}

#[test]
fn a_rewritten_journal_holds_only_what_is_still_needed_and_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut bench = open(&path);
    for number in 0..100 {
        bench.append(&sample(number));
    }
    bench
        .opened
        .writer
        .rewrite(vec![Record::Created { journal: Nonce(1) }]);
    bench.append(&sample(7));
    bench.opened.writer.close();
    let bench = open(&path);
    let expected = [vec![Record::Created { journal: Nonce(1) }], sample(7)].concat();
    assert_eq!(bench.opened.records, expected);
}

#[test]
fn a_damaged_journal_is_set_aside_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for round in 1..=2 {
        let mut bench = open(&path);
        bench.append(&sample(1));
        bench.append(&sample(2));
        bench.opened.writer.close();
        let mut bytes = fs::read(&path).unwrap();
        bytes[21] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let bench = open(&path);
        let aside = folder.path().join(format!("journal.damaged-{round}"));
        assert_eq!(bench.opened.set_aside.as_ref(), Some(&aside));
        assert_eq!(fs::read(&aside).unwrap(), bytes);
        assert!(bench.opened.records.is_empty());
        bench.opened.writer.close();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn space_for_outcomes_is_allocated_with_the_grant() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut bench = open(&path);
    let allocated = || fs::metadata(&path).unwrap().blocks() * 512;
    let before = allocated();
    let order = GrantOrder {
        attempts: AttemptRange {
            first: AttemptId::default(),
            count: 100_000,
        },
        job: flota_model::ids::JobId(1),
        first_task: flota_model::ids::TaskIndex(0),
        spec_hash: flota_model::ids::SpecHash(0),
        rows: None,
    };
    bench.append(&[Record::Granted(order)]);
    let needed = 100_000 * 256;
    assert!(before < needed && allocated() >= needed);
    assert!(!bench.opened.writer.progress().is_full);
}

#[test]
fn a_full_disk_loses_nothing_and_is_said_before_it_must_wait() {
    let folder = tempfile::tempdir().unwrap();
    let size = 16 << 20;
    if let Err(error) = crate::sys::disk::mount_small(folder.path(), size) {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount");
        println!("skipped: no disk can be mounted: {error}");
        return;
    }
    let path = folder.path().join("journal");
    let filler = folder.path().join("filler");
    let mut bench = open(&path);
    fs::write(&filler, vec![0; usize::try_from(size - (5 << 20)).unwrap()]).unwrap();
    let blob = |number: u8| {
        vec![Record::Spec {
            hash: flota_model::ids::SpecHash(number.into()),
            blob: vec![number; 1 << 20].into(),
        }]
    };
    let mut records = Vec::new();
    // What is allocated ahead is used up while the disk has no more: said, and written.
    while !bench.opened.writer.progress().is_full {
        assert!(records.len() < 10, "the disk does not become full");
        records.extend(blob(u8::try_from(records.len()).unwrap()));
        bench.append(&records[records.len() - 1..]);
    }
    // Then it waits, and keeps what it was given.
    let mut ticket = Ticket(0);
    for _ in 0..8 {
        let batch = blob(u8::try_from(records.len()).unwrap());
        ticket = bench.opened.writer.append(batch.clone(), true);
        records.extend(batch);
    }
    bench.wait(|progress| progress.is_full);
    assert!(bench.opened.writer.progress().done < ticket);
    fs::remove_file(filler).unwrap();
    bench.wait(|progress| progress.done >= ticket && !progress.is_full);
    bench.opened.writer.close();
    assert!(open(&path).opened.records == records);
}
