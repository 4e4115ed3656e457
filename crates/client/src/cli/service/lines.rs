//! The last lines of replicas that fail again and again.

use flota_model::outcome::StreamName;
use flota_wire::rest::service::{Replica, ServiceWhole};

use super::super::Session;
use crate::{
    client::{LogQuery, LogStart},
    failure::Failure,
    render::clean,
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

/// The last lines of both streams, each below its title; none where they cannot be had: what went
/// wrong matters more.
pub(super) async fn last(session: &mut Session<'_>, replica: &Replica) -> Vec<String> {
    let language = session.language();
    let mut told = Vec::new();
    for stream in [StreamName::Stderr, StreamName::Stdout] {
        let lines = of_stream(session, replica, stream).await;
        if !lines.is_empty() {
            told.push(language.last_lines_of(replica.index, stream.word()));
            told.extend(lines.into_iter().map(|line| format!("  {line}")));
        }
    }
    told
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
