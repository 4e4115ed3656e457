//! How an agent ends.

use std::{io, net::SocketAddr};

use flota_link::direct;
use flota_model::frame::HelloRefusal;

use crate::{folder::FolderFault, journal::JournalFault, keepers::KeepersFault};

/// How an agent ended without a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEnd {
    /// It was told to end alone. Programs and their keeper go on; the next agent takes them over.
    Detached {
        /// How many programs go on.
        programs: usize,
    },
    /// It was told to stop all: nothing runs any more, and the keepers have ended.
    StoppedAll,
}

/// Why an agent did not start, or ended. Programs and keepers go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentFault {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Keepers cannot be used.
    #[error(transparent)]
    Keepers(#[from] KeepersFault),
    /// The server's address is refused.
    #[error(transparent)]
    Address(#[from] direct::NotLoopback),
    /// A listener for other clients cannot be bound.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server does not take this agent, and waiting will not change that.
    #[error("the server refused this agent: {}", explain(.0))]
    Refused(HelloRefusal),
    /// Outputs of programs cannot be made durable.
    #[error("failed to sync outputs to the disk")]
    Outputs {
        /// Why.
        source: io::Error,
    },
    /// The link ended by itself, which it never should.
    #[error("the link to the server ended unexpectedly")]
    LinkDied,
    /// A call of the operating system failed without which no agent can work.
    #[error("failed to {step}")]
    System {
        /// What it was for.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl AgentFault {
    pub(crate) fn system(step: &'static str) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::System { step, source }
    }
}

fn explain(refusal: &HelloRefusal) -> String {
    match refusal {
        HelloRefusal::Protocol(version) => {
            format!("it speaks version {version} of the protocol; use the same version of Flota")
        }
        HelloRefusal::NameTaken => "another node has this name".to_owned(),
        HelloRefusal::SecondSession => "another agent runs as this node".to_owned(),
        HelloRefusal::TooManyNodes => "the fleet has as many nodes as it allows".to_owned(),
    }
}
