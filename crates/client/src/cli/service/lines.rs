//! The last lines of replicas that fail again and again.

use flota_model::outcome::StreamName;
use flota_wire::rest::service::{LastLines, Replica, ServiceWhole};

use super::super::Session;
use crate::{
    catalogue::Language,
    client::{LogQuery, LogStart},
    clock,
    failure::Failure,
    render::{age, clean, room, seconds_ago},
};

/// Lines that are shown.
const LINES: u32 = 50;
/// Replicas of which they are shown: they mostly fail alike.
const REPLICAS: usize = 3;

/// Prints them for all crash loops of a service, up to a few.
pub(super) async fn of_loops(
    session: &mut Session<'_>,
    whole: &ServiceWhole,
) -> Result<(), Failure> {
    let looping = whole
        .replicas
        .iter()
        .filter(|one| one.state == "crash-loop");
    for replica in looping.take(REPLICAS) {
        for line in last(session, replica).await {
            session.screen.print_line(&line)?;
        }
    }
    Ok(())
}

/// Prints why replicas find no room, revision by revision.
pub(super) fn of_rooms(session: &mut Session<'_>, whole: &ServiceWhole) -> Result<(), Failure> {
    for text in waits(session.language(), whole) {
        session.screen.print_line(&text)?;
    }
    Ok(())
}

/// Why replicas find no room, revision by revision.
pub(super) fn waits(language: Language, whole: &ServiceWhole) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &whole.rooms {
        let waits = |replica: &&Replica| {
            replica.job == one.job && replica.waiting_for.as_deref() == Some("room")
        };
        lines.push(language.room_for_all(whole.replicas.iter().filter(waits).count()));
        let reasons = room(language, &one.room).into_iter();
        lines.extend(reasons.map(|reason| format!("  {reason}")));
    }
    lines
}

/// Prints why replicas are not ready, of a few of them.
pub(super) fn of_probes(session: &mut Session<'_>, whole: &ServiceWhole) -> Result<(), Failure> {
    for text in unwell(session.language(), whole) {
        session.screen.print_line(&text)?;
    }
    Ok(())
}

/// Why replicas are not ready, of a few of them.
pub(super) fn unwell(language: Language, whole: &ServiceWhole) -> Vec<String> {
    let now = clock::wall();
    let replicas = whole.replicas.iter().filter(|one| one.state != "ready");
    let failures = replicas.filter_map(|one| Some((one.index, one.failure.as_ref()?)));
    let told = failures.take(REPLICAS).map(|(replica, failure)| {
        let span = age(seconds_ago(failure.since, now));
        language.replica_unwell(replica, &failure.purpose, clean(&failure.detail), span)
    });
    let mut told: Vec<String> = told.collect();
    let left = whole
        .replicas
        .iter()
        .filter_map(|one| one.unkillable.as_ref());
    told.extend(left.take(REPLICAS).map(|one| {
        let span = age(seconds_ago(one.since, now));
        language.replica_unkillable(one.task, span, one.list())
    }));
    told
}

/// The last lines of both streams, each below its title; none where they cannot be had: what went
/// wrong matters more.
pub(super) async fn last(session: &mut Session<'_>, replica: &Replica) -> Vec<String> {
    let language = session.language();
    let mut told = Vec::new();
    for stream in [StreamName::Stderr, StreamName::Stdout] {
        let lines = match &replica.lines {
            Some(lines) => kept(lines, stream),
            None => of_stream(session, replica, stream).await,
        };
        if !lines.is_empty() {
            told.push(language.last_lines_of(replica.index, stream.word()));
            told.extend(lines.into_iter().map(|line| format!("  {line}")));
        }
    }
    told
}

/// What the server was told with the crash loop.
fn kept(lines: &LastLines, stream: StreamName) -> Vec<String> {
    let text = match stream {
        StreamName::Stdout => &lines.stdout,
        StreamName::Stderr => &lines.stderr,
        StreamName::Result => return Vec::new(),
    };
    text.lines().map(clean).collect()
}

/// Of the run that ended last: the next one may just have begun.
async fn of_stream(
    session: &mut Session<'_>,
    replica: &Replica,
    stream: StreamName,
) -> Vec<String> {
    let query = LogQuery {
        job: replica.job,
        task: replica.index,
        stream,
        attempt: replica.attempt.clone(),
        run: replica.last.as_ref().map(|run| run.number),
        start: LogStart::Tail(LINES),
        until: None,
    };
    let Ok(client) = session.client().await else {
        return Vec::new();
    };
    let Ok(part) = client.log(&query).await else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&part.bytes);
    text.lines().map(clean).collect()
}
