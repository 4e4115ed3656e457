//! Tasks a second of one large job, in turns with the baseline.

use flota_client::Failure;
use flota_host::machine;
use serde_json::{Value, json};

use super::{
    Bench, baseline,
    clock::{now, rank, wall},
    fleet::Fleet,
    report::Report,
    sample::{self, Expected},
    usage::Usage,
};

const NOOP_TASKS: u32 = 100_000;
const EXEC_TASKS: u32 = 5_000;
/// Baseline and fleet in turns, so that a disk that slows down slows both; medians are told.
const ROUNDS: u32 = 3;
/// A program that every Linux has.
pub(super) const PROGRAM: &str = "/bin/true";

/// A job of which the rate is measured.
pub(super) struct Load {
    pub(super) tasks: u32,
    pub(super) work: Value,
    pub(super) outcome: &'static str,
    pub(super) exit_code: Option<u8>,
}

pub(super) async fn noop(bench: &Bench<'_>, fleet: &mut Fleet<'_>) -> Result<Vec<Report>, Failure> {
    start(fleet).await?;
    let load = Load {
        tasks: NOOP_TASKS,
        work: json!({"kernel": {"name": "noop"}}),
        outcome: "completed",
        exit_code: None,
    };
    let alone = |fleet: &Fleet<'_>, batch| {
        baseline::sqlite_alone(fleet.folder(), NOOP_TASKS, batch)
            .map_err(|why| bench.failed("SQLite", why))
    };
    let (mut large, mut small, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let mut used = Vec::new();
    for _ in 0..ROUNDS {
        large.push(alone(fleet, 1_000)?);
        small.push(alone(fleet, 100)?);
        let (seconds, usage) = measure(bench, fleet, &load).await?;
        ours.push(seconds);
        used.push(usage);
    }
    let tasks = f64::from(NOOP_TASKS);
    let report = report(bench, &load, &ours, "sqlite 1000 a commit", &large)
        .rate("baseline_100_a_commit_per_second", tasks / rank(&small, 50));
    Ok(vec![with_usage(report, &used)])
}

pub(super) async fn exec(bench: &Bench<'_>, fleet: &mut Fleet<'_>) -> Result<Vec<Report>, Failure> {
    start(fleet).await?;
    let width = cores(bench)?;
    let load = Load {
        tasks: EXEC_TASKS,
        work: json!({"program": {"argv": [PROGRAM]}}),
        outcome: "exited",
        exit_code: Some(0),
    };
    let (mut alone, mut ours) = (Vec::new(), Vec::new());
    let mut used = Vec::new();
    for _ in 0..ROUNDS {
        let seconds = baseline::spawn_alone(PROGRAM, EXEC_TASKS, width);
        alone.push(seconds.map_err(|fault| bench.failed(PROGRAM, fault))?);
        let (seconds, usage) = measure(bench, fleet, &load).await?;
        ours.push(seconds);
        used.push(usage);
    }
    let report = report(bench, &load, &ours, "posix_spawn", &alone).with("baseline_width", width);
    Ok(vec![with_usage(report, &used)])
}

/// Whole cores that this process may use, at least one.
pub(super) fn cores(bench: &Bench<'_>) -> Result<u32, Failure> {
    let all = machine()
        .map_err(|fault| bench.failed("sched_getaffinity", fault))?
        .cpus;
    Ok((all.0 / 1_000).max(1))
}

pub(super) async fn start(fleet: &mut Fleet<'_>) -> Result<(), Failure> {
    fleet.start_server().await?;
    fleet.start_agents().await
}

/// Seconds from before the submission until the terminal count was read, and what that used.
pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
    load: &Load,
) -> Result<(f64, Usage), Failure> {
    let mut spec = json!({
        "name": bench.name,
        "tasks": {"first": 0, "last": load.tasks - 1},
    });
    merge(&mut spec, &load.work);
    let before = fleet.usage()?;
    let (begun, start) = (wall(), now());
    let job = fleet.submit(&spec).await?;
    let finished = fleet.wait(job).await?;
    let (seconds, ended) = (now().saturating_sub(start).as_secs_f64(), wall());
    let used = fleet.usage()?.since(before);
    if finished.tasks.get("succeeded") != Some(&load.tasks) {
        return Err(bench.wrong(format!("{:?}", finished.tasks)));
    }
    let expected = Expected {
        state: "succeeded",
        outcome: load.outcome,
        exit_code: load.exit_code,
        run: (begun, ended),
    };
    sample::check(bench, fleet, (job, 0, load.tasks), |_| expected).await?;
    Ok((seconds, used))
}

/// Puts the keys of `more` into `spec`; both are objects of ours.
pub(super) fn merge(spec: &mut Value, more: &Value) {
    let pairs = more.as_object().into_iter().flatten();
    for (key, value) in pairs {
        spec[key] = value.clone();
    }
}

pub(super) fn report(
    bench: &Bench<'_>,
    load: &Load,
    ours: &[f64],
    baseline_name: &'static str,
    baseline: &[f64],
) -> Report {
    let tasks = f64::from(load.tasks);
    let (seconds, alone) = (rank(ours, 50), rank(baseline, 50));
    Report::new(bench.name)
        .with("tasks", load.tasks)
        .measured("seconds", seconds)
        .rate("tasks_per_second", tasks / seconds)
        .with("agents", bench.agents)
        .with("baseline_name", baseline_name)
        .rate("baseline_per_second", tasks / alone)
        .measured("ratio", alone / seconds)
        .with("rounds", ROUNDS)
}

/// Medians of processor seconds in a round, to see where the time goes.
fn with_usage(report: Report, rounds: &[Usage]) -> Report {
    let median = |of: fn(&Usage) -> f64| rank(&rounds.iter().map(of).collect::<Vec<_>>(), 50);
    report
        .measured("server_cpu_seconds", median(|usage| usage.server))
        .measured("agent_cpu_seconds", median(|usage| usage.agents))
        .measured("keeper_cpu_seconds", median(|usage| usage.keepers))
        .measured("program_cpu_seconds", median(|usage| usage.programs))
}
