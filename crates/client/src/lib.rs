//! The typed API client, and the command line over it: grammar, tables, progress, texts.
//!
//! What this crate does NOT do: it reads no environment and no settings file (the binary hands them
//! down), starts no program, and knows nothing of how the server works inside.

mod catalogue;
mod cli;
mod client;
mod clock;
mod connection;
mod endpoint;
mod exit;
mod failure;
mod fault;
mod nearest;
mod progress;
mod render;

pub use catalogue::{Language, knows_problem};
pub use cli::{Options, Stopped, grammar, parse, parse_cpus, path_of, run};
pub use client::{
    Client, JobsQuery, LogPart, LogQuery, LogStart, Order, OutputPart, OutputQuery, ProcessName,
    ProcessesQuery, TIMEOUT, TasksQuery,
};
pub use endpoint::{Candidate, DEV_FOLDER, Endpoint, PORT, Search};
pub use exit::Exit;
pub use failure::Failure;
pub use fault::ClientFault;
pub use nearest::nearest;
pub use render::{Color, Field, Format, Listing, Screen, Style, utc};
