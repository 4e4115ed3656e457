//! What is sent.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use flota_model::outcome::StreamName;
use hyper::Method;

/// One request.
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) body: Bytes,
    /// What the body is.
    pub(super) media: &'static str,
    pub(super) idempotency_key: Option<String>,
    /// How much longer than usual the answer may take.
    pub(super) patience: Duration,
    /// Whether it may do something else when it is sent again.
    pub(super) once: bool,
}

impl Call {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            body: Bytes::new(),
            media: "application/json",
            idempotency_key: None,
            patience: Duration::ZERO,
            once: false,
        }
    }

    pub(super) fn submit(body: Bytes, key: &str) -> Self {
        let idempotency_key = Some(key.to_owned());
        Self {
            body,
            idempotency_key,
            ..Self::new(Method::POST, "/api/v1/jobs".into())
        }
    }

    pub(super) fn of_type(self, media: &'static str) -> Self {
        Self { media, ..self }
    }

    /// It is never sent again.
    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// A page of the jobs.
#[derive(Debug, Clone, Default)]
pub struct JobsQuery {
    /// At most so many; the server's default when absent.
    pub limit: Option<u32>,
    /// Only older ones.
    pub before: Option<u64>,
    /// Only those in this phase.
    pub phase: Option<String>,
    /// `batch`, `service` or `all`; the server's default (`batch`) when absent.
    pub kind: Option<String>,
}

impl JobsQuery {
    pub(super) fn path(&self) -> String {
        with_query(
            "/api/v1/jobs",
            &[
                ("limit", self.limit.map(|limit| limit.to_string())),
                ("before", self.before.map(|job| job.to_string())),
                ("phase", self.phase.clone()),
                ("kind", self.kind.clone()),
            ],
        )
    }
}

/// A page of the tasks of a job.
#[derive(Debug, Clone, Default)]
pub struct TasksQuery {
    /// Of which job.
    pub job: u64,
    /// At most so many; the server's default when absent.
    pub limit: Option<u32>,
    /// Only those with a higher index.
    pub after: Option<u32>,
    /// Only those in this state.
    pub state: Option<String>,
}

impl TasksQuery {
    pub(super) fn path(&self) -> String {
        with_query(
            &format!("/api/v1/jobs/{}/tasks", self.job),
            &[
                ("limit", self.limit.map(|limit| limit.to_string())),
                ("after", self.after.map(|task| task.to_string())),
                ("state", self.state.clone()),
            ],
        )
    }
}

/// Part of one output of a task.
#[derive(Debug, Clone)]
pub struct OutputQuery {
    /// Of which job.
    pub job: u64,
    /// Of which task.
    pub task: u32,
    /// Which output.
    pub stream: StreamName,
    /// Bytes to leave out at the start.
    pub offset: u64,
    /// Of which attempt; the last one when absent.
    pub attempt: Option<String>,
}

impl OutputQuery {
    pub(super) fn path(&self) -> String {
        let (job, task, stream) = (self.job, self.task, self.stream.word());
        with_query(
            &format!("/api/v1/jobs/{job}/tasks/{task}/output/{stream}"),
            &[
                ("offset", (self.offset > 0).then(|| self.offset.to_string())),
                ("attempt", self.attempt.clone()),
            ],
        )
    }
}

/// What an output request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPart {
    /// Bytes written to the sink.
    pub written: u64,
    /// Bytes of the whole output so far.
    pub length: u64,
    /// Whether it may become longer.
    pub growing: bool,
    /// Of which attempt it is.
    pub attempt: Option<String>,
}

pub(super) fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_owned();
    let given = pairs
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (index, (name, value)) in given.enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&escape(value));
    }
    text
}

/// Writes all but the unreserved letters of RFC 3986 as `%XX`, so that no value becomes a path.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a String takes all that is written to it");
        }
    }
    escaped
}
