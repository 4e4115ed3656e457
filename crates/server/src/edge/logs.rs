//! Parts of logs that are rotated. They are on their node, also those of attempts that ended.

use std::{fmt::Write as _, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};
use flota_model::{
    command::{Query, Reply},
    frame::OutputPart,
    ids::{AttemptId, NodeId},
    log::{LOG_PART_MAX, LOG_TAIL_MAX, LogFrom, LogPart, LogQuestion},
    outcome::StreamName,
    process::{Answer, AskFault, Question},
    spec::{JobSpec, LogKind, Work},
    units::Timestamp,
};
use tokio::time::timeout;

use super::{
    Desk, Parameters, bug,
    routes::{Parameter, Shape},
};
use crate::{
    access::Permit,
    problem::{OUTPUT_GONE, OUTPUT_UNREACHABLE, OUTPUT_UNREADABLE, Problem, QUERY_INVALID},
};

/// From asking a node to giving up.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Offset of the first byte: larger than what was asked for where bytes are gone.
const OFFSET_HEADER: HeaderName = HeaderName::from_static("x-flota-offset");
/// The offset to go on at.
const NEXT_HEADER: HeaderName = HeaderName::from_static("x-flota-next");
/// `true` where there is nothing more now.
const END_HEADER: HeaderName = HeaderName::from_static("x-flota-end");
/// Which run of the attempt it is.
const RUN_HEADER: HeaderName = HeaderName::from_static("x-flota-run");
/// `true` where the first byte continues a line whose beginning is gone.
const INSIDE_HEADER: HeaderName = HeaderName::from_static("x-flota-inside-line");
/// `OFFSET:MICROSECONDS` for each byte from which on another time holds, the first pair as it is,
/// each later one as the difference to the one before.
const TIMES_HEADER: HeaderName = HeaderName::from_static("x-flota-times");

pub(super) const RUN: Parameter = Parameter::query(
    "run",
    Shape::Number {
        min: 1,
        max: u32::MAX as u64,
    },
    "Of a rotated log: which run of the attempt; the last one if not given.",
);
pub(super) const TAIL: Parameter = Parameter::query(
    "tail",
    Shape::Number {
        min: 0,
        max: LOG_TAIL_MAX as u64,
    },
    "Of a rotated log: begin so many lines before its end.",
);
pub(super) const SINCE: Parameter = Parameter::query(
    "since",
    Shape::Text,
    "Of a rotated log: begin at what was written at that Unix time, in seconds.",
);
pub(super) const UNTIL: Parameter = Parameter::query(
    "until",
    Shape::Text,
    "Of a rotated log: nothing that was written after that Unix time, in seconds.",
);
pub(super) const TIMES: Parameter = Parameter::query(
    "times",
    Shape::OneOf(&["true", "false"]),
    "Of a rotated log: whether `X-Flota-Times` is wanted; `false` if not given.",
);
/// The names of all of them.
pub(super) const NAMES: [&str; 5] = ["run", "tail", "since", "until", "times"];

/// What only rotated logs can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    run: Option<u32>,
    from: Option<LogFrom>,
    until: Option<Timestamp>,
    times: bool,
}

impl Wanted {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Problem> {
        let time = |name| parameters.parsed(name, "a Unix time in seconds", unix_time);
        let offset = parameters.number("offset", 0..=u64::MAX)?;
        let tail = parameters.number("tail", 0..=LOG_TAIL_MAX)?;
        let since = time("since")?;
        let from = match (offset, tail, since) {
            (None, None, None) => None,
            (Some(offset), None, None) => Some(LogFrom::Offset(offset)),
            (None, Some(lines), None) => Some(LogFrom::Tail(lines)),
            (None, None, Some(time)) => Some(LogFrom::Since(time)),
            _ => {
                let detail = "`offset`, `tail` and `since` exclude each other";
                return Err(Problem::new(QUERY_INVALID, detail));
            }
        };
        Ok(Self {
            run: parameters.number("run", 1..=u32::MAX)?,
            from,
            until: time("until")?,
            times: parameters
                .parsed("times", "`true` or `false`", |text| text.parse().ok())?
                .unwrap_or(false),
        })
    }

    /// Refuses what an output that is not rotated cannot answer.
    pub(super) fn refuse(&self) -> Result<(), Problem> {
        let plain = matches!(self.from, None | Some(LogFrom::Offset(_)));
        let rest = Self {
            from: None,
            ..*self
        };
        if plain && rest == Self::default() {
            return Ok(());
        }
        let detail = "the output of this job is captured, not rotated: it has no times and runs";
        Err(Problem::new(QUERY_INVALID, detail)
            .with_hint("a program has rotated logs with \"logs\": \"rotated\""))
    }

    pub(super) fn question(&self, attempt: AttemptId, stream: StreamName) -> LogQuestion {
        LogQuestion {
            attempt,
            run: self.run,
            stream,
            from: self.from.unwrap_or(LogFrom::Offset(0)),
            until: self.until,
            length: LOG_PART_MAX,
            marks: self.times,
        }
    }
}

