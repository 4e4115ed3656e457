//! The file of jobs as it changes: each of its lines becomes a job once.
//!
//! What tells one line from another is its text and which of several equal ones it is, so that lines
//! may be added anywhere, the file be renamed, cut or written anew by an editor. That a line was queued
//! is known by the idempotency key of its job, which is in the same commit: no crash comes between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::atomic::Ordering,
    time::Duration,
};

use flota_wire::hpc::{
    file::{FileFault, parse_file},
    job::JobRequest,
};
use sha2::{Digest as _, Sha256};
use tokio::{task, time};

use super::{Hpc, file::read_below};
use crate::problem::{KEY_REUSED, Problem};

/// Between two looks: a change is seen within two seconds, also where the last line has no end and so
/// is taken only when it is still the same at the next look.
const LOOK_INTERVAL: Duration = Duration::from_millis(800);
/// After the fleet could not take a line.
const PAUSE: Duration = Duration::from_secs(5);

/// What tells one state of the file from another (`man 2 stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed_at: (i64, i64),
}

/// A line that is a job.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    number: usize,
    request: JobRequest,
    /// Under which it is queued.
    key: String,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// At the last look.
    stamp: Option<Stamp>,
    /// Of which every line was taken.
    taken: Option<Stamp>,
    /// Keys of lines that are queued.
    queued: BTreeSet<String>,
    /// Lines that were told to be none.
    told: BTreeSet<(usize, String)>,
}

/// Looks again and again; ends never.
pub(super) async fn follow(hpc: &Hpc) {
    let path = hpc.0.settings.jobs_folder.join(&hpc.0.settings.job_file);
    let mut seen = Seen::default();
    loop {
        if let Some(now) = stamp(&path).filter(|now| seen.taken != Some(*now)) {
            let is_settled = seen.stamp == Some(now);
            seen.stamp = Some(now);
            match take(hpc, &mut seen, is_settled).await {
                Ok(is_whole) => seen.taken = is_whole.then_some(now),
                Err(problem) => {
                    tracing::warn!(why = problem.detail(), "lines of the file of jobs wait");
                    time::sleep(PAUSE).await;
                }
            }
        }
        time::sleep(LOOK_INTERVAL).await;
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        length: metadata.len(),
        changed_at: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// Queues what is new; tells whether that was all of the file.
async fn take(hpc: &Hpc, seen: &mut Seen, is_settled: bool) -> Result<bool, Problem> {
    let settings = &hpc.0.settings;
    let (folder, file) = (settings.jobs_folder.clone(), settings.job_file.clone());
    let read = task::spawn_blocking(move || read_below(&folder, &file)).await;
    let text = match read.map_err(io::Error::other).and_then(|read| read) {
        Ok(text) => text,
        Err(fault) => {
            tracing::warn!(%fault, "the file of jobs cannot be read");
            return Ok(true);
        }
    };
    let whole = if is_settled { &text } else { ended(&text) };
    let (lines, faults) = lines(whole);
    for FileFault { line, what } in faults {
        seen.complain(line, what);
    }
    for line in lines {
        if seen.queued.contains(&line.key) {
            continue;
        }
        match hpc.submit(&line.request, Some(line.key.clone())).await {
            Ok(_) => hpc.0.from_file.store(true, Ordering::Relaxed),
            // It was queued when the fleet had other nodes, and so in another form.
            Err(problem) if problem.kind() == KEY_REUSED => {}
            Err(problem) if problem.kind().status == 422 => {
                seen.complain(line.number, problem.detail().to_owned());
            }
            Err(problem) => return Err(problem),
        }
        seen.queued.insert(line.key);
    }
    Ok(whole.len() == text.len())
}

impl Seen {
    fn complain(&mut self, line: usize, why: String) {
        if self.told.insert((line, why.clone())) {
            tracing::warn!(line, why, "a line of the file of jobs is no job");
        }
    }
}

/// All up to the end of the last line that has one: the rest may be half of a line.
fn ended(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

/// The jobs of a file with their keys, and the lines that are none.
fn lines(text: &str) -> (Vec<Line>, Vec<FileFault>) {
    let (jobs, faults) = parse_file(text);
    let texts: Vec<&str> = text.lines().collect();
    let mut equal: BTreeMap<&str, u32> = BTreeMap::new();
    let keyed = jobs.into_iter().map(|job| {
        let text = texts.get(job.line - 1).map_or("", |text| text.trim());
        let count = equal.entry(text).or_default();
        *count += 1;
        let digest: [u8; 32] = Sha256::digest(format!("{count} {text}")).into();
        let [high, low] = [0, 16].map(|from| {
            let mut half = [0; 16];
            half.copy_from_slice(&digest[from..from + 16]);
            u128::from_be_bytes(half)
        });
        Line {
            number: job.line,
            request: job.request,
            key: format!("jobs-file/{high:032x}{low:032x}"),
        }
    });
    (keyed.collect(), faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        lines(text).0.into_iter().map(|line| line.key).collect()
    }

    #[test]
    fn a_line_keeps_its_key_wherever_it_stands() {
        let first = keys("Numpy,1,1,1\nNumpy,2,2,2\nNumpy,1,1,1\n");
        assert_ne!(first[0], first[2], "two equal lines are two jobs");
        let moved = keys("# nuevo\nSecuencial,9,9,9\nNumpy,2,2,2\n\n Numpy,1,1,1\r\nNumpy,1,1,1\n");
        assert_eq!(
            moved[1..],
            [first[1].clone(), first[0].clone(), first[2].clone()]
        );
        assert!(first[0].len() <= 128, "as long as a key may be");
    }

    #[test]
    fn half_a_line_is_none() {
        assert_eq!(ended("Numpy,1,1,1\nNumpy,2"), "Numpy,1,1,1\n");
        assert_eq!(ended("Numpy,2"), "");
        assert_eq!(ended(""), "");
    }
}
