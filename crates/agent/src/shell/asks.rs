//! Questions of the server, answered beside the main loop.

use std::{sync::Arc, thread};

use flota_model::{
    ids::{ConnectionId, RequestId},
    log::LogQuestion,
    process::{Answer, AskFault, Columns, Question},
};

use super::Shell;
use crate::{
    input::Input,
    logs::{self, Store},
    processes::{Processes, Programs, Values, signal},
};

/// Questions at a time. The server asks for fewer; more are answered "try again".
pub(super) const ASKS_MAX: usize = 64;

impl Shell {
    /// A stop takes as long as its grace, and must not hold up the end of the agent: each has a
    /// thread that the end does not wait for.
    pub(super) fn ask(&mut self, connection: ConnectionId, request: RequestId, question: Question) {
        let answered = move |answer| Input::Answered {
            connection,
            request,
            answer,
        };
        let busy = Err(AskFault::Unreadable {
            errno: libc::EAGAIN,
        });
        let Ok(place) = Arc::clone(&self.state.asks).try_acquire_owned() else {
            // A full inbox has turns enough without this answer; the server gives up waiting.
            let _ = self.post.try_send(answered(busy));
            return;
        };
        let (processes, boot) = (Arc::clone(&self.processes), self.here.boot);
        let policy = self.node.policy();
        let (post, logs) = (self.post.clone(), Arc::clone(&self.logs.store));
        let programs = match question {
            Question::Processes { .. } | Question::Inspect { .. } => self.programs(),
            Question::Signal { .. } | Question::Stop { .. } | Question::Log(_) => {
                Programs::default()
            }
        };
        let spawned = thread::Builder::new().name("ask".into()).spawn(move || {
            let answer = match question {
                Question::Processes { columns } => list(&processes, columns, &programs),
                Question::Inspect {
                    target,
                    with_values,
                } => {
                    let values = if with_values {
                        Values::Shown
                    } else {
                        Values::Masked
                    };
                    let detail = processes.inspect(target, values, &programs);
                    detail.map(|detail| Answer::Inspected(Box::new(detail)))
                }
                Question::Signal { target, signal } => {
                    signal::signal((boot, &policy), target, signal)
                }
                Question::Stop { target, grace } => signal::stop((boot, &policy), target, grace),
                Question::Log(question) => log(&logs, &question),
            };
            // Only an agent that ends does not take it.
            let _ = post.blocking_send(answered(answer));
            drop(place);
        });
        if spawned.is_err() {
            let _ = self.post.try_send(answered(busy));
        }
    }

    /// What runs here for the fleet.
    fn programs(&self) -> Programs {
        let programs = self.node.programs();
        programs
            .filter_map(|task| {
                let (pid, start_time) = self.state.table.leader(task.attempt)?;
                Some((pid, start_time, task))
            })
            .collect()
    }
}

fn list(processes: &Processes, columns: Columns, programs: &Programs) -> Result<Answer, AskFault> {
    let list = processes.list(columns, programs);
    list.map(Answer::Processes).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        AskFault::Unreadable { errno }
    })
}

fn log(logs: &Store, question: &LogQuestion) -> Result<Answer, AskFault> {
    let part = logs::read(logs, question).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        AskFault::Unreadable { errno }
    })?;
    part.map(Answer::Log).ok_or(AskFault::Gone)
}
