//! Sockets with their addresses, by their inodes, from the tables of the network that the process is
//! in.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use flota_model::inspect::{FileKind, OpenFile, PATH_LENGTH_MAX, Part, Seen, Socket};
use rustix::fs::{Mode, OFlags};

use super::{Folder, cut, unseen};

/// A machine with more sockets than this many bytes of a table (some 100,000) is not searched further;
/// the rest has no addresses.
const TABLE_LENGTH_MAX: u64 = 16 << 20;
/// Of `man 5 proc_net`; those that a kernel lacks are passed over.
const TABLES: [&str; 5] = ["tcp", "tcp6", "udp", "udp6", "unix"];
/// `include/net/tcp_states.h` of the kernel, by number from 1, as `man 8 ss` names them.
const STATES: [&str; 12] = [
    "established",
    "syn-sent",
    "syn-recv",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "unconnected",
    "close-wait",
    "last-ack",
    "listening",
    "closing",
    "syn-recv",
];
/// `SO_ACCEPTCON` in the flags of a Unix socket: it listens.
const ACCEPTS: u64 = 0x1_0000;

/// Of the open files.
pub(super) fn read(folder: &Folder, files: &[OpenFile]) -> Seen<Part<Socket>> {
    let mut open: BTreeMap<u64, Vec<Socket>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.kind == FileKind::Socket) {
        if let Some(inode) = inode(&file.target) {
            open.entry(inode).or_default().push(Socket {
                number: file.number,
                inode,
                protocol: None,
                local: None,
                remote: None,
                state: None,
            });
        }
    }
    if !open.is_empty() {
        for table in TABLES {
            search(folder, table, &mut open)?;
        }
    }
    let mut rows: Vec<Socket> = open.into_values().flatten().collect();
    rows.sort_unstable_by_key(|socket| socket.number);
    let total = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    Ok(Part { rows, total })
}

/// `socket:[12345]`
fn inode(target: &str) -> Option<u64> {
    let number = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

fn search(folder: &Folder, table: &str, open: &mut BTreeMap<u64, Vec<Socket>>) -> Seen<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let path = format!("net/{table}");
    let file = match rustix::fs::openat(folder.descriptor(), path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(unseen(error.into())),
    };
    let mut reader = BufReader::new(file.take(TABLE_LENGTH_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(unseen)?;
        if length == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let found = match table {
            "unix" => of_unix(&text),
            _ => of_network(&text, table),
        };
        if let Some(found) = found {
            for socket in open.get_mut(&found.inode).into_iter().flatten() {
                *socket = Socket {
                    number: socket.number,
                    ..found.clone()
                };
            }
        }
    }
}

/// `sl local remote st tx:rx tr:when retrnsmt uid timeout inode …`
fn of_network(line: &str, table: &str) -> Option<Socket> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let state = usize::from_str_radix(words.get(3)?, 16).ok()?;
    let state = STATES.get(state.checked_sub(1)?)?;
    Some(Socket {
        number: 0,
        inode: words.get(9)?.parse().ok()?,
        protocol: Some(table.to_owned()),
        local: Some(address(words.get(1)?)?.to_string()),
        remote: Some(address(words.get(2)?)?)
            .filter(|remote| remote.port() != 0)
            .map(|remote| remote.to_string()),
        state: Some((*state).to_owned()),
    })
}

/// `0100007F:1F90`: each group of eight digits is a number in the byte order of the machine, the port
/// is not.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let group = |start: usize| {
        let digits = host.get(start..start + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match host.len() {
        8 => Some((Ipv4Addr::from(group(0)?), port).into()),
        32 => {
            let groups = [group(0)?, group(8)?, group(16)?, group(24)?];
            let mut bytes = [0; 16];
            bytes.copy_from_slice(groups.as_flattened());
            Some((Ipv6Addr::from(bytes), port).into())
        }
        _ => None,
    }
}

/// `Num RefCount Protocol Flags Type St Inode Path`; a path may have blanks, a name of no file begins
/// with `@`.
fn of_unix(line: &str) -> Option<Socket> {
    let mut rest = line;
    let mut words = [""; 7];
    for word in &mut words {
        rest = rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        (*word, rest) = rest.split_at(end);
    }
    let [_, _, _, flags, _, state, inode] = words;
    let listens = u64::from_str_radix(flags, 16).ok()? & ACCEPTS != 0;
    let state = match state {
        _ if listens => "listening",
        "01" => "unconnected",
        "02" => "connecting",
        "03" => "established",
        "04" => "closing",
        _ => return None,
    };
    let path = rest.trim_end_matches('\n').strip_prefix(' ');
    Some(Socket {
        number: 0,
        inode: inode.parse().ok()?,
        protocol: Some("unix".to_owned()),
        local: path
            .filter(|path| !path.is_empty())
            .map(|path| cut(path.to_owned(), PATH_LENGTH_MAX)),
        remote: None,
        state: Some(state.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(socket: Option<Socket>) -> Option<(u64, String, String, String)> {
        let socket = socket?;
        let text = |text: Option<String>| text.unwrap_or_default();
        Some((
            socket.inode,
            text(socket.local),
            text(socket.remote),
            text(socket.state),
        ))
    }

    fn of(inode: u64, local: &str, remote: &str, state: &str) -> (u64, String, String, String) {
        (inode, local.into(), remote.into(), state.into())
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_tcp_are_read_in_both_families() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 4242 1 0 100 0 0 10 0";
        assert_eq!(
            shown(of_network(line, "tcp")),
            Some(of(4242, "127.0.0.1:8080", "", "listening"))
        );
        let line = " 1: 00000000000000000000000001000000:0016 0000000000000000FFFF00000100007F:D431 01 0:0 0:0 0 0 0 77 1";
        assert_eq!(
            shown(of_network(line, "tcp6")),
            Some(of(
                77,
                "[::1]:22",
                "[::ffff:127.0.0.1]:54321",
                "established"
            ))
        );
        for line in [
            "  sl  local_address rem_address   st",
            "",
            "0: 01:1 01:1 0A 0 0 0 0 0 9",
        ] {
            assert_eq!(shown(of_network(line, "tcp")), None, "{line}");
        }
    }

    #[test]
    fn lines_of_unix_sockets_may_have_blanks_in_their_paths() {
        let line = "ffff888: 00000002 00000000 00010000 0001 01 4243 /run/a b.sock\n";
        assert_eq!(
            shown(of_unix(line)),
            Some(of(4243, "/run/a b.sock", "", "listening"))
        );
        let line = "ffff888: 00000003 00000000 00000000 0001 03  4244\n";
        assert_eq!(shown(of_unix(line)), Some(of(4244, "", "", "established")));
        let line = "ffff888: 00000003 00000000 00000000 0002 01 4245 @abstract\n";
        assert_eq!(
            shown(of_unix(line)),
            Some(of(4245, "@abstract", "", "unconnected"))
        );
        assert_eq!(
            shown(of_unix(
                "Num       RefCount Protocol Flags    Type St Inode Path\n"
            )),
            None
        );
    }
}
