//! Limits of HTTP/2 connections, frame by frame (RFC 9113): clients of ours keep to them by
//! themselves, so the test speaks the protocol by hand.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::harness::{Harness, PATIENCE, connect};
use crate::listener::STREAMS_MAX;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
/// `END_STREAM` and `END_HEADERS`.
const WHOLE: u8 = 0x5;
/// Error code of a stream that was not begun (section 7).
const REFUSED_STREAM: u32 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A request, all in literals (RFC 7541, 6.2.2): the names are numbers of the static table.
fn get(path: &str, token: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        block.extend(name);
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 127, "longer ones need more than one byte");
        block.push(length);
        block.extend(value.as_bytes());
    };
    literal(&[0x04], path);
    literal(&[0x01], "localhost");
    literal(&[0x0f, 0x08], &format!("Bearer {token}"));
    block
}

/// The next frame: kind, stream, payload.
async fn next(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head))
        .await
        .expect("a frame or the end, in time")
        .ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], number, payload))
}

#[tokio::test]
async fn one_request_too_many_on_a_connection_is_refused_and_the_others_go_on() {
    let server = Harness::start().await;
    server.submit(1).await;
    let mut stream = connect(server.addresses.http).await;
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let wait = get("/api/v1/jobs/1/wait?timeout_ms=60000", &server.token());
    let last = STREAMS_MAX * 2 + 1;
    for number in (1..=last).step_by(2) {
        bytes.extend(frame(HEADERS, WHOLE, number, &wait));
    }
    stream.write_all(&bytes).await.unwrap();
    loop {
        let (kind, number, payload) = next(&mut stream).await.expect("it stays open");
        assert_ne!(kind, HEADERS, "no wait is over");
        if kind == RST_STREAM {
            assert_eq!(
                (number, payload),
                (last, REFUSED_STREAM.to_be_bytes().into())
            );
            break;
        }
    }
    server
        .post("/api/v1/jobs/1/cancel", &serde_json::json!(null))
        .await;
    let mut answered = 0;
    while answered < STREAMS_MAX {
        let (kind, number, _) = next(&mut stream).await.expect("it stays open");
        assert_ne!(kind, RST_STREAM, "{number}");
        answered += u32::from(kind == HEADERS);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_does_not_answer_pings_is_closed() {
    let server = Harness::start_with(|settings| {
        settings.limits.ping_interval = Duration::from_millis(100);
    })
    .await;
    // One that never ends its handshake, and one that was used and then fell silent.
    for used in [false, true] {
        let mut stream = connect(server.addresses.http).await;
        let mut bytes = PREFACE.to_vec();
        if used {
            bytes.extend(frame(SETTINGS, 0, 0, &[]));
            let ask = get("/api/v1/fleet", &server.token());
            bytes.extend(frame(HEADERS, WHOLE, 1, &ask));
        }
        stream.write_all(&bytes).await.unwrap();
        let mut answered = false;
        while let Some((kind, _, _)) = next(&mut stream).await {
            answered |= kind == HEADERS;
        }
        assert_eq!(answered, used);
    }
    server.stop().await;
}
