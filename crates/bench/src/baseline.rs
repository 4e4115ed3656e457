//! What the parts below Flota do alone, on the same disk and the same cores.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use flota_model::{
    change::{AttemptRecord, Batch, Change, JobRecord},
    control::JobControl,
    ids::{AttemptId, Authority, BatchNumber, Epoch, JobId, NodeId, TaskIndex, Term},
    outcome::Outcome,
    state::{Counts, JobPhase},
    units::Timestamp,
};
use flota_store::{journal::Journal, sqlite};
use flota_wire::spec;
use serde_json::Value;

use super::clock::{now, rank};

const AUTHORITY: Authority = Authority {
    term: Term(1),
    epoch: Epoch(1),
};
const SALT: u64 = 0xFEDC_BA98_7654_3210;
/// Any time: 2023-11-14.
const AT: u64 = 1_700_000_000_000_000;
/// Jobs of which the median is taken.
const JOBS_ALONE: u64 = 21;
/// Length of an append: a page, as a small commit writes.
const APPEND_LENGTH: usize = 4096;

/// Seconds for `count` ended attempts in commits of `batch`, durable, through the store alone.
///
/// # Errors
/// As text: what the store or the disk said.
pub(super) fn sqlite_alone(folder: &Path, count: u32, batch: u32) -> Result<f64, String> {
    alone(folder, |journal| {
        let mut spent = Duration::ZERO;
        for (number, first) in (2..).zip((0..count).step_by(batch as usize)) {
            // Made outside the time: the engine makes the changes, not the store.
            let ended = (first..count.min(first + batch)).map(ended);
            let batches = [self::batch(number, ended.collect())];
            let start = now();
            journal.apply(&batches).map_err(|fault| fault.to_string())?;
            spent += now().saturating_sub(start);
        }
        Ok(spent.as_secs_f64())
    })
}

/// Milliseconds to store one job through the store alone, durable: the median of some.
///
/// # Errors
/// As text: what the store or the disk said, or what is wrong with the spec.
pub(super) fn job_alone(folder: &Path, body: &Value) -> Result<f64, String> {
    let spec =
        spec::parse_json(body.to_string().as_bytes()).map_err(|faults| faults.to_string())?;
    let spec = spec::seal(spec);
    alone(folder, |journal| {
        let mut spent = Vec::new();
        for number in 2..JOBS_ALONE + 2 {
            let job = Change::JobAdded(Box::new(JobRecord {
                job: JobId(number),
                spec: spec.clone(),
                principal: "local".into(),
                submitted_at: Timestamp(AT),
                phase: JobPhase::Active,
                counts: Counts::default(),
                rows: None,
                finished_at: None,
                control: JobControl::default(),
            }));
            let batches = [batch(number, vec![job])];
            let start = now();
            journal.apply(&batches).map_err(|fault| fault.to_string())?;
            spent.push(now().saturating_sub(start).as_secs_f64() * 1_000.0);
        }
        Ok(rank(&spent, 50))
    })
}

/// What `run` does with a fresh store, of which the first batch is written.
fn alone<T>(
    folder: &Path,
    run: impl FnOnce(&mut dyn Journal) -> Result<T, String>,
) -> Result<T, String> {
    // A folder, because the database has files beside it.
    let path = folder.join("sqlite-alone");
    fs::create_dir(&path).map_err(|fault| fault.to_string())?;
    let opened = sqlite::open(&path.join("store"), |_| None).map_err(|fault| fault.to_string())?;
    let mut journal = opened.journal;
    let taken = Change::AuthorityTaken {
        authority: AUTHORITY,
        salt: SALT,
        at: Timestamp(AT),
        recovered: false,
    };
    let first = batch(1, vec![taken]);
    journal.apply(&[first]).map_err(|fault| fault.to_string())?;
    let value = run(&mut journal)?;
    drop(journal);
    fs::remove_dir_all(&path).map_err(|fault| fault.to_string())?;
    Ok(value)
}

fn batch(number: u64, changes: Vec<Change>) -> Batch {
    Batch {
        number: BatchNumber(number),
        authority: AUTHORITY,
        changes,
    }
}

fn ended(task: u32) -> Change {
    let at = AT + u64::from(task);
    Change::AttemptEnded(Box::new(AttemptRecord {
        attempt: AttemptId {
            epoch: Epoch(1),
            salt: SALT,
            sequence: u64::from(task) + 1,
        },
        job: JobId(1),
        task: TaskIndex(task),
        node: NodeId(1),
        outcome: Outcome::Completed,
        counted: true,
        granted_at: Timestamp(at),
        started_at: Some(Timestamp(at + 800)),
        ended_at: Timestamp(at + 2_600),
        usage: flota_model::outcome::Usage::default(),
        output: None,
    }))
}

/// Seconds for `count` programs, `width` at a time: started and waited for, and nothing else.
pub(super) fn spawn_alone(program: &str, count: u32, width: u32) -> io::Result<f64> {
    let start = now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..width)
            .map(|worker| {
                let share = count / width + u32::from(worker < count % width);
                scope.spawn(move || (0..share).try_for_each(|_| run(program)))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    Ok(now().saturating_sub(start).as_secs_f64())
}

/// Without a change of user, group or folder the standard library takes `posix_spawn`.
fn run(program: &str) -> io::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the baseline is what a program costs without Flota"
    )]
    let mut command = std::process::Command::new(program);
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program}: {status}")))
}

/// A file that one appends to, with a sync each time.
pub(super) struct Appends(File);

impl Appends {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self(File::create(folder.join("appends"))?))
    }

    /// Milliseconds of one append with `fdatasync`.
    pub(super) fn append(&mut self) -> io::Result<f64> {
        let start = now();
        self.0.write_all(&[7; APPEND_LENGTH])?;
        self.0.sync_data()?;
        Ok(now().saturating_sub(start).as_secs_f64() * 1_000.0)
    }
}
