//! `flota bench`: measures a fleet of its own beside what bare programs reach in the same run.

mod baseline;
mod clock;
mod cores;
mod depth;
mod disk;
mod fleet;
mod idle;
mod latency;
mod list;
mod rate;
mod report;
mod sample;
mod service;
#[cfg(test)]
mod tests;
mod usage;

use std::fmt::Display;

use clap::ArgMatches;
use flota_client::{Exit, Failure, Language, Screen};
use flota_host::{Context, EndSignals, Threads};

use self::{fleet::Fleet, report::Report};

/// Agents when nobody says otherwise: the keeper's rate, not the number of nodes, is measured.
const AGENTS: u32 = 1;
/// In the order of `all`: the shortest first.
const NAMES: [&str; 8] = [
    "list", "noop", "exec", "latency", "cores", "agent", "service", "depth",
];

/// What every measurement is made with.
struct Bench<'a> {
    context: &'a Context,
    name: &'static str,
    agents: u32,
}

/// Makes the measurements that are asked for, one after the other, and prints them.
pub fn command(
    context: &Context,
    screen: &mut Screen,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let wanted = matches.get_one::<String>("bench").map(String::as_str);
    let agents = matches.get_one::<u32>("agents").copied().unwrap_or(AGENTS);
    if cfg!(debug_assertions) {
        screen.tell(&context.language.bench_debug());
    }
    context.runtime(Threads::One)?.block_on(async {
        let mut signals = EndSignals::take_over().map_err(|source| context.not_set_up(&source))?;
        for name in NAMES {
            if wanted != Some(name) && wanted != Some("all") {
                continue;
            }
            if !screen.is_quiet() {
                screen.tell(&context.language.bench_running(name));
            }
            let agents = match name {
                "cores" => agents.max(cores::AGENTS),
                _ => agents,
            };
            let bench = Bench {
                context,
                name,
                agents,
            };
            let mut fleet = Fleet::new(&bench)?;
            let measured = tokio::select! {
                measured = bench.measure(&mut fleet) => measured,
                () = signals.next() => Err(interrupted(context.language)),
            };
            fleet.end().await;
            for report in measured? {
                report.print(screen, context.settings.output)?;
            }
            screen.flush()?;
        }
        Ok(Exit::Ok)
    })
}

fn interrupted(language: Language) -> Failure {
    let what = language.error_interrupted();
    Failure::new("E-COMMAND-INTERRUPTED", Exit::Interrupted, what)
}

impl Bench<'_> {
    async fn measure(&self, fleet: &mut Fleet<'_>) -> Result<Vec<Report>, Failure> {
        match self.name {
            "list" => list::measure(self, fleet).await,
            "noop" => rate::noop(self, fleet).await,
            "exec" => rate::exec(self, fleet).await,
            "latency" => latency::measure(self, fleet).await,
            "cores" => cores::measure(self, fleet).await,
            "agent" => idle::measure(self, fleet).await,
            "service" => service::measure(self, fleet).await,
            "depth" => depth::measure(self, fleet).await,
            other => unreachable!("`{other}` is one of NAMES without a measurement"),
        }
    }

    /// A part of the measurement failed.
    fn failed(&self, part: &str, why: impl Display) -> Failure {
        let what = self.context.language.error_bench_part(part);
        Failure::new("E-BENCH-FAILED", Exit::Failed, what).because(why.to_string())
    }

    /// What was measured is not what was asked for.
    fn wrong(&self, why: impl Display) -> Failure {
        let what = self.context.language.error_bench_wrong(self.name);
        Failure::new("E-BENCH-WRONG", Exit::Failed, what).because(why.to_string())
    }

    fn stuck(&self) -> Failure {
        let what = self.context.language.error_bench_stuck(self.name);
        Failure::new("E-BENCH-STUCK", Exit::Failed, what)
    }
}
