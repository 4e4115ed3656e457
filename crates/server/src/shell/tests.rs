//! The bounds of what waits between the edges and the disk.

use std::time::Duration;

use flota_engine::fleet::{
    Fleet,
    api::{Opening, Settings},
};
use flota_link::direct;
use flota_model::{
    command::{Ask, Principal, Query, Reply},
    ids::{Authority, BatchNumber, BootId},
};
use flota_store::{journal::Journal as _, memory::MemoryStore};
use futures_util::FutureExt as _;
use tokio::{
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::timeout,
};

use super::*;
use crate::{clock, stop};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until(mut condition: impl FnMut() -> bool) {
    let reached = async {
        while !condition() {
            yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("reached in time");
}

async fn ask(handle: FleetHandle) -> Result<(), AskFault> {
    let principal = Principal {
        name: "test".into(),
    };
    let reply = handle.ask(principal, Ask::Query(Query::Fleet)).await;
    reply.map(drop)
}

#[tokio::test]
#[expect(
    clippy::significant_drop_tightening,
    reason = "the handle is used to the end"
)]
async fn a_full_inbox_lets_askers_wait_and_a_full_house_turns_them_away() {
    let (inbox, mut arriving) = mpsc::channel(INBOX_LENGTH);
    let handle = FleetHandle::new(inbox, INBOX_LENGTH + 1);
    let mut asks = JoinSet::new();
    for _ in 0..=INBOX_LENGTH {
        asks.spawn(ask(handle.clone()));
    }
    until(|| arriving.len() == INBOX_LENGTH).await;
    // The last one has a place, but waits in front of the inbox.
    until(|| ask(handle.clone()).now_or_never() == Some(Err(AskFault::Busy))).await;
    assert!(asks.try_join_next().is_none(), "nobody was turned away");
    let first = arriving.recv().await.unwrap();
    until(|| arriving.len() == INBOX_LENGTH).await;
    // Its place is free once it is answered.
    assert_eq!(
        ask(handle.clone()).now_or_never(),
        Some(Err(AskFault::Busy))
    );
    first
        .asker
        .answer(Ok(Reply::Recovered(Authority::default())));
    asks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(ask(handle).now_or_never(), None);
}

fn fleet() -> Fleet {
    let opening = Opening {
        salt: 1,
        seed: 1,
        boot: BootId(1),
        now: clock::now(),
        settings: Settings::default(),
    };
    let empty = MemoryStore::default().load().unwrap();
    Fleet::open(empty, opening).unwrap().0
}

#[tokio::test]
async fn turns_in_flight_have_a_number_above_which_one_turn_takes_all_that_waits() {
    let (inbox, arriving) = mpsc::channel(INBOX_LENGTH);
    let (turns, mut decided) = mpsc::channel(TURNS_IN_FLIGHT_MAX);
    let listen = "127.0.0.1:0".parse().unwrap();
    let (_router, link) = direct::server(listen, direct::ServerSettings::default()).unwrap();
    let handle = FleetHandle::new(inbox.clone(), INBOX_LENGTH);
    let ((_edges, edges), (_fleet, stop)) = (stop::stop(), stop::stop());
    let mut tasks = JoinSet::new();
    tasks.spawn(Collector::new(fleet(), BatchNumber(1), arriving, link, turns).run(edges, stop));
    let waiting = || INBOX_LENGTH - inbox.capacity();
    // Nobody commits. One by one, each request is a turn of its own.
    while decided.len() < TURNS_IN_FLIGHT_MAX {
        tasks.spawn(ask(handle.clone()).map(drop));
        let before = decided.len();
        until(|| decided.len() > before).await;
    }
    // The collector may decide one more turn, which it cannot hand over. The rest stays outside.
    for _ in 0..100 {
        tasks.spawn(ask(handle.clone()).map(drop));
        yield_now().await;
    }
    until(|| waiting() >= 98).await;
    assert_eq!(decided.len(), TURNS_IN_FLIGHT_MAX);
    for _ in 0..TURNS_IN_FLIGHT_MAX {
        decided.recv().await.unwrap();
    }
    let mut carried = Vec::new();
    while carried.iter().sum::<usize>() < 100 {
        let turn = timeout(PATIENCE, decided.recv()).await.unwrap().unwrap();
        if !turn.askers.is_empty() {
            carried.push(turn.askers.len());
        }
    }
    assert!(carried.len() <= 3, "{carried:?}");
}
