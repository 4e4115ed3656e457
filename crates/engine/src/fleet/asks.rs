//! What only a node knows, or only a node can do.

use flota_model::{
    command::{Refusal, Reply},
    frame::DownBody,
    ids::{NodeId, RequestId},
    process::{Answer, AskFault, Question},
};

use super::Fleet;

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
