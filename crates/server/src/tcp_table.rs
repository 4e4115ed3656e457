//! The kernel's table of TCP sockets of this machine (`/proc/net/tcp` of `man 5 proc`).

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    state: State,
    uid: u32,
    inode: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Established,
    Listening,
    Other,
}

/// The inode of the socket that listens where a new one on `address` would.
pub(crate) fn listener_on(address: SocketAddr) -> Option<u64> {
    find(|socket| {
        let (there, here) = (socket.local.ip(), address.ip());
        let clash = there == here || there.is_unspecified() || here.is_unspecified();
        socket.state == State::Listening && socket.local.port() == address.port() && clash
    })
    .map(|socket| socket.inode)
}

/// The user that opened the other end of the connection which has `peer` there and `local` here;
/// `None` when the other end is not on this machine.
///
/// Reads the whole table: for rare events only.
pub(crate) fn user_of(peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    find(|socket| {
        let open = socket.state == State::Established;
        open && socket.local == peer && socket.remote == local
    })
    .map(|socket| socket.uid)
}

fn find(wanted: impl Fn(&Socket) -> bool) -> Option<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter();
    tables
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|table| table.lines().filter_map(parse).find(&wanted))
}

/// One line; the header and anything unknown is none.
fn parse(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, remote, state, _, _, _, uid, _, inode, ..] = *fields.as_slice() else {
        return None;
    };
    Some(Socket {
        local: address(local)?,
        remote: address(remote)?,
        state: match state {
            "01" => State::Established,
            "0A" => State::Listening,
            _ => State::Other,
        },
        uid: uid.parse().ok()?,
        inode: inode.parse().ok()?,
    })
}

/// `0100007F:1B9E`: each word of the address in the byte order of the machine, the port in ours.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = (0..ip.len() / 8)
        .map(|index| u32::from_str_radix(ip.get(8 * index..8 * index + 8)?, 16).ok())
        .map(|word| word.map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip = match *words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(word)),
        [first, second, third, fourth] => {
            let mut bytes = [0; 16];
            for (index, word) in [first, second, third, fourth].into_iter().enumerate() {
                bytes[4 * index..4 * index + 4].copy_from_slice(&word);
            }
            // A socket of both families shows its IPv4 peers as mapped addresses.
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_found_with_their_user() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let local = listener.local_addr().unwrap();
            assert!(listener_on(local).is_some(), "{local}");
            let stream = TcpStream::connect(local).unwrap();
            let peer = stream.local_addr().unwrap();
            let own = rustix::process::geteuid().as_raw();
            assert_eq!(user_of(peer, local), Some(own), "{peer}");
            assert_eq!(
                user_of(peer, peer),
                None,
                "the other address must fit as well"
            );
        }
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        let mapped = "0000000000000000FFFF00000100007F:1B9E";
        if cfg!(target_endian = "little") {
            assert_eq!(address(mapped), Some("127.0.0.1:7070".parse().unwrap()));
            assert_eq!(address("0100007F:1B9E"), address(mapped));
        }
        assert_eq!(address("01:1"), None);
        assert_eq!(parse("  sl  local_address rem_address   st"), None);
    }
}
