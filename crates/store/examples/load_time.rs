//! How long a start waits for the SQLite store.
//!
//! `cargo run --release -p flota-store --example load_time [FOLDER]`: a store with a million
//! unfinished jobs and as many finished ones is opened and loaded.
#![expect(clippy::print_stdout, reason = "prints its figures")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flota_model::{
    change::{Batch, Change, JobRecord},
    control::JobControl,
    ids::{Authority, BatchNumber, Epoch, JobId, SpecHash, TaskIndex, Term},
    resources::Resources,
    spec::{
        Constraints, JobSpec, KernelCall, OnDisconnect, Priority, Retry, SealedSpec, TaskRange,
        Work,
    },
    state::{Counts, JobPhase},
    units::Timestamp,
};
use flota_store::{journal::Journal, sqlite};

const JOBS: u64 = 2_000_000;
const JOBS_PER_BATCH: u64 = 10_000;
const AUTHORITY: Authority = Authority {
    term: Term(1),
    epoch: Epoch(1),
};

fn main() {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("the folder can be written");
    let path = folder.path().join("store");
    fill(&path);
    let start = now();
    let mut journal = sqlite::open(&path, decode).expect("the store").journal;
    let opened = now();
    let jobs = journal.load().expect("its jobs").jobs.len();
    let loaded = now();
    println!(
        "opened in {:?}, {jobs} jobs loaded in {:?}",
        opened.saturating_sub(start),
        loaded.saturating_sub(opened)
    );
}

fn fill(path: &Path) {
    let mut journal = sqlite::open(path, decode).expect("a new store").journal;
    let (salt, at) = (7, Timestamp(1));
    let taken = Change::AuthorityTaken {
        authority: AUTHORITY,
        salt,
        at,
        recovered: false,
    };
    journal
        .apply(&[batch(1, vec![taken])])
        .expect("the first batch");
    for number in 0..JOBS / JOBS_PER_BATCH {
        let jobs = number * JOBS_PER_BATCH + 1..=(number + 1) * JOBS_PER_BATCH;
        let changes = jobs
            .map(|job| Change::JobAdded(Box::new(record(job))))
            .collect();
        journal
            .apply(&[batch(number + 2, changes)])
            .expect("a batch");
    }
}

fn batch(number: u64, changes: Vec<Change>) -> Batch {
    Batch {
        number: BatchNumber(number),
        authority: AUTHORITY,
        changes,
    }
}

/// As long as the sealed spec of a short command.
fn blob() -> Vec<u8> {
    vec![b'x'; 300]
}

/// Every second job is finished.
fn record(job: u64) -> JobRecord {
    let blob = blob();
    let spec = Arc::new(decode(&blob).expect("it always decodes"));
    let is_finished = job.is_multiple_of(2);
    JobRecord {
        rows: None,
        job: JobId(job),
        spec: SealedSpec {
            spec,
            blob: blob.into(),
            hash: SpecHash(job),
        },
        principal: "local".to_owned(),
        submitted_at: Timestamp(job),
        phase: if is_finished {
            JobPhase::Finished
        } else {
            JobPhase::Active
        },
        counts: Counts([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        finished_at: is_finished.then_some(Timestamp(job)),
        control: JobControl::default(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a decoder may refuse its bytes")]
fn decode(_: &[u8]) -> Option<JobSpec> {
    let tasks = TaskRange {
        first: TaskIndex(0),
        last: TaskIndex(0),
    };
    Some(JobSpec {
        name: "job".to_owned(),
        tasks,
        work: Work::Kernel(KernelCall::default()),
        priority: Priority::MEDIUM,
        resources: Resources::default(),
        constraints: Constraints::default(),
        retry: Retry::default(),
        timeout: None,
        grace: Duration::from_secs(10),
        on_disconnect: OnDisconnect::default(),
        parameters: None,
        rules: Box::default(),
        service: None,
    })
}

fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).expect("the time since the boot is not negative")
}
