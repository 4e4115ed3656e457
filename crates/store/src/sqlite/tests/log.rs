//! The log and the readers beside the writer.

use std::{fs, time::Duration};

use flota_model::{
    change::Change,
    ids::{JobId, NodeId},
};

use super::{open_with_small_log, stored};
use crate::{
    conformance::sample::{added, batch, decode, node},
    history::{History, JobPage},
    journal::{Journal, LoadFault},
    sqlite::{
        connection::{Pool, READERS_MAX},
        open,
    },
};

fn chunk(byte: u8) -> Change {
    Change::ChunkWritten {
        job: JobId(1),
        number: 0,
        bytes: vec![byte; 24_576],
    }
}

#[test]
fn the_log_starts_anew_beside_a_writer_that_never_pauses() {
    let (_folder, path) = stored();
    let mut opened = open_with_small_log(&path);
    let mut log_length_max = 0;
    for number in 2..1_000_u64 {
        let byte = u8::try_from(number % 251).unwrap();
        opened
            .journal
            .apply(&[batch(number, 1, vec![chunk(byte)])])
            .unwrap();
        let log = fs::metadata(path.with_file_name("store-wal"))
            .unwrap()
            .len();
        log_length_max = log_length_max.max(log);
    }
    // Some 8,000 pages were written, each with a head of 24 bytes. The writer lends a hand from 32
    // on, after a commit of 8.
    assert!(
        log_length_max < 48 * (4_096 + 24),
        "the log grew to {log_length_max} bytes"
    );
}

#[test]
fn a_reader_sees_the_last_commit_and_never_holds_up_the_writer() {
    let (_folder, path) = stored();
    let mut opened = open(&path, decode).unwrap();
    let pool = Pool::new(&path);
    let count = "SELECT count(*) FROM jobs";
    pool.read(|connection| {
        let jobs = || {
            connection
                .query_row(count, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(jobs(), 1);
        opened
            .journal
            .apply(&[batch(2, 1, vec![added(2)])])
            .unwrap();
        assert_eq!(jobs(), 1, "a read is as of one commit");
        Ok(())
    })
    .unwrap();
    let page = JobPage {
        before: None,
        phase: None,
        kind: None,
        limit: 9,
    };
    assert_eq!(opened.history.jobs(&page).unwrap().rows.len(), 2);
}

#[test]
fn a_reader_beyond_the_limit_is_told_that_all_are_busy() {
    let (_folder, path) = stored();
    let _opened = open(&path, decode).unwrap();
    let pool = Pool::with_wait(&path, Duration::from_millis(10));
    assert_eq!(nested(&pool, READERS_MAX), Ok(()));
    assert_eq!(nested(&pool, READERS_MAX + 1), Err("busy"));
    // All places were given back.
    assert_eq!(nested(&pool, READERS_MAX), Ok(()));
}

/// Takes `depth` connections at a time.
fn nested(pool: &Pool, depth: usize) -> Result<(), &'static str> {
    if depth == 0 {
        return Ok(());
    }
    match pool.read(|_| Ok(nested(pool, depth - 1))) {
        Ok(inner) => inner,
        Err(LoadFault::Busy { .. }) => Err("busy"),
        Err(_) => Err("another fault"),
    }
}

#[test]
fn a_reader_cannot_write() {
    let (_folder, path) = stored();
    let pool = Pool::new(&path);
    let written = pool.read(|connection| Ok(connection.execute("DELETE FROM jobs", [])?));
    assert!(written.is_err());
}

#[test]
fn ten_thousand_nodes_are_read_in_order() {
    let (_folder, path) = stored();
    let mut opened = open(&path, decode).unwrap();
    let write = |number| Change::NodeWritten(Box::new(node(number)));
    opened
        .journal
        .apply(&[batch(2, 1, (1..=10_000).rev().map(write).collect())])
        .unwrap();
    let nodes = opened.history.nodes().unwrap();
    assert_eq!(nodes.len(), 10_000);
    assert!(
        nodes
            .iter()
            .zip(1..)
            .all(|(record, number)| record.node == NodeId(number))
    );
    assert_eq!(nodes[77], node(78));
}
