//! `flota ps`.

mod groups;
mod show;
mod tree;
mod watch;

use std::{collections::BTreeMap, time::Duration};

use clap::ArgMatches;
use flota_model::units::Bytes;
use flota_wire::rest::process::{LIMIT_MAX, Process, Processes, SilentNode};

pub(super) use self::show::show;
use super::{Session, ask};
use crate::{
    catalogue::Language,
    client::ProcessesQuery,
    clock,
    exit::Exit,
    failure::Failure,
    render::{Field, Format, Listing, age, bytes, cpus, seconds_ago},
};

/// Use is measured between two looks; agents call two that are nearer than this one.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
/// Letters of a command line in a table; the other formats have all that nodes tell.
const COMMAND_SHOWN: usize = 80;
/// Nodes without an answer that are named one by one.
const SILENT_SHOWN: usize = 20;

pub(super) async fn list(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    if let Some(by) = matches.get_one::<String>("group").cloned() {
        return groups::list(session, matches, &by).await;
    }
    if let Some(interval) = matches.get_one::<Duration>("watch").copied() {
        return watch::watch(session, matches, interval).await;
    }
    let wanted = matches.get_one::<u32>("limit").copied();
    let mut found = Found::default();
    let mut query = query(matches);
    loop {
        let left = wanted.map_or(LIMIT_MAX, |wanted| wanted - found.count());
        query.limit = Some(left.clamp(1, LIMIT_MAX));
        let page = page(session, &query).await?;
        query.after.clone_from(&page.next);
        found.add(page);
        let is_enough = wanted.is_some_and(|wanted| found.count() >= wanted);
        if query.after.is_none() || is_enough {
            break;
        }
    }
    let language = session.language();
    let format = session.screen.format();
    let marks = if matches.get_flag("tree") {
        found.arrange()
    } else {
        BTreeMap::new()
    };
    if found.processes.is_empty() && found.silent.is_empty() && format == Format::Table {
        session.screen.mention(&language.no_processes_match());
    }
    Listing {
        items: &found.processes,
        fields: columns(language, format, marks),
        name: |process: &Process| process.handle.clone(),
    }
    .print(session.screen)?;
    if query.after.is_some() && format == Format::Table {
        let shown = found.processes.len();
        session
            .screen
            .mention(&language.processes_shown(shown, found.matching));
    }
    for (name, left_out) in &found.cut {
        session
            .screen
            .mention(&language.processes_left_out(name, left_out));
    }
    found.verdict(language)
}

fn query(matches: &ArgMatches) -> ProcessesQuery {
    let text = |name| matches.get_one::<String>(name).cloned();
    let nodes = matches.get_many::<String>("nodes").unwrap_or_default();
    ProcessesQuery {
        nodes: nodes.cloned().collect(),
        name: text("name"),
        regex: text("regex"),
        states: text("state"),
        cpu_min: matches.get_one::<u32>("cpu-min").copied(),
        memory_min: matches.get_one::<Bytes>("memory-min").copied(),
        user: text("user"),
        job: matches.get_one::<u64>("job").copied(),
        managed: matches.get_flag("managed"),
        no_kernel: !matches.get_flag("all"),
        sort: text("sort"),
        ..ProcessesQuery::default()
    }
}

/// One page. Nobody has a use before the second look, so that an order or a choice by it needs two.
async fn page(session: &mut Session<'_>, query: &ProcessesQuery) -> Result<Processes, Failure> {
    let page = ask!(session.processes(query));
    let is_first_look = page.processes.iter().all(|process| process.cpu.is_none());
    let is_sorted = matches!(query.sort.as_deref(), Some("cpu" | "machine"));
    let is_needed = query.cpu_min.is_some() || is_sorted && !page.processes.is_empty();
    if !is_needed || !is_first_look {
        return Ok(page);
    }
    tokio::time::sleep(LOOK_INTERVAL).await;
    Ok(ask!(session.processes(query)))
}

/// What several pages gave.
#[derive(Default)]
struct Found {
    processes: Vec<Process>,
    matching: u64,
    /// Nodes with more processes than they could send, by name.
    cut: BTreeMap<String, u32>,
    /// Nodes that did not answer, by number.
    silent: BTreeMap<u32, SilentNode>,
    /// All nodes that were asked.
    asked: usize,
}

impl Found {
    fn count(&self) -> u32 {
        u32::try_from(self.processes.len()).unwrap_or(u32::MAX)
    }

    fn add(&mut self, page: Processes) {
        self.asked = page.answered.len() + page.unanswered.len();
        self.processes.extend(page.processes);
        self.matching = page.matching;
        let cut = page.answered.into_iter().filter(|node| node.left_out > 0);
        self.cut.extend(cut.map(|node| (node.name, node.left_out)));
        let silent = page.unanswered.into_iter();
        self.silent.extend(silent.map(|node| (node.node, node)));
    }

    /// Puts them below their parents; returns what is drawn in front of each.
    fn arrange(&mut self) -> BTreeMap<String, String> {
        let (processes, marks) = tree::arrange(std::mem::take(&mut self.processes));
        self.processes = processes;
        marks
    }

    fn verdict(&self, language: Language) -> Result<Exit, Failure> {
        let silent: Vec<&SilentNode> = self.silent.values().collect();
        silence(language, &silent, self.asked)
    }
}

/// Whether all nodes answered.
fn silence(language: Language, silent: &[&SilentNode], asked: usize) -> Result<Exit, Failure> {
    if silent.is_empty() {
        return Ok(Exit::Ok);
    }
    let what = language.error_list_partial(silent.len(), asked);
    let failure = Failure::new("E-LIST-PARTIAL", Exit::Partial, what);
    let told = silent.iter().take(SILENT_SHOWN);
    let failure = told.fold(failure, |failure, node| failure.because(&*node.detail));
    let rest = silent.len().saturating_sub(SILENT_SHOWN);
    Err(match rest {
        0 => failure,
        rest => failure.because(language.more_silent_nodes(rest)),
    })
}

