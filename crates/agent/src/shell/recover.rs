//! What an agent finds when it starts.

use std::sync::Arc;

use flota_engine::{
    keeper::api::{Child, ChildState, KeeperId, ToKeeper},
    node::api::Event,
};

use super::{Burial, Shell, table::Program};
use crate::{
    dead,
    end::AgentFault,
    keepers::{Listed, Reached},
    outputs::Streams,
};

impl Shell {
    /// Asks all keepers, reads the logs of dead ones, and starts one where none lives.
    pub(super) async fn recover(&mut self) -> Result<(), AgentFault> {
        let mut children = Vec::new();
        let mut ends = Vec::new();
        for keeper in self.keepers.all()? {
            match self.keepers.reach(keeper).await? {
                Reached::Live(listed) => {
                    for listed in listed {
                        children.push((Some(keeper), listed.child));
                        ends.extend(self.adopt_listed(keeper, listed));
                    }
                }
                Reached::Dead => {
                    for child in self.read_dead(keeper, &mut ends)? {
                        children.push((None, child));
                    }
                }
            }
        }
        // What was named must be durable before it is reported.
        self.outputs
            .sync()
            .map_err(|source| AgentFault::Outputs { source })?;
        self.outputs
            .clean(|attempt| self.state.table.holds(attempt));
        self.logs
            .orphaned
            .recover(|attempt| self.state.table.is_running(attempt));
        self.clear_groups();
        self.state.keeper = match self.keepers.youngest() {
            Some(keeper) => keeper,
            None => self.keepers.start().await?,
        };
        self.retire_keepers();
        let keeper = self.state.keeper;
        tracing::info!(
            keeper = keeper.0,
            programs = children.len(),
            "the keepers were asked"
        );
        self.state
            .events
            .push(Event::Recovered { children, keeper });
        self.state.events.extend(ends);
        Ok(())
    }

    /// Lets keepers of an older version end that hold nothing any more. They take nothing new.
    pub(super) fn retire_keepers(&mut self) {
        for keeper in self.keepers.older() {
            if keeper != self.state.keeper && !self.state.table.has_of_keeper(keeper) {
                tracing::info!(keeper = keeper.0, "a keeper of an older version is done");
                self.keepers.tell(keeper, ToKeeper::Quit);
            }
        }
    }

    /// Empties and removes the control groups of programs that do not run: what is in them was left
    /// by one whose keeper died before it had cleared away. That they are ours, their parent tells.
    pub(super) fn clear_groups(&self) {
        let mut left = Vec::new();
        for (attempt, group) in self.groups.all() {
            if self.state.table.is_running(attempt) {
                continue;
            }
            let processes = self.groups.processes(&group);
            if !self.groups.clear(&group) {
                tracing::warn!(%attempt, ?processes, "killed what a program left behind");
                left.push(group);
            }
        }
        if !left.is_empty() {
            let groups = Arc::clone(&self.groups);
            tokio::spawn(async move { groups.clear_all(left).await });
        }
    }

    /// Takes over what a live keeper holds; gives the end of what has ended, with its output.
    fn adopt_listed(&mut self, keeper: KeeperId, listed: Listed) -> Option<Event> {
        let Child {
            attempt,
            run,
            state,
        } = listed.child;
        let mut program = Program::ordered(keeper, run);
        let mut event = None;
        match state {
            ChildState::Running {
                identity,
                started_at,
            } => {
                if let Some(carried) = listed.carried {
                    program.carry(carried, Some((identity, started_at)));
                }
            }
            ChildState::Ended(end) => {
                let streams = listed.carried.map(|carried| carried.streams);
                event = Some(Event::Ended {
                    attempt,
                    run,
                    end,
                    output: self.outputs.collect(attempt, streams.as_ref()),
                });
                program.streams = streams;
                program.has_ended = true;
            }
            ChildState::NotStarted { .. } => program.has_ended = true,
            ChildState::Waiting | ChildState::Starting => {}
        }
        self.state.table.adopt(attempt, program);
        event
    }

    /// Takes over what a dead keeper left.
    fn read_dead(
        &mut self,
        keeper: KeeperId,
        ends: &mut Vec<Event>,
    ) -> Result<Vec<Child>, AgentFault> {
        let states = dead::read(&self.folder.keepers_path(), keeper);
        let states = states.map_err(AgentFault::system("read the log of a dead keeper"))?;
        let mut burial = Burial::default();
        let data = self.folder.path().to_owned();
        let mut leaders = dead::Leaders::new(self.here, &data);
        let mut children = Vec::new();
        for (attempt, logged) in states {
            let found = dead::look(attempt, logged.state, &mut leaders, &self.outputs);
            let (run, state) = (logged.run, found.state);
            children.push(Child {
                attempt,
                run,
                state,
            });
            match state {
                ChildState::Running {
                    identity,
                    started_at,
                } => {
                    if let Some(pidfd) = found.pidfd {
                        let process = (identity, started_at);
                        self.orphans.watch(attempt, pidfd, process, logged.stopped);
                    }
                    burial.unresolved.insert(attempt);
                    self.state.table.adopt(attempt, orphan(run, found.streams));
                }
                ChildState::Ended(end) => ends.push(Event::Ended {
                    attempt,
                    run,
                    end,
                    output: self.outputs.collect(attempt, None),
                }),
                ChildState::Waiting | ChildState::Starting | ChildState::NotStarted { .. } => {}
            }
        }
        self.state.dead.insert(keeper, burial);
        Ok(children)
    }
}

fn orphan(run: u32, streams: Option<Streams>) -> Program {
    Program {
        run,
        streams,
        ..Program::default()
    }
}
