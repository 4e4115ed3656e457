//! What the engine decided, done.

use std::{os::fd::AsFd, sync::Arc};

use flota_engine::{
    keeper::api::{KeeperId, Launch, ToKeeper},
    node::api::Effect,
};
use flota_model::{
    frame::{HelloRefusal, OutputFault},
    ids::{AttemptId, ConnectionId, RequestId},
    outcome::StreamName,
    replica::{LAST_LINES_LENGTH_MAX, LAST_LINES_MAX, LastLines},
};

use super::{Ending, Shell, table::Program};
use crate::{
    dead,
    input::{Input, Probed},
    logs::{self, LogId},
    pool::Work,
    probes::Finding,
};

/// Reads of outputs at a time. The server asks for few; more are answered "try again".
pub(super) const READS_MAX: usize = 64;

/// Effects of a turn that are performed together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    kernels: Vec<Work>,
}

impl Shell {
    pub(super) fn perform_all(&mut self, effects: Vec<Effect>, gathered: &mut Gathered) {
        for effect in effects {
            self.perform(effect, gathered);
        }
    }

    pub(super) fn perform_gathered(&mut self, gathered: Gathered) {
        if !gathered.kernels.is_empty() {
            self.pool.run(gathered.kernels);
        }
        self.keepers.flush();
    }

    fn perform(&mut self, effect: Effect, gathered: &mut Gathered) {
        match effect {
            Effect::Send { connection, frame } => {
                if let Some(link) = &self.state.link {
                    link.send(connection, frame);
                }
            }
            Effect::Close { connection } => {
                if let Some(link) = &self.state.link {
                    link.close(connection);
                }
            }
            Effect::Start { keeper, launch } => self.start(keeper, launch),
            Effect::Stop {
                keeper,
                attempt,
                signal,
                grace,
                reason,
            } => match keeper {
                Some(keeper) => {
                    let stop = ToKeeper::Stop {
                        attempt,
                        signal,
                        grace,
                        reason,
                    };
                    self.keepers.tell(keeper, stop);
                }
                None => self.orphans.stop(attempt, signal, grace, reason),
            },
            Effect::Fence {
                keeper,
                attempt,
                deadline,
            } => self
                .keepers
                .tell(keeper, ToKeeper::Fence { attempt, deadline }),
            Effect::Forget { keeper, attempt } => {
                // Our descriptors first: the keeper may use an empty file again.
                self.state.table.forget(attempt, keeper);
                self.keepers.tell(keeper, ToKeeper::Forget { attempt });
                self.retire_keepers();
            }
            Effect::RunKernel { attempt, call, .. } => {
                gathered.kernels.push(Work { attempt, call });
            }
            Effect::StopKernel { attempt } => self.stop_kernel(attempt, gathered),
            Effect::ReadOutput {
                connection,
                request,
                attempt,
                stream,
                offset,
                length,
            } => self.read_output((connection, request), (attempt, stream), offset, length),
            Effect::Ask {
                connection,
                request,
                question,
            } => self.ask(connection, request, question),
            effect @ Effect::Probe { .. } => self.probe(effect),
            Effect::Tail { attempt, run } => self.tail(attempt, run),
            Effect::LocalAnswer { request, answer } => self.state.wants.answer(request, answer),
            Effect::Refused(refusal) => self.refused(refusal),
            Effect::Quit => self.state.ending = Some(Ending::Stopped),
        }
    }

    /// A keeper whose death was heard while the order waited for the journal is not told of again: there
    /// the program has never begun.
    fn start(&mut self, keeper: KeeperId, launch: Box<Launch>) {
        let attempt = launch.attempt;
        let program = Program::ordered(keeper, launch.run);
        self.state.table.insert(attempt, program);
        if self.keepers.has(keeper) {
            self.keepers.tell(keeper, ToKeeper::Start(launch));
        } else {
            self.orphaned(attempt, dead::unknown(None));
            self.bell.notify_one();
        }
    }

    /// Behind what the same turn began.
    fn stop_kernel(&mut self, attempt: AttemptId, gathered: &mut Gathered) {
        if !gathered.kernels.is_empty() {
            self.pool.run(std::mem::take(&mut gathered.kernels));
        }
        self.pool.stop(attempt);
    }

    fn read_output(
        &mut self,
        (connection, request): (ConnectionId, RequestId),
        (attempt, stream): (AttemptId, StreamName),
        offset: u64,
        length: u32,
    ) {
        let answer = move |part| Input::OutputRead {
            connection,
            request,
            part,
        };
        let Ok(place) = Arc::clone(&self.state.reads).try_acquire_owned() else {
            let errno = libc::EAGAIN;
            // A full inbox has turns enough without this answer; the server asks again.
            let _ = self
                .post
                .try_send(answer(Err(OutputFault::Unreadable { errno })));
            return;
        };
        let file = self.state.table.stream(attempt, stream);
        let is_running = self.state.table.is_running(attempt);
        let (outputs, post) = (Arc::clone(&self.outputs), self.post.clone());
        // The disk may take its time.
        tokio::task::spawn_blocking(move || {
            let mut part = outputs.read(
                (attempt, stream),
                file.as_ref().map(AsFd::as_fd),
                offset,
                length,
            );
            if let Ok(part) = &mut part {
                part.growing = is_running;
            }
            // Only an agent that ends does not take it.
            let _ = post.blocking_send(answer(part));
            drop(place);
        });
    }

    /// Beside the main loop: the disk may take its time.
    fn tail(&self, attempt: AttemptId, run: u32) {
        let (store, post) = (Arc::clone(&self.logs.store), self.post.clone());
        tokio::task::spawn_blocking(move || {
            let id = LogId { attempt, run };
            let end_of = |stream| {
                let length = u32::try_from(LAST_LINES_LENGTH_MAX).unwrap_or(u32::MAX);
                let read = logs::last_lines(&store, (id, stream), LAST_LINES_MAX, length);
                // What cannot be read is not told; the logs themselves say why.
                LastLines::end_of(&read.unwrap_or_default())
            };
            let lines = LastLines {
                run,
                stdout: end_of(StreamName::Stdout),
                stderr: end_of(StreamName::Stderr),
            };
            // Only an agent that ends does not take it.
            let _ = post.blocking_send(Input::Tailed { attempt, lines });
        });
    }

    /// Beside the main loop. A full inbox takes the result later; the engine then knows it as late.
    fn probe(&self, effect: Effect) {
        let Effect::Probe {
            attempt,
            run,
            probe,
            number,
            check,
            guard,
            timeout,
        } = effect
        else {
            return;
        };
        let (probes, post) = (self.probes.clone(), self.post.clone());
        tokio::spawn(async move {
            let Finding { result, detail } = probes.perform(*check, guard, timeout).await;
            tracing::debug!(%attempt, run, probe, ?result, detail, "a service was probed");
            let probed = Probed {
                attempt,
                run,
                probe,
                number,
                result,
                detail,
            };
            // Only an agent that ends does not take it.
            let _ = post.send(Input::Probed(probed)).await;
        });
    }

    fn refused(&mut self, refusal: HelloRefusal) {
        match refusal {
            HelloRefusal::Protocol(_) | HelloRefusal::NameTaken => {
                self.state.ending = Some(Ending::Refused(refusal));
            }
            // May be over in a moment: an older connection that is not known to be dead, or nodes
            // that leave. The link connects again.
            HelloRefusal::SecondSession | HelloRefusal::TooManyNodes => {
                tracing::warn!(?refusal, "the server does not take this agent now");
            }
        }
    }
}
