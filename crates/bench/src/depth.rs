//! A queue of a million tasks: to accept it, to hold it, and to start again with it.

use flota_client::Failure;
use serde_json::{Value, json};

use super::{
    Bench, baseline,
    clock::{Random, now, wall},
    fleet::{Fleet, ended},
    report::Report,
    sample::{self, Expected, SAMPLES},
};

const TASKS: u32 = 1_000_000;
const HALF: u32 = TASKS / 2;
/// Of the first half, the tasks from here on fail: 30 %.
const FAIL_FROM: u32 = HALF / 10 * 7;
/// The task of index i adds 0 to `1.<i>e308`. The greatest double is 1.797693…e308 (IEEE 754), so of
/// six digits those from 797,693 on are no number and the kernel fails. The first index is chosen so
/// that this is the task behind [`FAIL_FROM`] others; from 1,000,000 on it is `1.1…e308`, a number.
const FIRST: u32 = 797_694 - FAIL_FROM;

pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
) -> Result<Vec<Report>, Failure> {
    fleet.start_server().await?;
    let before = fleet.server_memory()?;
    let alone = baseline::job_alone(fleet.folder(), &spec(bench))
        .map_err(|why| bench.failed("SQLite", why))?;
    let (begun, start) = (wall(), now());
    let job = fleet.submit(&spec(bench)).await?;
    let accept = now().saturating_sub(start);
    let added = fleet.server_memory()?.saturating_sub(before);
    let whole = restart(bench, fleet, job, 0).await?;

    fleet.start_agents().await?;
    fleet.wait_for_ended(job, HALF).await?;
    fleet.kill_server().await;
    fleet.end_agents().await;
    let half = restart(bench, fleet, job, HALF).await?;
    let ran = fleet.job(job).await?;
    let failed = ran.tasks.get("failed").copied().unwrap_or(0);
    check(bench, fleet, job, begun).await?;
    let report = Report::new(bench.name)
        .with("tasks", TASKS)
        .measured("accept_ms", accept.as_secs_f64() * 1_000.0)
        .with("baseline_name", "sqlite one job")
        .measured("baseline_accept_ms", alone)
        .measured("ratio", accept.as_secs_f64() * 1_000.0 / alone)
        .with("rss_added_bytes", added)
        .measured("restart_ms", whole.milliseconds)
        .with("restarted_rss_bytes", whole.memory)
        .with("half_ended_tasks", ended(&ran))
        .with("half_failed_tasks", failed)
        .measured("half_restart_ms", half.milliseconds)
        .with("half_rss_bytes", half.memory);
    Ok(vec![report])
}

fn spec(bench: &Bench<'_>) -> Value {
    json!({
        "name": bench.name,
        "tasks": {"first": FIRST, "last": FIRST + TASKS - 1},
        "kernel": {
            "name": "arithmetic",
            "parameters": {"operation": "sum", "a": "1.{index}e308", "b": "0"},
        },
        "retry": "never",
    })
}

struct Restart {
    milliseconds: f64,
    memory: u64,
}

/// Kills the server if it is there, and starts it: until it shows all tasks of the job.
async fn restart(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
    job: u64,
    ended_min: u32,
) -> Result<Restart, Failure> {
    fleet.kill_server().await;
    let start = now();
    fleet.start_server().await?;
    let shown = fleet.job(job).await?;
    let spent = now().saturating_sub(start);
    if shown.tasks.values().sum::<u32>() != TASKS || ended(&shown) < ended_min {
        return Err(bench.wrong(format!("after a restart: {:?}", shown.tasks)));
    }
    Ok(Restart {
        milliseconds: spent.as_secs_f64() * 1_000.0,
        memory: fleet.server_memory()?,
    })
}

/// Samples tasks that ended: tasks run by index, so nearly all of the first half did.
async fn check(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
    job: u64,
    begun: f64,
) -> Result<(), Failure> {
    let run = (begun, wall());
    let (mut random, mut seen) = (Random(job), 0);
    for _ in 0..SAMPLES * 2 {
        let offset = random.below(HALF);
        let task = fleet.task(job, FIRST + offset).await?;
        if task.attempts.is_empty() {
            continue;
        }
        sample::verify(&task, &expected(offset, run)).map_err(|why| bench.wrong(why))?;
        seen += 1;
        if seen == SAMPLES {
            return Ok(());
        }
    }
    Err(bench.wrong(format!("only {seen} of the sampled tasks ended")))
}

fn expected(offset: u32, run: (f64, f64)) -> Expected {
    let (state, outcome) = if offset < FAIL_FROM {
        ("succeeded", "completed")
    } else {
        ("failed", "failed")
    };
    Expected {
        state,
        outcome,
        exit_code: None,
        run,
    }
}
