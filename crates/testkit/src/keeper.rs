//! A model of the keeper's shell, and of the agent's side of it.

use std::time::Duration;

use flota_engine::{
    keeper::{
        Keeper,
        api::{
            Child, ChildState, Effect, End, Event, FromKeeper, KeeperId, LogRecord, Peer, ToKeeper,
        },
    },
    node::api as node,
};
use flota_model::{
    ids::{AttemptId, Nonce},
    outcome::Usage,
};

use crate::{
    hosts::KeeperHost,
    processes::{Exit, KILL, Leader, TERM},
    time::{Time, micros},
    truth::Excuse,
    world::{Happening, World},
};

/// A keeper looks at its clock at least this often: its own timers are exact, but nothing else is.
const TICK: u64 = 5_000_000;

impl World {
    /// A new keeper of the folder, said hello to by that start of the agent.
    pub(crate) fn new_keeper(&mut self, machine: usize, life: u32) -> KeeperId {
        let nonce = Nonce(self.random.next());
        let now = self.machines[machine].clock.now(self.now);
        let settings = self.plan.keeper.clone();
        let host = &mut self.machines[machine];
        let highest = host.keepers.last_key_value().map_or(0, |(id, _)| id.0);
        let id = KeeperId(highest + 1);
        host.keepers.insert(
            id,
            KeeperHost {
                engine: Keeper::open(host.boot, now, settings),
                alive: true,
                log: Vec::new(),
                inbox: Vec::new(),
                step_due: false,
                tick_at: None,
                started_by: life,
                peers: std::collections::BTreeMap::new(),
                next_peer: 0,
                last: [Time::default(); 2],
            },
        );
        self.note(|| format!("keeper {machine}/{} starts", id.0));
        self.connect_keeper(machine, life, id, nonce);
        id
    }

    /// Sends a message to a keeper over the connection of that start of the agent.
    pub(crate) fn tell_keeper(
        &mut self,
        machine: usize,
        life: u32,
        keeper: KeeperId,
        message: ToKeeper,
    ) {
        let delay = self.random.within(5..=300);
        let now = self.now;
        let Some(host) = self.machines[machine].keepers.get_mut(&keeper) else {
            return;
        };
        let peer = host
            .peers
            .iter()
            .rev()
            .find(|(_, owner)| **owner == life)
            .map(|(peer, _)| *peer);
        if let (true, Some(peer)) = (host.alive, peer) {
            host.last[0] = (now + delay).max(host.last[0] + 1);
            let at = host.last[0];
            self.agenda.add(
                at,
                Happening::ToKeeper {
                    machine,
                    keeper,
                    peer,
                    message,
                },
            );
        }
    }

    /// A message reaches a keeper, unless it closed that connection unread (PROTOCOL 22).
    pub(crate) fn keeper_receives(
        &mut self,
        machine: usize,
        keeper: KeeperId,
        peer: Peer,
        message: ToKeeper,
    ) {
        let open = self.machines[machine]
            .keepers
            .get(&keeper)
            .is_some_and(|host| host.peers.contains_key(&peer));
        if open {
            self.keeper_event(machine, keeper, Event::Message { peer, message });
        }
    }

    pub(crate) fn keeper_event(&mut self, machine: usize, keeper: KeeperId, event: Event) {
        let delay = self.random.within(5..=200);
        let Some(host) = self.machines[machine].keepers.get_mut(&keeper) else {
            return;
        };
        if !host.alive {
            return;
        }
        host.inbox.push(event);
        if !host.step_due {
            host.step_due = true;
            self.plan_in(delay, Happening::KeeperSteps { machine, keeper });
        }
    }

    /// One pass over what was collected.
    pub(crate) fn keeper_steps(&mut self, machine: usize, keeper: KeeperId, tick: bool) {
        let now = self.machines[machine].clock.now(self.now);
        let Some(host) = self.machines[machine].keepers.get_mut(&keeper) else {
            return;
        };
        if !host.alive {
            return;
        }
        if tick {
            host.tick_at = None;
            host.inbox.push(Event::Tick);
        } else {
            host.step_due = false;
        }
        let mut events = std::mem::take(&mut host.inbox);
        // What a closed connection still held is never read.
        let peers = &host.peers;
        events.retain(
            |event| !matches!(event, Event::Message { peer, .. } if !peers.contains_key(peer)),
        );
        self.trace.line(self.now, || {
            format!("keeper {machine}/{} <- {events:?}", keeper.0)
        });
        let effects = host.engine.handle(events, now);
        self.trace.fold(&[effects.len() as u64]);
        self.trace.line(self.now, || {
            format!("keeper {machine}/{} -> {effects:?}", keeper.0)
        });
        for effect in effects {
            self.keeper_performs(machine, keeper, effect);
        }
        self.keeper_plans_tick(machine, keeper);
    }

