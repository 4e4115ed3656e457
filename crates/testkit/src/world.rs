//! Everything that is simulated, and the order in which it happens.

use std::collections::BTreeMap;

use flota_engine::keeper::api::{FromKeeper, KeeperId, Peer, ToKeeper};
use flota_model::ids::{AttemptId, NodeId, RequestId};

use crate::{
    faults::Fault,
    hosts::{Machine, ServerHost},
    network::{LinkId, Network, Parcel, Way},
    plan::Plan,
    probes::ProbeOf,
    random::Random,
    script::Specs,
    tally::{Tally, Trouble},
    time::Time,
    trace::Trace,
    truth::{Breach, Invariant, Truth},
    workload::{Clients, Errand},
};

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    ServerStarts,
    /// To a start of the server.
    Server(usize, AtServer),
    AgentStarts(usize),
    /// To a start of the agent of a machine.
    Agent(usize, u32, AtAgent),
    /// To a machine, its keepers and programs.
    Machine(usize, AtMachine),
    Arrives {
        link: LinkId,
        way: Way,
        parcel: Box<Parcel>,
    },
    Client(Errand),
    /// An order of a client of a node was carried out for a start of the server.
    OrderDone(usize, NodeId, RequestId),
    Fault(Fault),
    /// A machine that stood still has had its moment.
    Thaws(usize),
    Heals,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum AtServer {
    Steps,
    Ticks,
    CommitEnds { again: bool },
}

#[derive(Debug, Clone)]
pub(crate) enum AtAgent {
    Steps,
    Ticks,
    Dials,
    JournalWrites,
    JournalSynced {
        length: usize,
    },
    KernelEnds {
        attempt: AttemptId,
        plan: u32,
    },
    StopOverdue {
        attempt: AttemptId,
        pid: u32,
    },
    ProbeEnds(ProbeOf),
    Hears {
        keeper: KeeperId,
        message: FromKeeper,
    },
    KeeperGone {
        keeper: KeeperId,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum AtMachine {
    KeeperHears {
        keeper: KeeperId,
        peer: Peer,
        message: ToKeeper,
    },
    PeerGone {
        keeper: KeeperId,
        peer: Peer,
    },
    KeeperSteps {
        keeper: KeeperId,
    },
    KeeperTicks {
        keeper: KeeperId,
    },
    /// Of the process with that number, as all that follow: an attempt of a service has one after the
    /// other.
    Execs {
        attempt: AttemptId,
        pid: u32,
    },
    Exits {
        attempt: AttemptId,
        pid: u32,
        plan: u32,
    },
    Swept {
        attempt: AttemptId,
        pid: u32,
    },
}

/// What happens when; at the same time in the order of planning.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeMap<(Time, u64), Happening>,
    next: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Time, happening: Happening) {
        self.next += 1;
        self.entries.insert((at, self.next), happening);
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, Happening)> {
        self.entries
            .pop_first()
            .map(|((at, _), happening)| (at, happening))
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) step: u64,
    pub(crate) random: Random,
    pub(crate) agenda: Agenda,
    pub(crate) trace: Trace,
    pub(crate) plan: Plan,
    pub(crate) specs: Specs,
    pub(crate) server: ServerHost,
    pub(crate) machines: Vec<Machine>,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) truth: Truth,
    pub(crate) breach: Option<Breach>,
    /// No faults any more.
    pub(crate) healed: bool,
    pub(crate) tally: Tally,
}

impl World {
    /// Plans a happening in some microseconds.
    pub(crate) fn plan_in(&mut self, micros: u64, happening: Happening) {
        self.agenda.add(self.now + micros, happening);
    }

    /// True in `per_mille` of 1,000 cases while there are faults.
    pub(crate) fn mishap(&mut self, per_mille: u32) -> bool {
        !self.healed && self.random.chance(per_mille)
    }

    /// Counts something that went wrong.
    pub(crate) fn count(&mut self, trouble: Trouble) {
        self.tally.count(trouble);
    }

    /// The same, if a mishap happens.
    pub(crate) fn mishap_of(&mut self, trouble: Trouble, per_mille: u32) -> bool {
        let happens = self.mishap(per_mille);
        if happens {
            self.count(trouble);
        }
        happens
    }

    /// Keeps the first breach.
    pub(crate) fn check(&mut self, result: Result<(), Breach>) {
        if let Err(breach) = result {
            self.trace.line(self.now, || format!("BREACH {breach:?}"));
            self.breach.get_or_insert(breach);
        }
    }

