use std::time::Duration;

use flota_model::{
    frame::{DownBody, UpBody},
    ids::{NodeId, RequestId},
    local::{LOCAL_ORDERS_MAX, LocalOrder, LocalRefusal, LocalReply},
    process::ProcessTarget,
};

use super::bench::{Bench, frames};
use crate::node::api::{Effect, Event, Turn};

fn order(number: u64) -> Event {
    Event::LocalOrder {
        request: RequestId(number),
        order: LocalOrder::Stop {
            target: ProcessTarget::Pid {
                node: NodeId(1),
                pid: 4711,
            },
            grace: Duration::ZERO,
        },
    }
}

fn answers(turn: &Turn) -> Vec<(u64, Result<LocalReply, LocalRefusal>)> {
    let answers = turn.at_once.iter().filter_map(|effect| match effect {
        Effect::LocalAnswer { request, answer } => Some((request.0, answer.clone())),
        _ => None,
    });
    answers.collect()
}

#[test]
fn an_order_goes_to_the_server_and_its_answer_to_the_client_once() {
    let mut bench = Bench::ready();
    let turn = bench.turn(vec![order(7)]);
    assert!(matches!(
        frames(&turn)[..],
        [ref frame] if matches!(frame.body, UpBody::LocalOrder { request: RequestId(7), .. })
    ));
    assert_eq!(answers(&turn), []);
    let answer = DownBody::LocalAnswer {
        request: RequestId(7),
        answer: Ok(LocalReply::Stopped),
    };
    assert_eq!(
        answers(&bench.say(answer.clone())),
        [(7, Ok(LocalReply::Stopped))]
    );
    assert_eq!(answers(&bench.say(answer)), []);
}

#[test]
fn without_a_session_nobody_waits() {
    let unreachable = || [(7, Err(LocalRefusal::unreachable()))];
    let mut bench = Bench::ready();
    bench.turn(vec![order(7)]);
    assert_eq!(answers(&bench.disconnect()), unreachable());
    assert_eq!(answers(&bench.turn(vec![order(7)])), unreachable());
    bench.connect();
    assert_eq!(
        answers(&bench.turn(vec![order(7)])),
        unreachable(),
        "not welcomed yet"
    );
}

#[test]
fn so_many_orders_wait_and_no_more() {
    let mut bench = Bench::ready();
    let most = u64::try_from(LOCAL_ORDERS_MAX).unwrap();
    let turn = bench.turn((1..=most + 1).map(order).collect());
    assert_eq!(answers(&turn), [(most + 1, Err(LocalRefusal::busy()))]);
    assert_eq!(frames(&turn).len(), LOCAL_ORDERS_MAX);
}
