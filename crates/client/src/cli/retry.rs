//! `flota job retry` and `flota job dead`; failures by reason of `flota job show --failed`.

use std::collections::BTreeMap;

use clap::ArgMatches;
use flota_wire::rest::{
    Attempt,
    control::{DeadTask, FailureGroup, Failures, Retried},
};

use super::{Session, ask, job, story};
use crate::{
    catalogue::Language,
    client::{DeadQuery, RetryQuery},
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, Listing, utc},
};

/// Tasks of a list where nobody says otherwise.
const LIST_LENGTH: u32 = 100;

/// `flota job retry`
pub(super) async fn retry(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let tasks = matches.get_many::<String>("task").unwrap_or_default();
    let states: &[&str] = if matches.get_flag("failed-only") {
        &["failed", "dead"]
    } else {
        &[]
    };
    let query = RetryQuery {
        states: states.iter().map(|word| (*word).to_owned()).collect(),
        tasks: tasks.cloned().collect(),
    };
    let retried = ask!(session.retry(job::argument(matches), &query));
    tell(session, &retried)?;
    Ok(Exit::Ok)
}

fn tell(session: &mut Session<'_>, retried: &Retried) -> Result<(), Failure> {
    let language = session.language();
    if session.screen.format() == Format::Table {
        let text = match retried.tasks {
            0 => language.nothing_to_retry(retried.job),
            tasks => language.retried(tasks, retried.job),
        };
        session.screen.mention(&text);
        if retried.left > 0 {
            let text = language.retry_left(retried.left, retried.job);
            session.screen.mention(&text);
        }
        return Ok(());
    }
    let number = |key, show: fn(&Retried) -> String| Field::number(key, key.to_uppercase(), show);
    Details {
        item: retried,
        fields: vec![
            number("job", |item| item.job.to_string()),
            number("tasks", |item| item.tasks.to_string()),
            number("left", |item| item.left.to_string()),
        ],
        name: |item| item.job.to_string(),
    }
    .print(session.screen)
}

/// `flota job dead`
pub(super) async fn dead(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let state = matches.get_one::<String>("state").cloned();
    if matches.get_flag("retry") {
        return retry_all(session, state).await;
    }
    let wanted = matches
        .get_one::<u32>("limit")
        .copied()
        .unwrap_or(LIST_LENGTH);
    let mut query = DeadQuery {
        state,
        ..DeadQuery::default()
    };
    let mut tasks: Vec<DeadTask> = Vec::new();
    loop {
        let left = wanted - u32::try_from(tasks.len()).unwrap_or(wanted);
        query.limit = Some(left.min(job::PAGE_MAX));
        let page = ask!(session.dead(&query));
        tasks.extend(page.tasks);
        query.next = page.next;
        if query.next.is_none() || tasks.len() >= wanted as usize {
            break;
        }
    }
    let language = session.language();
    let for_people = session.screen.format() == Format::Table;
    if tasks.is_empty() && for_people {
        session.screen.mention(&language.no_tasks_match());
    }
    let last = tasks.iter().filter_map(|task| task.last.as_ref());
    let nodes: Vec<u32> = last.map(|last| last.node).collect();
    let names = if for_people {
        story::names_of(session, nodes).await
    } else {
        BTreeMap::new()
    };
    Listing {
        items: &tasks,
        fields: dead_columns(language, names),
        name: |task| format!("{}/{}", task.job, task.index),
    }
    .print(session.screen)?;
    if query.next.is_some() && for_people {
        let command = format!("flota job dead -n {}", wanted.saturating_mul(2));
        session.screen.mention(&language.more_lines(command));
    }
    Ok(Exit::Ok)
}

/// Job after job, each once: what is tried again leaves the list.
async fn retry_all(session: &mut Session<'_>, state: Option<String>) -> Result<Exit, Failure> {
    let word = state.clone().unwrap_or_else(|| "dead".to_owned());
    let retry = RetryQuery {
        states: vec![word],
        tasks: Vec::new(),
    };
    let mut query = DeadQuery {
        state,
        limit: Some(1),
        ..DeadQuery::default()
    };
    let mut jobs: Vec<Retried> = Vec::new();
    loop {
        let page = ask!(session.dead(&query));
        let Some(first) = page.tasks.first() else {
            break;
        };
        let retried = ask!(session.retry(&first.job.to_string(), &retry));
        if session.screen.format() == Format::Table {
            tell(session, &retried)?;
        }
        jobs.push(retried);
        // Behind the last task that this job may have.
        query.next = Some(flota_wire::rest::control::DeadCursor {
            job: first.job,
            after: u32::MAX,
        });
    }
    let language = session.language();
    if session.screen.format() != Format::Table {
        let number = |key, show: fn(&Retried) -> String| Field::number(key, String::new(), show);
        Listing {
            items: &jobs,
            fields: vec![
                number("job", |item| item.job.to_string()),
                number("tasks", |item| item.tasks.to_string()),
                number("left", |item| item.left.to_string()),
            ],
            name: |item| item.job.to_string(),
        }
        .print(session.screen)?;
    } else if jobs.is_empty() {
        session.screen.mention(&language.no_tasks_match());
    }
    Ok(Exit::Ok)
}

