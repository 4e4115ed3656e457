//! How much of the machine's cores a job gets that could use all of them.

use std::{collections::BTreeMap, thread};

use flota_client::Failure;
use flota_kernels::Stop;
use serde_json::json;

use super::{
    Bench,
    clock::{now, rank},
    fleet::Fleet,
    rate::{self, Load},
    report::Report,
};

/// Several on one machine must share its cores as well as one does.
pub(super) const AGENTS: u32 = 3;
const TASKS: u32 = 200;
const ROUNDS: u32 = 3;
/// Samples of the estimate of π: some 90 ms of work.
const SAMPLES: u32 = 20_000_000;

pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
) -> Result<Vec<Report>, Failure> {
    rate::start(fleet).await?;
    let cores = rate::cores(bench)?;
    let parameters = json!({"operation": "pi", "n": SAMPLES, "seed": "{index}"});
    let load = Load {
        tasks: TASKS,
        work: json!({"kernel": {"name": "arithmetic", "parameters": parameters}}),
        outcome: "completed",
        exit_code: None,
    };
    let (mut alone, mut ours, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(threads_alone(cores).map_err(|why| bench.failed("arithmetic", why))?);
        let (seconds, usage) = rate::measure(bench, fleet, &load).await?;
        ours.push(seconds);
        shares.push(usage.agents / (seconds * f64::from(cores)));
    }
    let report = rate::report(bench, &load, &ours, "as many threads as cores", &alone)
        .with("baseline_width", cores)
        .measured("share_of_cores", rank(&shares, 50));
    Ok(vec![report])
}

/// Seconds for the same work by threads that do nothing else.
fn threads_alone(cores: u32) -> Result<f64, String> {
    let start = now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|worker| {
                let tasks = (0..TASKS).filter(move |task| task % cores == worker);
                scope.spawn(move || tasks.map(work).collect::<Result<Vec<_>, _>>())
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a kernel does not panic").map(drop))
    })?;
    Ok(now().saturating_sub(start).as_secs_f64())
}

fn work(task: u32) -> Result<Vec<u8>, String> {
    let parameters = [
        ("operation", "pi".to_owned()),
        ("n", SAMPLES.to_string()),
        ("seed", task.to_string()),
    ];
    let parameters: BTreeMap<String, String> = parameters
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    flota_kernels::run("arithmetic", &parameters, &Stop::new()).map_err(|fault| fault.to_string())
}
