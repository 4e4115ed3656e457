//! What only a node knows, or only a node can do.

use flota_model::{
    command::{Refusal, Reply},
    frame::DownBody,
    ids::{NodeId, RequestId},
    local::{LOCAL_ORDERS_MAX, LOCAL_ORDERS_TOTAL_MAX, LocalOrder, LocalRefusal, LocalReply},
    process::{Answer, AskFault, Question},
};

use super::{Fleet, api::Effect};

/// Most questions that wait for one node. Stops wait for as long as their grace.
const ASKS_MAX: usize = 64;

impl Fleet {
    /// Passes a question on. `Some` when there is nothing to wait for.
    pub(crate) fn ask(
        &mut self,
        request: RequestId,
        node: NodeId,
        question: Question,
    ) -> Option<Reply> {
        let is_open = self
            .nodes
            .session(node)
            .is_some_and(|session| session.asks.len() < ASKS_MAX && session.asks.insert(request));
        if !is_open {
            return Some(Reply::Answer(Err(AskFault::Unreachable)));
        }
        self.send(node, DownBody::Ask { request, question });
        None
    }

    /// A command that a node carries out: audited when it is asked, replied to when it answers.
    pub(crate) fn order(
        &mut self,
        request: RequestId,
        node: NodeId,
        question: Question,
    ) -> Option<Result<Reply, Refusal>> {
        self.ask(request, node, question).map(Ok)
    }

    /// A client of a node wants something.
    pub(crate) fn local_order(&mut self, node: NodeId, request: RequestId, order: LocalOrder) {
        let name = self.nodes.known(node).record.name.clone();
        let is_full = self.nodes.orders >= LOCAL_ORDERS_TOTAL_MAX;
        let Some(session) = self.nodes.session(node) else {
            return;
        };
        if is_full || session.orders.len() >= LOCAL_ORDERS_MAX || !session.orders.insert(request) {
            let answer = Err(LocalRefusal::busy());
            return self.send(node, DownBody::LocalAnswer { request, answer });
        }
        self.nodes.orders += 1;
        self.ledger.effects.push(Effect::LocalOrder {
            node,
            name,
            request,
            order,
        });
    }

    /// What came of it. Nobody is told who has connected anew meanwhile.
    pub(crate) fn local_answer(
        &mut self,
        node: NodeId,
        request: RequestId,
        answer: Result<LocalReply, LocalRefusal>,
    ) {
        self.nodes.orders = self.nodes.orders.saturating_sub(1);
        let session = self.nodes.session(node);
        if session.is_some_and(|session| session.orders.remove(&request)) {
            self.send(node, DownBody::LocalAnswer { request, answer });
        }
    }

    pub(crate) fn answered(
        &mut self,
        node: NodeId,
        request: RequestId,
        answer: Result<Answer, AskFault>,
    ) {
        let was_asked = self
            .nodes
            .session(node)
            .is_some_and(|session| session.asks.remove(&request));
        if was_asked {
            self.reply(request, Ok(Reply::Answer(answer)));
        }
    }
}