    fn keeper_plans_tick(&mut self, machine: usize, keeper: KeeperId) {
        let now = self.now;
        let machine_host = &mut self.machines[machine];
        let clock = machine_host.clock.clone();
        let Some(host) = machine_host.keepers.get_mut(&keeper) else {
            return;
        };
        let Some(deadline) = host.engine.deadline() else {
            return;
        };
        let at = clock.time_of(deadline).clamp(now + 1, now + TICK);
        if host.alive && host.tick_at.is_none_or(|planned| at < planned) {
            host.tick_at = Some(at);
            self.agenda
                .add(at, Happening::KeeperTicks { machine, keeper });
        }
    }

    fn keeper_performs(&mut self, machine: usize, keeper: KeeperId, effect: Effect) {
        match effect {
            Effect::Log(record) => {
                if let LogRecord::Ended {
                    attempt,
                    end: End::Known { fenced: true, .. },
                } = record
                {
                    self.truth.fenced.insert(attempt);
                }
                if let Some(host) = self.machines[machine].keepers.get_mut(&keeper) {
                    host.log.push(record);
                }
            }
            Effect::Send { peer, message } => self.keeper_sends(machine, keeper, peer, message),
            Effect::Close { peer } => {
                if let Some(host) = self.machines[machine].keepers.get_mut(&keeper) {
                    host.peers.remove(&peer);
                }
            }
            Effect::Spawn(launch) => self.spawns(machine, keeper, &launch),
            Effect::Signal { attempt, signal } => self.signals(machine, attempt, signal),
            Effect::Sweep { attempt } => self.sweeps(machine, attempt),
            Effect::Release { attempt } => {
                let host = &mut self.machines[machine];
                if host
                    .processes
                    .get(&attempt)
                    .is_some_and(|process| !process.is_alive())
                {
                    host.processes.remove(&attempt);
                }
            }
            Effect::End => self.keeper_ends(machine, keeper),
        }
    }

    fn keeper_sends(&mut self, machine: usize, keeper: KeeperId, peer: Peer, message: FromKeeper) {
        let delay = self.random.within(5..=300);
        let now = self.now;
        let Some(host) = self.machines[machine].keepers.get_mut(&keeper) else {
            return;
        };
        if let Some(life) = host.peers.get(&peer).copied() {
            host.last[1] = (now + delay).max(host.last[1] + 1);
            let at = host.last[1];
            self.agenda.add(
                at,
                Happening::FromKeeper {
                    machine,
                    keeper,
                    life,
                    message,
                },
            );
        }
    }

    /// The keeper dies. Its children live on, except those that asked to die with it.
    pub(crate) fn keeper_ends(&mut self, machine: usize, keeper: KeeperId) {
        let now = self.now;
        let Some(host) = self.machines[machine].keepers.get_mut(&keeper) else {
            return;
        };
        if !host.alive {
            return;
        }
        host.alive = false;
        host.inbox.clear();
        let lives: Vec<u32> = host.peers.values().copied().collect();
        host.peers.clear();
        let at = (now + 100).max(host.last[1] + 1);
        self.note(|| format!("keeper {machine}/{} dies", keeper.0));
        self.truth.excuse(machine, now, Excuse::KeeperDied);
        self.children_lose_keeper(machine, keeper);
        if let Some(life) = lives.into_iter().max() {
            self.agenda.add(
                at,
                Happening::KeeperGone {
                    machine,
                    keeper,
                    life,
                },
            );
        }
    }

    /// The agent died: what it wrote is still readable, then comes the end.
    pub(crate) fn keepers_lose_agent(&mut self, machine: usize, life: u32) {
        let now = self.now;
        for (keeper, host) in &mut self.machines[machine].keepers {
            let own = host.peers.iter().filter(|(_, owner)| **owner == life);
            for (peer, _) in own {
                let at = (now + 50).max(host.last[0] + 1);
                let gone = Happening::PeerGone {
                    machine,
                    keeper: *keeper,
                    peer: *peer,
                };
                self.agenda.add(at, gone);
            }
        }
    }

