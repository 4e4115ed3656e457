//! Bytes that no agent of ours would send.

use bytes::Bytes;
use flota_model::{
    frame::UpBody,
    ids::{ConnectionId, SessionNumber},
    units::Moment,
};
use flota_wire::frames::{BATCH_LENGTH_MAX, encode_up};
use futures_util::stream;
use tonic::{Code, Status, client::Grpc, transport::Endpoint};

use super::{super::codec::RawCodec, *};

/// Shows that an honest agent is still served.
async fn is_well(direct: &mut Direct) {
    let mut agent = direct.agent(1);
    let Some(AgentEvent::Connected { connection }) = agent.next().await else {
        panic!("the server takes connections");
    };
    let frame = beat();
    agent.sender().send(connection, frame.clone());
    while let Some(event) = direct.server().next().await {
        if matches!(&event, ServerEvent::Frame { frame: taken, .. } if *taken == frame) {
            return;
        }
    }
}

fn beat() -> Up {
    let body = UpBody::Heartbeat {
        sent_at: Moment(4_711),
        running: Vec::new(),
        sample: None,
    };
    Up {
        session: SessionNumber(1),
        sequence: 1,
        body,
    }
}

/// Opens a session with these messages and waits for its end.
async fn session(direct: &Direct, messages: Vec<Bytes>) -> Status {
    let endpoint = Endpoint::from_shared(format!("http://{}", direct.address)).unwrap();
    let mut grpc = Grpc::new(endpoint.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = axum::http::uri::PathAndQuery::from_static(SESSION_PATH);
    // Never finished from this side.
    let messages = stream::StreamExt::chain(stream::iter(messages), stream::pending());
    let response = grpc
        .streaming(tonic::Request::new(messages), path, RawCodec)
        .await;
    response.unwrap().into_inner().message().await.unwrap_err()
}

#[tokio::test]
async fn random_bytes_do_not_end_the_server() {
    let mut direct = Direct::start(100).await;
    let mut state = 1_u64;
    let mut garbage = |length: usize| -> Vec<u8> {
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let post = format!("POST {SESSION_PATH} HTTP/1.1\r\n");
    within(async {
        for start in [&b""[..], preface, post.as_bytes()] {
            for length in [0, 1, 9, 100, 100_000] {
                let mut stream = TcpStream::connect(direct.address).await.unwrap();
                // The server may hang up before all of it is taken.
                let _ = stream.write_all(&[start, &garbage(length)].concat()).await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
        is_well(&mut direct).await;
    })
    .await;
}

#[tokio::test]
async fn messages_that_are_no_frames_are_answered_with_the_reason() {
    let mut direct = Direct::start(100).await;
    let too_long = Bytes::from(vec![0; BATCH_LENGTH_MAX + 1]);
    within(async {
        for (message, what) in [
            (Bytes::from_static(b"garbage"), "is torn"),
            (
                Bytes::from_static(&[0x0a, 0x02, 0x08, 0x01]),
                "`up.body` is missing",
            ),
            (too_long, "message length too large"),
        ] {
            let status = session(&direct, vec![message]).await;
            assert_eq!(status.code(), Code::Aborted, "{status:?}");
            assert!(status.message().contains(what), "{status:?}");
        }
        assert_eq!(direct.server().try_next(), None);
        is_well(&mut direct).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_ends_at_its_first_fault() {
    let mut direct = Direct::start(100).await;
    let mut good = Vec::new();
    encode_up(&beat(), &mut good).unwrap();
    let torn = [&good[..], &[0x0a, 0x05]].concat();
    within(async {
        let status = session(&direct, vec![torn.into(), good.into()]).await;
        assert!(status.message().contains("is torn"), "{status:?}");
        let connection = ConnectionId(1);
        let frame = ServerEvent::Frame {
            connection,
            frame: beat(),
        };
        assert_eq!(direct.server().next().await, Some(frame));
        assert_eq!(
            direct.server().next().await,
            Some(ServerEvent::Closed { connection })
        );
        assert_eq!(direct.server().try_next(), None);
    })
    .await;
}
