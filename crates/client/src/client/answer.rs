//! Sending and reading: time-outs, limits, the second try on a connection that went stale.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use flota_wire::rest::Problem;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, Response, body::Incoming, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{
    Client,
    request::{Call, OutputPart},
};
use crate::fault::ClientFault;

/// Longest JSON answer: the list of 10,000 nodes with all their labels has about 30 MB.
pub(super) const ANSWER_LENGTH_MAX: usize = 64 << 20;
/// Bytes of an output so far.
const LENGTH_HEADER: &str = "x-flota-length";
/// Of which attempt an output is.
const ATTEMPT_HEADER: &str = "x-flota-attempt";
/// Whether an output may become longer.
const GROWING_HEADER: &str = "x-flota-growing";

/// A whole answer.
pub(super) struct Answer {
    status: u16,
    body: Bytes,
}

impl Client {
    /// Sends a request and reads the whole answer.
    pub(super) async fn perform(&mut self, call: &Call) -> Result<Answer, ClientFault> {
        let patience = self.timeout + call.patience;
        let exchange = async {
            let response = self.respond_unhurried(call).await?;
            let status = response.status();
            let body = self.collect(call, response).await?;
            if status.is_success() {
                return Ok(Answer {
                    status: status.as_u16(),
                    body,
                });
            }
            Err(self.refusal(&call.path, status.as_u16(), &body))
        };
        match timeout(patience, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.late(patience)),
        }
    }

    /// Sends a request and reads the header of the answer.
    pub(super) async fn respond(&mut self, call: &Call) -> Result<Response<Incoming>, ClientFault> {
        let patience = self.timeout + call.patience;
        match timeout(patience, self.respond_unhurried(call)).await {
            Ok(result) => result,
            Err(_) => Err(self.late(patience)),
        }
    }

    async fn respond_unhurried(&mut self, call: &Call) -> Result<Response<Incoming>, ClientFault> {
        // Taken out, so that a request that is given up half way leaves no used connection behind.
        if let Some(mut kept) = self.connection.take().filter(|kept| !kept.is_closed()) {
            match kept.send(self.request(call)).await {
                Ok(response) => {
                    self.connection = Some(kept);
                    return Ok(response);
                }
                Err(source) if call.once => return Err(self.broken(source)),
                Err(_) => {}
            }
        }
        let mut fresh = self.connect().await?;
        let response = fresh
            .send(self.request(call))
            .await
            .map_err(|source| self.broken(source))?;
        self.connection = Some(fresh);
        Ok(response)
    }

    fn request(&self, call: &Call) -> Request<Full<Bytes>> {
        let mut builder = Request::builder()
            .method(call.method.clone())
            .uri(&call.path)
            .header(header::HOST, self.endpoint.host_header())
            .header(
                header::USER_AGENT,
                concat!("flota/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(token) = &self.token {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = &call.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        if !call.body.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, call.media);
        }
        builder
            .body(Full::new(call.body.clone()))
            .expect("paths, keys and tokens are checked text")
    }

    pub(super) async fn collect(
        &mut self,
        call: &Call,
        response: Response<Incoming>,
    ) -> Result<Bytes, ClientFault> {
        let limited = Limited::new(response.into_body(), ANSWER_LENGTH_MAX)
            .collect()
            .await;
        let fault = match limited {
            Ok(body) => return Ok(body.to_bytes()),
            Err(fault) => fault,
        };
        self.connection = None;
        if fault.is::<LengthLimitError>() {
            let path = call.path.clone();
            return Err(ClientFault::AnswerTooLong {
                path,
                limit: ANSWER_LENGTH_MAX,
            });
        }
        let source = *fault
            .downcast::<hyper::Error>()
            .expect("the body has no other faults");
        Err(self.broken(source))
    }

    /// Writes a body to `sink`. The time-out is for each piece: an output may be long.
    pub(super) async fn pass_on(
        &mut self,
        response: Response<Incoming>,
        sink: &mut dyn Write,
    ) -> Result<u64, ClientFault> {
        let mut body = response.into_body();
        let mut written = 0;
        // Put back only at the end: what is left of a body that was given up must not be read as
        // the next answer.
        let connection = self.connection.take();
        loop {
            let frame = match timeout(self.timeout, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(source))) => return Err(self.broken(source)),
                Ok(None) => break,
                Err(_) => return Err(self.late(self.timeout)),
            };
            if let Some(piece) = frame.data_ref() {
                sink.write_all(piece)
                    .map_err(|source| ClientFault::Sink { source })?;
                written += piece.len() as u64;
            }
        }
        self.connection = connection;
        Ok(written)
    }

    pub(super) fn parse<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Answer,
    ) -> Result<T, ClientFault> {
        serde_json::from_slice(&answer.body)
            .map_err(|source| self.not_understood(path, answer.status, Some(source)))
    }

    /// What a status other than success says.
    pub(super) fn refusal(&self, path: &str, status: u16, body: &[u8]) -> ClientFault {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => ClientFault::Problem(Box::new(problem)),
            Err(_) => self.not_understood(path, status, None),
        }
    }

    pub(super) fn not_understood(
        &self,
        path: &str,
        status: u16,
        source: Option<serde_json::Error>,
    ) -> ClientFault {
        let (endpoint, path) = (self.endpoint.clone(), path.to_owned());
        ClientFault::AnswerInvalid {
            endpoint,
            path,
            status,
            source,
        }
    }

    pub(super) fn broken(&self, source: hyper::Error) -> ClientFault {
        ClientFault::Broken {
            endpoint: self.endpoint.clone(),
            source,
        }
    }

    pub(super) fn late(&mut self, after: Duration) -> ClientFault {
        self.connection = None;
        ClientFault::TimedOut {
            endpoint: self.endpoint.clone(),
            after,
        }
    }
}

/// What is told of an output beside its bytes; `None` when that is not told.
pub(super) fn output_headers(headers: &HeaderMap) -> Option<OutputPart> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(LENGTH_HEADER)?.parse().ok()?;
    let growing = match text(GROWING_HEADER).unwrap_or("false") {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => return None,
    };
    let attempt = text(ATTEMPT_HEADER).map(str::to_owned);
    Some(OutputPart {
        written: 0,
        length,
        growing,
        attempt,
    })
}
