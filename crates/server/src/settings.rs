//! What the server is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::adapters::hpc::HpcSettings;

/// The port of Flota.
pub const PORT: u16 = 7070;

/// Everything that the binary decides for a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder; made with mode 0700 when missing.
    pub data: PathBuf,
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The adapter for clients of an older cluster; off where absent.
    pub hpc: Option<HpcSettings>,
    /// Opens one browser session through `/login?token=…`, once.
    pub one_time_token: Option<String>,
    /// Names of the built-in functions that the agents of this release have.
    pub kernels: Vec<String>,
    /// The version of the binary, for people.
    pub version: String,
    /// Folders whose files may be watched; if there are none, `jobs` of the data folder.
    pub watch_folders: Vec<PathBuf>,
    /// Durations and limits of the fleet itself.
    pub fleet: flota_engine::fleet::api::Settings,
    /// Durations and limits of the shell around it.
    pub limits: Limits,
}

impl Settings {
    /// The defaults for that data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            hpc: None,
            one_time_token: None,
            kernels: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            watch_folders: Vec::new(),
            fleet: flota_engine::fleet::api::Settings::default(),
            limits: Limits::default(),
        }
    }
}

/// Durations and limits of the listener and of the store's disk.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most TCP connections at once; one more is answered 503 and closed. 10,000 agents, each with
    /// one, and people beside them.
    pub connections_max: usize,
    /// Most connections at once on the Unix socket, counted apart so that the administrator of the
    /// machine gets in when the port is flooded.
    pub local_connections_max: usize,
    /// From accepting a connection to knowing its protocol.
    pub first_bytes_within: Duration,
    /// From the end of one HTTP/1 request (or the start) to the end of the next one's header: the
    /// limit on slow headers and on idle connections in one.
    pub header_within: Duration,
    /// Between two pings of a quiet HTTP/2 connection, and the patience for each answer: an agent
    /// whose machine is gone is noticed well before TCP would.
    pub ping_interval: Duration,
    /// From the header of a request to the end of its body.
    pub body_within: Duration,
    /// Longest time in which a client takes none of the bytes that it is being sent.
    pub write_stall_max: Duration,
    /// From the stop signal to cutting what is still open.
    pub drain_within: Duration,
    /// Most requests waiting for the engine; one more is answered 503.
    pub requests_max: usize,
    /// Most connections that watch events at once; one more is answered 503. A page and a few
    /// programs for each of some dozens of people.
    pub watchers_max: usize,
    /// Most nodes that one list of processes asks at once; the others follow.
    pub asked_max: usize,
    /// Most nodes that all lists of processes together ask at once; more wait. The longest answer has
    /// some three mebibytes, a usual one a hundredth of that.
    pub lists_max: usize,
    /// From asking nodes for their processes to giving up, so that a list is there within two seconds
    /// whatever nodes do.
    pub list_within: Duration,
    /// Longest silence towards one who watches events: proxies cut a connection after a minute.
    pub event_ping_interval: Duration,
    /// Free space of the data folder's file system below which submissions are refused.
    pub free_space: FreeSpace,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 12_288,
            local_connections_max: 256,
            first_bytes_within: Duration::from_secs(5),
            header_within: Duration::from_secs(15),
            ping_interval: Duration::from_secs(10),
            body_within: Duration::from_secs(30),
            write_stall_max: Duration::from_secs(30),
            drain_within: Duration::from_secs(5),
            requests_max: 16_384,
            watchers_max: 256,
            asked_max: 128,
            lists_max: 256,
            list_within: Duration::from_millis(1_800),
            event_ping_interval: Duration::from_secs(15),
            free_space: FreeSpace::default(),
        }
    }
}

/// The larger of the two counts; both 0 turns the check off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Of the whole file system, in percent.
    pub percent: u8,
    /// In bytes.
    pub bytes: u64,
}

impl Default for FreeSpace {
    fn default() -> Self {
        Self {
            percent: 5,
            bytes: 512 << 20,
        }
    }
}

impl FreeSpace {
    /// No check.
    pub const OFF: Self = Self {
        percent: 0,
        bytes: 0,
    };

    /// Bytes that must be free on a file system of `total` bytes; 0 when off.
    pub fn required(self, total: u64) -> u64 {
        (total / 100 * u64::from(self.percent)).max(self.bytes)
    }
}
