//! Questions of the server that have nothing to do with attempts.

use std::{collections::BTreeSet, sync::Arc};

use flota_model::{
    frame::UpBody,
    ids::{AttemptId, ConnectionId, JobId, NodeId, RequestId},
    local::{LOCAL_ORDERS_MAX, LocalOrder, LocalRefusal, LocalReply},
    process::{Answer, AskFault, ProcessTask, Question},
};

use crate::{
    node::{Node, api::Effect, session::Session, table::Place, turn::Draft},
    policy::Policy,
};

impl Node {
    /// What the owner of the node allows.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.opening.settings.policy)
    }

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

    /// Jobs that have an attempt that was started here and has not ended.
    pub fn running_jobs(&self) -> BTreeSet<JobId> {
        self.table.iter().map(|(_, running)| running.job).collect()
    }

    /// The number of this node, once a server has given it one.
    pub fn id(&self) -> Option<NodeId> {
        self.chain.node
    }

    /// The name of the job of an attempt that was started and has not ended.
    pub fn job_name(&self, attempt: AttemptId) -> Option<&str> {
        let running = self.table.get(attempt)?;
        Some(&running.spec.spec.name)
    }

    /// Passes on what a client of ours wants, if there is somebody to pass it on to.
    pub(super) fn local_order(&mut self, request: RequestId, order: LocalOrder, draft: &mut Draft) {
        let session = self.link.session.as_ref().and_then(Session::open_number);
        let Some(session) = session else {
            let answer = Err(LocalRefusal::unreachable());
            return draft.at_once(Effect::LocalAnswer { request, answer });
        };
        if self.link.orders.len() >= LOCAL_ORDERS_MAX {
            let answer = Err(LocalRefusal::busy());
            return draft.at_once(Effect::LocalAnswer { request, answer });
        }
        self.link.orders.insert(request, session);
        self.send(UpBody::LocalOrder { request, order }, draft);
    }

    /// The server has answered, once.
    pub(super) fn local_answer(
        &mut self,
        request: RequestId,
        answer: Result<LocalReply, LocalRefusal>,
        draft: &mut Draft,
    ) {
        if self.link.orders.remove(&request).is_some() {
            draft.at_once(Effect::LocalAnswer { request, answer });
        }
    }

    /// Orders of a session that is over stay without an answer of the server.
    pub(super) fn give_up_orders(&mut self, draft: &mut Draft) {
        let open = self.link.session.as_ref().and_then(Session::open_number);
        let over = self.link.orders.iter();
        let over: Vec<RequestId> = over
            .filter(|(_, session)| Some(**session) != open)
            .map(|(request, _)| *request)
            .collect();
        for request in over {
            self.local_answer(request, Err(LocalRefusal::unreachable()), draft);
        }
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
