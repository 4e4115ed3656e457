//! What an agent is started with.

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, path::PathBuf};

use flota_engine::{keeper::codec, logs::Limits, node::api::Settings as NodeSettings};
use flota_model::resources::Resources;
use flota_wire::line::Dialect;

use crate::{groups::GroupWish, hpc::HpcListener, policy::PolicySource};

/// Longest output of one stream of one attempt unless told otherwise, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// What an agent is started with.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Its data folder; made where there is none.
    pub data: PathBuf,
    /// The server.
    pub server: SocketAddr,
    /// The name of the node to ask for.
    pub name: String,
    /// The version of this binary, for people.
    pub version: String,
    /// What this machine lends to Flota; all cores and all memory where absent.
    pub capacity: Option<Resources>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Longest output of one stream of one attempt, in bytes; what is longer is cut.
    pub output_bytes_max: u64,
    /// Limits of logs that are rotated.
    pub logs: Limits,
    /// Listeners of the line protocol; on loopback only.
    pub line: Vec<(Dialect, SocketAddr)>,
    /// Listeners for clients of an older cluster; on loopback only.
    pub hpc: Vec<(HpcListener, SocketAddr)>,
    /// The program that becomes a keeper when the arguments of
    /// [`KeeperSettings`](crate::keeper::KeeperSettings) are added.
    pub keeper_command: Vec<OsString>,
    /// The newest version of the messages to keepers that it speaks and that its keepers understand. An
    /// older one makes it behave as agents did before: only for trying an upgrade.
    pub keeper_version_max: u8,
    /// Which control groups it uses.
    pub groups: GroupWish,
    /// Where its policy is read again on SIGHUP; nowhere where absent, and SIGHUP ends it.
    pub policy: Option<PolicySource>,
    /// Durations and limits of the engine.
    pub node: NodeSettings,
}

impl AgentSettings {
    /// The usual settings for an agent of that folder, server and name.
    pub fn new(data: PathBuf, server: SocketAddr, name: String) -> Self {
        Self {
            data,
            server,
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capacity: None,
            labels: BTreeMap::new(),
            output_bytes_max: OUTPUT_BYTES_MAX,
            logs: Limits::default(),
            line: Vec::new(),
            hpc: Vec::new(),
            keeper_command: vec!["/proc/self/exe".into(), "__keeper".into()],
            keeper_version_max: codec::VERSION,
            groups: GroupWish::default(),
            policy: None,
            node: NodeSettings::default(),
        }
    }
}
