//! `flota queue`, and pause and resume of a job.

use clap::ArgMatches;
use flota_wire::rest::control::Queue;

use super::{Session, ask, job};
use crate::{
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, count},
};

fn reason(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>("reason").map(String::as_str)
}

/// `flota job pause`
pub(super) async fn pause_job(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let job = ask!(session.hold_job(job::argument(matches), reason(matches), true));
    let text = session.language().job_paused(job.id);
    job::told(session, &job, &text)
}

/// `flota job resume`
pub(super) async fn resume_job(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let job = ask!(session.hold_job(job::argument(matches), None, false));
    let text = session.language().job_resumed(job.id);
    job::told(session, &job, &text)
}

/// `flota queue pause`
pub(super) async fn pause(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let queue = ask!(session.hold_queue(reason(matches), true));
    let text = session.language().queue_paused();
    told(session, &queue, &text)
}

/// `flota queue resume`
pub(super) async fn resume(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let queue = ask!(session.hold_queue(None, false));
    let text = session.language().queue_resumed();
    told(session, &queue, &text)
}

fn told(session: &mut Session<'_>, queue: &Queue, text: &str) -> Result<Exit, Failure> {
    if session.screen.format() == Format::Table {
        session.screen.mention(text);
        return Ok(Exit::Ok);
    }
    print(session, queue)
}

/// `flota queue show`
pub(super) async fn show(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let queue = ask!(session.queue());
    print(session, &queue)
}

fn print(session: &mut Session<'_>, queue: &Queue) -> Result<Exit, Failure> {
    let language = session.language();
    Details {
        item: queue,
        fields: vec![
            Field::text("paused", language.header_paused(), |queue: &Queue| {
                let pause = queue.paused.as_ref();
                pause
                    .map(|pause| job::said(&pause.by, pause.at, pause.reason.as_deref()))
                    .unwrap_or_default()
            }),
            Field::number("waiting", language.header_waiting(), |queue: &Queue| {
                count(queue.waiting)
            })
            .raw(|queue| queue.waiting.to_string()),
            Field::number("granted", language.header_granted(), |queue: &Queue| {
                count(queue.granted)
            })
            .raw(|queue| queue.granted.to_string()),
            Field::number(
                "jobs_paused",
                language.header_jobs_paused(),
                |queue: &Queue| count(queue.jobs_paused),
            )
            .raw(|queue| queue.jobs_paused.to_string()),
        ],
        name: |queue| {
            let word = if queue.paused.is_some() {
                "paused"
            } else {
                "open"
            };
            word.to_owned()
        },
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}
