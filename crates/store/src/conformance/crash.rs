//! `kill -9` at random moments: every acknowledged batch is there, and nothing half.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use flota_model::{
    change::{Change, Counters},
    ids::{GrantId, JobId, NodeId},
};

use super::{
    random::Random,
    sample::{added, attempt, batch, decode, ended, first, range},
};
use crate::{
    history::{AttemptPage, History},
    journal::Journal,
    sqlite::tests::open_with_small_log,
};

/// Where the child finds the store; absent in the parent.
const PATH_VARIABLE: &str = "FLOTA_TEST_CRASH_STORE";
const ROUNDS: u64 = 20;
const ATTEMPTS_PER_BATCH: u64 = 25;

/// Everything in it tells its number, so that half a batch shows.
fn numbered(number: u64) -> Vec<Change> {
    let sequences = number * ATTEMPTS_PER_BATCH..(number + 1) * ATTEMPTS_PER_BATCH;
    let mut changes: Vec<Change> = sequences
        .map(|sequence| ended(attempt(1, u32::try_from(sequence).unwrap(), sequence)))
        .collect();
    let bytes = [number.to_be_bytes(); 2_000].concat();
    changes.push(Change::ChunkWritten {
        job: JobId(1),
        number: 0,
        bytes,
    });
    changes.push(Change::CountersWritten(Counters {
        job: JobId(number),
        node: NodeId(1),
        grant: GrantId(number),
    }));
    changes
}

/// Not a test: the process that is killed. It writes the number of each batch that is committed.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let Some(path) = std::env::var_os(PATH_VARIABLE).map(PathBuf::from) else {
        return;
    };
    let mut journal = open_with_small_log(&path).journal;
    let mut number = journal.last_batch().unwrap().0;
    let mut stdout = io::stdout().lock();
    loop {
        number += 1;
        journal
            .apply(&[batch(number, 1, numbered(number))])
            .unwrap();
        stdout
            .write_all(format!("committed {number}\n").as_bytes())
            .unwrap();
        stdout.flush().unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test binary runs itself, to be killed"
)]
fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "conformance::crash::child",
            "--ignored",
            "--nocapture",
        ])
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets the child commit some batches and kills it; gives the last number it acknowledged.
fn run_and_kill(path: &Path, random: &mut Random) -> u64 {
    let mut child = start(path);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut committed =
        lines.filter_map(|line| line.unwrap().strip_prefix("committed ")?.parse().ok());
    let mut last = None;
    for _ in 0..=random.below(30) {
        last = committed.next();
        assert!(last.is_some(), "the child ended by itself");
    }
    // Somewhere in the middle of a commit, not always at its end.
    for _ in 0..random.below(300_000) {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    committed.last().or(last).unwrap()
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_nothing_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut opened = open_with_small_log(&path);
    opened.journal.apply(&[first(vec![added(1)])]).unwrap();
    drop(opened);

    let mut random = Random(0xC4A5_11E5);
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(&path, &mut random);
        let mut opened = crate::sqlite::open(&path, decode).unwrap();
        let snapshot = opened.journal.load().unwrap();
        let last = snapshot.batch.0;
        // One more may be there: committed, but killed before it said so.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&last),
            "round {round}: {last}"
        );
        assert_eq!(snapshot.counters.job, JobId(last), "round {round}");
        assert_eq!(
            snapshot.chunks[0].2,
            [last.to_be_bytes(); 2_000].concat(),
            "round {round}"
        );
        assert_eq!(
            attempts(&opened.history),
            (last - 1) * ATTEMPTS_PER_BATCH,
            "round {round}"
        );
    }
}

fn attempts(history: &impl History) -> u64 {
    let tasks = vec![range(0, u32::MAX)];
    let mut page = AttemptPage {
        job: JobId(1),
        tasks,
        after: None,
        limit: 10_000,
    };
    let mut count = 0;
    loop {
        let found = history.attempts(&page).unwrap();
        count += found.rows.len() as u64;
        page.after = found.next;
        if page.after.is_none() {
            return count;
        }
    }
}
