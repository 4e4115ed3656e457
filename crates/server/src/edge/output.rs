//! The bytes that an attempt wrote: from the store, or from the node where they are.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderName, Uri, header},
    response::{IntoResponse, Response},
    routing::on,
};
use flota_model::{
    change::GrantRecord,
    command::{Query, Reply},
    frame::{OUTPUT_PART_MAX, OutputFault, OutputPart},
    ids::{AttemptId, NodeId, TaskIndex},
    outcome::{Stream, StreamName},
};
use flota_store::history::{OutputFound, OutputWanted};
use tokio::time::timeout;

use super::{
    Desk, Parameters, bug,
    jobs::record,
    logs,
    routes::{
        ATTEMPT, Answer, Chapter, INDEX, JOB, OF_FLEET, OF_STORE, Parameter, Route, STREAM, Shape,
    },
    tasks::task_named,
};
use crate::{
    access::{Caller, Object, Permit, Verb},
    problem::{
        ATTEMPT_NOT_FOUND, JOB_NOT_FOUND, Kind, OUTPUT_GONE, OUTPUT_UNREACHABLE, OUTPUT_UNREADABLE,
        Problem, STREAM_UNKNOWN, TASK_NOT_FOUND,
    },
};

/// What may be wrong with an output.
const OF_OUTPUT: &[Kind] = &[
    ATTEMPT_NOT_FOUND,
    JOB_NOT_FOUND,
    OUTPUT_GONE,
    OUTPUT_UNREACHABLE,
    OUTPUT_UNREADABLE,
    STREAM_UNKNOWN,
    TASK_NOT_FOUND,
];
const OFFSET: Parameter = Parameter::query(
    "offset",
    Shape::Number {
        min: 0,
        max: u64::MAX,
    },
    "Bytes to pass over; 0 if not given.",
);

pub(super) const ROUTES: &[Route] = &[Route {
    chapter: Chapter::Jobs,
    parameters: &[
        JOB,
        INDEX,
        STREAM,
        OFFSET,
        ATTEMPT,
        logs::RUN,
        logs::TAIL,
        logs::SINCE,
        logs::UNTIL,
        logs::TIMES,
    ],
    answers: &[Answer::media(
        "Bytes from the offset on; `X-Flota-Length` has the length of the whole. Of a rotated log, \
         `X-Flota-Offset` and `X-Flota-Next` tell which.",
        &["text/plain", "application/octet-stream"],
    )],
    problems: &[OF_FLEET, OF_STORE, OF_OUTPUT],
    ..Route::get(
        "/api/v1/jobs/{job}/tasks/{task}/output/{stream}",
        "getOutput",
        "What an attempt wrote or returned.",
        |method| on(method, output),
    )
}];

/// From asking a node to giving up.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Bytes of the whole output at this moment.
const LENGTH_HEADER: HeaderName = HeaderName::from_static("x-flota-length");
/// `true` while the attempt may still write.
const GROWING_HEADER: HeaderName = HeaderName::from_static("x-flota-growing");
/// Of which attempt the output is.
const ATTEMPT_HEADER: HeaderName = HeaderName::from_static("x-flota-attempt");