fn columns(
    language: Language,
    format: Format,
    marks: BTreeMap<String, String>,
) -> Vec<Field<Process>> {
    let mut fields = short(language);
    if format == Format::Csv {
        fields.extend(long());
    }
    let marked = move |process: &Process| {
        let mark = marks.get(&process.handle).map_or("", String::as_str);
        format!("{mark}{}", command(process))
    };
    // The longest comes last.
    fields.push(
        Field::text("command", language.header_command(), marked)
            .raw(|process| process.command.clone().unwrap_or_default()),
    );
    fields
}

/// As `ps` shows it: the name in brackets where there is no command line, and the start of a long one.
pub(super) fn command(process: &Process) -> String {
    let Some(command) = &process.command else {
        return format!("[{}]", process.name);
    };
    match command.char_indices().nth(COMMAND_SHOWN) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command.clone(),
    }
}

fn short(language: Language) -> Vec<Field<Process>> {
    let now = clock::wall();
    let or_empty = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    vec![
        Field::text("node_name", language.header_node(), |process: &Process| {
            process.node_name.clone()
        }),
        Field::number("pid", "PID".into(), |process: &Process| {
            process.pid.to_string()
        }),
        Field::text("user", language.header_user(), |process: &Process| {
            let number = process.uid.map(|uid| uid.to_string());
            process.user.clone().or(number).unwrap_or_default()
        }),
        Field::text("state", language.header_state(), |process: &Process| {
            process.state.clone()
        }),
        percent(
            "cpu_core_percent",
            language.header_core_percent(),
            |process| process.cpu_core_percent,
        ),
        percent(
            "cpu_machine_percent",
            language.header_machine_percent(),
            |process| process.cpu_machine_percent,
        ),
        Field::number("memory", language.header_memory(), |process: &Process| {
            process.memory.map(bytes).unwrap_or_default()
        })
        .raw(move |process| or_empty(process.memory)),
        Field::text(
            "started_at",
            language.header_age(),
            move |process: &Process| age(seconds_ago(process.started_at, now)),
        )
        .raw(|process| process.started_at.to_string()),
        Field::number("job", language.header_job(), move |process: &Process| {
            or_empty(process.task.as_ref().map(|task| task.job))
        }),
    ]
}

fn percent(
    key: &'static str,
    header: String,
    value: fn(&Process) -> Option<f64>,
) -> Field<Process> {
    Field::number(key, header, move |process: &Process| {
        let known = value(process);
        known.map_or_else(String::new, |percent| format!("{percent:.1}"))
    })
    .raw(move |process| {
        let known = value(process);
        known.map_or_else(String::new, |percent| percent.to_string())
    })
}

/// What is too much for a screen.
fn long() -> Vec<Field<Process>> {
    let field = |key, show: fn(&Process) -> String| Field::text(key, String::new(), show);
    vec![
        field("handle", |process| process.handle.clone()),
        field("name", |process| process.name.clone()),
        field("parent", |process| process.parent.to_string()),
        field("threads", |process| process.threads.to_string()),
        field("cpu", |process| process.cpu.map(cpus).unwrap_or_default()),
        field("cpu_seconds", |process| process.cpu_seconds.to_string()),
        field("control_group", |process| {
            process.control_group.clone().unwrap_or_default()
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::{command as command_of, *};

    fn page(silent: u32) -> Processes {
        let node = |number| SilentNode {
            node: number,
            name: format!("n{number}"),
            phase: "up".into(),
            code: "E-NODE-UNREACHABLE".into(),
            detail: format!("node `n{number}` did not answer in time"),
        };
        Processes {
            processes: Vec::new(),
            matching: 0,
            next: None,
            answered: Vec::new(),
            unanswered: (1..=silent).map(node).collect(),
        }
    }

    #[test]
    fn a_long_command_is_cut_between_letters_and_none_is_a_name() {
        let shown = |command: Option<String>| {
            let row = flota_model::process::ProcessRow {
                name: "kworker".into(),
                command,
                ..Default::default()
            };
            let place = flota_wire::rest::process::Place {
                node: flota_model::ids::NodeId(1),
                name: "n1",
                boot: flota_model::ids::BootId(1),
                cores: None,
            };
            command_of(&Process::new(place, &row))
        };
        assert_eq!(shown(None), "[kworker]");
        assert_eq!(shown(Some("é".repeat(80))), "é".repeat(80));
        assert_eq!(shown(Some("é".repeat(81))), "é".repeat(80) + "…");
    }

    #[test]
    fn nodes_without_an_answer_are_named_up_to_a_number() {
        let verdict = |pages: &[u32]| {
            let mut found = Found::default();
            for silent in pages {
                found.add(page(*silent));
            }
            found.verdict(Language::English)
        };
        assert_eq!(verdict(&[0]).ok(), Some(Exit::Ok));
        let told = |silent| {
            // The same nodes on two pages are named once.
            let failure = verdict(&[silent, silent]).unwrap_err();
            assert_eq!(failure.exit(), Exit::Partial);
            format!("{failure:?}")
                .matches("did not answer in time")
                .count()
        };
        assert_eq!(told(3), 3);
        assert_eq!(told(20), SILENT_SHOWN);
        assert_eq!(told(21), SILENT_SHOWN);
        let failure = verdict(&[25]).unwrap_err();
        assert!(format!("{failure:?}").contains("and 5 more"), "{failure:?}");
    }
}
