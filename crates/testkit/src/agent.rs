//! A model of the agent's shell: recovery, steps, effects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flota_engine::{
    journal,
    keeper::api::{Child, ChildState, End, KeeperId, Peer, ToKeeper},
    node::{
        Node,
        api::{Effect, Event, Opening, Turn},
    },
};
use flota_model::{
    frame::OutputFault, ids::Nonce, process::AskFault, replica::LastLines, resources::Resources,
    units::Cpus,
};

use crate::{
    hosts::{Agent, ChildOfKeeper},
    network::{Parcel, Way},
    probes::ProbeOf,
    tally::Trouble,
    time::is_due,
    truth::{Ending, Excuse},
    world::{AtAgent, Happening, World},
};

/// A tick comes at least this often.
const TICK: u64 = 1_000_000;

impl World {
    pub(crate) fn agent_will_start(&mut self, machine: usize, wait: u64) {
        if !self.machines[machine].starting {
            self.machines[machine].starting = true;
            self.plan_in(wait, Happening::AgentStarts(machine));
        }
    }

    /// The agent starts: reads its journal and asks the keepers of its folder.
    pub(crate) fn agent_starts(&mut self, machine: usize) {
        let now = self.now;
        let host = &mut self.machines[machine];
        host.starting = false;
        if !host.powered || host.suspended || host.agent.is_some() {
            return;
        }
        if now < host.down_until || host.disk.full {
            let wait = host.down_until.since(now).max(200_000);
            return self.agent_will_start(machine, wait);
        }
        let recovered = journal::recover(host.disk.bytes());
        let damaged = recovered.damage.is_some();
        let valid = if damaged { 0 } else { recovered.valid_length };
        host.disk.truncate(usize::try_from(valid).unwrap_or(0));
        let records = if damaged {
            Vec::new()
        } else {
            recovered.records
        };
        if damaged || std::mem::take(&mut host.tampered) {
            self.truth.excuse(machine, now, Excuse::JournalLost);
        }
        let opening = self.agent_opening(machine);
        let specs = &self.specs;
        let (node, turn, _) = Node::open(records, &|blob| specs.decode(blob), opening);
        let host = &mut self.machines[machine];
        host.lives += 1;
        host.agent_stopped = false;
        let life = host.lives;
        host.agent = Some(new_agent(life, node));
        self.note(|| format!("agent {machine}.{life} starts (journal damaged: {damaged})"));
        self.agent_turn(machine, life, turn);
        self.agent_asks_keepers(machine, life);
    }

    fn agent_opening(&mut self, machine: usize) -> Opening {
        let nonce = Nonce(self.random.next());
        let journal = Nonce(self.random.next());
        let host = &self.machines[machine];
        Opening {
            nonce,
            journal,
            boot: host.boot,
            name: host.name.clone(),
            version: "simulated".to_owned(),
            capacity: Resources::of_cpus(Cpus::whole(host.cores)),
            labels: BTreeMap::new(),
            now: host.clock.now(self.now),
            settings: self.plan.node.clone(),
        }
    }

    pub(crate) fn agent_asks_keepers(&mut self, machine: usize, life: u32) {
        let host = &mut self.machines[machine];
        let keepers = host.keepers.iter();
        let alive: BTreeSet<KeeperId> = keepers
            .filter(|(_, keeper)| keeper.alive)
            .map(|(id, _)| *id)
            .collect();
        if let Some(agent) = host.living(life) {
            agent.asked.clone_from(&alive);
        }
        let nonce = Nonce(self.random.next());
        for keeper in alive {
            self.connect_keeper(machine, life, keeper, nonce);
        }
        self.agent_recovers(machine, life);
    }

    /// Opens a connection to a keeper and says hello.
    pub(crate) fn connect_keeper(
        &mut self,
        machine: usize,
        life: u32,
        keeper: KeeperId,
        nonce: Nonce,
    ) {
        if let Some(host) = self.machines[machine].keepers.get_mut(&keeper) {
            host.next_peer += 1;
            let peer = Peer(host.next_peer);
            host.peers.insert(peer, life);
            self.tell_keeper(machine, life, keeper, ToKeeper::Hello { nonce });
        }
    }

    /// Once every keeper has listed its children: the first event of the engine.
    pub(crate) fn agent_recovers(&mut self, machine: usize, life: u32) {
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        if agent.recovered || !agent.asked.is_empty() {
            return;
        }
        agent.recovered = true;
        let mut children = std::mem::take(&mut agent.listed);
        children.extend(self.children_of_dead_keepers(machine));
        let alive = self.machines[machine].keepers.iter().rev();
        let newest = alive
            .filter(|(_, keeper)| keeper.alive)
            .map(|(id, _)| *id)
            .next();
        let keeper = newest.unwrap_or_else(|| self.new_keeper(machine, life));
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        agent.keeper = keeper;
        for (owner, child) in &children {
            if let Some(known) = child_of_keeper(*owner, child) {
                agent.children.insert(child.attempt, known);
            }
        }
        agent.inbox.insert(0, Event::Recovered { children, keeper });
        agent.step_due = true;
        let watched = agent.children.iter().filter(|(_, child)| child.watched);
        let watched: Vec<_> = watched.map(|(attempt, _)| *attempt).collect();
        for attempt in watched {
            self.agent_looks_at(machine, life, attempt);
        }
        self.plan_in(50, Happening::Agent(machine, life, AtAgent::Steps));
        self.agent_will_dial(machine, life);
    }

