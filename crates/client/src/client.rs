//! The typed API of a server.

mod answer;
mod logs;
mod processes;
mod request;
mod retries;
mod services;
mod watch;
mod watches;

use std::{fs, io, io::Write, path::Path, time::Duration};

use flota_wire::{rest, spec};
use hyper::Method;
use serde::de::DeserializeOwned;

use self::request::Call;
pub use self::{
    logs::{LogPart, LogQuery, LogStart},
    processes::{ProcessName, ProcessesQuery},
    request::{JobsQuery, OutputPart, OutputQuery, TasksQuery},
    services::Order,
};
pub(crate) use self::{
    retries::{DeadQuery, RetryQuery},
    watch::{Event, Events},
};
use crate::{
    connection::Connection,
    endpoint::{Candidate, Endpoint, Search},
    fault::ClientFault,
};

/// How long an answer may take when nobody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer a submission with rows may take: 64 MiB are sent, hashed and stored.
const ROWS_PATIENCE: Duration = Duration::from_mins(2);
/// Longest token; ours have 64 letters.
const TOKEN_LENGTH_MAX: usize = 4096;

/// Answer of `GET /api/v1/kernels`.
#[derive(serde::Deserialize)]
struct Kernels {
    kernels: Vec<String>,
}

/// A client of one server, with one kept connection.
///
/// Most requests of the API may be repeated: reads, submissions (which carry a key), cancel and
/// recover. On a connection that went stale such a request is sent once more on a new one. A signal or
/// a stop is not.
pub struct Client {
    endpoint: Endpoint,
    token: Option<String>,
    timeout: Duration,
    connection: Option<Connection>,
}

impl Client {
    /// A client of the server at `endpoint`; it connects with its first request.
    pub fn new(endpoint: Endpoint, token: Option<String>, timeout: Duration) -> Self {
        Self {
            endpoint,
            token,
            timeout,
            connection: None,
        }
    }

