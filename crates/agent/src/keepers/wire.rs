//! One connection to a keeper.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use flota_engine::keeper::{
    api::{ChildState, FromKeeper, KeeperId, ToKeeper},
    codec::{decode_from_keeper, encode_to_keeper},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::JoinHandle,
};

use super::{Listed, is_accompanied};
use crate::{
    input::Input,
    outputs::Streams,
    sys::{
        pidfd::PidFd,
        socket::{self, PACKET_LENGTH_MAX, Received},
        watched::watched,
    },
};

/// The descriptors of a child.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) pidfd: PidFd,
    pub(crate) streams: Streams,
}

/// A connection. Dropping it closes our end and stops the reading.
#[derive(Debug)]
pub(super) struct Wire {
    keeper: KeeperId,
    /// That both ends speak.
    version: u8,
    socket: Arc<AsyncFd<OwnedFd>>,
    /// Bounded by what the engine lets run.
    waiting: Vec<ToKeeper>,
    is_blocked: bool,
    reader: Option<JoinHandle<()>>,
    packet: Vec<u8>,
}

impl Wire {
    /// Refuses a keeper of another user.
    pub(super) fn new(keeper: KeeperId, version: u8, socket: OwnedFd) -> io::Result<Self> {
        if !socket::is_ours(&socket) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self {
            keeper,
            version,
            socket: Arc::new(watched(socket, Interest::READABLE | Interest::WRITABLE)?),
            waiting: Vec::new(),
            is_blocked: false,
            reader: None,
            packet: Vec::new(),
        })
    }

    pub(super) fn version(&self) -> u8 {
        self.version
    }

    pub(super) fn push(&mut self, message: ToKeeper) {
        self.waiting.push(message);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Sends what waits, as far as the other end takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let mut result = Ok(());
        self.is_blocked = false;
        while let Some(rest) = self.waiting.get(sent..).filter(|rest| !rest.is_empty()) {
            self.packet.clear();
            let count = encode_to_keeper(self.version, rest, &mut self.packet).max(1);
            let packet = &self.packet;
            result = self.socket.try_io(Interest::WRITABLE, |socket| {
                socket::send(socket, packet, &[])
            });
            match &result {
                Ok(()) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    result = Ok(());
                    break;
                }
                Err(_) => break,
            }
        }
        self.waiting.drain(..sent);
        result
    }

    /// Sends all that waits.
    pub(super) async fn flush_all(&mut self) -> io::Result<()> {
        self.flush()?;
        while self.is_blocked {
            self.writable().await;
            self.flush()?;
        }
        Ok(())
    }

    /// An error shows at the next flush.
    pub(super) async fn writable(&self) {
        let _ = self.socket.writable().await;
    }

    /// Reads the list that answers the hello; `None` where the connection ends before.
    pub(super) async fn list(&mut self) -> io::Result<Option<Vec<Listed>>> {
        let mut all = Vec::new();
        let mut buffer = vec![0; PACKET_LENGTH_MAX];
        while let Some(packet) = receive(&self.socket, &mut buffer).await? {
            let mut descriptors = packet.descriptors.into_iter();
            for message in packet.messages {
                let FromKeeper::Listed { children, last } = message else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                for child in children {
                    let is_carried = matches!(
                        child.state,
                        ChildState::Running { .. } | ChildState::Ended(_)
                    );
                    let carried = if is_carried {
                        Some(take_three(&mut descriptors)?)
                    } else {
                        None
                    };
                    all.push(Listed { child, carried });
                }
                if last {
                    return Ok(Some(all));
                }
            }
        }
        Ok(None)
    }

    /// Has all further messages put into `inbox`, and the end of the connection behind them.
    pub(super) fn listen(&mut self, inbox: mpsc::Sender<Input>) -> KeeperId {
        let (keeper, socket) = (self.keeper, Arc::clone(&self.socket));
        self.reader = Some(tokio::spawn(async move {
            if let Err(error) = read_all(keeper, &socket, &inbox).await {
                tracing::warn!(keeper = keeper.0, %error, "the connection to a keeper broke");
            }
            // Only an agent that ends does not take it.
            let _ = inbox.send(Input::KeeperGone(keeper)).await;
        }));
        keeper
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

struct Packet {
    messages: Vec<FromKeeper>,
    descriptors: Vec<OwnedFd>,
}

async fn read_all(
    keeper: KeeperId,
    socket: &AsyncFd<OwnedFd>,
    inbox: &mpsc::Sender<Input>,
) -> io::Result<()> {
    let mut buffer = vec![0; PACKET_LENGTH_MAX];
    while let Some(packet) = receive(socket, &mut buffer).await? {
        let mut descriptors = packet.descriptors.into_iter();
        for message in packet.messages {
            let carried = if is_accompanied(&message) {
                Some(take_three(&mut descriptors)?)
            } else {
                None
            };
            let input = Input::Keeper {
                keeper,
                message,
                carried,
            };
            if inbox.send(input).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The next packet; `None` at the end.
async fn receive(socket: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
    let received = socket
        .async_io(Interest::READABLE, |socket| {
            match socket::receive(socket.as_fd(), buffer)? {
                Received::Nothing => Err(io::ErrorKind::WouldBlock.into()),
                received @ (Received::Packet { .. } | Received::Broken | Received::Closed) => {
                    Ok(received)
                }
            }
        })
        .await?;
    match received {
        Received::Packet {
            length,
            long,
            descriptors,
        } => {
            let bytes = long
                .as_deref()
                .or_else(|| buffer.get(..length))
                .unwrap_or_default();
            let messages = decode_from_keeper(bytes)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            Ok(Some(Packet {
                messages,
                descriptors,
            }))
        }
        Received::Broken => Err(io::ErrorKind::InvalidData.into()),
        Received::Nothing | Received::Closed => Ok(None),
    }
}

fn take_three(descriptors: &mut impl Iterator<Item = OwnedFd>) -> io::Result<Carried> {
    let mut next = || descriptors.next().ok_or(io::ErrorKind::InvalidData);
    Ok(Carried {
        pidfd: PidFd::new(next()?),
        streams: Streams {
            stdout: next()?,
            stderr: next()?,
        },
    })
}
