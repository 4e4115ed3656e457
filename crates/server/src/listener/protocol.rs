//! HTTP/1 or HTTP/2, told apart by the first bytes.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first bytes of every HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads until the protocol is certain; returns it with the bytes that were read. `None` when the
/// peer closed first, as port scanners and health checks do.
///
/// hyper-util's own detection waits for ever for a first byte (hyper issue 3756), hence this one,
/// which the caller runs under a deadline.
pub(super) async fn detect<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Option<(Protocol, Bytes)>> {
    let mut seen = BytesMut::with_capacity(PREFACE.len());
    loop {
        let Some(rest) = PREFACE.strip_prefix(&seen[..]) else {
            return Ok(Some((Protocol::Http1, seen.freeze())));
        };
        if rest.is_empty() {
            return Ok(Some((Protocol::Http2, seen.freeze())));
        }
        let mut room = (&mut *stream).take(rest.len() as u64);
        if room.read_buf(&mut seen).await? == 0 {
            return Ok(None);
        }
    }
}
