//! How long a service takes to start and to stop, and what a thousand of them cost on one node.

use std::{
    io,
    process::{Command, Stdio},
    time::Duration,
};

use flota_client::{Failure, Order};
use flota_wire::rest::service::ServiceWhole;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Bench,
    clock::{now, rank},
    fleet::Fleet,
    report::Report,
};

/// Starts and stops, one after the other, in turns with the bare ones.
const ROUNDS: u32 = 100;
/// Replicas of the crowd.
const CROWD: u32 = 1_000;
/// What it costs is measured for so long, once it has come to rest for so long.
const REST: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(20);
/// Between two looks at the crowd: looking costs, too.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// What they do.
const PROGRAM: [&str; 2] = ["/bin/sleep", "1000"];
const ONE: &str = "one";
const MANY: &str = "many";

pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
) -> Result<Vec<Report>, Failure> {
    fleet.start_server().await?;
    fleet.start_agents().await?;
    Ok(vec![
        latency(bench, fleet).await?,
        crowd(bench, fleet).await?,
    ])
}

fn spec(name: &str, replicas: u32) -> Value {
    json!({"name": name, "program": {"argv": PROGRAM}, "service": {"replicas": replicas}})
}

/// From the order to the state, over one kept connection, beside `posix_spawn` and `kill`.
async fn latency(bench: &Bench<'_>, fleet: &mut Fleet<'_>) -> Result<Report, Failure> {
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    let (mut spawns, mut kills) = (Vec::new(), Vec::new());
    fleet.apply(ONE, &spec(ONE, 1)).await?;
    until(fleet, ONE, |one| runs(one) == 1, Duration::ZERO).await?;
    for _ in 0..ROUNDS {
        let begun = now();
        fleet.order(ONE, Order::Stop).await?;
        let is_over = |one: &ServiceWhole| one.service.phase == "stopped";
        until(fleet, ONE, is_over, Duration::ZERO).await?;
        stops.push(milliseconds_since(begun));
        let begun = now();
        fleet.order(ONE, Order::Start).await?;
        until(fleet, ONE, |one| runs(one) == 1, Duration::ZERO).await?;
        starts.push(milliseconds_since(begun));
        let (spawn, kill) = bare().map_err(|fault| bench.failed(PROGRAM[0], fault))?;
        spawns.push(spawn);
        kills.push(kill);
    }
    fleet.order(ONE, Order::Stop).await?;
    let (start, stop) = (rank(&starts, 50), rank(&stops, 50));
    let (spawn, kill) = (rank(&spawns, 50), rank(&kills, 50));
    Ok(Report::new(bench.name)
        .with("rounds", ROUNDS)
        .with("agents", bench.agents)
        .measured("start_p50_ms", start)
        .measured("start_p99_ms", rank(&starts, 99))
        .measured("stop_p50_ms", stop)
        .measured("stop_p99_ms", rank(&stops, 99))
        .with("baseline_name", "posix_spawn; kill and wait")
        .measured("baseline_start_p50_ms", spawn)
        .measured("baseline_stop_p50_ms", kill)
        .measured("start_ratio", start / spawn)
        .measured("stop_ratio", stop / kill))
}

/// Milliseconds to start a program, and to end it. Without a change of user, group or folder the standard
/// library takes `posix_spawn`, which returns when the program is there.
fn bare() -> io::Result<(f64, f64)> {
    let begun = now();
    #[expect(
        clippy::disallowed_methods,
        reason = "the baseline is what a program costs without Flota"
    )]
    let mut command = Command::new(PROGRAM[0]);
    let mut child = command.arg(PROGRAM[1]).stdin(Stdio::null()).spawn()?;
    let started = milliseconds_since(begun);
    let begun = now();
    child.kill()?;
    child.wait()?;
    Ok((started, milliseconds_since(begun)))
}

/// A thousand at once on one node: until all run, and what agent and keeper cost then.
async fn crowd(bench: &Bench<'_>, fleet: &mut Fleet<'_>) -> Result<Report, Failure> {
    let before = fleet.idle(Duration::ZERO, REST).await?;
    let begun = now();
    fleet.apply(MANY, &spec(MANY, CROWD)).await?;
    until(fleet, MANY, |many| runs(many) == CROWD, LOOK_INTERVAL).await?;
    let started = now().saturating_sub(begun);
    let cost = fleet.idle(REST, MEASURED).await?;
    let begun = now();
    fleet.order(MANY, Order::Stop).await?;
    let is_over = |many: &ServiceWhole| many.service.phase == "stopped";
    until(fleet, MANY, is_over, LOOK_INTERVAL).await?;
    let stopped = now().saturating_sub(begun);
    let report = Report::new(bench.name)
        .with("replicas", CROWD)
        .with("agents", bench.agents)
        .measured("start_seconds", started.as_secs_f64())
        .measured("stop_seconds", stopped.as_secs_f64())
        .with("agent_idle_before_bytes", before.agent_bytes)
        .with("keeper_idle_before_bytes", before.keeper_bytes);
    Ok(cost.in_report(report))
}

fn runs(service: &ServiceWhole) -> u32 {
    let count = |state: &str| service.service.states.get(state).copied().unwrap_or(0);
    count("running") + count("ready")
}

async fn until(
    fleet: &mut Fleet<'_>,
    name: &str,
    holds: impl Fn(&ServiceWhole) -> bool,
    pause: Duration,
) -> Result<(), Failure> {
    let deadline = now() + super::fleet::DEADLINE;
    while now() < deadline {
        if holds(&fleet.service(name).await?) {
            return Ok(());
        }
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    Err(fleet.stuck())
}

fn milliseconds_since(begun: Duration) -> f64 {
    now().saturating_sub(begun).as_secs_f64() * 1_000.0
}
