use std::time::Duration;

use flota_model::{
    command::{Ask, Principal, Query, Reply, Request},
    frame::{DownBody, UpBody},
    ids::{NodeId, RequestId},
    local::{LOCAL_ORDERS_MAX, LocalOrder, LocalRefusal, LocalReply},
    process::ProcessTarget,
};

use super::bench::{Agent, Bench};
use crate::fleet::api::{Effect, Event};

fn order(number: u64) -> UpBody {
    UpBody::LocalOrder {
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

/// The orders that the last turn hands out, with the name of the node.
fn handed_out(bench: &Bench) -> Vec<(String, RequestId)> {
    let effects = bench.turn.effects.iter();
    let orders = effects.filter_map(|effect| match effect {
        Effect::LocalOrder { name, request, .. } => Some((name.clone(), *request)),
        _ => None,
    });
    orders.collect()
}

fn tell(bench: &mut Bench, node: NodeId, order: u64) {
    bench.requests += 1;
    let id = RequestId(bench.requests);
    bench.handle(Event::Request(Request {
        id,
        principal: Principal {
            name: "local".to_owned(),
        },
        ask: Ask::Query(Query::TellNode {
            node,
            order: RequestId(order),
            answer: Ok(LocalReply::Stopped),
        }),
    }));
    let told = Effect::Reply {
        request: id,
        reply: Ok(Reply::Told),
    };
    assert!(bench.turn.effects.contains(&told));
}

#[test]
fn an_order_of_a_client_of_a_node_is_handed_out_and_answered_once() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let node = agent.node.unwrap();
    assert_eq!(agent.say(&mut bench, order(7)), []);
    assert_eq!(handed_out(&bench), [("a".to_owned(), RequestId(7))]);
    tell(&mut bench, node, 7);
    let answer = DownBody::LocalAnswer {
        request: RequestId(7),
        answer: Ok(LocalReply::Stopped),
    };
    assert_eq!(agent.listen(&bench), [answer]);
    tell(&mut bench, node, 7);
    assert_eq!(agent.listen(&bench), [], "a second answer");
    tell(&mut bench, NodeId(99), 7);
}

#[test]
fn an_order_of_an_earlier_session_is_answered_to_nobody() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    agent.say(&mut bench, order(7));
    agent.hello(&mut bench);
    let node = agent.node.unwrap();
    tell(&mut bench, node, 7);
    assert_eq!(agent.listen(&bench), []);
}

#[test]
fn a_node_has_so_many_orders_under_way_and_no_more() {
    let mut bench = Bench::new();
    let mut agent = Agent::new("a", 1, 1);
    agent.hello(&mut bench);
    let most = u64::try_from(LOCAL_ORDERS_MAX).unwrap();
    for number in 1..=most {
        assert_eq!(agent.say(&mut bench, order(number)), []);
    }
    let refused = |request| DownBody::LocalAnswer {
        request: RequestId(request),
        answer: Err(LocalRefusal::busy()),
    };
    assert_eq!(agent.say(&mut bench, order(most + 1)), [refused(most + 1)]);
    assert_eq!(handed_out(&bench), []);
    tell(&mut bench, agent.node.unwrap(), 1);
    assert_eq!(agent.say(&mut bench, order(most + 2)), []);
    assert_eq!(handed_out(&bench).len(), 1);
}
