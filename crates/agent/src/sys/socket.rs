//! Packets with descriptors between agent and keeper (`SOCK_SEQPACKET`, `man 7 unix`).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{MemfdFlags, SealFlags},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType,
    },
};

/// Largest packet. Longer messages travel in a sealed file of memory whose descriptor the packet
/// carries, because a socket's buffer has its bound (`net.core.wmem_default`, usually 212,992).
pub(crate) const PACKET_LENGTH_MAX: usize = flota_engine::keeper::codec::PACKET_LENGTH_MAX;
/// Longest message: arguments and environment of one program, which the kernel bounds likewise
/// (6 MiB, `man 2 execve`); a sealed spec is at most 1 MiB.
pub(crate) const MESSAGE_LENGTH_MAX: usize = 4 * 1024 * 1024;
/// Most descriptors of one packet: the kernel's own bound, `SCM_MAX_FD` (`man 7 unix`).
pub(crate) const DESCRIPTORS_MAX: usize = 253;

const SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// What was received.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message of that many bytes at the start of the buffer, or in `long`.
    Packet {
        length: usize,
        long: Option<Vec<u8>>,
        descriptors: Vec<OwnedFd>,
    },
    /// Something that no agent or keeper sends.
    Broken,
    /// Nothing now.
    Nothing,
    /// The other end is gone.
    Closed,
}

/// Makes a socket that listens as `name` in `folder`. The folder must be given as a descriptor,
/// because the path of a socket may have 107 bytes only.
pub(crate) fn listen(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &address(&folder, name)?)?;
    rustix::net::listen(&socket, 8)?;
    Ok(socket)
}

/// Connects to the socket `name` in `folder`. Refused or not found means that nobody listens.
pub(crate) fn connect(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::connect(&socket, &address(&folder, name)?)?;
    Ok(socket)
}

/// Takes one connection of a process of our own user (or root); `None` when there is none now.
pub(crate) fn accept(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let accepted = match rustix::net::accept_with(socket, flags) {
        Ok(accepted) => accepted,
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(is_ours(&accepted).then_some(accepted))
}

/// Whether the other end belongs to our own user or root.
pub(crate) fn is_ours(socket: impl AsFd) -> bool {
    rustix::net::sockopt::socket_peercred(socket)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

/// Sends one message; `WouldBlock` when the other end has too much unread.
pub(crate) fn send(
    socket: impl AsFd,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if message.len() <= PACKET_LENGTH_MAX {
        return send_packet(socket, message, descriptors);
    }
    if message.len() > MESSAGE_LENGTH_MAX || !descriptors.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = memory(message)?;
    send_packet(socket, &[], &[file.as_fd()])
}

/// Receives one message into `buffer`, which must have [`PACKET_LENGTH_MAX`] bytes.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut slices = [IoSliceMut::new(buffer)];
    let received = match rustix::net::recvmsg(socket, &mut slices, &mut control, flags) {
        Ok(received) => received,
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
            return Ok(Received::Nothing);
        }
        Err(rustix::io::Errno::CONNRESET | rustix::io::Errno::PIPE) => return Ok(Received::Closed),
        Err(error) => return Err(error.into()),
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(found) = message {
            descriptors.extend(found);
        }
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Ok(Received::Broken);
    }
    if received.bytes > 0 {
        let length = received.bytes;
        return Ok(Received::Packet {
            length,
            long: None,
            descriptors,
        });
    }
    match descriptors.pop() {
        None => Ok(Received::Closed),
        Some(file) if descriptors.is_empty() => Ok(long(&file)),
        Some(_) => Ok(Received::Broken),
    }
}

fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

fn address(folder: &impl AsFd, name: &str) -> io::Result<SocketAddrUnix> {
    let path = format!("/proc/self/fd/{}/{name}", folder.as_fd().as_raw_fd());
    Ok(SocketAddrUnix::new(path)?)
}

fn send_packet(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)?;
    Ok(())
}

fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("flota-message", flags)?;
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        written += rustix::io::write(&file, rest)?;
    }
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// Reads a long message. Only a sealed file of memory is read: reading anything else might wait.
fn long(file: &OwnedFd) -> Received {
    let sealed = rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS));
    let length = rustix::fs::fstat(file)
        .ok()
        .and_then(|status| usize::try_from(status.st_size).ok())
        .filter(|length| sealed && *length <= MESSAGE_LENGTH_MAX);
    let Some(length) = length else {
        return Received::Broken;
    };
    let mut bytes = vec![0; length];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, read as u64) {
            Ok(0) | Err(_) => return Received::Broken,
            Ok(count) => read += count,
        }
    }
    Received::Packet {
        length,
        long: Some(bytes),
        descriptors: Vec::new(),
    }
}
