//! `flota job ls`, `show` and `cancel`.

use clap::ArgMatches;
use flota_wire::rest::{Cancelling, Job};

use super::{Session, ask, retry};
use crate::{
    catalogue::Language,
    client::JobsQuery,
    clock,
    exit::Exit,
    failure::Failure,
    progress::Tally,
    render::{Details, Field, Format, Listing, age, duration, seconds_ago, utc},
};

/// Jobs of a list where nobody says otherwise: what fits on a screen.
const LIST_LENGTH: u32 = 50;
/// Most items that the server puts on one page.
pub(super) const PAGE_MAX: u32 = flota_wire::rest::page::PAGE_MAX;

/// The argument that names a job.
pub(super) fn argument(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("job").expect("it is required")
}

pub(super) async fn list(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let wanted = matches
        .get_one::<u32>("limit")
        .copied()
        .unwrap_or(LIST_LENGTH);
    let phase = matches.get_one::<String>("phase").cloned();
    let kind = matches.get_one::<String>("kind").cloned();
    let mut jobs: Vec<Job> = Vec::new();
    let mut before = None;
    loop {
        let left = wanted - u32::try_from(jobs.len()).unwrap_or(wanted);
        let query = JobsQuery {
            limit: Some(left.min(PAGE_MAX)),
            before,
            phase: phase.clone(),
            kind: kind.clone(),
        };
        let page = ask!(session.jobs(&query));
        jobs.extend(page.jobs);
        before = page.next;
        if before.is_none() || jobs.len() >= wanted as usize {
            break;
        }
    }
    jobs.truncate(wanted as usize);
    let language = session.language();
    if jobs.is_empty() && session.screen.format() == Format::Table {
        let text = if phase.is_some() {
            language.no_jobs_match()
        } else {
            language.no_jobs_yet()
        };
        session.screen.mention(&text);
    }
    Listing {
        items: &jobs,
        fields: columns(language),
        name: |job| job.id.to_string(),
    }
    .print(session.screen)?;
    if before.is_some() && session.screen.format() == Format::Table {
        let command = format!("flota job ls -n {}", wanted.saturating_mul(2));
        session.screen.mention(&language.more_lines(command));
    }
    Ok(Exit::Ok)
}

pub(super) async fn show(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let job = ask!(session.job(argument(matches)));
    if matches.get_flag("failed") {
        return retry::failures(session, job.id).await;
    }
    let mut fields = columns(session.language());
    fields.extend(more(session.language()));
    Details {
        item: &job,
        fields,
        name: |job| job.id.to_string(),
    }
    .print(session.screen)?;
    if session.screen.format() == Format::Table {
        let now = clock::wall();
        for one in &job.unkillable {
            let span = age(seconds_ago(one.since, now));
            let text = session
                .language()
                .task_unkillable(one.task, span, one.list());
            session.screen.print_line(&text)?;
        }
    }
    Ok(Exit::Ok)
}

