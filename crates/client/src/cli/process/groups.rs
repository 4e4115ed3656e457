//! `flota ps --group`: sums.

use clap::ArgMatches;
use flota_wire::rest::process::{ProcessGroup, SilentNode};

use super::{
    super::{Session, ask},
    query, silence,
};
use crate::{
    catalogue::Language,
    exit::Exit,
    failure::Failure,
    render::{Field, Format, Listing, bytes},
};

pub(super) async fn list(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    by: &str,
) -> Result<Exit, Failure> {
    let mut query = query(matches);
    query.limit = matches.get_one::<u32>("limit").copied();
    let answer = ask!(session.process_groups(by, &query));
    let language = session.language();
    Listing {
        items: &answer.groups,
        fields: columns(language, by),
        name: |group: &ProcessGroup| group.group.clone().unwrap_or_default(),
    }
    .print(session.screen)?;
    let shown = answer.groups.len();
    if (shown as u64) < answer.matching && session.screen.format() == Format::Table {
        let text = language.processes_shown(shown, answer.matching);
        session.screen.mention(&text);
    }
    let silent: Vec<&SilentNode> = answer.unanswered.iter().collect();
    let asked = answer.answered.len() + silent.len();
    silence(language, &silent, asked)
}

/// What is the sum of less than all is marked.
fn columns(language: Language, by: &str) -> Vec<Field<ProcessGroup>> {
    let header = match by {
        "user" => language.header_user(),
        "cgroup" => language.header_control_group(),
        "job" => language.header_job(),
        "node" => language.header_node(),
        _ => language.header_name(),
    };
    let none = language.value_none();
    let partly = |unknown: u64| if unknown > 0 { "+" } else { "" };
    vec![
        Field::text("group", header, move |group: &ProcessGroup| {
            group.group.clone().unwrap_or_else(|| none.clone())
        })
        .raw(|group| group.group.clone().unwrap_or_default()),
        Field::number(
            "processes",
            language.header_processes(),
            |group: &ProcessGroup| group.processes.to_string(),
        ),
        Field::number(
            "threads",
            language.header_threads(),
            |group: &ProcessGroup| group.threads.to_string(),
        ),
        Field::number(
            "cpu_core_percent",
            language.header_core_percent(),
            move |group: &ProcessGroup| {
                let known = group.cpu_core_percent;
                known.map_or_else(String::new, |percent| {
                    format!("{percent:.1}{}", partly(group.cpu_unknown))
                })
            },
        )
        .raw(|group| or_empty(group.cpu_core_percent)),
        Field::number(
            "memory",
            language.header_memory(),
            move |group: &ProcessGroup| {
                let known = group.memory;
                known.map_or_else(String::new, |memory| {
                    format!("{}{}", bytes(memory), partly(group.memory_unknown))
                })
            },
        )
        .raw(|group| or_empty(group.memory)),
    ]
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
