//! Questions of the server that have nothing to do with attempts.

use flota_model::{
    frame::UpBody,
    ids::{ConnectionId, RequestId},
    process::{Answer, AskFault, ProcessTask, Question},
};

use crate::node::{Node, api::Effect, table::Place, turn::Draft};

impl Node {
    /// The programs that run as far as this engine knows, with what they run for.
    pub fn programs(&self) -> impl Iterator<Item = ProcessTask> + '_ {
        let programs = self.table.iter();
        let programs = programs.filter(|(_, running)| running.place != Place::Pool);
        programs.map(|(attempt, running)| ProcessTask {
            attempt,
            job: running.job,
            task: running.task,
        })
    }

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
