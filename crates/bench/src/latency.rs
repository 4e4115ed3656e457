//! How long one task takes from its submission to its result.

use flota_client::Failure;
use serde_json::{Value, json};

use super::{
    Bench,
    baseline::Appends,
    clock::{now, rank, wall},
    fleet::Fleet,
    rate::{self, PROGRAM},
    report::Report,
    sample::{self, Expected},
};

/// Jobs of each kind, one after the other.
const JOBS: u32 = 500;

/// One kind of job, with what its jobs took in milliseconds.
struct Kind {
    name: &'static str,
    work: Value,
    outcome: &'static str,
    exit_code: Option<u8>,
    milliseconds: Vec<f64>,
}

pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
) -> Result<Vec<Report>, Failure> {
    fleet.start_server().await?;
    fleet.start_agents().await?;
    let mut kinds = kinds();
    let mut syncs = Vec::new();
    let mut looks = Vec::new();
    let unsynced = |fault| bench.failed("fdatasync", fault);
    let mut appends = Appends::new(fleet.folder()).map_err(unsynced)?;
    for _ in 0..JOBS {
        syncs.push(appends.append().map_err(unsynced)?);
        for kind in &mut kinds {
            looks.push(run(bench, fleet, kind).await?);
        }
    }
    // Afterwards, so that reading disturbs no time: both kinds have 500 attempts, so it is all 1,000.
    for (job, expected) in looks {
        let task = fleet.task(job, 0).await?;
        sample::verify(&task, &expected).map_err(|why| bench.wrong(why))?;
    }
    let baseline = rank(&syncs, 50);
    let reports = kinds.iter().map(|kind| {
        Report::new(bench.name)
            .with("work", kind.name)
            .with("tasks", JOBS)
            .with("agents", bench.agents)
            .measured("p50_ms", rank(&kind.milliseconds, 50))
            .measured("p99_ms", rank(&kind.milliseconds, 99))
            .with("baseline_name", "fdatasync")
            .measured("baseline_p50_ms", baseline)
            .measured("ratio", rank(&kind.milliseconds, 50) / baseline)
    });
    Ok(reports.collect())
}

fn kinds() -> [Kind; 2] {
    [
        Kind {
            name: "noop",
            work: json!({"kernel": {"name": "noop"}}),
            outcome: "completed",
            exit_code: None,
            milliseconds: Vec::new(),
        },
        Kind {
            name: PROGRAM,
            work: json!({"program": {"argv": [PROGRAM]}}),
            outcome: "exited",
            exit_code: Some(0),
            milliseconds: Vec::new(),
        },
    ]
}

async fn run(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
    kind: &mut Kind,
) -> Result<(u64, Expected), Failure> {
    let mut spec = json!({"name": bench.name});
    rate::merge(&mut spec, &kind.work);
    let (begun, start) = (wall(), now());
    let job = fleet.submit(&spec).await?;
    fleet.wait(job).await?;
    let spent = now().saturating_sub(start);
    kind.milliseconds.push(spent.as_secs_f64() * 1_000.0);
    let expected = Expected {
        state: "succeeded",
        outcome: kind.outcome,
        exit_code: kind.exit_code,
        run: (begun, wall()),
    };
    Ok((job, expected))
}
