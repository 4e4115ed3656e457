//! The agent's side of its keepers: finding, starting, telling and hearing them.

mod process;
mod wire;

use std::{
    collections::BTreeMap,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use flota_engine::keeper::{
    api::{Child, FromKeeper, KeeperId, ToKeeper},
    codec,
};
use flota_model::ids::Nonce;
use tokio::{sync::mpsc, time::sleep};

use self::wire::Wire;
pub(crate) use self::{process::KeeperCommand, wire::Carried};
use crate::{
    input::Input,
    keeper,
    sys::{clock, files, socket},
};

/// Longest wait for a keeper that is starting, ending, or busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at such a keeper.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why keepers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeepersFault {
    /// The folder of the keepers cannot be read.
    #[error("failed to use the folder `{}`", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A keeper could not be started.
    #[error("failed to start a keeper with `{}`", command.to_string_lossy())]
    Start {
        /// The program.
        command: std::ffi::OsString,
        /// Why.
        source: io::Error,
    },
    /// A keeper is there and does not answer; what its programs do cannot be known without it.
    #[error("keeper {number} holds programs and does not answer")]
    Silent {
        /// Which.
        number: u32,
    },
}

/// A child as a keeper listed it, with its descriptors where it runs or ran.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) child: Child,
    pub(crate) carried: Option<Carried>,
}

/// What became of a keeper.
#[derive(Debug)]
pub(crate) enum Reached {
    /// It lives, and lists what it holds.
    Live(Vec<Listed>),
    /// It is dead.
    Dead,
}

/// All keepers that live.
#[derive(Debug)]
pub(crate) struct Keepers {
    folder: OwnedFd,
    path: PathBuf,
    command: KeeperCommand,
    nonce: Nonce,
    inbox: mpsc::Sender<Input>,
    live: BTreeMap<KeeperId, Wire>,
}

impl Keepers {
    pub(crate) fn new(
        folder: BorrowedFd<'_>,
        command: KeeperCommand,
        nonce: Nonce,
        inbox: mpsc::Sender<Input>,
    ) -> Result<Self, KeepersFault> {
        let path = command.settings.data.join(keeper::FOLDER);
        let cloned = folder.try_clone_to_owned();
        let folder = cloned.map_err(|source| KeepersFault::Folder {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            folder,
            path,
            command,
            nonce,
            inbox,
            live: BTreeMap::new(),
        })
    }

    /// The numbers of all keepers of the folder, dead ones too.
    pub(crate) fn all(&self) -> Result<Vec<KeeperId>, KeepersFault> {
        let numbers = keeper::numbers(&self.path).map_err(|source| KeepersFault::Folder {
            path: self.path.clone(),
            source,
        })?;
        Ok(numbers.into_iter().map(KeeperId).collect())
    }

    /// The youngest one that lives and speaks our version takes new programs; what older ones run, they
    /// run to its end.
    pub(crate) fn youngest(&self) -> Option<KeeperId> {
        let newest = self.version_max();
        let mut live = self.live.iter();
        live.rfind(|(_, wire)| wire.version() >= newest)
            .map(|(keeper, _)| *keeper)
    }

    /// Those that live and speak an older version.
    pub(crate) fn older(&self) -> Vec<KeeperId> {
        let newest = self.version_max();
        let older = |wire: &Wire| wire.version() < newest;
        let live = self.live.iter().filter(|(_, wire)| older(wire));
        live.map(|(keeper, _)| *keeper).collect()
    }

    /// The newest version that we speak.
    fn version_max(&self) -> u8 {
        self.command.settings.version_max
    }

