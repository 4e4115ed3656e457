//! How long a list of thousands of processes takes: read by a bare loop, by the agent's own reader,
//! and asked for over the API.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    process::{Child, Command, Stdio},
};

use flota_client::{Failure, ProcessesQuery};
use flota_wire::rest::process::LIMIT_MAX;

use super::{
    Bench,
    clock::{now, rank},
    fleet::Fleet,
    report::Report,
};

/// Processes that are started for the measurement, beside those of the machine.
const PROCESSES: usize = 3_000;
/// Each of the ways once in a round, so that all meet the same machine.
const ROUNDS: u32 = 31;
/// What they do. A run takes less than ten minutes; whatever a killed one leaves ends by itself.
const SLEEP: [&str; 2] = ["/bin/sleep", "600"];
/// What the bare loop reads of each process.
const ALL: &[&str] = &["stat", "status", "cmdline"];
/// What the fastest possible list would read.
const STAT: &[&str] = &["stat"];
/// Longer files are read in part, by the loop as by the agent.
const FILE_LENGTH: usize = 4 * 1024;

pub(super) async fn measure(
    bench: &Bench<'_>,
    fleet: &mut Fleet<'_>,
) -> Result<Vec<Report>, Failure> {
    fleet.start_server().await?;
    fleet.start_agents().await?;
    let _sleepers = Sleepers::start(PROCESSES).map_err(|fault| bench.failed(SLEEP[0], fault))?;
    let unread = |fault| bench.failed("/proc", fault);
    let mut agents_reader = flota_host::process_lister().map_err(unread)?;
    let (mut bare, mut stat, mut ours, mut api) = (vec![], vec![], vec![], vec![]);
    let mut listed = 0;
    for _ in 0..ROUNDS {
        bare.push(timed(|| read(ALL)).map_err(unread)?.1);
        stat.push(timed(|| read(STAT)).map_err(unread)?.1);
        ours.push(timed(&mut agents_reader).map_err(unread)?.1);
        let start = now();
        listed = ask(bench, fleet).await?;
        api.push(now().saturating_sub(start).as_secs_f64() * 1_000.0);
    }
    let (baseline, fastest) = (rank(&bare, 50), rank(&stat, 50));
    let (own, asked) = (rank(&ours, 50), rank(&api, 50));
    let report = Report::new(bench.name)
        .with("processes", listed)
        .measured("p50_ms", own)
        .measured("api_p50_ms", asked)
        .measured("api_p99_ms", rank(&api, 99))
        .with("baseline_name", "stat+status+cmdline of each")
        .measured("baseline_p50_ms", baseline)
        .measured("ratio", asked / baseline)
        .measured("list_ratio", own / baseline)
        .measured("stat_p50_ms", fastest)
        .measured("stat_ratio", asked / fastest);
    Ok(vec![report])
}

/// One answer with all processes, decoded: how many.
async fn ask(bench: &Bench<'_>, fleet: &mut Fleet<'_>) -> Result<usize, Failure> {
    let query = ProcessesQuery {
        limit: Some(LIMIT_MAX),
        nodes: vec!["n1".to_owned()],
        ..ProcessesQuery::default()
    };
    let list = fleet.processes(&query).await?;
    let is_sleeper = |name: &str| name == "sleep";
    let found = list
        .processes
        .iter()
        .filter(|process| is_sleeper(&process.name));
    if found.count() < PROCESSES || !list.unanswered.is_empty() {
        let count = list.processes.len();
        return Err(bench.wrong(format!("{count} processes, {:?}", list.unanswered)));
    }
    Ok(list.processes.len())
}

/// What it gives, and milliseconds.
fn timed<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<(T, f64)> {
    let start = now();
    let value = run()?;
    Ok((value, now().saturating_sub(start).as_secs_f64() * 1_000.0))
}

/// A loop as one writes it by hand: these files of every process, into one buffer, and nothing made of
/// them. How many processes.
pub(super) fn read(names: &[&str]) -> io::Result<usize> {
    let mut buffer = [0; FILE_LENGTH];
    let mut count = 0;
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let is_process = entry.file_name().as_encoded_bytes()[0].is_ascii_digit();
        if !is_process {
            continue;
        }
        let folder = entry.path();
        // One that ends meanwhile is none.
        let read = names.iter().try_for_each(|name| {
            let mut file = File::open(folder.join(name))?;
            file.read(&mut buffer).map(drop)
        });
        count += usize::from(read.is_ok());
    }
    Ok(count)
}

/// Processes that sleep until this is dropped.
pub(super) struct Sleepers(Vec<Child>);

impl Sleepers {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let mut sleepers = Self(Vec::with_capacity(count));
        for _ in 0..count {
            #[expect(
                clippy::disallowed_methods,
                reason = "processes that have nothing to do with Flota"
            )]
            let mut command = Command::new(SLEEP[0]);
            let child = command.arg(SLEEP[1]).stdin(Stdio::null()).spawn()?;
            sleepers.0.push(child);
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}
