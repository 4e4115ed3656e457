//! What clients of a node's own listeners want: things that an agent may not do by itself, because the
//! server authorises and audits them and keeps their history.

use std::time::Duration;

use crate::{ids::JobId, process::ProcessTarget, spec::KernelCall};

/// Most orders of one node that wait for the server.
pub const LOCAL_ORDERS_MAX: usize = 64;
/// Most orders of all nodes that a server has under way.
pub const LOCAL_ORDERS_TOTAL_MAX: usize = 4_096;
/// Longest text of a refusal, in bytes; the rest is cut.
pub const REFUSAL_LENGTH_MAX: usize = 1_024;

/// Something that a node asks of its server for one of its own clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalOrder {
    /// Start a program on this node, once.
    Start {
        /// The name of the job.
        name: String,
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// Run a built-in function on this node.
    Compute {
        /// The name of the job.
        name: String,
        /// The function with its parameters.
        call: KernelCall,
    },
    /// End a process of this node with its descendants.
    Stop {
        /// Which.
        target: ProcessTarget,
        /// From SIGTERM to SIGKILL.
        grace: Duration,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalReply {
    /// The job is durable and will be granted to this node.
    Accepted {
        /// Its number.
        job: JobId,
    },
    /// The process and its descendants are gone.
    Stopped,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRefusal {
    /// A code of the API, such as `E-PROCESS-NOTFOUND`.
    pub code: String,
    /// For people; at most [`REFUSAL_LENGTH_MAX`] bytes.
    pub detail: String,
}

impl LocalRefusal {
    /// The server cannot be asked; what was asked may have been done or not.
    pub fn unreachable() -> Self {
        Self {
            code: "E-SERVER-UNREACHABLE".to_owned(),
            detail: "the server did not answer".to_owned(),
        }
    }

    /// Too many orders wait.
    pub fn busy() -> Self {
        Self {
            code: "E-SERVER-BUSY".to_owned(),
            detail: "too many orders wait for the server".to_owned(),
        }
    }
}
