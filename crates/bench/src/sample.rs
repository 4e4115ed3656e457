//! Looks at what a measurement left, task by task over the API.

use flota_client::Failure;
use flota_wire::rest;

use super::{Bench, clock::Random, fleet::Fleet};

/// Attempts that are looked at after a measurement.
pub(super) const SAMPLES: u32 = 1_000;
/// Agents tell times by their own reading of the wall clock, in microseconds; the client by its own.
const CLOCK_SLACK_SECONDS: f64 = 0.05;

/// What every sampled task must look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The word of the task's state.
    pub(super) state: &'static str,
    /// The word of the outcome of its attempt.
    pub(super) outcome: &'static str,
    pub(super) exit_code: Option<u8>,
    /// Wall clock of the client, before the submission and after the terminal count was read.
    pub(super) run: (f64, f64),
}

/// Looks at [`SAMPLES`] tasks of `first..first + count`.
pub(super) async fn check(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
    (job, first, count): (u64, u32, u32),
    expected: impl Fn(u32) -> Expected,
) -> Result<(), Failure> {
    let mut random = Random(job ^ u64::from(std::process::id()));
    for _ in 0..SAMPLES {
        let index = first + random.below(count);
        let task = fleet.task(job, index).await?;
        verify(&task, &expected(index)).map_err(|why| bench.wrong(why))?;
    }
    Ok(())
}

/// What is wrong with a task.
pub(super) fn verify(task: &rest::Task, expected: &Expected) -> Result<(), String> {
    let wrong = |what: &str| {
        let found = serde_json::to_string(task).unwrap_or_default();
        Err(format!("{what}: {found}, expected {expected:?}"))
    };
    let [attempt] = task.attempts.as_slice() else {
        return wrong("not one attempt");
    };
    if task.state != expected.state || !attempt.counted {
        return wrong("another state");
    }
    if attempt.outcome != expected.outcome || attempt.exit_code != expected.exit_code {
        return wrong("another outcome");
    }
    let (from, to) = expected.run;
    let times = [
        from - CLOCK_SLACK_SECONDS,
        attempt.granted_at,
        attempt.started_at.unwrap_or(f64::NAN),
        attempt.ended_at,
        to + CLOCK_SLACK_SECONDS,
    ];
    if !times.is_sorted_by(|earlier, later| earlier <= later) {
        return wrong("times outside the run");
    }
    Ok(())
}