    /// A client of the first server of `search` that accepts a connection.
    ///
    /// # Errors
    /// When none does: the fault of the last one tried.
    pub async fn find(search: &Search, timeout: Duration) -> Result<Self, ClientFault> {
        let mut last = None;
        for candidate in search.candidates()? {
            match Self::try_candidate(&candidate, timeout).await {
                Ok(client) => return Ok(client),
                Err(fault @ ClientFault::Unreachable { .. }) => last = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        Err(last.expect("there is always one candidate"))
    }

    async fn try_candidate(candidate: &Candidate, timeout: Duration) -> Result<Self, ClientFault> {
        let token = match &candidate.token_file {
            Some(path) => read_token(path, candidate.token_required)?,
            None => None,
        };
        let mut client = Self::new(candidate.endpoint.clone(), token, timeout);
        client.connection = Some(client.connect().await?);
        Ok(client)
    }

    /// Where the server is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `GET /api/v1/fleet`
    pub async fn fleet(&mut self) -> Result<rest::Fleet, ClientFault> {
        self.get("/api/v1/fleet".into()).await
    }

    /// `POST /api/v1/fleet/recover`
    pub async fn recover(&mut self) -> Result<(), ClientFault> {
        self.perform(&Call::post("/api/v1/fleet/recover".into()))
            .await
            .map(drop)
    }

    /// `GET /api/v1/nodes`
    pub async fn nodes(&mut self) -> Result<rest::Nodes, ClientFault> {
        self.get("/api/v1/nodes".into()).await
    }

    /// `GET /api/v1/nodes/{node}`: by name or number.
    pub async fn node(&mut self, node: &str) -> Result<rest::Node, ClientFault> {
        self.get(format!("/api/v1/nodes/{}", request::escape(node)))
            .await
    }

    /// `GET /api/v1/kernels`
    pub async fn kernels(&mut self) -> Result<Vec<String>, ClientFault> {
        let answer: Kernels = self.get("/api/v1/kernels".into()).await?;
        Ok(answer.kernels)
    }

    /// `GET /api/v1/jobs`: one page.
    pub async fn jobs(&mut self, query: &JobsQuery) -> Result<rest::Jobs, ClientFault> {
        self.get(query.path()).await
    }

    /// `GET /api/v1/jobs/{job}`: by number or `last`.
    pub async fn job(&mut self, job: &str) -> Result<rest::Job, ClientFault> {
        self.get(format!("/api/v1/jobs/{}", request::escape(job)))
            .await
    }

    /// `GET /api/v1/jobs/{job}/wait`: answers when the job is finished, or after `patience` as it
    /// then is.
    pub async fn wait(&mut self, job: u64, patience: Duration) -> Result<rest::Job, ClientFault> {
        let path = format!(
            "/api/v1/jobs/{job}/wait?timeout_ms={}",
            patience.as_millis()
        );
        let answer = self
            .perform(&Call::get(path.clone()).patient(patience))
            .await?;
        self.parse(&path, answer)
    }

    /// `GET /api/v1/jobs/{job}/tasks`: one page.
    pub async fn tasks(&mut self, query: &TasksQuery) -> Result<rest::Tasks, ClientFault> {
        self.get(query.path()).await
    }

    /// `GET /api/v1/jobs/{job}/tasks/{task}`
    pub async fn task(&mut self, job: u64, task: u32) -> Result<rest::Task, ClientFault> {
        self.get(format!("/api/v1/jobs/{job}/tasks/{task}")).await
    }

    /// `POST /api/v1/jobs`; `key` (not empty) makes it safe to repeat.
    pub async fn submit(
        &mut self,
        spec: &serde_json::Value,
        key: &str,
    ) -> Result<rest::Submitted, ClientFault> {
        let call = Call::submit(spec.to_string().into(), key);
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// As [`Self::submit`], with the rows of the job where it has some.
    pub async fn submit_job(
        &mut self,
        job: &spec::Job,
        key: &str,
    ) -> Result<rest::Submitted, ClientFault> {
        if job.rows.is_none() {
            return self.submit(&spec::to_value(&job.spec), key).await;
        }
        let call = Call::submit(spec::with_rows(job).into(), key)
            .of_type(spec::JOB_WITH_ROWS)
            .patient(ROWS_PATIENCE);
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// `GET /api/v1/jobs/{job}/tasks/{task}/output/{stream}`: writes to `sink` what comes as it comes.
    ///
    /// # Errors
    /// After an error some of the output may have been written.
    pub async fn output(
        &mut self,
        query: &OutputQuery,
        sink: &mut dyn Write,
    ) -> Result<OutputPart, ClientFault> {
        let call = Call::get(query.path());
        let response = self.respond(&call).await?;
        let status = response.status();
        if !status.is_success() {
            let bytes = self.collect(&call, response).await?;
            return Err(self.refusal(&call.path, status.as_u16(), &bytes));
        }
        let mut part = answer::output_headers(response.headers())
            .ok_or_else(|| self.not_understood(&call.path, status.as_u16(), None))?;
        part.written = self.pass_on(response, sink).await?;
        Ok(part)
    }

    async fn get<T: DeserializeOwned>(&mut self, path: String) -> Result<T, ClientFault> {
        let call = Call::get(path);
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    async fn connect(&self) -> Result<Connection, ClientFault> {
        Connection::open(&self.endpoint)
            .await
            .map_err(|source| ClientFault::Unreachable {
                endpoint: self.endpoint.clone(),
                source,
            })
    }
}

impl Call {
    fn get(path: String) -> Self {
        Self::new(Method::GET, path)
    }

    fn post(path: String) -> Self {
        Self::new(Method::POST, path)
    }
}

/// Reads the token of a file; `None` when there is no such file and nobody asked for it.
fn read_token(path: &Path, required: bool) -> Result<Option<String>, ClientFault> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) if required => {
            return Err(ClientFault::TokenUnreadable {
                path: path.to_owned(),
                source,
            });
        }
        Err(source) => {
            // The Unix socket needs none, and a server that needs one says so.
            let _: io::Error = source;
            return Ok(None);
        }
    };
    let token = text.trim();
    let sendable = token.bytes().all(|letter| letter.is_ascii_graphic());
    if token.is_empty() || token.len() > TOKEN_LENGTH_MAX || !sendable {
        return Err(ClientFault::TokenInvalid {
            path: path.to_owned(),
        });
    }
    Ok(Some(token.to_owned()))
}

#[cfg(test)]
mod tests;
