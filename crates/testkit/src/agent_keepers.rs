//! The agent's side of its keepers: their messages, their deaths, and the children they leave.

use std::{collections::BTreeMap, time::Duration};

use flota_engine::{
    keeper::api::{Child, ChildState, End, FromKeeper, KeeperId, StopReason},
    node::api as node,
};
use flota_model::{ids::AttemptId, outcome::Usage, units::Timestamp};

use crate::{
    keeper_log::{reason_of, states},
    processes::{Exit, KILL, Leader, TERM},
    time::micros,
    truth::Excuse,
    world::{AtAgent, Happening, World},
};

impl World {
    /// A message of a keeper reaches the agent's shell.
    pub(crate) fn agent_receives(
        &mut self,
        machine: usize,
        keeper: KeeperId,
        life: u32,
        message: FromKeeper,
    ) {
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        match message {
            FromKeeper::Listed { children, last } => {
                if agent.asked.contains(&keeper) {
                    agent
                        .listed
                        .extend(children.into_iter().map(|child| (Some(keeper), child)));
                    if last {
                        agent.asked.remove(&keeper);
                        self.agent_recovers(machine, life);
                    }
                }
            }
            FromKeeper::Started { attempt, at, .. } => {
                if let Some(child) = agent.children.get_mut(&attempt) {
                    child.pidfd = true;
                    child.started_at = Some(at);
                }
                self.tell_agent(machine, life, node::Event::Started { attempt, at });
            }
            FromKeeper::NotStarted {
                attempt,
                stage,
                errno,
            } => {
                agent.children.remove(&attempt);
                self.tell_agent(
                    machine,
                    life,
                    node::Event::NotStarted {
                        attempt,
                        stage,
                        errno,
                    },
                );
            }
            FromKeeper::Ended { attempt, end } => {
                let run = agent.run_of(attempt);
                agent.children.remove(&attempt);
                let output = None;
                self.tell_agent(
                    machine,
                    life,
                    node::Event::Ended {
                        attempt,
                        run,
                        end,
                        output,
                    },
                );
            }
            FromKeeper::Refused { attempt } => self.keeper_refused(machine, life, attempt),
            // Only shown to people; no program of a simulated machine is one.
            FromKeeper::Unkillable(_) => {}
        }
    }

    pub(crate) fn keeper_refused(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let found_at = self.machines[machine].clock.now(self.now).wall;
        let end = End::Unknown {
            started_at: None,
            found_at,
        };
        let agent = self.machines[machine].living(life);
        let run = agent.map_or(1, |agent| agent.run_of(attempt));
        self.tell_agent(
            machine,
            life,
            node::Event::Ended {
                attempt,
                run,
                end,
                output: None,
            },
        );
    }

    /// The agent sees the end of a connection to a keeper that died.
    pub(crate) fn keeper_gone(&mut self, machine: usize, keeper: KeeperId, life: u32) {
        // What was ordered of it since it died is as unknown as what it had.
        self.truth.excuse(machine, self.now, Excuse::KeeperDied);
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        if agent.asked.remove(&keeper) {
            agent.listed.retain(|(owner, _)| *owner != Some(keeper));
            return self.agent_recovers(machine, life);
        }
        if !agent.recovered {
            // It was listed already; what it held is found in its log.
            agent.listed.retain(|(owner, _)| *owner != Some(keeper));
            return;
        }
        let mut replacement = agent.keeper;
        if replacement == keeper {
            replacement = self.new_keeper(machine, life);
        }
        let host = &mut self.machines[machine];
        let log = host
            .keepers
            .get(&keeper)
            .map(|keeper| keeper.log.as_slice());
        let Some(agent) = host.agent.as_mut().filter(|agent| agent.life == life) else {
            return;
        };
        agent.keeper = replacement;
        let mut orphans = Vec::new();
        for (attempt, child) in &mut agent.children {
            if child.keeper == keeper && !child.watched {
                child.watched = true;
                child.stopped = log.and_then(|log| reason_of(log, *attempt, child.run));
                orphans.push((*attempt, child.run));
            }
        }
        self.tell_agent(
            machine,
            life,
            node::Event::KeeperGone {
                keeper,
                replacement,
            },
        );
        let log = self.machines[machine].keepers.get(&keeper);
        let mut states = log.map_or_else(BTreeMap::new, |keeper| states(&keeper.log));
        for (attempt, run) in orphans {
            // The end of an earlier run, which it was perhaps told to forget, is not that of this one.
            let logged = states.remove(&attempt);
            let logged = logged.filter(|(logged, _)| *logged == run);
            match logged.map(|(_, state)| state) {
                Some(ChildState::Ended(end)) => {
                    self.agent_receives(machine, keeper, life, FromKeeper::Ended { attempt, end });
                }
                Some(ChildState::NotStarted { stage, errno }) => {
                    let message = FromKeeper::NotStarted {
                        attempt,
                        stage,
                        errno,
                    };
                    self.agent_receives(machine, keeper, life, message);
                }
                Some(ChildState::Waiting | ChildState::Starting | ChildState::Running { .. })
                | None => {
                    self.agent_looks_at(machine, life, attempt);
                }
            }
        }
    }

