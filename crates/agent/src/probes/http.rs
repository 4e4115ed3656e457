//! What a service answers to `GET`.
//!
//! Only the status matters, so this is no client of HTTP but a reader of its first lines (RFC 9112).
//! Redirections are answers, and are not followed.

use flota_model::service::ProbeResult;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};

use super::{Address, Finding, tcp};

/// Longest head of an answer, in bytes. Servers themselves allow heads of 8 to 16 KiB.
pub(super) const HEAD_LENGTH_MAX: usize = 16 * 1024;
/// As much of a body is read and thrown away, so that a server that answers briefly sees an ordinary
/// end of the connection and no reset.
pub(super) const BODY_LENGTH_MAX: usize = 64 * 1024;
/// Longest wait for the end of such a body. The status is known by then.
const BODY_WITHIN: Duration = Duration::from_millis(200);
/// Read at a time.
const STEP: usize = 4 * 1024;

pub(super) async fn ask(address: &Address, path: &str) -> Finding {
    match exchange(address, path).await {
        Ok(status) => Finding::new(ProbeResult::Http { status }, format!("HTTP {status}")),
        Err(finding) => finding,
    }
}

async fn exchange(address: &Address, path: &str) -> Result<u16, Finding> {
    let request = request(address, path)?;
    let mut stream = tcp::connect(address).await?;
    let broken = |error: std::io::Error| Finding::failed(format!("the connection broke: {error}"));
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut bytes = Vec::new();
    loop {
        match status(&bytes) {
            Head::Status(status) => {
                discard_body(&mut stream).await;
                return Ok(status);
            }
            Head::Unfinished if bytes.len() < HEAD_LENGTH_MAX => {}
            Head::Unfinished => {
                let what = format!("the head of the answer is longer than {HEAD_LENGTH_MAX} bytes");
                return Err(Finding::failed(what));
            }
            Head::Foreign => return Err(Finding::failed("the answer is not HTTP/1")),
        }
        let mut step = [0; STEP];
        match stream.read(&mut step).await.map_err(broken)? {
            0 => {
                return Err(Finding::failed(
                    "the connection was closed before an answer",
                ));
            }
            length => bytes.extend_from_slice(step.get(..length).unwrap_or_default()),
        }
    }
}

/// A path with a space or a line end in it would be another request.
fn request(address: &Address, path: &str) -> Result<String, Finding> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !path.starts_with('/') || !is_plain(path) || !is_plain(&address.host) {
        return Err(Finding::failed("the path is not one of a URL"));
    }
    let Address { host, port } = address;
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    Ok(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: flota-probe\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    ))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// More has to be read.
    Unfinished,
    /// All of the head is there.
    Status(u16),
    /// It is something else.
    Foreign,
}

/// The status of the final answer: those of 1xx come before it (RFC 9110, 15.2).
pub(super) fn status(bytes: &[u8]) -> Head {
    const START: &[u8] = b"HTTP/1.";
    let mut rest = bytes;
    loop {
        let compared = rest.len().min(START.len());
        if rest.get(..compared) != START.get(..compared) {
            return Head::Foreign;
        }
        let Some(end) = end_of_head(rest) else {
            return Head::Unfinished;
        };
        match code(rest) {
            Some(100..=199) => rest = rest.get(end..).unwrap_or_default(),
            Some(code) => return Head::Status(code),
            None => return Head::Foreign,
        }
    }
}

/// Where an empty line ends; a lone line feed is taken as well (RFC 9112, 2.2).
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let lf = bytes.windows(2).position(|two| two == b"\n\n");
    let ends = [crlf.map(|place| place + 4), lf.map(|place| place + 2)];
    ends.into_iter().flatten().min()
}

/// Of `HTTP/1.1 204 No Content`: three digits after the first space.
fn code(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let after = line.splitn(2, |byte| *byte == b' ').nth(1)?;
    let digits = after.trim_ascii_end();
    let digits = digits.split(|byte| *byte == b' ').next()?;
    let is_code = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_code)?
        .parse()
        .ok()
}

async fn discard_body(stream: &mut TcpStream) {
    let discard = async {
        let mut step = [0; STEP];
        let mut length = 0;
        while length < BODY_LENGTH_MAX {
            match stream.read(&mut step).await {
                Ok(0) | Err(_) => return,
                Ok(count) => length += count,
            }
        }
    };
    // However it ends, the answer was given.
    let _ = timeout(BODY_WITHIN, discard).await;
}