pub(super) async fn cancel(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let reason = matches.get_one::<String>("reason").map(String::as_str);
    let answer = ask!(session.cancel(argument(matches), reason));
    let language = session.language();
    if session.screen.format() == Format::Table {
        let text = match answer.phase.as_str() {
            "finished" => language.cancelled_at_once(answer.job),
            _ => language.cancelling(answer.job),
        };
        session.screen.mention(&text);
        return Ok(Exit::Ok);
    }
    let fields = vec![
        Field::number("job", language.header_job(), |item: &Cancelling| {
            item.job.to_string()
        }),
        Field::state("phase", language.header_phase(), |item: &Cancelling| {
            item.phase.clone()
        }),
    ];
    Details {
        item: &answer,
        fields,
        name: |item| item.job.to_string(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

fn columns(language: Language) -> Vec<Field<Job>> {
    let now = clock::wall();
    vec![
        Field::number("id", language.header_job(), |job: &Job| job.id.to_string()),
        Field::text("name", language.header_name(), |job: &Job| job.name.clone()),
        Field::state("phase", language.header_phase(), |job: &Job| {
            if job.paused.is_some() && job.phase == "active" {
                "paused".to_owned()
            } else {
                job.phase.clone()
            }
        })
        .raw(|job| job.phase.clone()),
        Field::number("ended", language.header_ended(), move |job: &Job| {
            let tally = Tally::of(job);
            language.free_of(tally.ended, tally.total)
        })
        .raw(|job| Tally::of(job).ended.to_string()),
        Field::number("not_succeeded", language.header_failed(), |job: &Job| {
            Tally::of(job).bad().to_string()
        }),
        Field::number("priority", language.header_priority(), |job: &Job| {
            job.priority.to_string()
        }),
        Field::text("principal", language.header_owner(), |job: &Job| {
            job.principal.clone()
        }),
        Field::text("submitted_at", language.header_age(), move |job: &Job| {
            age(seconds_ago(job.submitted_at, now))
        })
        .raw(|job| job.submitted_at.to_string()),
        Field::text("finished_at", language.header_took(), |job: &Job| {
            job.finished_at
                .map(|end| duration(end - job.submitted_at))
                .unwrap_or_default()
        })
        .raw(|job| {
            job.finished_at
                .map(|end| end.to_string())
                .unwrap_or_default()
        }),
    ]
}

fn more(language: Language) -> Vec<Field<Job>> {
    let states = |job: &Job| {
        let words: Vec<String> = job
            .tasks
            .iter()
            .map(|(word, tasks)| format!("{word} {tasks}"))
            .collect();
        words.join(", ")
    };
    vec![
        Field::text("kind", language.header_kind(), |job: &Job| job.kind.clone()),
        Field::text("tasks", language.header_tasks(), move |job: &Job| {
            format!("{}-{}: {}", job.first, job.last, states(job))
        }),
        Field::text("submitted", language.header_submitted(), |job: &Job| {
            utc(job.submitted_at)
        }),
        Field::text("finished", language.header_finished(), |job: &Job| {
            job.finished_at.map(utc).unwrap_or_default()
        }),
        Field::text("paused", language.header_paused(), |job: &Job| {
            let pause = job.paused.as_ref();
            pause
                .map(|pause| said(&pause.by, pause.at, pause.reason.as_deref()))
                .unwrap_or_default()
        }),
        Field::text("ending", language.header_ending(), |job: &Job| {
            let ending = job.ending.as_ref();
            ending
                .map(|ending| {
                    let who = format!("{} {}", ending.cause, ending.by);
                    said(&who, ending.at, ending.reason.as_deref())
                })
                .unwrap_or_default()
        }),
        Field::text("work", language.header_work(), |job: &Job| {
            job.spec.as_ref().map(work).unwrap_or_default()
        }),
    ]
}

/// Says what was done with a job, or prints it.
pub(super) fn told(session: &mut Session<'_>, job: &Job, text: &str) -> Result<Exit, Failure> {
    if session.screen.format() == Format::Table {
        session.screen.mention(text);
        return Ok(Exit::Ok);
    }
    Details {
        item: job,
        fields: columns(session.language()),
        name: |job| job.id.to_string(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

/// Who, when and why.
pub(super) fn said(who: &str, at: f64, reason: Option<&str>) -> String {
    let reason = reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    format!("{who} {}{reason}", utc(at))
}

/// What each task runs, in one line, from the spec as it was submitted.
fn work(spec: &serde_json::Value) -> String {
    if let Some(argv) = spec
        .pointer("/program/argv")
        .and_then(|argv| argv.as_array())
    {
        let words = argv.iter().filter_map(|word| word.as_str());
        return words.map(quoted).collect::<Vec<String>>().join(" ");
    }
    let name = spec
        .pointer("/kernel/name")
        .and_then(|name| name.as_str())
        .unwrap_or_default();
    let parameters = spec
        .pointer("/kernel/parameters")
        .and_then(|map| map.as_object());
    let pairs = parameters.into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!(" {key}={}", value.as_str().unwrap_or_default()));
    format!("{name}{}", pairs.collect::<String>())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+{}".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
