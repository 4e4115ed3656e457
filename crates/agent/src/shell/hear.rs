//! What happened, as the engine is to know it.

use flota_engine::{
    keeper::api::{ChildState, End, FromKeeper, KeeperId},
    node::api::{Event, KernelEnd},
};
use flota_kernels::KernelFault;
use flota_link::AgentEvent;
use flota_model::{ids::AttemptId, outcome::INLINE_OUTPUT_MAX, sample::NodeSample};

use super::Shell;
use crate::{
    dead::{self, Leaders, Logged},
    end::AgentFault,
    finisher::Large,
    input::Input,
    keepers::{Carried, Listed, Reached},
    local::News,
    outputs::Outputs,
    pool::Finished,
};

impl Shell {
    pub(super) fn hear_event(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Connected { connection } => {
                tracing::info!(connection = connection.0, "connected to the server");
                self.state.events.push(Event::Connected { connection });
            }
            AgentEvent::Frame { connection, frame } => {
                self.state.events.push(Event::Frame { connection, frame });
            }
            AgentEvent::Disconnected { connection, why } => {
                tracing::warn!(connection = connection.0, why, "lost the server");
                self.state.events.push(Event::Disconnected { connection });
            }
            AgentEvent::Retrying { why, after } => {
                tracing::warn!(why, ?after, "no connection to the server");
            }
        }
    }

    pub(super) async fn hear(&mut self, input: Input) -> Result<(), AgentFault> {
        match input {
            Input::Keeper {
                keeper,
                message,
                carried,
            } => self.hear_keeper(keeper, message, carried),
            Input::KeeperGone(keeper) => self.keeper_gone(keeper).await?,
            Input::OrphanEnded { attempt, end } => {
                self.orphans.remove(attempt);
                self.ended(attempt, end);
            }
            Input::Collected {
                attempt,
                end,
                output,
            } => self.conclude(attempt, end, output),
            Input::Kept {
                attempt,
                end,
                ran,
                usage,
            } => self.state.events.push(Event::KernelEnded {
                attempt,
                end,
                ran,
                usage,
            }),
            Input::OutputsLost(source) => return Err(AgentFault::Outputs { source }),
            Input::OutputRead {
                connection,
                request,
                part,
            } => self.state.events.push(Event::OutputRead {
                connection,
                request,
                part,
            }),
            Input::Answered {
                connection,
                request,
                answer,
            } => self.state.events.push(Event::Answered {
                connection,
                request,
                answer,
            }),
            Input::Probed(probed) => self.state.events.push(Event::ProbeEnded {
                attempt: probed.attempt,
                run: probed.run,
                probe: probed.probe,
                number: probed.number,
                result: probed.result,
                detail: probed.detail,
            }),
            Input::Tailed { attempt, lines } => {
                self.state.events.push(Event::Tailed { attempt, lines });
            }
            Input::Local(asked) => {
                let event = self.state.wants.take(asked, self.node.id(), self.here.boot);
                self.state.events.push(event);
            }
            Input::Sampled(sample) => self.sampled(sample),
            Input::StopAll(done) => {
                self.state.stop_waiters.push(done);
                self.state.events.push(Event::StopAll);
            }
        }
        Ok(())
    }

    fn sampled(&mut self, mut sample: Box<NodeSample>) {
        sample.unkillable = self.state.table.unkillable();
        if self.sample.receiver_count() > 0 {
            self.sample.send_replace(Some(sample.clone()));
        }
        self.state.events.push(Event::Sampled(sample));
    }

    fn hear_keeper(&mut self, keeper: KeeperId, message: FromKeeper, carried: Option<Carried>) {
        match message {
            FromKeeper::Started {
                attempt,
                identity,
                at,
            } => {
                if let Some(program) = self.state.table.get_mut(attempt)
                    && let Some(carried) = carried
                {
                    program.carry(carried, Some((identity, at)));
                }
                let pid = identity.pid;
                self.tell_client(attempt, News::Started { pid });
                self.state.events.push(Event::Started { attempt, at });
            }
            FromKeeper::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                self.tell_client(attempt, News::NotStarted { stage, errno });
                if let Some(program) = self.state.table.get_mut(attempt) {
                    program.has_ended = true;
                }
                self.state.events.push(Event::NotStarted {
                    attempt,
                    stage,
                    errno,
                });
            }
            FromKeeper::Ended { attempt, end } => self.ended(attempt, end),
            // It was started before, by whom we do not know; or the keeper is about to end.
            FromKeeper::Refused { attempt } => self.ended(attempt, dead::unknown(None)),
            FromKeeper::Unkillable(unkillable) => {
                if let Some(program) = self.state.table.get_mut(unkillable.attempt) {
                    program.unkillable = Some(unkillable);
                }
            }
            FromKeeper::Listed { .. } => {
                tracing::warn!(keeper = keeper.0, "a keeper listed without being asked");
            }
        }
    }

    fn tell_client(&self, attempt: AttemptId, news: News) {
        let name = |attempt| self.node.job_name(attempt);
        self.state.wants.tell(attempt, news, name);
    }

    /// A program and its tree ended. A large output is told of only once it is on the disk.
    pub(super) fn ended(&mut self, attempt: AttemptId, end: End) {
        self.tell_client(attempt, News::Ended(end));
        let Some(program) = self.state.table.get_mut(attempt) else {
            return self.conclude(attempt, end, None);
        };
        program.has_ended = true;
        program.pidfd = None;
        let output = match &program.streams {
            None => self.outputs.collect(attempt, None),
            Some(streams) if Outputs::is_empty(streams) => None,
            Some(streams) if Outputs::is_small(streams) => {
                self.outputs.collect(attempt, Some(streams))
            }
            Some(_) => return self.finish_large(attempt, end),
        };
        self.conclude(attempt, end, output);
    }

    fn finish_large(&mut self, attempt: AttemptId, end: End) {
        let streams = self.state.table.streams(attempt);
        let large = streams.map(|streams| Large::Streams {
            attempt,
            end,
            streams,
        });
        let Err(large) = large.map_or(Ok(()), |large| self.finisher.finish(large)) else {
            return;
        };
        // Too many wait already: this one is done here, and all else waits for it.
        if let Large::Streams { streams, .. } = large {
            let output = self.outputs.collect(attempt, Some(&streams));
            if let Err(error) = self.outputs.sync() {
                tracing::error!(%error, "outputs cannot be synced");
            }
            self.conclude(attempt, end, output);
        }
    }

    fn conclude(
        &mut self,
        attempt: AttemptId,
        end: End,
        output: Option<Box<flota_model::outcome::Output>>,
    ) {
        for burial in self.state.dead.values_mut() {
            burial.unresolved.remove(&attempt);
        }
        let run = self.state.table.run(attempt).unwrap_or(1);
        // No keeper will be told to forget it.
        let is_orphan = self
            .state
            .table
            .get_mut(attempt)
            .is_some_and(|program| program.keeper.is_none());
        if is_orphan {
            self.logs.orphaned.finish(attempt);
            self.state.table.remove(attempt);
        }
        self.state.events.push(Event::Ended {
            attempt,
            run,
            end,
            output,
        });
    }

    /// The connection to a keeper ended: it is dead, or has only cut us off.
    async fn keeper_gone(&mut self, keeper: KeeperId) -> Result<(), AgentFault> {
        match self.keepers.reach(keeper).await? {
            Reached::Live(listed) => self.compare(keeper, listed),
            Reached::Dead => {
                self.keepers.remove(keeper);
                self.keeper_died(keeper).await?;
            }
        }
        Ok(())
    }

    /// What a keeper holds after a cut, against what we know.
    fn compare(&mut self, keeper: KeeperId, listed: Vec<Listed>) {
        let mut missing = self.state.table.of_keeper(keeper);
        for Listed { child, carried } in listed {
            let attempt = child.attempt;
            if self
                .state
                .table
                .run(attempt)
                .is_some_and(|run| run != child.run)
            {
                // The end of an earlier run, which it was not told to forget.
                continue;
            }
            missing.retain(|known| *known != attempt);
            let message = match child.state {
                ChildState::Waiting | ChildState::Starting => continue,
                ChildState::Running {
                    identity,
                    started_at,
                } => FromKeeper::Started {
                    attempt,
                    identity,
                    at: started_at,
                },
                ChildState::NotStarted { stage, errno } => FromKeeper::NotStarted {
                    attempt,
                    stage,
                    errno,
                },
                ChildState::Ended(end) => {
                    if let (Some(program), Some(carried)) =
                        (self.state.table.get_mut(attempt), carried)
                    {
                        program.carry(carried, None);
                    }
                    self.ended(attempt, end);
                    continue;
                }
            };
            self.hear_keeper(keeper, message, carried);
        }
        // Orders that never arrived.
        for attempt in missing {
            self.ended(attempt, dead::unknown(None));
        }
    }

    /// What a dead keeper owned is ours to watch now.
    async fn keeper_died(&mut self, keeper: KeeperId) -> Result<(), AgentFault> {
        tracing::warn!(
            keeper = keeper.0,
            "a keeper died; its programs are watched by the agent"
        );
        if self.state.keeper == keeper {
            self.state.keeper = match self.keepers.youngest() {
                Some(keeper) => keeper,
                None => self.keepers.start().await?,
            };
        }
        self.logs.orphaned.adopt();
        self.state.events.push(Event::KeeperGone {
            keeper,
            replacement: self.state.keeper,
        });
        let states = dead::read(&self.folder.keepers_path(), keeper);
        let mut states = states.map_err(AgentFault::system("read the log of a dead keeper"))?;
        let attempts = self.state.table.of_keeper(keeper);
        let data = self.folder.path().to_owned();
        let mut leaders = Leaders::new(self.here, &data);
        let burial = self.state.dead.entry(keeper).or_default();
        burial.unresolved.extend(attempts.iter().copied());
        for attempt in attempts {
            let run = self.state.table.run(attempt);
            let logged = states.remove(&attempt);
            match logged.filter(|logged| Some(logged.run) == run) {
                Some(logged) => self.inherit(attempt, logged, &mut leaders),
                // Never begun.
                None => self.orphaned(attempt, dead::unknown(None)),
            }
        }
        self.clear_groups();
        Ok(())
    }

    fn inherit(&mut self, attempt: AttemptId, logged: Logged, leaders: &mut Leaders<'_>) {
        let Some(program) = self.state.table.get_mut(attempt) else {
            return;
        };
        // The descriptor from its birth is better than anything that can be found.
        if let (ChildState::Running { .. }, Some(pidfd), Some(process)) =
            (logged.state, program.pidfd.take(), program.process)
        {
            program.keeper = None;
            let stopped = logged.stopped;
            return self.orphans.watch(attempt, pidfd, process, stopped);
        }
        let found = dead::look(attempt, logged.state, leaders, &self.outputs);
        program.streams = program.streams.take().or(found.streams);
        match found.state {
            ChildState::Running {
                identity,
                started_at,
            } => {
                program.keeper = None;
                if let Some(pidfd) = found.pidfd {
                    let process = (identity, started_at);
                    self.orphans.watch(attempt, pidfd, process, logged.stopped);
                }
                let at = started_at;
                self.state.events.push(Event::Started { attempt, at });
            }
            ChildState::NotStarted { stage, errno } => {
                self.state.table.remove(attempt);
                for burial in self.state.dead.values_mut() {
                    burial.unresolved.remove(&attempt);
                }
                self.state.events.push(Event::NotStarted {
                    attempt,
                    stage,
                    errno,
                });
            }
            ChildState::Ended(end) => self.orphaned(attempt, end),
            ChildState::Waiting | ChildState::Starting => {
                self.orphaned(attempt, dead::unknown(None));
            }
        }
    }

    pub(super) fn orphaned(&mut self, attempt: AttemptId, end: End) {
        if let Some(program) = self.state.table.get_mut(attempt) {
            program.keeper = None;
        }
        self.ended(attempt, end);
    }

    pub(super) fn hear_pool(&mut self) {
        for finished in self.pool.finished() {
            self.hear_kernel(finished);
        }
    }

    fn hear_kernel(&mut self, finished: Finished) {
        let Finished {
            attempt,
            result,
            ran,
            usage,
        } = finished;
        let end = match result {
            Ok(bytes) if bytes.len() > INLINE_OUTPUT_MAX => {
                let large = Large::Result {
                    attempt,
                    bytes,
                    ran,
                    usage,
                };
                match self.finisher.finish(large) {
                    Ok(()) => return,
                    Err(_) => KernelEnd::Failed("too many results wait for the disk".to_owned()),
                }
            }
            Ok(bytes) => match self.outputs.keep_result(attempt, bytes) {
                Ok(output) => KernelEnd::Completed(output),
                Err(error) => KernelEnd::Failed(error.to_string()),
            },
            Err(KernelFault::Stopped) => KernelEnd::Stopped,
            Err(fault) => KernelEnd::Failed(fault.to_string()),
        };
        self.state.events.push(Event::KernelEnded {
            attempt,
            end,
            ran,
            usage,
        });
    }
}
