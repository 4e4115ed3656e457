//! The connections of agents.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use flota_engine::keeper::{
    api::{FromKeeper, Peer, ToKeeper},
    codec::{VERSION, decode_to_keeper, encode_from_keeper, is_known},
};

use crate::sys::socket::{self, PACKET_LENGTH_MAX, Received};

/// One agent at a time is served; a few more connections may be on their way in or out.
const PEERS_MAX: usize = 8;
/// Messages that wait for an agent that does not read. All that they say is in the list of the next
/// hello, so that a slower agent is cut off rather than waited for.
const WAITING_MAX: usize = 16_384;

/// What came from a connection.
#[derive(Debug)]
pub(super) enum Inbound {
    Messages(Vec<ToKeeper>),
    Nothing,
    /// It ended, or sent what no agent sends: close it.
    Gone,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Peers {
    connections: BTreeMap<Peer, Connection>,
    /// Ascending; a number is never used again.
    next: u32,
    /// The newest version that is spoken.
    version_max: u8,
    buffer: Vec<u8>,
    packet: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    waiting: VecDeque<FromKeeper>,
    has_spoken: bool,
    /// That of the agent.
    version: u8,
    is_blocked: bool,
}

impl Peers {
    /// Knows no newer version than that.
    pub(super) fn new(version_max: u8) -> Self {
        Self {
            connections: BTreeMap::new(),
            next: 1,
            version_max,
            buffer: vec![0; PACKET_LENGTH_MAX],
            packet: Vec::new(),
        }
    }

    /// Takes a connection in; `None` where there are too many.
    pub(super) fn add(&mut self, socket: OwnedFd) -> Option<Peer> {
        if self.connections.len() >= PEERS_MAX {
            return None;
        }
        let peer = Peer(self.next);
        self.next += 1;
        self.connections.insert(
            peer,
            Connection {
                socket,
                waiting: VecDeque::new(),
                has_spoken: false,
                version: VERSION,
                is_blocked: false,
            },
        );
        Some(peer)
    }

    /// Where no more connections fit: the oldest one that never said anything, to be closed for a
    /// new one.
    pub(super) fn superfluous(&self) -> Option<Peer> {
        let mut connections = self.connections.iter();
        let is_full = self.connections.len() >= PEERS_MAX;
        let silent = connections.find(|(_, connection)| !connection.has_spoken);
        silent.map(|(peer, _)| *peer).filter(|_| is_full)
    }

    pub(super) fn socket(&self, peer: Peer) -> Option<&OwnedFd> {
        self.connections
            .get(&peer)
            .map(|connection| &connection.socket)
    }

    /// Reads one packet.
    pub(super) fn receive(&mut self, peer: Peer) -> Inbound {
        let Some(connection) = self.connections.get_mut(&peer) else {
            return Inbound::Nothing;
        };
        let received = socket::receive(&connection.socket, &mut self.buffer);
        let messages = match &received {
            Ok(Received::Nothing) => return Inbound::Nothing,
            Ok(Received::Packet {
                long: Some(bytes), ..
            }) => decode_to_keeper(bytes).ok(),
            Ok(Received::Packet {
                length, long: None, ..
            }) => self
                .buffer
                .get(..*length)
                .and_then(|bytes| decode_to_keeper(bytes).ok()),
            Ok(Received::Broken | Received::Closed) | Err(_) => None,
        };
        let understood = messages.filter(|(version, _)| *version <= self.version_max);
        if let Some((version, messages)) = understood {
            connection.has_spoken = true;
            connection.version = version;
            return Inbound::Messages(messages);
        }
        if !matches!(received, Ok(Received::Closed)) {
            tracing::warn!(
                peer = peer.0,
                "closing a connection that sent no message of an agent"
            );
        }
        Inbound::Gone
    }

    /// Closes a connection with all that it holds, in both directions.
    pub(super) fn close(&mut self, peer: Peer) {
        self.connections.remove(&peer);
    }

    /// Puts a message behind those that wait, if the agent understands it.
    pub(super) fn queue(&mut self, peer: Peer, message: FromKeeper) {
        let connection = self.connections.get_mut(&peer);
        if let Some(connection) = connection
            && is_known(&message, connection.version)
        {
            connection.waiting.push_back(message);
        }
    }

    /// Sends what waits, as far as the other ends take it.
    pub(super) fn flush<'a>(&mut self, descriptors: &impl Descriptors<'a>) -> Flushed {
        let mut flushed = Flushed::default();
        for (peer, connection) in &mut self.connections {
            let was_blocked = connection.is_blocked;
            match connection.flush(&mut self.packet, descriptors) {
                Ok(()) => connection.is_blocked = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.is_blocked = true;
                }
                Err(error) => {
                    tracing::debug!(peer = peer.0, %error, "an agent is gone");
                    flushed.gone.push(*peer);
                }
            }
            if connection.waiting.len() > WAITING_MAX {
                tracing::warn!(
                    peer = peer.0,
                    "closing the connection of an agent that reads nothing"
                );
                flushed.gone.push(*peer);
            }
            if connection.is_blocked != was_blocked {
                flushed.changed.push((*peer, connection.is_blocked));
            }
        }
        flushed
    }
}

/// What a flush changed.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    /// To be closed.
    pub(super) gone: Vec<Peer>,
    /// Whether they wait for room now.
    pub(super) changed: Vec<(Peer, bool)>,
}

/// Gives the descriptors that travel with a message: three (pidfd, stdout, stderr) for each child
/// in it that runs or ran.
pub(super) trait Descriptors<'a> {
    fn gather(&self, message: &FromKeeper, out: &mut Vec<BorrowedFd<'a>>);
}

impl Connection {
    fn flush<'a>(
        &mut self,
        packet: &mut Vec<u8>,
        descriptors: &impl Descriptors<'a>,
    ) -> io::Result<()> {
        while !self.waiting.is_empty() {
            packet.clear();
            let count = encode_from_keeper(self.version, self.waiting.make_contiguous(), packet);
            let mut gathered = Vec::new();
            for message in self.waiting.iter().take(count) {
                descriptors.gather(message, &mut gathered);
            }
            socket::send(&self.socket, packet, &gathered)?;
            self.waiting.drain(..count.max(1));
        }
        Ok(())
    }
}
