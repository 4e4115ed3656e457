//! `flota watch`: files of which each new line becomes a task.

use clap::ArgMatches;
use flota_wire::rest::watch::{Watch, WatchOrder};

use super::{Session, ask, submit};
use crate::{
    catalogue::Language,
    clock,
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, Listing, age, print_json, seconds_ago},
};

/// The command below `watch`.
pub(super) async fn dispatch(
    session: &mut Session<'_>,
    word: &str,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    match word {
        "add" => add(session, matches).await,
        "ls" => list(session).await,
        "show" => show(session, path(matches)).await,
        "rm" => remove(session, path(matches)).await,
        other => {
            let what = session.language().usage_unknown_command(other);
            Err(Failure::usage(what))
        }
    }
}

fn path(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("path").expect("it is required")
}

async fn add(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let language = session.language();
    let format = matches.get_one::<String>("format").cloned();
    let job = if format.as_deref() == Some("hpc") {
        None
    } else {
        let folder = session.options.current_folder.as_deref();
        Some(submit::template(language, matches, folder)?)
    };
    let order = WatchOrder {
        path: path(matches).to_owned(),
        format,
        job,
    };
    let added = ask!(session.add_watch(&order));
    print(session, &added)?;
    Ok(Exit::Ok)
}

async fn list(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let watches = ask!(session.watches(None)).watches;
    let language = session.language();
    if watches.is_empty() && session.screen.format() == Format::Table {
        session.screen.mention(&language.no_watches_yet());
    }
    Listing {
        items: &watches,
        fields: columns(language),
        name: |watch| watch.path.clone(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

async fn show(session: &mut Session<'_>, path: &str) -> Result<Exit, Failure> {
    let watches = ask!(session.watches(Some(path))).watches;
    for watch in &watches {
        print(session, watch)?;
        if session.screen.format() == Format::Table {
            for fault in &watch.faults {
                let place = if fault.file.is_empty() {
                    fault.line.to_string()
                } else {
                    format!("{}:{}", fault.file, fault.line)
                };
                let text = session.language().watch_fault(place, &fault.reason);
                session.screen.print_line(&text)?;
            }
        }
    }
    Ok(Exit::Ok)
}

async fn remove(session: &mut Session<'_>, path: &str) -> Result<Exit, Failure> {
    let removed = ask!(session.remove_watch(path));
    let text = session.language().watch_removed(&removed.path);
    session.screen.mention(&text);
    Ok(Exit::Ok)
}

fn print(session: &mut Session<'_>, watch: &Watch) -> Result<(), Failure> {
    match session.screen.format() {
        Format::Json | Format::JsonLines => print_json(session.screen, watch),
        Format::Name => session.screen.print_line(&watch.path),
        Format::Csv | Format::Table => Details {
            item: watch,
            fields: columns(session.language()),
            name: |watch| watch.path.clone(),
        }
        .print(session.screen),
    }
}

fn columns(language: Language) -> Vec<Field<Watch>> {
    let now = clock::wall();
    let problem = |watch: &Watch| watch.problem.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        Field::text("path", language.header_path(), |watch: &Watch| {
            watch.path.clone()
        }),
        Field::text("format", language.header_format(), |watch: &Watch| {
            watch.format.clone()
        }),
        Field::number("tasks", language.header_tasks(), |watch: &Watch| {
            watch.tasks.to_string()
        }),
        Field::number("faults", language.header_bad_lines(), |watch: &Watch| {
            watch.faults.len().to_string()
        }),
        Field::text(
            "changed_at",
            language.header_changed(),
            move |watch: &Watch| age(seconds_ago(watch.changed_at, now)),
        )
        .raw(|watch: &Watch| watch.changed_at.to_string()),
        Field::text("problem", language.header_problem(), problem),
    ]
}