    pub(crate) fn peer_gone(&mut self, machine: usize, keeper: KeeperId, peer: Peer) {
        if let Some(host) = self.machines[machine].keepers.get_mut(&keeper)
            && host.alive
            && host.peers.remove(&peer).is_some()
        {
            self.keeper_event(machine, keeper, Event::PeerGone { peer });
        }
    }

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
                agent.children.remove(&attempt);
                let output = None;
                self.tell_agent(
                    machine,
                    life,
                    node::Event::Ended {
                        attempt,
                        end,
                        output,
                    },
                );
            }
            FromKeeper::Refused { attempt } => self.keeper_refused(machine, life, attempt),
        }
    }

    fn keeper_refused(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let found_at = self.machines[machine].clock.now(self.now).wall;
        let end = End::Unknown {
            started_at: None,
            found_at,
        };
        self.tell_agent(
            machine,
            life,
            node::Event::Ended {
                attempt,
                end,
                output: None,
            },
        );
    }

    /// The agent sees the end of a connection to a keeper that died.
    pub(crate) fn keeper_gone(&mut self, machine: usize, keeper: KeeperId, life: u32) {
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
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        agent.keeper = replacement;
        let mut orphans = Vec::new();
        for (attempt, child) in &mut agent.children {
            if child.keeper == keeper && !child.watched {
                child.watched = true;
                orphans.push(*attempt);
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
        for attempt in orphans {
            self.agent_looks_at(machine, life, attempt);
        }
    }

    /// The shell looks whether a child of a dead keeper is gone; then it says how it ended.
    pub(crate) fn agent_looks_at(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let now = self.machines[machine].clock.now(self.now);
        let host = &mut self.machines[machine];
        let process = host.processes.get(&attempt);
        let leader = process.map(|process| process.leader);
        let tree = process.is_some_and(|process| process.tree);
        let keeps_exits = host.keeps_exits;
        let Some(agent) = host.agent.as_mut().filter(|agent| agent.life == life) else {
            return;
        };
        let Some(child) = agent.children.get(&attempt).copied() else {
            return;
        };
        if !child.watched {
            return;
        }
        let subreaper = host
            .keepers
            .get(&child.keeper)
            .is_some_and(|keeper| keeper.started_by == life);
        let end = match leader {
            Some(Leader::Starting { .. } | Leader::Running { .. }) => return,
            Some(Leader::Gone(exit)) if subreaper || (keeps_exits && child.pidfd) => {
                known_end(exit, child.started_at.unwrap_or(now.wall), now.wall)
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
                end,
                output: None,
            },
        );
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
            for (attempt, state) in crate::keeper_log::states(&keeper.log) {
                let process = host.processes.get(&attempt);
                let running = process.is_some_and(crate::processes::Process::is_alive);
                let state = match (state, process) {
                    (ChildState::Starting, Some(process)) if running => ChildState::Running {
                        identity: process.identity,
                        started_at: found_at,
                    },
                    (running_state @ ChildState::Running { .. }, Some(_)) if running => {
                        running_state
                    }
                    (ChildState::Starting, _) => ChildState::Ended(End::Unknown {
                        started_at: None,
                        found_at,
                    }),
                    (ChildState::Running { started_at, .. }, _) => {
                        let started_at = Some(started_at);
                        ChildState::Ended(End::Unknown {
                            started_at,
                            found_at,
                        })
                    }
                    (ended @ (ChildState::NotStarted { .. } | ChildState::Ended(_)), _) => ended,
                };
                found.push((None, Child { attempt, state }));
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
        grace: Duration,
    ) {
        self.signals(machine, attempt, TERM);
        let wait = micros(grace);
        self.plan_in(
            wait,
            Happening::StopOverdue {
                machine,
                life,
                attempt,
            },
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
    started_at: flota_model::units::Timestamp,
    ended_at: flota_model::units::Timestamp,
) -> End {
    End::Known {
        status: exit.status,
        usage: Usage::default(),
        out_of_memory: exit.out_of_memory,
        started_at,
        ended_at,
        fenced: false,
    }
}
