//! How many finished attempts a second the SQLite store takes, durable.
//!
//! `cargo run --release -p flota-store --example finish_rate [FOLDER]`: batches of 1,000 attempts
//! of one job of a million tasks, each batch with the chunk and the grants that it changes, one
//! batch a commit; first attempts without output, then with one line each. Beside it the same
//! number of bare appends with a sync each, because the disk decides much of it.
#![expect(clippy::print_stdout, reason = "prints its figures")]

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use flota_model::{
    change::{AttemptRecord, Batch, Change, GrantRecord},
    ids::{
        AttemptId, AttemptRange, Authority, BatchNumber, BootId, Epoch, GrantId, JobId, NodeId,
        Nonce, TaskIndex, Term,
    },
    outcome::{Outcome, Output, Stream, Usage},
    units::Timestamp,
};
use flota_store::{journal::Journal, sqlite};

const TASKS: u32 = 1_000_000;
const ATTEMPTS_PER_BATCH: u32 = 1_000;
const SALT: u64 = 0xFEDC_BA98_7654_3210;
const AUTHORITY: Authority = Authority {
    term: Term(1),
    epoch: Epoch(1),
};

fn main() {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("the folder can be written");
    for (what, output) in [
        ("no output", None),
        ("a line of output", Some("hello from a task\n")),
    ] {
        let path = folder.path().join(what.replace(' ', "-"));
        let (rate, slowest) = measure(&path, output);
        println!("{what}: {rate:.0} attempts/s, slowest commit {slowest:?}");
    }
    println!(
        "bare appends: {:.0} syncs/s",
        syncs(&folder.path().join("bare"))
    );
}

/// Attempts per second, and the slowest commit.
fn measure(path: &Path, output: Option<&str>) -> (f64, Duration) {
    let mut journal = sqlite::open(path, |_| None).expect("a new store").journal;
    let salt = SALT;
    let at = Timestamp(1_700_000_000_000_000);
    let taken = Change::AuthorityTaken {
        authority: AUTHORITY,
        salt,
        at,
        recovered: false,
    };
    journal
        .apply(&[batch(1, vec![taken])])
        .expect("the first batch");
    let mut spent = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for number in 0..TASKS / ATTEMPTS_PER_BATCH {
        // Made outside the time: the engine makes the changes, not the store.
        let batches = [batch(u64::from(number) + 2, changes(number, output))];
        let start = now();
        journal.apply(&batches).expect("a batch");
        let took = now().saturating_sub(start);
        spent += took;
        slowest = slowest.max(took);
    }
    (f64::from(TASKS) / spent.as_secs_f64(), slowest)
}

fn batch(number: u64, changes: Vec<Change>) -> Batch {
    Batch {
        number: BatchNumber(number),
        authority: AUTHORITY,
        changes,
    }
}

fn changes(number: u32, output: Option<&str>) -> Vec<Change> {
    let first = number * ATTEMPTS_PER_BATCH;
    let mut changes: Vec<Change> = (first..first + ATTEMPTS_PER_BATCH)
        .map(|task| Change::AttemptEnded(Box::new(record(task, output))))
        .collect();
    let chunk = first / 65_536;
    let mut bytes = vec![0; 24_576];
    let done = (first % 65_536) as usize * 3 / 8;
    bytes[..done].fill(0b0110_1101);
    changes.push(Change::ChunkWritten {
        job: JobId(1),
        number: chunk,
        bytes,
    });
    let granted = GrantId(u64::from(number) + 10);
    changes.push(Change::GrantAdded(grant(granted, first)));
    if number >= 8 {
        let settled = GrantId(granted.0 - 4);
        let (unsettled, suspect) = (vec![0x0F; 125], vec![0; 125]);
        changes.push(Change::GrantWritten {
            grant: settled,
            unsettled,
            suspect,
        });
        changes.push(Change::GrantRemoved(GrantId(granted.0 - 8)));
    }
    changes
}

fn attempt_id(task: u32) -> AttemptId {
    AttemptId {
        epoch: Epoch(1),
        salt: SALT,
        sequence: u64::from(task) + 1,
    }
}

fn record(task: u32, output: Option<&str>) -> AttemptRecord {
    let at = 1_700_000_000_000_000 + u64::from(task);
    let output = output.map(|text| {
        let stdout = Stream::Inline(text.as_bytes().to_vec());
        Box::new(Output {
            stdout,
            ..Output::default()
        })
    });
    AttemptRecord {
        attempt: attempt_id(task),
        job: JobId(1),
        task: TaskIndex(task),
        node: NodeId(task % 100),
        outcome: Outcome::Exited { code: 0 },
        counted: true,
        granted_at: Timestamp(at),
        started_at: Some(Timestamp(at + 800)),
        ended_at: Timestamp(at + 2_600),
        usage: Usage {
            user_micros: 900,
            system_micros: 400,
            memory_bytes_max: Some(3 << 20),
        },
        output,
    }
}

fn grant(grant: GrantId, first: u32) -> GrantRecord {
    GrantRecord {
        grant,
        job: JobId(1),
        first_task: TaskIndex(first),
        attempts: AttemptRange {
            first: attempt_id(first),
            count: ATTEMPTS_PER_BATCH,
        },
        node: NodeId(1),
        boot: BootId(1),
        journal: Nonce(1),
        granted_at: Timestamp(1_700_000_000_000_000),
        unsettled: vec![0xFF; 125],
        suspect: vec![0; 125],
    }
}

/// As many bytes and syncs as the commits above, without a database.
fn syncs(path: &Path) -> f64 {
    let commits = TASKS / ATTEMPTS_PER_BATCH;
    let mut file = File::create(path).expect("a new file");
    let bytes = vec![7; ATTEMPTS_PER_BATCH as usize * 100];
    let start = now();
    for _ in 0..commits {
        file.write_all(&bytes).expect("an append");
        file.sync_data().expect("a sync");
    }
    f64::from(commits) / now().saturating_sub(start).as_secs_f64()
}

fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).expect("the time since the boot is not negative")
}