/// `GET /api/v1/jobs/{job}/tasks/{index}/output/{stream}?offset=0&attempt=ID`, for rotated logs also
/// with `run`, `tail`, `since`, `until` and `times`
///
/// Answers at most [`OUTPUT_PART_MAX`] bytes from `offset` on; the reader goes on at the end of
/// them until it has `X-Flota-Length` bytes. Without `attempt` it is the one that counted, else the
/// one that runs now, else the one that ended last.
pub(super) async fn output(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((name, index, stream)): Path<(String, String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::parse(&uri, &[&["offset", "attempt"][..], &logs::NAMES].concat())?;
    let of_log = logs::Wanted::parse(&parameters)?;
    let offset = parameters.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let attempt = parameters.parsed("attempt", "EPOCH-SALT-SEQUENCE", |text| text.parse().ok())?;
    let stream = stream_named(&stream)?;
    let job = desk.job_named(&name).await?;
    let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
    let found = record(&desk, &permit, job).await?;
    let task = task_named(&found, &index)?;
    let is_rotated = logs::is_rotated(&found.spec.spec, stream);
    if !is_rotated {
        of_log.refuse()?;
    }
    let wanted = OutputWanted {
        job,
        task,
        stream,
        attempt,
    };
    let Candidates { first, before } = find(&desk, &permit, wanted).await?;
    let place = (stream, offset, is_rotated.then_some(of_log));
    match (read(&desk, permit, first, place).await, before) {
        // Granted, but not started yet.
        (Err(problem), Some(before)) if problem.kind().code == OUTPUT_GONE.code => {
            let permit = caller.may(Verb::JobRead, &Object::Job(job))?;
            read(&desk, permit, before, place).await
        }
        (answer, _) => answer,
    }
}

async fn read(
    desk: &Desk,
    permit: Permit,
    found: OutputFound,
    (stream, offset, of_log): (StreamName, u64, Option<logs::Wanted>),
) -> Result<Response, Problem> {
    if let Some(wanted) = of_log {
        let question = wanted.question(found.attempt, stream);
        let part = logs::part(desk, permit, found.node, question).await?;
        return Ok(logs::encode(found.attempt, part, &wanted));
    }
    let part = match found.stream {
        Stream::Empty => OutputPart::default(),
        Stream::Inline(bytes) => part_of(&bytes, offset),
        Stream::OnNode { .. } => {
            let place = Place {
                node: found.node,
                attempt: found.attempt,
                stream,
                offset,
            };
            from_node(desk, permit, place).await?
        }
    };
    Ok(encode(found.attempt, part))
}

/// Attempts of which the output may be meant.
struct Candidates {
    first: OutputFound,
    /// Where the first one has none yet.
    before: Option<OutputFound>,
}

impl Candidates {
    fn of(ended: Option<OutputFound>, running: Option<OutputFound>) -> Option<Self> {
        let (first, before) = match (ended, running) {
            (Some(ended), Some(running)) if !ended.counted => (running, Some(ended)),
            (Some(ended), _) => (ended, None),
            (None, running) => (running?, None),
        };
        Some(Self { first, before })
    }
}

fn stream_named(word: &str) -> Result<StreamName, Problem> {
    let all = [StreamName::Stdout, StreamName::Stderr, StreamName::Result];
    let found = all.into_iter().find(|stream| stream.word() == word);
    found.ok_or_else(|| Problem::new(STREAM_UNKNOWN, format!("there is no output `{word}`")))
}

/// Where the output is; that of an attempt without an end yet is on its node.
async fn find(desk: &Desk, permit: &Permit, wanted: OutputWanted) -> Result<Candidates, Problem> {
    let found = desk.read(permit, move |history| {
        let ended = history.output(&wanted)?;
        let is_chosen = ended
            .as_ref()
            .is_some_and(|ended| ended.counted || wanted.attempt.is_some());
        let running = if is_chosen {
            None
        } else {
            running(history.grants(wanted.job)?, &wanted)
        };
        Ok(Candidates::of(ended, running))
    });
    found.await?.ok_or_else(|| {
        let detail = match wanted.attempt {
            Some(attempt) => format!("task {} has no attempt {attempt}", wanted.task),
            None => format!("task {} has not been started yet", wanted.task),
        };
        Problem::new(ATTEMPT_NOT_FOUND, detail)
    })
}

/// The newest attempt of the task that is granted and not settled.
fn running(grants: Vec<GrantRecord>, wanted: &OutputWanted) -> Option<OutputFound> {
    let held = grants.iter().rev().filter_map(|grant| {
        let attempt = unsettled(grant, wanted.task)?;
        Some(OutputFound {
            attempt,
            node: grant.node,
            counted: false,
            stream: Stream::OnNode {
                length: 0,
                truncated: false,
            },
        })
    });
    held.into_iter().find(|found| {
        wanted
            .attempt
            .is_none_or(|attempt| attempt == found.attempt)
    })
}

fn unsettled(grant: &GrantRecord, task: TaskIndex) -> Option<AttemptId> {
    let offset = task.0.checked_sub(grant.first_task.0)?;
    let byte = grant.unsettled.get(offset as usize / 8)?;
    let open = offset < grant.attempts.count && byte >> (offset % 8) & 1 == 1;
    open.then(|| grant.attempts.first.plus(offset))
}

fn part_of(bytes: &[u8], offset: u64) -> OutputPart {
    let length = bytes.len() as u64;
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    OutputPart {
        bytes: bytes[start..].to_vec(),
        length,
        growing: false,
    }
}

/// A place in an output on a node.
struct Place {
    node: NodeId,
    attempt: AttemptId,
    stream: StreamName,
    offset: u64,
}

async fn from_node(desk: &Desk, permit: Permit, place: Place) -> Result<OutputPart, Problem> {
    let Place {
        node,
        attempt,
        stream,
        offset,
    } = place;
    let query = Query::Output {
        node,
        attempt,
        stream,
        offset,
        length: OUTPUT_PART_MAX,
    };
    let answer = timeout(ANSWER_WITHIN, desk.query(permit, query)).await;
    let part = match answer {
        Ok(Ok(Reply::Output(part))) => part,
        Ok(Ok(_)) => return Err(bug("a query of an output got another answer")),
        Ok(Err(problem)) => return Err(problem),
        // The node is connected, but its disk may hang.
        Err(_) => Err(OutputFault::Unreachable),
    };
    part.map_err(|fault| match fault {
        OutputFault::Gone => Problem::new(
            OUTPUT_GONE,
            format!("node {node} has no output of attempt {attempt}"),
        ),
        OutputFault::Unreadable { errno } => {
            let cause = std::io::Error::from_raw_os_error(errno);
            Problem::new(OUTPUT_UNREADABLE, format!("node {node} says: {cause}"))
        }
        OutputFault::Unreachable => Problem::new(
            OUTPUT_UNREACHABLE,
            format!("node {node} did not answer in time"),
        ),
    })
}

/// As text where it is text, so that a browser shows it; never as anything that it would run.
pub(super) fn encode(attempt: AttemptId, part: OutputPart) -> Response {
    let text = match std::str::from_utf8(&part.bytes) {
        Ok(_) => true,
        // A part may end in the middle of a character.
        Err(fault) => fault.error_len().is_none(),
    };
    let media = if text {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    };
    let headers = [
        (header::CONTENT_TYPE, media.to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox".to_owned(),
        ),
        (LENGTH_HEADER, part.length.to_string()),
        (GROWING_HEADER, part.growing.to_string()),
        (ATTEMPT_HEADER, attempt.to_string()),
    ];
    (headers, part.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use flota_model::ids::{AttemptRange, GrantId, JobId};

    use super::*;

    fn grant(number: u64, first_task: u32, unsettled: u8) -> GrantRecord {
        let first = AttemptId {
            sequence: number * 100,
            ..AttemptId::default()
        };
        GrantRecord {
            grant: GrantId(number),
            job: JobId(1),
            first_task: TaskIndex(first_task),
            attempts: AttemptRange { first, count: 4 },
            node: NodeId(9),
            boot: flota_model::ids::BootId(0),
            journal: flota_model::ids::Nonce(0),
            granted_at: flota_model::units::Timestamp(0),
            unsettled: vec![unsettled],
            suspect: vec![0],
        }
    }

    #[test]
    fn a_running_attempt_is_found_by_its_bit_in_the_newest_grant() {
        let grants = vec![grant(1, 10, 0b1111), grant(2, 12, 0b0010)];
        let find = |task, attempt| {
            let wanted = OutputWanted {
                job: JobId(1),
                task: TaskIndex(task),
                stream: StreamName::Stdout,
                attempt,
            };
            running(grants.clone(), &wanted).map(|found| found.attempt.sequence)
        };
        assert_eq!(find(10, None), Some(100));
        assert_eq!(find(13, None), Some(201), "the newest of two");
        let older = AttemptId {
            sequence: 103,
            ..AttemptId::default()
        };
        assert_eq!(find(13, Some(older)), Some(103));
        assert_eq!(find(15, None), None, "settled");
        assert_eq!(find(16, None), None, "behind the grant");
        assert_eq!(find(9, None), None);
    }

    #[test]
    fn inline_output_is_given_from_the_offset_on() {
        assert_eq!(part_of(b"hello", 2).bytes, b"llo");
        assert_eq!(part_of(b"hello", 2).length, 5);
        assert_eq!(part_of(b"hello", 5).bytes, b"");
        assert_eq!(part_of(b"hello", u64::MAX).bytes, b"");
    }
}