    /// Gives an event to an agent.
    pub(crate) fn tell_agent(&mut self, machine: usize, life: u32, event: Event) {
        let delay = self.random.within(10..=400);
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        agent.inbox.push(event);
        if agent.recovered && !agent.step_due {
            agent.step_due = true;
            self.plan_in(delay, Happening::Agent(machine, life, AtAgent::Steps));
        }
    }

    /// One pass over what was collected.
    pub(crate) fn agent_steps(&mut self, machine: usize, life: u32, tick: bool) {
        let now = self.machines[machine].clock.now(self.now);
        let (true_now, step) = (self.now, self.step);
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        if tick {
            if !is_due(&mut agent.tick_at, true_now) {
                return;
            }
            agent.inbox.push(Event::Tick);
        } else {
            agent.step_due = false;
        }
        if !agent.recovered {
            return;
        }
        let events = std::mem::take(&mut agent.inbox);
        self.trace
            .line(self.now, || format!("agent {machine}.{life} <- {events:?}"));
        self.agent_saw(machine, step, &events);
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        let turn = agent.node.handle(events, now);
        self.agent_turn(machine, life, turn);
        self.agent_plans_tick(machine, life);
    }

    fn agent_plans_tick(&mut self, machine: usize, life: u32) {
        let now = self.now;
        let host = &mut self.machines[machine];
        let clock = host.clock.clone();
        let Some(agent) = host.living(life) else {
            return;
        };
        let deadline = agent
            .node
            .deadline()
            .map_or(now + TICK, |moment| clock.time_of(moment));
        let at = deadline.clamp(now + 1, now + TICK);
        if agent.tick_at.is_none_or(|planned| at < planned) {
            agent.tick_at = Some(at);
            self.agenda
                .add(at, Happening::Agent(machine, life, AtAgent::Ticks));
        }
    }

    fn agent_turn(&mut self, machine: usize, life: u32, turn: Turn) {
        let Turn {
            at_once,
            records,
            sync,
            after,
            rewrite,
        } = turn;
        self.agent_says(machine, &at_once);
        self.agent_says(machine, &after);
        self.trace.fold(&[
            at_once.len() as u64,
            records.len() as u64,
            after.len() as u64,
        ]);
        self.note(|| {
            format!("agent {machine}.{life} -> {at_once:?} {records:?} sync={sync} {after:?}")
        });
        self.runs_recorded(machine, &records);
        self.agent_performs(machine, life, at_once);
        // To die in a turn that writes nothing is to die at any time.
        if !records.is_empty() && self.mishap_of(Trouble::AgentDiedInTurn, self.plan.crash_in_turn)
        {
            if self.random.chance(400) {
                // What was decided is lost with it, but for what could be done at once.
                let again_in = self.random.within(1_000..=self.plan.lease);
                return self.agent_ends(machine, again_in);
            }
            self.crash_soon(machine, 3_000);
        }
        self.journal_takes(
            machine,
            life,
            crate::hosts::Write {
                records,
                sync,
                after,
                rewrite: rewrite.then(Vec::new),
                end: None,
            },
        );
    }

