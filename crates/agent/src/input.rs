//! What the parts of an agent tell its main loop.

use flota_engine::{
    keeper::api::{End, FromKeeper, KeeperId},
    node::api::KernelEnd,
};
use flota_model::{
    frame::{OutputFault, OutputPart},
    ids::{AttemptId, ConnectionId, RequestId},
    outcome::{Output, Usage},
    process::{Answer, AskFault},
    replica::LastLines,
    sample::NodeSample,
    service::{ProbeNumber, ProbeResult},
    units::Timestamp,
};
use tokio::sync::oneshot;

use crate::{keepers::Carried, local::Asked};

/// What a probe of a service has found.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    pub(crate) attempt: AttemptId,
    pub(crate) run: u32,
    pub(crate) probe: u32,
    pub(crate) number: ProbeNumber,
    pub(crate) result: ProbeResult,
    pub(crate) detail: String,
}

/// Something that happened beside the main loop.
#[derive(Debug)]
pub(crate) enum Input {
    /// A keeper said something.
    Keeper {
        keeper: KeeperId,
        message: FromKeeper,
        /// With a start.
        carried: Option<Carried>,
    },
    /// The connection to a keeper is gone.
    KeeperGone(KeeperId),
    /// A program without a keeper ended with its tree.
    OrphanEnded { attempt: AttemptId, end: End },
    /// The large output of a program is on the disk.
    Collected {
        attempt: AttemptId,
        end: End,
        output: Option<Box<Output>>,
    },
    /// The large result of a kernel is on the disk.
    Kept {
        attempt: AttemptId,
        end: KernelEnd,
        ran: (Timestamp, Timestamp),
        usage: Usage,
    },
    /// The disk does not keep outputs: nothing can be reported honestly any more.
    OutputsLost(std::io::Error),
    /// A part of an output was read.
    OutputRead {
        connection: ConnectionId,
        request: RequestId,
        part: Result<OutputPart, OutputFault>,
    },
    /// A question of the server was answered.
    Answered {
        connection: ConnectionId,
        request: RequestId,
        answer: Result<Answer, AskFault>,
    },
    /// A probe of a service is over.
    Probed(Probed),
    /// The last lines of a run of a service were read.
    Tailed {
        attempt: AttemptId,
        lines: LastLines,
    },
    /// A client of our own listeners wants something of the server.
    Local(Asked),
    /// The machine was looked at.
    Sampled(Box<NodeSample>),
    /// Somebody wants everything to be stopped, and to know when it is.
    StopAll(oneshot::Sender<()>),
}
