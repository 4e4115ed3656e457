//! The socket by which a command of the same machine reaches a running agent.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::AtFlags;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::{input::Input, sys::files};

/// Below the data folder.
pub(crate) const NAME: &str = "agent.sock";
/// Asks an agent to stop all that it runs, and to end.
const STOP_ALL: &str = "stop-all";
/// Its answer once nothing runs any more.
const STOPPED: &[u8] = b"stopped\n";
/// Connections served at a time; more wait at the door.
const CONNECTIONS_MAX: usize = 8;
/// Longest command, in bytes.
const COMMAND_LENGTH_MAX: u64 = 64;
/// Longest wait for the answers to be written at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for a command.
const COMMAND_WITHIN: Duration = Duration::from_secs(5);

/// The listening end. Dropping it closes the door and removes it.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
    /// One for each connection that may still be served.
    places: Arc<Semaphore>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // The next agent would remove it, too.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Control {
    /// Listens in a folder that we have locked, so that a socket found there is nobody's.
    pub(crate) fn new(
        path: &Path,
        folder: BorrowedFd<'_>,
        inbox: mpsc::Sender<Input>,
    ) -> io::Result<Self> {
        // What is not there need not be removed.
        let _ = rustix::fs::unlinkat(folder, NAME, AtFlags::empty());
        let listener = UnixListener::bind(short_path(folder))?;
        rustix::fs::chmodat(folder, NAME, files::PRIVATE, AtFlags::empty())?;
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Ok(Self {
            path: path.join(NAME),
            task: tokio::spawn(serve(listener, Arc::clone(&places), inbox)),
            places,
        })
    }

    /// Takes no new commands, and waits until those that came are answered.
    pub(crate) async fn finish(self) {
        self.task.abort();
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        // Who does not read its answer does not get it.
        let _ = timeout(FINISH_WITHIN, self.places.acquire_many(all)).await;
    }
}

async fn serve(listener: UnixListener, places: Arc<Semaphore>, inbox: mpsc::Sender<Input>) {
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let inbox = inbox.clone();
                // Ends with the connection; nothing depends on it.
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &inbox).await {
                        tracing::debug!(%error, "a command was not answered");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot accept");
                tokio::time::sleep(COMMAND_WITHIN).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, inbox: &mpsc::Sender<Input>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader.take(COMMAND_LENGTH_MAX));
    timeout(COMMAND_WITHIN, reader.read_line(&mut line)).await??;
    if line.trim_end() != STOP_ALL {
        return writer.write_all(b"unknown command\n").await;
    }
    let (done, wait) = oneshot::channel();
    if inbox.send(Input::StopAll(done)).await.is_err() || wait.await.is_err() {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    writer.write_all(STOPPED).await
}

/// Asks the agent of a data folder to stop all; `false` where no agent listens.
pub(crate) async fn ask_to_stop(folder: BorrowedFd<'_>) -> io::Result<bool> {
    let mut stream = match UnixStream::connect(short_path(folder)).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    stream.write_all(format!("{STOP_ALL}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(COMMAND_LENGTH_MAX)
        .read_to_end(&mut answer)
        .await?;
    if answer == STOPPED {
        Ok(true)
    } else {
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

/// The path of a socket may have 107 bytes only (`man 7 unix`).
fn short_path(folder: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()).into()
}
