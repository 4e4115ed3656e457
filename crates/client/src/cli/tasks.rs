//! `flota job tasks`.

use std::collections::BTreeMap;

use clap::ArgMatches;
use flota_wire::rest::{Attempt, Task};

use super::{Session, ask, job, story};
use crate::{
    catalogue::Language,
    client::TasksQuery,
    exit::Exit,
    failure::Failure,
    render::{Field, Format, Listing, bytes, duration},
};

/// Tasks of a list where nobody says otherwise.
const LIST_LENGTH: u32 = 100;

pub(super) async fn list(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let number = ask!(session.job(job::argument(matches))).id;
    let wanted = matches
        .get_one::<u32>("limit")
        .copied()
        .unwrap_or(LIST_LENGTH);
    let state = matches.get_one::<String>("state").cloned();
    let mut pages = Pages::new(number, state);
    let mut tasks: Vec<Task> = Vec::new();
    while tasks.len() < wanted as usize {
        let left = wanted - u32::try_from(tasks.len()).unwrap_or(wanted);
        match pages.next(session, left).await? {
            Some(page) => tasks.extend(page),
            None => break,
        }
    }
    tasks.truncate(wanted as usize);
    let language = session.language();
    let for_people = session.screen.format() == Format::Table;
    if tasks.is_empty() && for_people {
        session.screen.mention(&language.no_tasks_match());
    }
    let names = if for_people {
        story::node_names(session, &tasks).await
    } else {
        BTreeMap::new()
    };
    let fields = columns(language, names);
    Listing {
        items: &tasks,
        fields,
        name: |task| task.index.to_string(),
    }
    .print(session.screen)?;
    if pages.more() && for_people {
        let command = format!("flota job tasks {number} -n {}", wanted.saturating_mul(2));
        session.screen.mention(&language.more_lines(command));
    }
    Ok(Exit::Ok)
}

/// The tasks of a job, page by page.
pub(super) struct Pages {
    query: TasksQuery,
    ended: bool,
}

impl Pages {
    pub(super) fn new(job: u64, state: Option<String>) -> Self {
        Self {
            query: TasksQuery {
                job,
                limit: None,
                after: None,
                state,
            },
            ended: false,
        }
    }

    /// The next page, of at most `limit` tasks; `None` after the last one.
    pub(super) async fn next(
        &mut self,
        session: &mut Session<'_>,
        limit: u32,
    ) -> Result<Option<Vec<Task>>, Failure> {
        if self.ended {
            return Ok(None);
        }
        self.query.limit = Some(limit.clamp(1, job::PAGE_MAX));
        let page = ask!(session.tasks(&self.query));
        self.query.after = page.next;
        self.ended = page.next.is_none();
        Ok(Some(page.tasks))
    }

    /// Whether there may be another page.
    pub(super) fn more(&self) -> bool {
        !self.ended
    }
}

fn columns(language: Language, names: BTreeMap<u32, String>) -> Vec<Field<Task>> {
    let of_last = |show: fn(&Attempt) -> String| {
        move |task: &Task| task.attempts.last().map(show).unwrap_or_default()
    };
    vec![
        Field::number("index", language.header_task(), |task: &Task| {
            task.index.to_string()
        }),
        Field::state("state", language.header_state(), |task: &Task| {
            task.state.clone()
        }),
        Field::text(
            "outcome",
            language.header_outcome(),
            of_last(|last| last.outcome.clone()),
        ),
        Field::text("exit", language.header_exit(), of_last(story::exit)),
        Field::text("node", language.header_node(), move |task: &Task| {
            let node = task.attempts.last().map(|last| last.node);
            let name = |node: u32| {
                names
                    .get(&node)
                    .cloned()
                    .unwrap_or_else(|| format!("#{node}"))
            };
            node.map(name).unwrap_or_default()
        })
        .raw(of_last(|last| last.node.to_string())),
        Field::number("attempts", language.header_attempts(), |task: &Task| {
            task.attempts.len().to_string()
        }),
        Field::number(
            "seconds",
            language.header_took(),
            of_last(|last| {
                last.started_at
                    .map(|start| duration(last.ended_at - start))
                    .unwrap_or_default()
            }),
        )
        .raw(of_last(|last| {
            last.started_at
                .map(|start| (last.ended_at - start).to_string())
                .unwrap_or_default()
        })),
        Field::number(
            "memory_bytes_max",
            language.header_peak_memory(),
            of_last(|last| last.memory_bytes_max.map(bytes).unwrap_or_default()),
        )
        .raw(of_last(|last| {
            last.memory_bytes_max
                .map(|peak| peak.to_string())
                .unwrap_or_default()
        })),
    ]
}
