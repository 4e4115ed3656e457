//! Parts of logs that are rotated.

use flota_model::outcome::StreamName;
use hyper::HeaderMap;

use super::{
    Client,
    request::{Call, with_query},
};
use crate::fault::ClientFault;

/// Which part of which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Of which job.
    pub job: u64,
    /// Of which task.
    pub task: u32,
    /// Standard output or standard error.
    pub stream: StreamName,
    /// Of which attempt; the last one when absent.
    pub attempt: Option<String>,
    /// Which run of it; the last one when absent.
    pub run: Option<u32>,
    /// From where on.
    pub start: LogStart,
    /// Nothing that was written after that Unix time, in microseconds.
    pub until: Option<u64>,
}

/// Where a part of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At that byte.
    Offset(u64),
    /// So many lines before the end.
    Tail(u32),
    /// At what was written at that Unix time, in microseconds.
    Since(u64),
}

/// A part of a log. Offsets count all bytes that were written, also those that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPart {
    /// Of which attempt.
    pub attempt: String,
    /// Which run of it.
    pub run: u32,
    /// Offset of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where to go on.
    pub next: u64,
    /// Whether nothing is behind that now.
    pub at_end: bool,
    /// Whether the run may still write.
    pub growing: bool,
    /// Whether the first byte continues a line whose beginning is gone.
    pub inside_line: bool,
    /// From which byte on which Unix time holds, in microseconds; in order.
    pub times: Vec<(u64, u64)>,
}

impl LogQuery {
    fn path(&self) -> String {
        let (job, task, stream) = (self.job, self.task, self.stream.word());
        let (mut offset, mut tail, mut since) = (None, None, None);
        match self.start {
            LogStart::Offset(start) => offset = Some(start.to_string()),
            LogStart::Tail(lines) => tail = Some(lines.to_string()),
            LogStart::Since(time) => since = Some(seconds(time)),
        }
        with_query(
            &format!("/api/v1/jobs/{job}/tasks/{task}/output/{stream}"),
            &[
                ("attempt", self.attempt.clone()),
                ("run", self.run.map(|run| run.to_string())),
                ("offset", offset),
                ("tail", tail),
                ("since", since),
                ("until", self.until.map(seconds)),
                ("times", Some("true".to_owned())),
            ],
        )
    }
}

impl Client {
    /// `GET /api/v1/jobs/{job}/tasks/{task}/output/{stream}` of a program with rotated logs.
    ///
    /// # Errors
    /// Also where its output is captured.
    pub async fn log(&mut self, query: &LogQuery) -> Result<LogPart, ClientFault> {
        let call = Call::get(query.path());
        let response = self.respond(&call).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let bytes = self.collect(&call, response).await?;
        if !status.is_success() {
            return Err(self.refusal(&call.path, status.as_u16(), &bytes));
        }
        let part = part_of(&headers)
            .ok_or_else(|| self.not_understood(&call.path, status.as_u16(), None))?;
        Ok(LogPart {
            bytes: bytes.to_vec(),
            ..part
        })
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn part_of(headers: &HeaderMap) -> Option<LogPart> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name| text(name)?.parse::<u64>().ok();
    let flag = |name| text(name)?.parse::<bool>().ok();
    Some(LogPart {
        attempt: text("x-flota-attempt")?.to_owned(),
        run: text("x-flota-run")?.parse().ok()?,
        start: number("x-flota-offset")?,
        bytes: Vec::new(),
        next: number("x-flota-next")?,
        at_end: flag("x-flota-end")?,
        growing: flag("x-flota-growing")?,
        inside_line: flag("x-flota-inside-line")?,
        times: times(text("x-flota-times").unwrap_or_default())?,
    })
}

/// Pairs of differences.
fn times(text: &str) -> Option<Vec<(u64, u64)>> {
    let mut times = Vec::new();
    let mut last = (0_u64, 0_u64);
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (offset, time) = pair.split_once(':')?;
        last.0 = last.0.checked_add(offset.parse().ok()?)?;
        last.1 = last.1.checked_add_signed(time.parse().ok()?)?;
        times.push(last);
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_asked_for_by_offset_lines_or_time() {
        let path = |start, until| {
            let query = LogQuery {
                job: 7,
                task: 3,
                stream: StreamName::Stderr,
                attempt: Some("1-0-9".to_owned()),
                run: Some(2),
                start,
                until,
            };
            query.path()
        };
        let base = "/api/v1/jobs/7/tasks/3/output/stderr?attempt=1-0-9&run=2";
        for (start, until, rest) in [
            (LogStart::Offset(5), None, "&offset=5&times=true"),
            (LogStart::Tail(10), None, "&tail=10&times=true"),
            (
                LogStart::Since(1_500_000),
                Some(2_000_001),
                "&since=1.500000&until=2.000001&times=true",
            ),
        ] {
            assert_eq!(path(start, until), format!("{base}{rest}"));
        }
    }

    #[test]
    fn times_are_sums_of_what_is_told() {
        assert_eq!(
            times("5:1000,3:500,1:-600"),
            Some(vec![(5, 1000), (8, 1500), (9, 900)])
        );
        assert_eq!(times(""), Some(Vec::new()));
        for text in ["5", "a:1", "1:1,2", "1:-5"] {
            assert_eq!(times(text), None, "{text}");
        }
    }
}