    /// Connects to a keeper, or finds that it is dead.
    pub(crate) async fn reach(&mut self, keeper: KeeperId) -> Result<Reached, KeepersFault> {
        self.live.remove(&keeper);
        let deadline = clock::moment() + PATIENCE;
        let newest = self.version_max();
        let mut version = newest;
        while clock::moment() < deadline {
            // First: whoever else has put a socket in its place has no lock.
            if self.is_dead(keeper) {
                return Ok(Reached::Dead);
            }
            let connected = socket::connect(&self.folder, &format!("{}.sock", keeper.0));
            // Else it is about to listen, about to end, or has a queue at its door.
            if let Ok(wire) = connected.and_then(|socket| Wire::new(keeper, version, socket)) {
                match self.greet(wire, deadline).await {
                    Ok(Some(listed)) => return Ok(Reached::Live(listed)),
                    // Perhaps because it does not know the version.
                    Ok(None) => {
                        let older = version.checked_sub(1);
                        let older = older.filter(|older| *older >= codec::VERSION_MIN);
                        version = older.unwrap_or(newest);
                    }
                    Err(error) => tracing::debug!(keeper = keeper.0, %error, "no list"),
                }
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(KeepersFault::Silent { number: keeper.0 })
    }

    /// Says hello and waits for the list; `None` where the connection ends before.
    async fn greet(
        &mut self,
        mut wire: Wire,
        deadline: flota_model::units::Moment,
    ) -> io::Result<Option<Vec<Listed>>> {
        wire.push(ToKeeper::Hello { nonce: self.nonce });
        let list = async {
            wire.flush_all().await?;
            wire.list().await
        };
        let patience = deadline.since(clock::moment());
        let Ok(listed) = tokio::time::timeout(patience, list).await else {
            return Ok(None);
        };
        let listed = listed?;
        if listed.is_some() {
            let keeper = wire.listen(self.inbox.clone());
            self.live.insert(keeper, wire);
        }
        Ok(listed)
    }

    /// A live keeper holds the lock of its number.
    fn is_dead(&self, keeper: KeeperId) -> bool {
        let path = self.path.join(format!("{}.lock", keeper.0));
        match std::fs::File::open(path) {
            Ok(file) => files::lock(&file).unwrap_or(false),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Starts a keeper, which outlives us.
    pub(crate) async fn start(&mut self) -> Result<KeeperId, KeepersFault> {
        let command = self.command.clone();
        let program = command.program();
        let started = tokio::task::spawn_blocking(move || command.start()).await;
        let number = started
            .unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
            .map_err(|source| KeepersFault::Start {
                command: program,
                source,
            })?;
        let keeper = KeeperId(number);
        match self.reach(keeper).await? {
            Reached::Live(_) => Ok(keeper),
            Reached::Dead => Err(KeepersFault::Silent { number }),
        }
    }

    /// Queues a message; without effect for one that is dead, whose death is told.
    pub(crate) fn tell(&mut self, keeper: KeeperId, message: ToKeeper) {
        if let Some(wire) = self.live.get_mut(&keeper) {
            wire.push(message);
        }
    }

    /// Whether it lives, as far as was told.
    pub(crate) fn has(&self, keeper: KeeperId) -> bool {
        self.live.contains_key(&keeper)
    }

    /// Tells all of them.
    pub(crate) fn tell_all(&mut self, message: &ToKeeper) {
        self.live
            .values_mut()
            .for_each(|wire| wire.push(message.clone()));
    }

    /// Sends what is queued, as far as the keepers take it.
    pub(crate) fn flush(&mut self) {
        for (keeper, wire) in &mut self.live {
            if let Err(error) = wire.flush() {
                // Its end is told by who reads.
                tracing::debug!(keeper = keeper.0, %error, "a keeper takes no messages");
            }
        }
    }

    /// Waits until a keeper that had no room has some.
    pub(crate) async fn room(&self) {
        match self.live.values().find(|wire| wire.is_blocked()) {
            Some(wire) => wire.writable().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Lets go of one that is dead.
    pub(crate) fn remove(&mut self, keeper: KeeperId) {
        self.live.remove(&keeper);
    }
}

/// Whether a message comes with descriptors of a child.
fn is_accompanied(message: &FromKeeper) -> bool {
    matches!(message, FromKeeper::Started { .. })
}
