//! What only a node knows, or only a node can do.

use flota_model::{
    change::{AuditRecord, Change},
    command::{Refusal, Reply},
    frame::DownBody,
    ids::{NodeId, RequestId},
    local::{LOCAL_ORDERS_MAX, LOCAL_ORDERS_TOTAL_MAX, LocalOrder, LocalRefusal, LocalReply},
    process::{Answer, AskFault, Question},
};

use super::{Fleet, api::Effect};

/// Most questions that wait for one node. Stops wait for as long as their grace.
const ASKS_MAX: usize = 64;

/// Whose command a node carries out, for the audit of what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) principal: String,
    /// As it was audited when it was asked.
    pub(crate) object: String,
}

impl Fleet {
    /// Passes a question on. `Some` when there is nothing to wait for.
    pub(crate) fn ask(
        &mut self,
        request: RequestId,
        node: NodeId,
        question: Question,
    ) -> Option<Reply> {
        self.pass_on(request, node, question, None)
    }

    fn pass_on(
        &mut self,
        request: RequestId,
        node: NodeId,
        question: Question,
        order: Option<Order>,
    ) -> Option<Reply> {
        let session = self.nodes.session(node);
        let session = session.filter(|session| {
            session.asks.len() < ASKS_MAX && !session.asks.contains_key(&request)
        });
        let Some(session) = session else {
            return Some(Reply::Answer(Err(AskFault::Unreachable)));
        };
        session.asks.insert(request, order);
        self.send(node, DownBody::Ask { request, question });
        None
    }

    /// A command that a node carries out: audited when it is asked, and again with what the node
    /// answers.
    pub(crate) fn order(
        &mut self,
        request: RequestId,
        node: NodeId,
        question: Question,
        order: Order,
    ) -> Option<Result<Reply, Refusal>> {
        self.pass_on(request, node, question, Some(order)).map(Ok)
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
        let asked = self
            .nodes
            .session(node)
            .and_then(|session| session.asks.remove(&request));
        if let Some(order) = asked {
            self.audit_answer(order, &answer);
            self.reply(request, Ok(Reply::Answer(answer)));
        }
    }

    /// Writes down what came of an order. A question has none.
    pub(crate) fn audit_answer(&mut self, order: Option<Order>, answer: &Result<Answer, AskFault>) {
        let Some(order) = order else {
            return;
        };
        self.ledger.changes.push(Change::Audited(AuditRecord {
            at: self.office.now.wall,
            principal: order.principal,
            verb: verb_of(answer),
            object: order.object,
            reason: None,
            refused: answer.as_ref().err().map(AskFault::code),
        }));
    }
}

/// What a node did.
fn verb_of(answer: &Result<Answer, AskFault>) -> &'static str {
    match answer {
        Ok(Answer::Signalled) => "process.signalled",
        Ok(Answer::Stopped { killed: false, .. }) => "process.stopped",
        Ok(Answer::Stopped { killed: true, .. }) => "process.killed",
        // A node that answers something else has not said that it obeyed.
        Ok(Answer::Processes(_) | Answer::Inspected(_) | Answer::Log(_)) | Err(_) => {
            "process.failed"
        }
    }
}
