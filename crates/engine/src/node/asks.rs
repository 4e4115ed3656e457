//! Questions of the server that have nothing to do with attempts.

use flota_model::{
    frame::UpBody,
    ids::{ConnectionId, RequestId},
    process::{Answer, AskFault, Question},
};

use crate::node::{Node, api::Effect, turn::Draft};

impl Node {
    /// Hands a question to the shell.
    pub(super) fn asked(&mut self, request: RequestId, question: Question, draft: &mut Draft) {
        if let Some(session) = &self.link.session {
            draft.at_once(Effect::Ask {
                connection: session.connection,
                request,
                question,
            });
        }
    }

    /// Answers the server, if the one that asked is still there.
    pub(super) fn answered(
        &mut self,
        connection: ConnectionId,
        request: RequestId,
        answer: Result<Answer, AskFault>,
        draft: &mut Draft,
    ) {
        let session = self.link.session.as_ref();
        if session.is_some_and(|session| session.connection == connection) {
            self.send(UpBody::Answer { request, answer }, draft);
        }
    }
}
