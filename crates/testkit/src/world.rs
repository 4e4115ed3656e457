//! Everything that is simulated, and the order in which it happens.

use std::collections::BTreeMap;

use flota_engine::keeper::api::{FromKeeper, KeeperId, Peer, ToKeeper};
use flota_model::ids::AttemptId;

use crate::{
    faults::Fault,
    hosts::{Machine, ServerHost},
    network::{LinkId, Network, Parcel, Way},
    plan::Plan,
    random::Random,
    script::Specs,
    time::Time,
    trace::Trace,
    truth::{Breach, Invariant, Truth},
    workload::{Clients, Errand},
};

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    ServerStarts,
    ServerSteps {
        server: usize,
    },
    ServerTicks {
        server: usize,
    },
    CommitEnds {
        server: usize,
        again: bool,
    },
    AgentStarts {
        machine: usize,
    },
    AgentSteps {
        machine: usize,
        life: u32,
    },
    AgentTicks {
        machine: usize,
        life: u32,
    },
    AgentDials {
        machine: usize,
        life: u32,
    },
    JournalWrites {
        machine: usize,
        life: u32,
    },
    JournalSynced {
        machine: usize,
        life: u32,
        length: usize,
    },
    KernelEnds {
        machine: usize,
        life: u32,
        attempt: AttemptId,
        plan: u32,
    },
    StopOverdue {
        machine: usize,
        life: u32,
        attempt: AttemptId,
    },
    ToKeeper {
        machine: usize,
        keeper: KeeperId,
        peer: Peer,
        message: ToKeeper,
    },
    FromKeeper {
        machine: usize,
        keeper: KeeperId,
        life: u32,
        message: FromKeeper,
    },
    PeerGone {
        machine: usize,
        keeper: KeeperId,
        peer: Peer,
    },
    KeeperGone {
        machine: usize,
        keeper: KeeperId,
        life: u32,
    },
    KeeperSteps {
        machine: usize,
        keeper: KeeperId,
    },
    KeeperTicks {
        machine: usize,
        keeper: KeeperId,
    },
    Execs {
        machine: usize,
        attempt: AttemptId,
    },
    Exits {
        machine: usize,
        attempt: AttemptId,
        plan: u32,
    },
    Swept {
        machine: usize,
        attempt: AttemptId,
    },
    Arrives {
        link: LinkId,
        way: Way,
        parcel: Box<Parcel>,
    },
    Client(Errand),
    Fault(Fault),
    Thaws {
        machine: usize,
    },
    Heals,
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
        if let Happening::ServerSteps { server }
        | Happening::ServerTicks { server }
        | Happening::CommitEnds { server, .. } = &happening
            && let Some(server) = self.server.lives.get_mut(*server)
            && server.stopped
            && server.alive
        {
            server.deferred.push(happening);
            return None;
        }
        let (machine, agent) = place_of(&happening);
        let machine = match machine {
            Some(machine) => &mut self.machines[machine],
            None => return Some(happening),
        };
        if machine.suspended || (agent && machine.agent_stopped) {
            machine.deferred.push(happening);
            return None;
        }
        Some(happening)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ServerStarts => self.server_starts(),
            Happening::ServerSteps { server } => self.server_steps(server, false),
            Happening::ServerTicks { server } => self.server_steps(server, true),
            Happening::CommitEnds { server, again } => self.commit_ends(server, again),
            Happening::AgentStarts { machine } => self.agent_starts(machine),
            Happening::AgentSteps { machine, life } => self.agent_steps(machine, life, false),
            Happening::AgentTicks { machine, life } => self.agent_steps(machine, life, true),
            Happening::AgentDials { machine, life } => self.agent_dials(machine, life),
            Happening::JournalWrites { machine, life } => self.journal_writes(machine, life),
            Happening::JournalSynced {
                machine,
                life,
                length,
            } => {
                self.journal_synced(machine, life, length);
            }
            Happening::KernelEnds {
                machine,
                life,
                attempt,
                plan,
            } => {
                self.kernel_ends(machine, life, attempt, plan);
            }
            Happening::StopOverdue {
                machine,
                life,
                attempt,
            } => {
                self.stop_overdue(machine, life, attempt);
            }
            Happening::ToKeeper {
                machine,
                keeper,
                peer,
                message,
            } => {
                self.keeper_receives(machine, keeper, peer, message);
            }
            Happening::FromKeeper {
                machine,
                keeper,
                life,
                message,
            } => {
                self.agent_receives(machine, keeper, life, message);
            }
            Happening::PeerGone {
                machine,
                keeper,
                peer,
            } => self.peer_gone(machine, keeper, peer),
            Happening::KeeperGone {
                machine,
                keeper,
                life,
            } => {
                self.keeper_gone(machine, keeper, life);
            }
            Happening::KeeperSteps { machine, keeper } => self.keeper_steps(machine, keeper, false),
            Happening::KeeperTicks { machine, keeper } => self.keeper_steps(machine, keeper, true),
            Happening::Execs { machine, attempt } => self.execs(machine, attempt),
            Happening::Exits {
                machine,
                attempt,
                plan,
            } => self.exits(machine, attempt, plan),
            Happening::Swept { machine, attempt } => self.swept(machine, attempt),
            Happening::Arrives { link, way, parcel } => self.arrives(link, way, *parcel),
            Happening::Client(errand) => self.client(errand),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Thaws { machine } => self.thawed(machine),
            Happening::Heals => self.heals(),
        }
    }
}

/// The machine of a happening, if it can be held back, and whether the agent alone is meant.
fn place_of(happening: &Happening) -> (Option<usize>, bool) {
    match happening {
        Happening::AgentSteps { machine, .. }
        | Happening::AgentTicks { machine, .. }
        | Happening::AgentDials { machine, .. }
        | Happening::JournalWrites { machine, .. }
        | Happening::JournalSynced { machine, .. }
        | Happening::KernelEnds { machine, .. }
        | Happening::StopOverdue { machine, .. }
        | Happening::FromKeeper { machine, .. }
        | Happening::KeeperGone { machine, .. } => (Some(*machine), true),
        Happening::ToKeeper { machine, .. }
        | Happening::PeerGone { machine, .. }
        | Happening::KeeperSteps { machine, .. }
        | Happening::KeeperTicks { machine, .. }
        | Happening::Execs { machine, .. }
        | Happening::Exits { machine, .. }
        | Happening::Swept { machine, .. } => (Some(*machine), false),
        Happening::ServerStarts
        | Happening::ServerSteps { .. }
        | Happening::ServerTicks { .. }
        | Happening::CommitEnds { .. }
        | Happening::AgentStarts { .. }
        | Happening::Arrives { .. }
        | Happening::Client(_)
        | Happening::Fault(_)
        | Happening::Thaws { .. }
        | Happening::Heals => (None, false),
    }
}