/// Whether the stream of such a job is a rotated log.
pub(super) fn is_rotated(spec: &JobSpec, stream: StreamName) -> bool {
    let kind = match &spec.work {
        Work::Program(program) => program.logs,
        Work::Kernel(_) => LogKind::Captured,
    };
    kind == LogKind::Rotated && stream != StreamName::Result
}

fn unix_time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > 6 || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let micros: u64 = format!("{fraction:0<6}").parse().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    Some(Timestamp(
        seconds.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}

/// Reads a part where it is.
pub(super) async fn part(
    desk: &Desk,
    permit: Permit,
    node: NodeId,
    question: LogQuestion,
) -> Result<LogPart, Problem> {
    let query = Query::Ask {
        node,
        question: Question::Log(question),
    };
    let answer = timeout(ANSWER_WITHIN, desk.query(permit, query)).await;
    let unreachable = || {
        let detail = format!("node {node} did not answer in time");
        Problem::new(OUTPUT_UNREACHABLE, detail)
    };
    let answer = match answer {
        Ok(Ok(Reply::Answer(answer))) => answer,
        Ok(Ok(_)) => return Err(bug("a question for a log got another answer")),
        Ok(Err(problem)) => return Err(problem),
        // The node is connected, but its disk may hang.
        Err(_) => return Err(unreachable()),
    };
    match answer {
        Ok(Answer::Log(part)) => Ok(part),
        Ok(_) => Err(bug("a node answered something else than a log")),
        Err(AskFault::Gone) => {
            let attempt = question.attempt;
            let detail = format!("node {node} has no log of attempt {attempt}");
            Err(Problem::new(OUTPUT_GONE, detail))
        }
        Err(AskFault::Unreadable { errno }) => {
            let cause = std::io::Error::from_raw_os_error(errno);
            let detail = format!("node {node} says: {cause}");
            Err(Problem::new(OUTPUT_UNREADABLE, detail))
        }
        Err(_) => Err(unreachable()),
    }
}

pub(super) fn encode(attempt: AttemptId, part: LogPart, times: &Wanted) -> Response {
    let mut headers = vec![
        (OFFSET_HEADER, part.start.to_string()),
        (NEXT_HEADER, part.next.to_string()),
        (END_HEADER, part.at_end.to_string()),
        (RUN_HEADER, part.run.to_string()),
        (INSIDE_HEADER, part.inside_line.to_string()),
    ];
    if times.times {
        headers.push((TIMES_HEADER, times_text(&part.marks)));
    }
    let part = OutputPart {
        bytes: part.bytes,
        length: part.end,
        growing: part.growing,
    };
    let mut response = super::output::encode(attempt, part);
    for (name, value) in headers {
        let value = HeaderValue::try_from(value).expect("numbers and words are ASCII");
        response.headers_mut().insert(name, value);
    }
    response
}

fn times_text(marks: &[(u64, Timestamp)]) -> String {
    let mut text = String::new();
    let mut last = (0, 0);
    for (offset, at) in marks {
        let separator = if text.is_empty() { "" } else { "," };
        // A clock may be set back.
        let step = i128::from(at.0) - i128::from(last.1);
        write!(text, "{separator}{}:{step}", offset - last.0).expect("a text takes all");
        last = (*offset, at.0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, Problem> {
        let known = [&["offset", "attempt"][..], &NAMES].concat();
        let uri = format!("http://localhost/x?{query}").parse();
        let uri = uri.map_err(|_| Problem::new(QUERY_INVALID, "no address"))?;
        Wanted::parse(&Parameters::parse(&uri, &known)?)
    }

    #[test]
    fn a_log_is_asked_for_from_one_place_on() {
        let from = |query| wanted(query).unwrap().from;
        assert_eq!(from("run=2"), None);
        assert_eq!(from("offset=7"), Some(LogFrom::Offset(7)));
        assert_eq!(from("tail=0"), Some(LogFrom::Tail(0)));
        let time = Timestamp(1_700_000_000_250_000);
        assert_eq!(from("since=1700000000.25"), Some(LogFrom::Since(time)));
        for query in [
            "offset=1&tail=2",
            "tail=2&since=3",
            "tail=100001",
            "since=yesterday",
            "since=-1",
            "until=1.1234567",
            "run=0",
            "times=1",
        ] {
            assert!(wanted(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_captured_output_has_only_an_offset() {
        assert!(wanted("offset=5").unwrap().refuse().is_ok());
        for query in ["run=1", "tail=1", "since=1", "until=1", "times=true"] {
            assert!(wanted(query).unwrap().refuse().is_err(), "{query}");
        }
    }

    #[test]
    fn times_are_told_as_differences() {
        let marks = [
            (5, Timestamp(1_000)),
            (8, Timestamp(1_500)),
            (9, Timestamp(900)),
        ];
        assert_eq!(times_text(&marks), "5:1000,3:500,1:-600");
        assert_eq!(times_text(&[]), "");
    }
}
