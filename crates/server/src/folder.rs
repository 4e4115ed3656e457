//! The data folder: made, locked, and its small files written.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use crate::{holder::Holder, random};

/// Locked for as long as a server uses the folder; holds its pid.
const LOCK: &str = "server.lock";
/// The credential of REST clients that do not come through the Unix socket.
const TOKEN: &str = "token";
/// Where the server listens, for clients on this machine.
const ADDRESSES: &str = "addresses.json";
/// The Unix socket.
const SOCKET: &str = "flota.sock";
/// Bytes of randomness in the token.
const TOKEN_BYTES: usize = 32;

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderFault {
    /// It cannot be made.
    #[error("failed to make the data folder `{}`", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server uses it.
    #[error("the data folder `{}` is in use by {}", path.display(), holder_text(holder.as_ref()))]
    InUse {
        /// Which.
        path: PathBuf,
        /// By whom, where known.
        holder: Option<Holder>,
    },
    /// A file in it cannot be read or written.
    #[error("failed to use the file `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file holds something else.
    #[error("the file `{}` does not hold a token; remove it to get a new one", path.display())]
    Token {
        /// Which.
        path: PathBuf,
    },
    /// The operating system gives no random numbers.
    #[error("failed to draw random numbers")]
    Random(#[source] getrandom::Error),
}

fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another server".into(), Holder::to_string)
}

/// A data folder that this process alone uses, until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock goes with this descriptor, which is close-on-exec like all of the standard library.
    _lock: File,
}

/// Where the Unix socket of the server on that folder is.
pub(crate) fn socket_in(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

impl Folder {
    /// Makes the folder where it is missing and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderFault> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| FolderFault::Make {
                path: path.into(),
                source,
            })?;
        let lock = lock(path)?;
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(&self.path)
    }

    /// Reads the token, or draws one at the first start.
    pub(crate) fn token(&self) -> Result<String, FolderFault> {
        let path = self.path.join(TOKEN);
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim() {
                token if token.len() == 2 * TOKEN_BYTES => Ok(token.into()),
                _ => Err(FolderFault::Token { path }),
            },
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                let token = random::digits::<TOKEN_BYTES>().map_err(FolderFault::Random)?;
                self.write(TOKEN, format!("{token}\n").as_bytes())?;
                Ok(token)
            }
            Err(source) => Err(FolderFault::File { path, source }),
        }
    }

    /// Writes where the server listens, for clients on this machine.
    pub(crate) fn write_addresses(&self, addresses: &Addresses) -> Result<(), FolderFault> {
        self.write(ADDRESSES, &addresses.to_json())
    }

    /// Takes away what says that a server listens. Best effort: a client finds the truth when it
    /// connects.
    pub(crate) fn remove_addresses(&self) {
        for name in [ADDRESSES, SOCKET] {
            let _ = fs::remove_file(self.path.join(name));
        }
    }

    /// Writes a file that nobody ever sees half written, readable by its owner only.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderFault> {
        let path = self.path.join(name);
        let draft = self.path.join(format!("{name}.new"));
        let written = private(&draft)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&draft, &path))
            .and_then(|()| File::open(&self.path)?.sync_all());
        written.map_err(|source| FolderFault::File { path, source })
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// REST, pages and the link of the agents.
    pub http: SocketAddr,
    /// The Unix socket, same content.
    pub socket: PathBuf,
    /// The master of an older cluster, where it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hpc: Option<SocketAddr>,
    /// The process of the server.
    pub pid: u32,
}

impl Addresses {
    fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("addresses are plain values");
        text.push(b'\n');
        text
    }
}

fn lock(folder: &Path) -> Result<File, FolderFault> {
    let path = folder.join(LOCK);
    let fault = |source| FolderFault::File {
        path: path.clone(),
        source,
    };
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options.open(&path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            let holder = text.trim().parse().ok().and_then(Holder::of);
            return Err(FolderFault::InUse {
                path: folder.into(),
                holder,
            });
        }
        Err(TryLockError::Error(source)) => return Err(fault(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(fault)?;
    Ok(file)
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}
