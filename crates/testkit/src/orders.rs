//! Orders of clients of the nodes themselves: each is answered once, as long as its agent lives.

use std::time::Duration;

use flota_engine::{fleet::api::Event, node::api as node};
use flota_model::{
    command::{Ask, Principal, Query, Request},
    ids::{NodeId, RequestId},
    local::{LocalOrder, LocalReply},
    process::ProcessTarget,
};

use crate::{
    mix::Mix,
    truth::Invariant,
    world::{Happening, World},
};

/// Numbers of requests that no client uses.
const FIRST_REQUEST: u64 = 1 << 40;
/// Between order and answer of whoever carries it out, microseconds.
const TAKES: (u64, u64) = (100, 3_000_000);

impl World {
    /// A client of some node wants something.
    pub(crate) fn somebody_orders(&mut self) {
        if self.plan.mix != Mix::Anything || self.healed {
            return;
        }
        let machine = self.random.index(self.machines.len());
        let Some(life) = self.machines[machine]
            .agent
            .as_ref()
            .map(|agent| agent.life)
        else {
            return;
        };
        self.clients.orders_made += 1;
        let request = RequestId(self.clients.orders_made);
        self.clients.orders.insert((machine, life, request));
        let order = LocalOrder::Stop {
            target: ProcessTarget::Pid {
                node: NodeId(0),
                pid: 2,
            },
            grace: Duration::ZERO,
        };
        self.tell_agent(machine, life, node::Event::LocalOrder { request, order });
    }

    /// A server has somebody carry it out.
    pub(crate) fn order_is_carried_out(&mut self, server: usize, node: NodeId, order: RequestId) {
        let delay = self.random.within(TAKES.0..=TAKES.1);
        self.plan_in(delay, Happening::OrderDone(server, node, order));
    }

    pub(crate) fn order_is_done(&mut self, server: usize, node: NodeId, order: RequestId) {
        self.clients.orders_done += 1;
        let request = Request {
            id: RequestId(FIRST_REQUEST + self.clients.orders_done),
            principal: Principal {
                name: "local".to_owned(),
            },
            ask: Ask::Query(Query::TellNode {
                node,
                order,
                answer: Ok(LocalReply::Stopped),
            }),
        };
        self.tell_server(server, Event::Request(request));
    }

    /// The client gets its answer.
    pub(crate) fn order_is_answered(&mut self, machine: usize, life: u32, request: RequestId) {
        if !self.clients.orders.remove(&(machine, life, request)) {
            let detail = format!("order {request} of agent {machine}.{life} is answered twice");
            self.fail(Invariant::OneAnswer, detail);
        }
    }

    /// Its connection breaks with the agent.
    pub(crate) fn orders_are_lost(&mut self, machine: usize, life: u32) {
        self.clients
            .orders
            .retain(|(at, of, _)| (*at, *of) != (machine, life));
    }
}
