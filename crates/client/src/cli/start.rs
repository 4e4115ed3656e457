//! `flota start`: one program on one node, as a job of one task that is pinned to it.

use std::{collections::BTreeMap, time::Duration};

use clap::ArgMatches;
use flota_model::{
    spec::{LogKind, Retry, Work},
    units::{Bytes, Cpus},
};
use flota_wire::{
    rest::{Node, process::Process},
    spec::{self, Job},
};
use serde::Serialize;
use serde_json::json;

use super::{Session, ask, node, submit, wait};
use crate::{
    catalogue::Language,
    client::ProcessesQuery,
    clock,
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format},
};

/// How long the person waits to see it run. A node has room for it at once, unless its memory or
/// cores were asked for.
const RUNS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What is told about it.
#[derive(Serialize)]
struct Started {
    job: u64,
    node: String,
    /// Absent when it does not run yet, or ran to its end before it was seen.
    pid: Option<u32>,
    handle: Option<String>,
}

pub(super) async fn start(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let node = up(session, matches).await?;
    let job = job(session, matches, &node)?;
    let key = submit::random_key(session.language())?;
    let job = submit::send(session, &job, &key).await?.job;
    session.interrupt_note = Some(session.language().interrupted_job_goes_on(job));
    let seen = look(session, job, &node.name).await?;
    let started = Started {
        job,
        node: node.name,
        pid: seen.as_ref().map(|process| process.pid),
        handle: seen.map(|process| process.handle),
    };
    tell(session, &started)?;
    Ok(Exit::Ok)
}

/// The node, which must be up: who starts a program now does not want it to start tomorrow.
async fn up(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Node, Failure> {
    let name = matches.get_one::<String>("node").expect("it is required");
    let node = node::find(session, name).await?;
    if node.phase == "up" {
        return Ok(node);
    }
    let language = session.language();
    let what = language.error_node_not_up(&node.name, &node.phase);
    Err(Failure::new("E-NODE-UNREACHABLE", Exit::Refused, what)
        .hint(language.hint_node_not_up(&node.name)))
}

fn job(session: &Session<'_>, matches: &ArgMatches, node: &Node) -> Result<Job, Failure> {
    let language = session.language();
    let argv: Vec<&String> = matches
        .get_many("program")
        .expect("it is required")
        .collect();
    let wrong = |faults| Failure::of_spec(language.error_command_spec_invalid(), faults);
    let name = matches.get_one::<String>("name").cloned();
    let name = name.unwrap_or_else(|| submit::name_of(argv[0]));
    let body = json!({
        "name": name,
        "program": {"argv": argv},
        "constraints": {"node": node.name},
    });
    let mut spec = spec::parse_json(body.to_string().as_bytes()).map_err(wrong)?;
    // Like a start by hand: never a second time without being asked to.
    spec.retry = Retry::Never;
    // As good as nothing, so that it need not wait for room.
    spec.resources.cpus = Cpus(1);
    if let Some(cpus) = matches.get_one::<Cpus>("cpus") {
        spec.resources.cpus = *cpus;
    }
    if let Some(memory) = matches.get_one::<Bytes>("memory") {
        spec.resources.memory = *memory;
    }
    if let Work::Program(program) = &mut spec.work {
        // It may run for long.
        program.logs = LogKind::Rotated;
        let folder = session.options.current_folder.as_deref();
        submit::apply_program(program, matches, folder);
    }
    spec::check(&spec).map_err(wrong)?;
    Ok(Job { spec, rows: None })
}

/// Its process, once it runs; `None` when it has ended already, or does not run in time.
///
/// # Errors
/// When it could not be started, or failed at once.
async fn look(session: &mut Session<'_>, job: u64, node: &str) -> Result<Option<Process>, Failure> {
    let deadline = clock::moment() + RUNS_WITHIN;
    loop {
        let query = ProcessesQuery {
            nodes: vec![node.to_owned()],
            job: Some(job),
            ..ProcessesQuery::default()
        };
        let found = ask!(session.processes(&query)).processes;
        if let Some(first) = leader(found) {
            return Ok(Some(first));
        }
        let state = ask!(session.job(&job.to_string()));
        if state.phase == "finished" {
            wait::verdict(session, &state).await?;
            return Ok(None);
        }
        if clock::moment() >= deadline {
            session
                .screen
                .mention(&session.language().start_waits(job, node));
            return Ok(None);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The program itself, not what it started.
fn leader(mut processes: Vec<Process>) -> Option<Process> {
    let by_pid: BTreeMap<u32, usize> = (0..processes.len())
        .map(|index| (processes[index].pid, index))
        .collect();
    let first = processes
        .iter()
        .position(|process| !by_pid.contains_key(&process.parent))?;
    Some(processes.swap_remove(first))
}

fn tell(session: &mut Session<'_>, started: &Started) -> Result<(), Failure> {
    let language = session.language();
    if session.screen.format() == Format::Table {
        let Started { job, node, .. } = started;
        let text = match started.pid {
            Some(pid) => language.started(job, node, pid),
            None => language.started_unseen(job, node),
        };
        session.screen.print_line(&text)?;
        session.screen.mention(&language.started_next(job));
        return Ok(());
    }
    Details {
        item: started,
        fields: columns(language),
        name: |started| started.job.to_string(),
    }
    .print(session.screen)
}

fn columns(language: Language) -> Vec<Field<Started>> {
    vec![
        Field::number("job", language.header_job(), |started: &Started| {
            started.job.to_string()
        }),
        Field::text("node", language.header_node(), |started: &Started| {
            started.node.clone()
        }),
        Field::number("pid", "PID".into(), |started: &Started| {
            started.pid.map(|pid| pid.to_string()).unwrap_or_default()
        }),
        Field::text("handle", String::new(), |started: &Started| {
            started.handle.clone().unwrap_or_default()
        }),
    ]
}

#[cfg(test)]
mod tests {
    use flota_model::{
        ids::{BootId, NodeId},
        process::ProcessRow,
    };
    use flota_wire::rest::process::Place;

    use super::*;

    #[test]
    fn the_leader_is_the_one_whose_parent_is_not_of_the_job() {
        let process = |(pid, parent)| {
            let row = ProcessRow {
                pid,
                parent,
                ..ProcessRow::default()
            };
            let place = Place {
                node: NodeId(1),
                name: "n1",
                boot: BootId(1),
                cores: None,
            };
            Process::new(place, &row)
        };
        let leader_of = |pids: &[(u32, u32)]| {
            let found = pids.iter().copied().map(process).collect();
            leader(found).map(|process| process.pid)
        };
        assert_eq!(leader_of(&[(5, 9), (7, 9), (9, 2)]), Some(9));
        assert_eq!(leader_of(&[]), None);
    }
}