fn dead_columns(language: Language, names: BTreeMap<u32, String>) -> Vec<Field<DeadTask>> {
    vec![
        Field::number("job", language.header_job(), |task: &DeadTask| {
            task.job.to_string()
        }),
        Field::text("name", language.header_name(), |task: &DeadTask| {
            task.name.clone()
        }),
        Field::number("index", language.header_task(), |task: &DeadTask| {
            task.index.to_string()
        }),
        Field::state("state", language.header_state(), |task: &DeadTask| {
            task.state.clone()
        }),
        Field::number("attempts", language.header_attempts(), |task: &DeadTask| {
            task.attempts.to_string()
        }),
        Field::text(
            "reason",
            language.header_reason(),
            move |task: &DeadTask| {
                let last = task.last.as_ref();
                last.map(|last| story::of_one(language, last, &names))
                    .unwrap_or_default()
            },
        )
        .raw(|task: &DeadTask| {
            let last = task.last.as_ref();
            last.map(|last| last.outcome.clone()).unwrap_or_default()
        }),
        Field::text("ended_at", language.header_ended_at(), |task: &DeadTask| {
            let last = task.last.as_ref();
            last.map(|last| utc(last.ended_at)).unwrap_or_default()
        })
        .raw(|task: &DeadTask| {
            let last = task.last.as_ref();
            last.map(|last| last.ended_at.to_string())
                .unwrap_or_default()
        }),
    ]
}

/// Why tasks of a job failed, for `flota job show --failed`.
pub(super) async fn failures(session: &mut Session<'_>, job: u64) -> Result<Exit, Failure> {
    let Failures { groups, more } = ask!(session.failures(job));
    let language = session.language();
    let for_people = session.screen.format() == Format::Table;
    if groups.is_empty() && for_people {
        session.screen.mention(&language.no_failures(job));
        return Ok(Exit::Ok);
    }
    let names = if for_people {
        let nodes = groups.iter().map(|group| group.node).collect();
        story::names_of(session, nodes).await
    } else {
        BTreeMap::new()
    };
    Listing {
        items: &groups,
        fields: failure_columns(language, names),
        name: |group| group.task.to_string(),
    }
    .print(session.screen)?;
    if for_people {
        if more {
            session.screen.mention(&language.more_groups());
        }
        if let Some(group) = groups.first() {
            let example = language.failure_example(job, group.task);
            session.screen.mention(&example);
        }
    }
    Ok(Exit::Ok)
}

fn failure_columns(language: Language, names: BTreeMap<u32, String>) -> Vec<Field<FailureGroup>> {
    vec![
        Field::number("tasks", language.header_tasks(), |group: &FailureGroup| {
            group.tasks.to_string()
        }),
        Field::text(
            "outcome",
            language.header_reason(),
            move |group: &FailureGroup| story::of_one(language, &attempt(group), &names),
        )
        .raw(|group: &FailureGroup| group.outcome.clone()),
        Field::text("exit", language.header_exit(), |group: &FailureGroup| {
            story::exit(&attempt(group))
        }),
        Field::number("task", language.header_example(), |group: &FailureGroup| {
            group.task.to_string()
        }),
    ]
}

/// The attempt that stands for a group.
fn attempt(group: &FailureGroup) -> Attempt {
    Attempt {
        id: group.attempt.clone(),
        node: group.node,
        outcome: group.outcome.clone(),
        exit_code: group.exit_code,
        signal: group.signal,
        stage: group.stage.clone(),
        errno: group.errno,
        message: group.message.clone(),
        counted: true,
        granted_at: 0.0,
        started_at: None,
        ended_at: 0.0,
        user_seconds: 0.0,
        system_seconds: 0.0,
        memory_bytes_max: None,
        outputs: BTreeMap::new(),
        truncated: Vec::new(),
    }
}
