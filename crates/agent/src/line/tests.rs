//! How long clients keep their place, with real connections.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use flota_model::ids::BootId;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::*;
use crate::{sys::clock, testing::PATIENCE};

/// A listener that waits so long for its clients, and a client.
async fn connected(patience: Patience) -> (TcpStream, JoinSet<()>) {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = Bound::new(Dialect::Posix, nowhere).await.unwrap();
    let address = bound.address().unwrap();
    let (post, _) = mpsc::channel(1);
    let counter = Counter::new(post, BootId(1), watch::Sender::new(None).subscribe());
    let mut served = JoinSet::new();
    served.spawn(serve(vec![bound], counter, patience));
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    (client, served)
}

/// Half a command, whose end comes with the next half.
const HALF: &[u8] = b"HE";
const REST: &[u8] = b"LP\nHE";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_nothing_is_dropped_in_time() {
    let patience = Patience {
        idle: Duration::from_millis(400),
        ..Patience::default()
    };
    let (mut client, _served) = connected(patience).await;
    let mut answer = [0; 4_096];
    client.write_all(b"HELP\n").unwrap();
    assert_ne!(client.read(&mut answer).unwrap(), 0);
    let answered = clock::moment();
    assert_eq!(client.read(&mut answer).unwrap(), 0, "it is not closed");
    // As the server counts: from its answer, which it had written before.
    assert!(clock::moment().since(answered) > patience.idle / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_always_begun_its_next_command_keeps_its_place() {
    let patience = Patience {
        command: Duration::from_millis(500),
        // A pause of a busy machine makes no command of a half.
        silence: PATIENCE,
        ..Patience::default()
    };
    let (mut client, _served) = connected(patience).await;
    let begun = clock::moment();
    client.write_all(HALF).unwrap();
    while clock::moment().since(begun) < 3 * patience.command {
        let mut answer = [0; 4_096];
        client.write_all(REST).unwrap();
        assert_ne!(client.read(&mut answer).unwrap(), 0, "it is closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_comes_too_slowly_is_not_waited_for() {
    let patience = Patience {
        command: Duration::from_millis(500),
        silence: PATIENCE,
        ..Patience::default()
    };
    let (mut client, _served) = connected(patience).await;
    client.set_nonblocking(true).unwrap();
    let begun = clock::moment();
    let mut answer = [0; 4_096];
    loop {
        assert!(
            clock::moment().since(begun) < PATIENCE,
            "it keeps its place"
        );
        // Either may fail once it is closed.
        let sent = client.write(b"x");
        let would_wait = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        match client.read(&mut answer) {
            Ok(0) => break,
            Ok(_) => panic!("an answer to a command that is not there"),
            Err(error) if would_wait(&error) && sent.is_ok() => {}
            Err(_) => break,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(clock::moment().since(begun) >= patience.command);
}
