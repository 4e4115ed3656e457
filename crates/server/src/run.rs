//! From settings to a server that listens, and back down.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use axum::Router;
use flota_engine::fleet::{
    Fleet,
    api::{LoadFault as FleetFault, Opening},
};
use flota_link::direct::{self, NotLoopback};
use flota_model::{
    change::Batch,
    ids::{BatchNumber, BootId},
    local::LOCAL_ORDERS_TOTAL_MAX,
};
use flota_store::{
    journal::{Journal, LoadFault},
    space::Reserve,
    sqlite::{self, OpenFault, Opened, SqliteHistory, SqliteJournal},
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task,
};

use crate::{
    access::{Credentials, Sessions},
    adapters, clock,
    edge::{self, Desk, DeskParts},
    folder::{Addresses, Folder, FolderFault},
    listener::{self, ListenFault},
    meter::Meter,
    owned::{self, Owned},
    random,
    settings::Settings,
    shell::{
        Collector, CommitFault, Committer, FleetHandle, INBOX_LENGTH, TURNS_IN_FLIGHT_MAX, commit,
    },
    space::SpaceWatch,
    stop::{self, Stop, Stopper},
    watcher,
};

/// The database in the data folder.
pub(crate) const STORE: &str = "flota.db";
/// Where the kernel names the boot of this machine (`man 4 random`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why a server did not start, or ended by itself.
#[derive(Debug, Error)]
pub enum ServerFault {
    /// The data folder cannot be used.
    #[error("the data folder cannot be used")]
    Folder(#[from] FolderFault),
    /// The server cannot listen.
    #[error("the server cannot listen")]
    Listen(#[from] ListenFault),
    /// The agents cannot be listened to there.
    #[error("the agents cannot be listened to")]
    Link(#[from] NotLoopback),
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Open(#[from] OpenFault),
    /// The store cannot be read.
    #[error("the store `{}` cannot be read", path.display())]
    Load {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: LoadFault,
    },
    /// The store holds what no fleet can have left there.
    #[error("the store `{}` is damaged: {what}", path.display())]
    Snapshot {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// What was decided could not be made durable.
    #[error("the server ends, because it cannot store what it decides")]
    Commit(#[from] CommitFault),
    /// The operating system gives no random numbers.
    #[error("failed to draw random numbers")]
    Random(#[source] getrandom::Error),
    /// Something about the process or its machine.
    #[error("failed to {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A part of the server panicked: a bug.
    #[error("a part of the server failed: {0}")]
    Bug(&'static str),
}

/// Told once the server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Where.
    pub addresses: Addresses,
    /// Whether the store was put back from a copy and nobody said yet that it may go on.
    pub restored: bool,
}

/// Runs a server until `shutdown` completes, or until it cannot go on.
///
/// `running` is told the addresses once requests are served; by then the start of this server is
/// durable (PROTOCOL 1). After `shutdown` no connection is accepted, open ones may finish for
/// [`Limits::drain_within`](crate::Limits), and everything decided is committed.
///
/// # Errors
/// [`ServerFault`] says why; nothing is half done then that the next start does not put right.
pub async fn run(
    settings: Settings,
    shutdown: impl Future<Output = ()>,
    running: impl FnOnce(&Running),
) -> Result<(), ServerFault> {
    let folder = Folder::open(&settings.data)?;
    let token = folder.token()?;
    let reserved = listener::reserve(settings.listen)?;
    let adapters = adapters::reserve(&settings)?;
    raise_descriptor_limit();
    let opened = open(&settings).await?;
    let restored = opened.restored;
    let addresses = Addresses {
        http: reserved.address,
        socket: folder.socket(),
        hpc: adapters.hpc(),
        pid: std::process::id(),
    };
    let uid = rustix::process::geteuid().as_raw();
    let sessions = Sessions::new(settings.one_time_token.as_deref());
    let credentials = Credentials::new(&token, sessions, uid);
    let adapters = (adapters, addresses.http);
    let server = Server::start(settings, opened, credentials, adapters).await?;
    let listeners = reserved.listen(&folder.socket())?;
    folder.write_addresses(&addresses)?;
    let (router, limits) = (server.router.clone(), server.settings.limits.clone());
    let http = owned::spawn(listeners.serve(router, limits, server.stopped.clone()));
    tracing::info!(address = %addresses.http, socket = %addresses.socket.display(), "listening");
    if restored {
        tracing::warn!(
            "this store was put back from a copy: nothing is placed until it is recovered"
        );
    }
    running(&Running {
        addresses,
        restored,
    });
    let ended = server.run_until(shutdown, http).await;
    folder.remove_addresses();
    ended
}

/// A store with the fleet that it describes, its start committed.
struct OpenedFleet {
    fleet: Fleet,
    batch: BatchNumber,
    /// The mark of a copy.
    restored: bool,
    journal: SqliteJournal,
    history: SqliteHistory,
    reserve: Reserve,
}

/// Opens the store, builds the fleet and commits its start, away from the threads of tasks.
async fn open(settings: &Settings) -> Result<OpenedFleet, ServerFault> {
    let path = settings.data.join(STORE);
    let opening = Opening {
        salt: random::number().map_err(ServerFault::Random)?,
        seed: random::number().map_err(ServerFault::Random)?,
        boot: boot()?,
        now: clock::now(),
        settings: settings.fleet.clone(),
    };
    let opened = task::spawn_blocking(move || open_blocking(&path, opening)).await;
    opened.map_err(|_| ServerFault::Bug("opening the store panicked"))?
}

fn open_blocking(path: &Path, opening: Opening) -> Result<OpenedFleet, ServerFault> {
    let decode = |blob: &[u8]| flota_wire::spec::unseal(blob).ok();
    let Opened {
        mut journal,
        history,
        reserve,
        backup,
    } = sqlite::open(path, decode)?;
    if let Some(backup) = backup {
        tracing::info!(backup = %backup.display(), "store copied before the change of its schema");
    }
    let snapshot = journal.load().map_err(|source| ServerFault::Load {
        path: path.into(),
        source,
    })?;
    let batch = BatchNumber(snapshot.batch.0 + 1);
    let restored = snapshot.restored;
    let (fleet, turn) =
        Fleet::open(snapshot, opening).map_err(|FleetFault { what }| ServerFault::Snapshot {
            path: path.into(),
            what,
        })?;
    let authority = fleet.mandate().authority;
    let first = Batch {
        number: batch,
        authority,
        changes: turn.changes,
    };
    commit(&mut journal, &reserve, &[first])?;
    tracing::info!(epoch = authority.epoch.0, batch = batch.0, "store opened");
    Ok(OpenedFleet {
        fleet,
        batch,
        restored,
        journal,
        history,
        reserve,
    })
}

fn boot() -> Result<BootId, ServerFault> {
    let text = fs::read_to_string(BOOT_ID).map_err(|source| ServerFault::System {
        what: "read the boot id",
        source,
    })?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&digits, 16).map_err(|fault| ServerFault::System {
        what: "read the boot id",
        source: io::Error::new(io::ErrorKind::InvalidData, fault),
    })?;
    Ok(BootId(number))
}

/// Each agent is a connection and so a descriptor; the usual limit of 1,024 is for programs that
/// use `select`. Best effort.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(fault) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%fault, "failed to raise the limit of open files");
    }
}

/// The parts that run.
struct Server {
    settings: Arc<Settings>,
    router: Router,
    /// Tells the edges first.
    stop: Stopper,
    stopped: Stop,
    /// Tells the collector once the edges are gone.
    stop_fleet: Stopper,
    collector: Owned<()>,
    committed: oneshot::Receiver<Result<(), CommitFault>>,
    _space: Owned<()>,
    _progress: Owned<()>,
    /// Carries out what clients of nodes want.
    _local: Owned<()>,
    /// Serve clients of older systems.
    _adapters: Vec<Owned<()>>,
    /// Looks at watched files.
    _watcher: Owned<()>,
}

impl Server {
    #[expect(
        clippy::significant_drop_tightening,
        reason = "the parts are moved to those who drop them"
    )]
    async fn start(
        settings: Settings,
        opened: OpenedFleet,
        credentials: Credentials,
        (adapters, http): (adapters::Reserved, SocketAddr),
    ) -> Result<Self, ServerFault> {
        let settings = Arc::new(settings);
        let OpenedFleet {
            fleet,
            batch,
            journal,
            history,
            reserve,
            restored: _,
        } = opened;
        let (agents, link) = direct::server(settings.listen, direct::ServerSettings::default())?;
        let (inbox, arriving) = mpsc::channel(INBOX_LENGTH);
        let (turns, decided) = mpsc::channel(TURNS_IN_FLIGHT_MAX);
        let (stop, stopped) = stop::stop();
        let (stop_fleet, fleet_stopped) = stop::stop();
        let handle = FleetHandle::new(inbox, settings.limits.requests_max);
        let full = Arc::new(AtomicBool::new(false));
        let space = Arc::new(SpaceWatch {
            folder: settings.data.clone(),
            required: settings.limits.free_space,
            reserve: reserve.clone(),
            full: Arc::clone(&full),
        });
        // Before anybody can submit.
        space.look_apart().await;
        let (sender, publisher) = (link.sender(), handle.publisher().clone());
        publisher.begin(fleet.mandate().authority.epoch);
        let progress = owned::spawn(publisher.clone().tell_progress());
        let meter = Arc::new(Meter::new(clock::now().wall));
        let (local, wishes) = mpsc::channel(LOCAL_ORDERS_TOTAL_MAX);
        let committer = Committer::new(Box::new(journal), reserve, sender, publisher, local)
            .measured_by(Arc::clone(&meter));
        let committed = start_committer(committer, decided)?;
        let collector = Collector::new(fleet, batch, arriving, link, turns);
        let collector = owned::spawn(collector.run(stopped.clone(), fleet_stopped));
        let space = owned::spawn(space.run());
        let desk = Desk::new(DeskParts {
            fleet: handle,
            history: Arc::new(history),
            credentials,
            full,
            settings: Arc::clone(&settings),
            stop: stopped.clone(),
            meter,
        });
        let local = owned::spawn(edge::serve_local(desk.clone(), wishes));
        let adapters = adapters.serve(&desk, http, &stopped)?;
        let watcher = owned::spawn(watcher::run(desk.clone(), stopped.clone()));
        let router = edge::router(desk, agents);
        Ok(Self {
            settings,
            router,
            stop,
            stopped,
            stop_fleet,
            collector,
            committed,
            _space: space,
            _progress: progress,
            _local: local,
            _adapters: adapters,
            _watcher: watcher,
        })
    }

    /// Serves until `shutdown` or a fault, then takes everything down in order: edges, fleet,
    /// committer.
    async fn run_until(
        mut self,
        shutdown: impl Future<Output = ()>,
        http: Owned<()>,
    ) -> Result<(), ServerFault> {
        let early = tokio::select! {
            () = shutdown => None,
            committed = &mut self.committed => Some(committed),
        };
        tracing::info!(by_itself = early.is_some(), "stopping");
        self.stop.stop();
        let http = http.await;
        self.stop_fleet.stop();
        let collected = self.collector.await;
        let committed = match early {
            Some(committed) => committed,
            None => self.committed.await,
        };
        committed.map_err(|_| ServerFault::Bug("the committer panicked"))??;
        collected.map_err(|_| ServerFault::Bug("the fleet panicked"))?;
        http.map_err(|_| ServerFault::Bug("the listener panicked"))
    }
}

/// Commits on a thread of its own, because a sync of the disk blocks.
fn start_committer(
    committer: Committer,
    turns: mpsc::Receiver<crate::shell::NumberedTurn>,
) -> Result<oneshot::Receiver<Result<(), CommitFault>>, ServerFault> {
    let (done, committed) = oneshot::channel();
    thread::Builder::new()
        .name("flota-commit".into())
        .spawn(move || {
            let _ = done.send(committer.run(turns));
        })
        .map_err(|source| ServerFault::System {
            what: "start the committing thread",
            source,
        })?;
    Ok(committed)
}
