//! What can go wrong between a client and a server.

use std::{io, path::PathBuf, time::Duration};

use flota_wire::rest::Problem;

use crate::endpoint::Endpoint;

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// The text is no address of a server.
    #[error("`{text}` is no address of a server")]
    EndpointInvalid {
        /// As given.
        text: String,
    },
    /// The text asks for TLS, which this version does not speak.
    #[error("`{text}` asks for TLS")]
    EndpointTls {
        /// As given.
        text: String,
    },
    /// The token file that a person named cannot be read.
    #[error("failed to read the token file `{}`", path.display())]
    TokenUnreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file holds something that cannot be sent.
    #[error("the file `{}` holds no token", path.display())]
    TokenInvalid {
        /// Which.
        path: PathBuf,
    },
    /// No connection could be made.
    #[error("failed to connect to {endpoint}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The server gave no whole answer in time.
    #[error("no answer from {endpoint} within {after:?}")]
    TimedOut {
        /// Where.
        endpoint: Endpoint,
        /// How long it had.
        after: Duration,
    },
    /// The connection ended before the answer.
    #[error("the connection to {endpoint} broke")]
    Broken {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: hyper::Error,
    },
    /// The server refused, and said why.
    #[error("{}: {}", .0.code, .0.title)]
    Problem(Box<Problem>),
    /// The answer is not one of a Flota server.
    #[error("answer to {path} with status {status} is not understood")]
    AnswerInvalid {
        /// Where.
        endpoint: Endpoint,
        /// Of which request.
        path: String,
        /// HTTP status.
        status: u16,
        /// Why, where its JSON is at fault.
        source: Option<serde_json::Error>,
    },
    /// The answer does not end.
    #[error("answer to {path} is longer than {limit} bytes")]
    AnswerTooLong {
        /// Of which request.
        path: String,
        /// Most bytes.
        limit: usize,
    },
    /// What came could not be passed on.
    #[error("failed to pass on the output")]
    Sink {
        /// Why.
        source: io::Error,
    },
}

impl ClientFault {
    /// Whether the same request, with the same key, may succeed when it is made again.
    pub fn may_pass(&self) -> bool {
        if let Self::Problem(problem) = self {
            return ["E-SERVER-STOPPING", "E-SERVER-BUSY"].contains(&problem.code.as_str());
        }
        matches!(
            self,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. }
        )
    }

    /// The problem, if the server told one of this code.
    pub fn problem(&self) -> Option<&Problem> {
        if let Self::Problem(problem) = self {
            Some(problem)
        } else {
            None
        }
    }
}
