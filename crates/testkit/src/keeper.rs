//! A model of the keeper's shell, and of the agent's side of it.

use flota_engine::keeper::{
    Keeper,
    api::{
        Effect, End, Event, FromKeeper, KeeperId, LogRecord, Peer, TAKEN_BACK, TOO_LATE, ToKeeper,
    },
};
use flota_model::ids::{AttemptId, Nonce};

use crate::{
    hosts::KeeperHost,
    tally::Trouble,
    time::{Time, is_due},
    truth::Excuse,
    world::{AtAgent, AtMachine, Happening, World},
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
                Happening::Machine(
                    machine,
                    AtMachine::KeeperHears {
                        keeper,
                        peer,
                        message,
                    },
                ),
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
            self.plan_in(
                delay,
                Happening::Machine(machine, AtMachine::KeeperSteps { keeper }),
            );
        }
    }

    /// One pass over what was collected.
    pub(crate) fn keeper_steps(&mut self, machine: usize, keeper: KeeperId, tick: bool) {
        let now = self.machines[machine].clock.now(self.now);
        let true_now = self.now;
        let Some(host) = self.machines[machine].keepers.get_mut(&keeper) else {
            return;
        };
        if !host.alive {
            return;
        }
        if tick {
            if !is_due(&mut host.tick_at, true_now) {
                return;
            }
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
            if self.mishap_of(Trouble::KeeperDiedInTurn, self.plan.keeper_crash) {
                return self.keeper_ends(machine, keeper);
            }
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
            self.agenda.add(
                at,
                Happening::Machine(machine, AtMachine::KeeperTicks { keeper }),
            );
        }
    }

    fn keeper_performs(&mut self, machine: usize, keeper: KeeperId, effect: Effect) {
        match effect {
            Effect::Log(record) => {
                if let LogRecord::NotStarted {
                    errno: TAKEN_BACK, ..
                } = record
                {
                    self.count(Trouble::TakenBack);
                }
                self.truth_of_log(&record);
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
            Effect::Signal { attempt, signal } => {
                if self.is_child(machine, keeper, attempt) {
                    self.signals(machine, attempt, signal);
                }
            }
            Effect::Sweep { attempt } => {
                if self.is_child(machine, keeper, attempt) {
                    self.sweeps(machine, attempt);
                }
            }
            Effect::Release { attempt } => {
                let host = &mut self.machines[machine];
                if host
                    .processes
                    .get(&attempt)
                    .is_some_and(|process| !process.is_alive() && process.keeper == keeper)
                {
                    host.processes.remove(&attempt);
                }
            }
            Effect::End => self.keeper_ends(machine, keeper),
        }
    }

    /// Whether the process of an attempt is a child of that keeper: an earlier run was perhaps one of
    /// another keeper. One that is gone may leave a tree to be swept.
    fn is_child(&self, machine: usize, keeper: KeeperId, attempt: AttemptId) -> bool {
        let process = self.machines[machine].processes.get(&attempt);
        process.is_none_or(|process| process.keeper == keeper)
    }

    /// The keeper ended an attempt because its lease was over, or did not even start it.
    fn truth_of_log(&mut self, record: &LogRecord) {
        match record {
            LogRecord::Ended {
                attempt,
                end: End::Known { fenced: true, .. },
            }
            | LogRecord::NotStarted {
                attempt,
                errno: TOO_LATE,
                ..
            } => {
                self.truth.fenced.insert(*attempt);
            }
            LogRecord::Spawning { .. }
            | LogRecord::Running { .. }
            | LogRecord::Stopping { .. }
            | LogRecord::NotStarted { .. }
            | LogRecord::Ended { .. }
            | LogRecord::Forgotten { .. } => {}
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
                Happening::Agent(machine, life, AtAgent::Hears { keeper, message }),
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
                Happening::Agent(machine, life, AtAgent::KeeperGone { keeper }),
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
                let gone = Happening::Machine(
                    machine,
                    AtMachine::PeerGone {
                        keeper: *keeper,
                        peer: *peer,
                    },
                );
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
}