    pub(crate) fn fail(&mut self, invariant: Invariant, detail: String) {
        self.check(Err(Breach { invariant, detail }));
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        self.trace.line(self.now, text);
    }

    /// Lets things happen until nothing is left to do, an invariant breaks or time is up.
    pub(crate) fn run(&mut self) {
        while let Some((at, happening)) = self.agenda.pop() {
            self.now = self.now.max(at);
            self.step += 1;
            self.trace.fold(&[self.now.0, self.step]);
            if let Some(held) = self.defer(happening) {
                self.happen(held);
            }
            if self.breach.is_some() || self.is_over() {
                return;
            }
        }
    }

    /// Keeps what cannot happen because its machine or process stands still.
    fn defer(&mut self, happening: Happening) -> Option<Happening> {
        let held = match happening {
            Happening::Server(server, _) => {
                let life = self.server.lives.get_mut(server);
                life.filter(|life| life.alive && life.stopped)
                    .map(|life| &mut life.deferred)
            }
            Happening::Agent(machine, ..) => {
                let host = &mut self.machines[machine];
                (host.suspended || host.agent_stopped).then_some(&mut host.deferred)
            }
            Happening::Machine(machine, _) => {
                let host = &mut self.machines[machine];
                host.suspended.then_some(&mut host.deferred)
            }
            Happening::ServerStarts
            | Happening::AgentStarts(_)
            | Happening::Arrives { .. }
            | Happening::Client(_)
            | Happening::OrderDone(..)
            | Happening::Fault(_)
            | Happening::Thaws(_)
            | Happening::Heals => None,
        };
        match held {
            Some(held) => {
                held.push(happening);
                None
            }
            None => Some(happening),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ServerStarts => self.server_starts(),
            Happening::Server(server, AtServer::Steps) => self.server_steps(server, false),
            Happening::Server(server, AtServer::Ticks) => self.server_steps(server, true),
            Happening::Server(server, AtServer::CommitEnds { again }) => {
                self.commit_ends(server, again);
            }
            Happening::AgentStarts(machine) => self.agent_starts(machine),
            Happening::Agent(machine, life, what) => self.happen_at_agent(machine, life, what),
            Happening::Machine(machine, what) => self.happen_at_machine(machine, what),
            Happening::Arrives { link, way, parcel } => self.arrives(link, way, *parcel),
            Happening::Client(errand) => self.client(errand),
            Happening::OrderDone(server, node, order) => self.order_is_done(server, node, order),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Thaws(machine) => self.thawed(machine),
            Happening::Heals => self.heals(),
        }
    }

    fn happen_at_agent(&mut self, machine: usize, life: u32, what: AtAgent) {
        match what {
            AtAgent::Steps => self.agent_steps(machine, life, false),
            AtAgent::Ticks => self.agent_steps(machine, life, true),
            AtAgent::Dials => self.agent_dials(machine, life),
            AtAgent::JournalWrites => self.journal_writes(machine, life),
            AtAgent::JournalSynced { length } => self.journal_synced(machine, life, length),
            AtAgent::KernelEnds { attempt, plan } => self.kernel_ends(machine, life, attempt, plan),
            AtAgent::StopOverdue { attempt, pid } => {
                if self.is_process(machine, attempt, pid) {
                    self.stop_overdue(machine, life, attempt);
                }
            }
            AtAgent::ProbeEnds(probe) => self.probe_ends(machine, life, probe),
            AtAgent::Hears { keeper, message } => {
                self.agent_receives(machine, keeper, life, message);
            }
            AtAgent::KeeperGone { keeper } => self.keeper_gone(machine, keeper, life),
        }
    }

    fn happen_at_machine(&mut self, machine: usize, what: AtMachine) {
        match what {
            AtMachine::KeeperHears {
                keeper,
                peer,
                message,
            } => {
                self.keeper_receives(machine, keeper, peer, message);
            }
            AtMachine::PeerGone { keeper, peer } => self.peer_gone(machine, keeper, peer),
            AtMachine::KeeperSteps { keeper } => self.keeper_steps(machine, keeper, false),
            AtMachine::KeeperTicks { keeper } => self.keeper_steps(machine, keeper, true),
            AtMachine::Execs { attempt, pid } => {
                if self.is_process(machine, attempt, pid) {
                    self.execs(machine, attempt);
                }
            }
            AtMachine::Exits { attempt, pid, plan } => {
                if self.is_process(machine, attempt, pid) {
                    self.exits(machine, attempt, plan);
                }
            }
            AtMachine::Swept { attempt, pid } => {
                if self.is_process(machine, attempt, pid) {
                    self.swept(machine, attempt);
                }
            }
        }
    }
}
