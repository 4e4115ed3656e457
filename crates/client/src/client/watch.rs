//! Server-sent events (HTML standard, section 9.2), as far as our server sends them.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{Client, ProcessesQuery, answer::ANSWER_LENGTH_MAX, request::Call};
use crate::fault::ClientFault;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind.
    pub(crate) name: String,
    /// JSON.
    pub(crate) data: String,
}

/// Events as they come.
pub(crate) struct Events {
    body: Incoming,
    /// What came and is no whole event yet.
    rest: Vec<u8>,
    /// Bytes of it that hold no end of an event.
    searched: usize,
    /// Longest silence.
    patience: Duration,
}

impl Client {
    /// `GET /api/v1/processes/watch`: `snapshot`, and then a `delta` every `interval`.
    pub(crate) async fn watch_processes(
        &mut self,
        query: &ProcessesQuery,
        interval: Duration,
    ) -> Result<Events, ClientFault> {
        let call = Call::get(query.watch_path(interval));
        let response = self.respond(&call).await?;
        let status = response.status();
        if !status.is_success() {
            let bytes = self.collect(&call, response).await?;
            return Err(self.refusal(&call.path, status.as_u16(), &bytes));
        }
        Ok(Events {
            body: response.into_body(),
            rest: Vec::new(),
            searched: 0,
            patience: interval + self.timeout,
        })
    }

    /// The next event; `None` when the server ends them.
    pub(crate) async fn next_event(
        &mut self,
        events: &mut Events,
    ) -> Result<Option<Event>, ClientFault> {
        loop {
            if let Some(event) = events.take() {
                return Ok(Some(event));
            }
            let frame = match timeout(events.patience, events.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(source))) => return Err(self.broken(source)),
                Ok(None) => return Ok(None),
                Err(_) => return Err(self.late(events.patience)),
            };
            if let Some(piece) = frame.data_ref() {
                events.rest.extend_from_slice(piece);
            }
            if events.rest.len() > ANSWER_LENGTH_MAX {
                return Err(ClientFault::AnswerTooLong {
                    path: "/api/v1/processes/watch".into(),
                    limit: ANSWER_LENGTH_MAX,
                });
            }
        }
    }
}

impl Events {
    /// The first event of what has come; comments and empty ones are passed over.
    fn take(&mut self) -> Option<Event> {
        loop {
            let from = self.searched.saturating_sub(1);
            let unseen = self.rest.get(from..).unwrap_or_default();
            let Some(end) = unseen.windows(2).position(|two| two == b"\n\n") else {
                self.searched = self.rest.len();
                return None;
            };
            self.searched = 0;
            let block: Vec<u8> = self.rest.drain(..from + end + 2).collect();
            if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                return Some(event);
            }
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let of = |name: &str| {
        let mut lines = block.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    Some(Event {
        name: of("event")?.trim().to_owned(),
        data: of("data")?.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_name_and_data_and_a_comment_is_none() {
        let event = parse("event:delta\ndata:{\"a\":1}\n\n").unwrap();
        assert_eq!(
            (event.name.as_str(), event.data.as_str()),
            ("delta", "{\"a\":1}")
        );
        assert_eq!(parse(":ping\n\n"), None);
        assert_eq!(parse("retry:2000\n\n"), None);
    }
}