    /// A start that waited for the journal while its keeper died reaches nobody: the engine was told
    /// of the death before, so it is told of this end apart.
    pub(crate) fn start_is_lost(
        &mut self,
        machine: usize,
        life: u32,
        (keeper, attempt): (KeeperId, AttemptId),
    ) {
        let host = &mut self.machines[machine];
        let dead = host.keepers.get(&keeper).is_none_or(|host| !host.alive);
        let Some(agent) = host.living(life) else {
            return;
        };
        if dead && agent.keeper != keeper {
            if let Some(child) = agent.children.get_mut(&attempt) {
                child.watched = true;
            }
            self.agent_looks_at(machine, life, attempt);
        }
    }

    /// The shell looks whether a child of a dead keeper is gone; then it says how it ended.
    pub(crate) fn agent_looks_at(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let now = self.machines[machine].clock.now(self.now);
        let host = &mut self.machines[machine];
        let keeps_exits = host.keeps_exits;
        let Some(agent) = host.agent.as_mut().filter(|agent| agent.life == life) else {
            return;
        };
        let Some(child) = agent.children.get(&attempt).copied() else {
            return;
        };
        // The process of an earlier run says nothing of this one.
        let process = host.processes.get(&attempt);
        let process = process.filter(|process| process.run == child.run);
        let leader = process.map(|process| process.leader);
        let tree = process.is_some_and(|process| process.tree);
        if !child.watched {
            return;
        }
        let subreaper = host
            .keepers
            .get(&child.keeper)
            .is_some_and(|keeper| keeper.started_by == life);
        let end = match leader {
            Some(Leader::Starting { .. }) => return,
            Some(Leader::Running { .. }) => return self.agent_finds(machine, life, attempt),
            Some(Leader::Gone(exit)) if subreaper || (keeps_exits && child.pidfd) => {
                let started_at = child.started_at.unwrap_or(now.wall);
                known_end(exit, (started_at, now.wall), child.stopped)
            }
            Some(Leader::Gone(_) | Leader::NeverRan) | None => End::Unknown {
                started_at: child.started_at,
                found_at: now.wall,
            },
        };
        if tree {
            // Success is reported when the tree is empty, not when the leader is gone.
            return self.sweeps(machine, attempt);
        }
        agent.children.remove(&attempt);
        self.tell_agent(
            machine,
            life,
            node::Event::Ended {
                attempt,
                run: child.run,
                end,
                output: None,
            },
        );
    }

    /// The shell finds a program whose keeper died before it told of the start.
    fn agent_finds(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let at = self.machines[machine].clock.now(self.now).wall;
        let child = self.machines[machine]
            .living(life)
            .and_then(|agent| agent.children.get_mut(&attempt))
            .filter(|child| child.started_at.is_none());
        if let Some(child) = child {
            child.started_at = Some(at);
            self.tell_agent(machine, life, node::Event::Started { attempt, at });
        }
    }

    /// What the logs of dead keepers tell, and what is left of their children.
    pub(crate) fn children_of_dead_keepers(
        &self,
        machine: usize,
    ) -> Vec<(Option<KeeperId>, Child)> {
        let host = &self.machines[machine];
        let found_at = host.clock.now(self.now).wall;
        let mut found = Vec::new();
        for keeper in host.keepers.values().filter(|keeper| !keeper.alive) {
            for (attempt, (run, state)) in states(&keeper.log) {
                let process = host.processes.get(&attempt);
                let process = process.filter(|process| process.run == run);
                let running = process.is_some_and(crate::processes::Process::is_alive);
                let state = match (state, process) {
                    (ChildState::Starting, Some(process)) if running => ChildState::Running {
                        identity: process.identity,
                        started_at: found_at,
                    },
                    (running_state @ ChildState::Running { .. }, Some(_)) if running => {
                        running_state
                    }
                    (ChildState::Waiting | ChildState::Starting, _) => {
                        ChildState::Ended(End::Unknown {
                            started_at: None,
                            found_at,
                        })
                    }
                    (ChildState::Running { started_at, .. }, _) => {
                        let started_at = Some(started_at);
                        ChildState::Ended(End::Unknown {
                            started_at,
                            found_at,
                        })
                    }
                    (ended @ (ChildState::NotStarted { .. } | ChildState::Ended(_)), _) => ended,
                };
                found.push((
                    None,
                    Child {
                        attempt,
                        run,
                        state,
                    },
                ));
            }
        }
        found
    }

    /// The shell itself stops a child whose keeper is dead.
    pub(crate) fn agent_stops(
        &mut self,
        machine: usize,
        life: u32,
        attempt: AttemptId,
        (grace, reason): (Duration, StopReason),
    ) {
        if let Some(agent) = self.machines[machine].living(life)
            && let Some(child) = agent.children.get_mut(&attempt)
        {
            child.stopped = child.stopped.max(Some(reason));
        }
        self.signals(machine, attempt, TERM);
        let wait = micros(grace);
        let process = self.machines[machine].processes.get(&attempt);
        let pid = process.map_or(0, |process| process.identity.pid);
        self.plan_in(
            wait,
            Happening::Agent(machine, life, AtAgent::StopOverdue { attempt, pid }),
        );
    }

    pub(crate) fn stop_overdue(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        if self.machines[machine].living(life).is_some() {
            self.signals(machine, attempt, KILL);
        }
    }
}

/// An exit as a keeper or a shell tells it.
fn known_end(
    exit: Exit,
    (started_at, ended_at): (Timestamp, Timestamp),
    stopped: Option<StopReason>,
) -> End {
    End::Known {
        status: exit.status,
        usage: Usage::default(),
        out_of_memory: exit.out_of_memory,
        started_at,
        ended_at,
        fenced: false,
        stopped,
    }
}