    pub(crate) fn agent_performs(&mut self, machine: usize, life: u32, effects: Vec<Effect>) {
        for effect in effects {
            self.agent_effect(machine, life, effect);
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one short arm for each kind of effect"
    )]
    fn agent_effect(&mut self, machine: usize, life: u32, effect: Effect) {
        match effect {
            Effect::Send { connection, frame } => {
                if let Some(link) = self.agent_link(machine, life, connection) {
                    self.send(link, Way::Up, Parcel::Up(frame));
                }
            }
            Effect::Close { connection } => {
                if let Some(link) = self.agent_link(machine, life, connection) {
                    self.agent_closes(machine, life, link);
                }
            }
            Effect::Start { keeper, launch } => {
                let attempt = launch.attempt;
                if let Some(agent) = self.machines[machine].living(life) {
                    agent
                        .children
                        .insert(attempt, ChildOfKeeper::ordered(keeper, launch.run));
                }
                self.tell_keeper(machine, life, keeper, ToKeeper::Start(launch));
                self.start_is_lost(machine, life, (keeper, attempt));
            }
            Effect::Stop {
                keeper: Some(keeper),
                attempt,
                signal,
                grace,
                reason,
            } => {
                self.truth.orders_stop(attempt, reason);
                let stop = ToKeeper::Stop {
                    attempt,
                    signal,
                    grace,
                    reason,
                };
                self.tell_keeper(machine, life, keeper, stop);
            }
            Effect::Stop {
                keeper: None,
                attempt,
                grace,
                reason,
                ..
            } => {
                self.truth.orders_stop(attempt, reason);
                self.agent_stops(machine, life, attempt, (grace, reason));
            }
            Effect::Fence {
                keeper,
                attempt,
                deadline,
            } => {
                self.tell_keeper(machine, life, keeper, ToKeeper::Fence { attempt, deadline });
            }
            Effect::Forget { keeper, attempt } => {
                if let Some(agent) = self.machines[machine].living(life) {
                    agent.children.remove(&attempt);
                }
                self.tell_keeper(machine, life, keeper, ToKeeper::Forget { attempt });
            }
            Effect::RunKernel { attempt, call, .. } => {
                let own = self.has_its_parameters(attempt, &call.parameters);
                self.check(own);
                self.kernel_starts(machine, life, attempt);
            }
            Effect::StopKernel { attempt } => self.kernel_stops(machine, life, attempt),
            Effect::ReadOutput {
                connection,
                request,
                ..
            } => {
                let part = Err(OutputFault::Gone);
                self.tell_agent(
                    machine,
                    life,
                    Event::OutputRead {
                        connection,
                        request,
                        part,
                    },
                );
            }
            Effect::Ask {
                connection,
                request,
                ..
            } => {
                let answer = Err(AskFault::Gone);
                let event = Event::Answered {
                    connection,
                    request,
                    answer,
                };
                self.tell_agent(machine, life, event);
            }
            Effect::LocalAnswer { request, .. } => self.order_is_answered(machine, life, request),
            Effect::Probe {
                attempt,
                run,
                probe,
                number,
                timeout,
                ..
            } => {
                let probe = ProbeOf {
                    attempt,
                    run,
                    probe,
                    number,
                };
                self.probe_begins(machine, life, probe, timeout);
            }
            Effect::Tail { attempt, run } => {
                let event = Event::Tailed {
                    attempt,
                    lines: LastLines {
                        run,
                        stderr: "the end".into(),
                        ..LastLines::default()
                    },
                };
                self.tell_agent(machine, life, event);
            }
            Effect::Refused(_) | Effect::Quit => {}
        }
    }

    /// The agent dies: its kernels with it, its keepers and their children live on.
    pub(crate) fn agent_ends(&mut self, machine: usize, again_in: u64) {
        let now = self.now;
        let Some(agent) = self.machines[machine].agent.take() else {
            return;
        };
        let life = agent.life;
        self.note(|| format!("agent {machine}.{life} dies"));
        self.machines[machine].agent_stopped = false;
        self.truth.frozen_kernels.remove(&machine);
        self.removes_copy_of(machine);
        self.truth.excuse(machine, now, Excuse::AgentDied);
        for attempt in &agent.unwritten {
            self.truth.end_seen.remove(attempt);
        }
        self.cancels_are_lost(machine);
        self.orders_are_lost(machine, life);
        for attempt in agent.kernels.keys() {
            self.truth.leader_ended(*attempt, now, Ending::AgentDied);
            self.truth.ended(*attempt, now);
        }
        for link in self.network.of_agent(machine) {
            if let Some(open) = self.network.links.get_mut(&link) {
                open.agent_open = false;
            }
            if self.machines[machine].powered {
                self.send(link, Way::Up, Parcel::Closed);
            }
            self.network.forget_if_closed(link);
        }
        self.keepers_lose_agent(machine, life);
        if self.machines[machine].powered {
            self.agent_will_start(machine, again_in);
        }
    }
}

fn new_agent(life: u32, node: Node) -> Agent {
    Agent {
        life,
        node,
        inbox: Vec::new(),
        step_due: false,
        tick_at: None,
        journal: VecDeque::new(),
        syncing: false,
        full: false,
        link: None,
        dialing: false,
        next_connection: 0,
        asked: BTreeSet::new(),
        listed: Vec::new(),
        recovered: false,
        keeper: KeeperId(0),
        children: BTreeMap::new(),
        kernels: BTreeMap::new(),
        unwritten: BTreeSet::new(),
    }
}

/// What the shell remembers of a listed child; nothing if it ended for sure.
fn child_of_keeper(owner: Option<KeeperId>, child: &Child) -> Option<ChildOfKeeper> {
    let started_at = match child.state {
        ChildState::Waiting | ChildState::Starting => None,
        ChildState::Running { started_at, .. } => Some(started_at),
        ChildState::NotStarted { .. }
        | ChildState::Ended(End::Known { .. } | End::Unknown { .. }) => return None,
    };
    Some(ChildOfKeeper {
        keeper: owner.unwrap_or(KeeperId(0)),
        run: child.run,
        pidfd: owner.is_some() && started_at.is_some(),
        stopped: None,
        watched: owner.is_none(),
        started_at,
    })
}

impl ChildOfKeeper {
    fn ordered(keeper: KeeperId, run: u32) -> Self {
        Self {
            keeper,
            run,
            pidfd: false,
            stopped: None,
            watched: false,
            started_at: None,
        }
    }
}
