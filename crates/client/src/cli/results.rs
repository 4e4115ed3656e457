//! `flota job results`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
};

use clap::ArgMatches;
use flota_model::outcome::StreamName;
use flota_wire::rest::{Attempt, Task};
use serde_json::{Map, Value, json};

use super::{Session, ask, job, tasks::Pages};
use crate::{client::OutputQuery, exit::Exit, failure::Failure};

/// What counts as a result.
const STREAMS: [StreamName; 2] = [StreamName::Stdout, StreamName::Result];
/// Largest output that becomes part of a JSON line; larger ones are told by their length.
const INLINE_MAX: u64 = 1 << 20;

pub(super) async fn command(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let number = ask!(session.job(job::argument(matches))).id;
    let folder = matches.get_one::<String>("dir").map(Path::new);
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|source| unwritable(session, folder, &source))?;
    }
    let mut written = 0;
    if let Some(index) = matches.get_one::<u32>("task").copied() {
        let task = ask!(session.task(number, index));
        written += one(session, number, &task, folder).await?;
    } else {
        let mut pages = Pages::new(number, None);
        while let Some(tasks) = pages.next(session, job::PAGE_MAX).await? {
            for task in &tasks {
                written += one(session, number, task, folder).await?;
            }
        }
    }
    if let Some(folder) = folder {
        let text = session
            .language()
            .results_written(written, folder.display());
        session.screen.mention(&text);
    }
    Ok(Exit::Ok)
}

/// Fetches what one task left; the number of files written.
async fn one(
    session: &mut Session<'_>,
    job: u64,
    task: &Task,
    folder: Option<&Path>,
) -> Result<u32, Failure> {
    let Some(folder) = folder else {
        let line = as_json(session, job, task).await?;
        session.screen.print_line(&line.to_string())?;
        return Ok(0);
    };
    let Some(last) = task.attempts.last() else {
        return Ok(0);
    };
    let mut written = 0;
    for stream in STREAMS
        .into_iter()
        .filter(|stream| last.outputs.contains_key(stream.word()))
    {
        to_file(session, job, task.index, last, stream, folder).await?;
        written += 1;
    }
    Ok(written)
}

/// Writes beside the final name first, so that a file with that name is always whole.
async fn to_file(
    session: &mut Session<'_>,
    job: u64,
    index: u32,
    attempt: &Attempt,
    stream: StreamName,
    folder: &Path,
) -> Result<(), Failure> {
    let path = folder.join(format!("{index}.{}", stream.word()));
    let draft = folder.join(format!("{index}.{}.part", stream.word()));
    let file = File::create(&draft).map_err(|source| unwritable(session, &draft, &source))?;
    let mut sink = BufWriter::new(file);
    fetch(session, job, index, attempt, stream, &mut sink).await?;
    sink.flush()
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|source| unwritable(session, &path, &source))
}

async fn fetch(
    session: &mut Session<'_>,
    job: u64,
    index: u32,
    attempt: &Attempt,
    stream: StreamName,
    sink: &mut dyn io::Write,
) -> Result<(), Failure> {
    let attempt = Some(attempt.id.clone());
    let mut query = OutputQuery {
        job,
        task: index,
        stream,
        offset: 0,
        attempt,
    };
    loop {
        let part = ask!(session.output(&query, sink));
        query.offset += part.written;
        if part.written == 0 || query.offset >= part.length {
            return Ok(());
        }
    }
}

/// The task and its outputs as one document.
async fn as_json(session: &mut Session<'_>, job: u64, task: &Task) -> Result<Value, Failure> {
    let mut line = Map::new();
    line.insert("task".into(), json!(task.index));
    line.insert("state".into(), json!(task.state));
    let Some(last) = task.attempts.last() else {
        return Ok(Value::Object(line));
    };
    line.insert("outcome".into(), json!(last.outcome));
    if let Some(code) = last.exit_code {
        line.insert("exit_code".into(), json!(code));
    }
    for stream in STREAMS {
        let Some(length) = last.outputs.get(stream.word()).copied() else {
            continue;
        };
        if length > INLINE_MAX {
            line.insert(format!("{}_bytes", stream.word()), json!(length));
            continue;
        }
        let mut bytes = Vec::new();
        fetch(session, job, task.index, last, stream, &mut bytes).await?;
        match String::from_utf8(bytes) {
            Ok(text) => line.insert(stream.word().into(), json!(text)),
            Err(fault) => line.insert(
                format!("{}_hex", stream.word()),
                json!(hex(fault.as_bytes())),
            ),
        };
    }
    Ok(Value::Object(line))
}

/// JSON has no bytes; two digits each keep them whole.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unwritable(session: &Session<'_>, path: &Path, source: &io::Error) -> Failure {
    let what = session.language().error_file_unwritable(path.display());
    Failure::new("E-FILE-UNWRITABLE", Exit::Failed, what).because_of(source)
}
