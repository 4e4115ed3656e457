//! What goes wrong, and how it is put right again.

use crate::{
    network::Way,
    random::Random,
    tally::Trouble,
    truth::Excuse,
    workload::Errand,
    world::{Happening, World},
};

/// One thing that goes wrong, or ends going wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Server(ServerFault),
    Machine(usize, MachineFault),
    Disk(usize, DiskFault),
}

/// Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ServerFault {
    Dies {
        again_in: u64,
    },
    LosesPower {
        again_in: u64,
    },
    Stops {
        lasts: u64,
    },
    Continues {
        server: usize,
    },
    /// The server is stopped and another one takes the store; later the first goes on.
    Failover {
        lasts: u64,
    },
    DiskFull {
        commits: u32,
    },
    Slow(bool),
    Backup,
    Restore,
    CrashLoop {
        starts: u32,
    },
}

/// Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MachineFault {
    AgentDies { again_in: u64 },
    KeeperDies,
    BothDie { again_in: u64 },
    AgentStops { lasts: u64 },
    AgentContinues { life: u32 },
    Suspends { lasts: u64 },
    Resumes,
    PowerCut { lasts: u64 },
    PowerOn,
    DiskFull { lasts: u64 },
    DiskFree,
    Cut { way: Way, lasts: u64 },
    Mend { way: Way },
    Reset,
    ClockJumps { micros: i64 },
}

/// What happens to the folder of an agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DiskFault {
    Damage,
    KeepCopy,
    RollBack,
    MoveAway,
    CopyBeside,
}

/// The kinds of faults that a seed may draw; the rest follows from them.
const KINDS: u64 = 21;

/// The first kind of those that concern folders of agents.
pub(crate) const FOLDERS: u64 = 16;
const COPIES: u64 = 18;

/// Whether faults of a drawn kind make a second folder of a node.
pub(crate) fn copies_folder(kind: u64) -> bool {
    kind % KINDS == COPIES
}

/// A fault of a drawn kind.
pub(crate) fn draw(kind: u64, nodes: usize, lease: u64, random: &mut Random) -> Fault {
    let machine = random.index(nodes);
    let lasts = random.within(10_000..=lease * 3);
    let again_in = match random.below(3) {
        0 => random.within(1_000..=200_000),
        1 => random.within(200_000..=lease),
        _ => random.within(lease..=lease * 3),
    };
    let server = Fault::Server;
    let of_machine = |fault| Fault::Machine(machine, fault);
    let of_disk = |fault| Fault::Disk(machine, fault);
    match kind % KINDS {
        0 => server(ServerFault::Dies { again_in }),
        1 => server(ServerFault::LosesPower { again_in }),
        2 => server(ServerFault::Stops { lasts }),
        3 => server(ServerFault::Failover { lasts }),
        4 => server(ServerFault::DiskFull {
            commits: if random.chance(500) { 1 } else { 2 },
        }),
        5 => server(ServerFault::Slow(random.chance(500))),
        6 => server(ServerFault::Backup),
        7 => server(ServerFault::Restore),
        8 => server(ServerFault::CrashLoop {
            starts: u32::try_from(random.within(3..=12)).unwrap_or(3),
        }),
        9 => of_machine(MachineFault::AgentDies { again_in }),
        10 => of_machine(MachineFault::KeeperDies),
        11 => of_machine(MachineFault::BothDie { again_in }),
        12 => of_machine(MachineFault::AgentStops { lasts }),
        13 => of_machine(MachineFault::Suspends { lasts }),
        14 => of_machine(MachineFault::PowerCut { lasts: again_in }),
        15 => of_machine(MachineFault::DiskFull { lasts }),
        16 => of_disk(DiskFault::Damage),
        17 if random.chance(600) => of_disk(DiskFault::KeepCopy),
        17 => of_disk(DiskFault::RollBack),
        COPIES if random.chance(500) => of_disk(DiskFault::MoveAway),
        COPIES => of_disk(DiskFault::CopyBeside),
        19 => {
            let way = *random.pick(&[Way::Up, Way::Down]);
            of_machine(MachineFault::Cut { way, lasts })
        }
        _ if random.chance(500) => of_machine(MachineFault::Reset),
        _ => {
            let hours = i64::try_from(random.below(48)).unwrap_or(0) - 24;
            of_machine(MachineFault::ClockJumps {
                micros: hours * 3_600_000_000,
            })
        }
    }
}

impl Fault {
    /// Whether something is put right again.
    fn ends(self) -> bool {
        match self {
            Self::Server(fault) => matches!(fault, ServerFault::Continues { .. }),
            Self::Machine(_, fault) => matches!(
                fault,
                MachineFault::AgentContinues { .. }
                    | MachineFault::Resumes
                    | MachineFault::PowerOn
                    | MachineFault::DiskFree
                    | MachineFault::Mend { .. }
            ),
            Self::Disk(..) => false,
        }
    }
}

impl World {
    pub(crate) fn plan_fault(&mut self, micros: u64, fault: Fault) {
        self.plan_in(micros, Happening::Fault(fault));
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        if self.healed && !fault.ends() {
            return;
        }
        self.note(|| format!("FAULT {fault:?}"));
        match fault {
            Fault::Server(fault) => self.server_fault(fault),
            Fault::Machine(machine, fault) => self.machine_fault(machine, fault),
            Fault::Disk(machine, fault) => self.disk_fault(machine, fault),
        }
    }

    fn server_fault(&mut self, fault: ServerFault) {
        let current = self.server.current;
        match (fault, current) {
            (ServerFault::Dies { again_in }, Some(server)) => self.server_ends(server, again_in),
            (ServerFault::LosesPower { again_in }, _) => {
                self.count(Trouble::ServerLostPower);
                self.server.boot.0 += 1;
                self.server.clock.reboot(self.now);
                self.all_servers_end(again_in);
            }
            (ServerFault::Stops { lasts }, Some(server)) => {
                self.count(Trouble::ServerStopped);
                self.server.lives[server].stopped = true;
                self.plan_fault(lasts, Fault::Server(ServerFault::Continues { server }));
            }
            (ServerFault::Continues { server }, _) => self.server_continues(server),
            (ServerFault::Failover { lasts }, Some(server)) if self.plan.several_servers => {
                self.server.lives[server].stopped = true;
                self.server.current = None;
                for machine in 0..self.machines.len() {
                    self.removes_copy_of(machine);
                }
                self.plan_fault(lasts, Fault::Server(ServerFault::Continues { server }));
                self.server_will_start(1_000);
            }
            (ServerFault::DiskFull { commits }, _) => self.server.full = commits,
            (ServerFault::Slow(slow), _) => self.server.slow = slow,
            (ServerFault::Backup, _) => {
                self.server.backup = Some((self.machines.len(), self.server.store.clone()));
            }
            (ServerFault::Restore, _) => self.restore(),
            (ServerFault::CrashLoop { starts }, Some(server)) => {
                self.server.crash_loop = starts;
                self.server_ends(server, 1_000);
            }
            (
                ServerFault::Dies { .. }
                | ServerFault::Stops { .. }
                | ServerFault::Failover { .. }
                | ServerFault::CrashLoop { .. },
                None,
            )
            | (ServerFault::Failover { .. }, Some(_)) => {}
        }
    }

    pub(crate) fn all_servers_end(&mut self, again_in: u64) {
        for server in 0..self.server.lives.len() {
            self.server_ends(server, again_in);
        }
        self.server_will_start(again_in);
    }

    /// Puts the backup in place of the store, unless a folder was moved or copied since: a store that
    /// knows nothing of the nonces of the copy takes whichever comes first for the node (PROTOCOL 3).
    fn restore(&mut self) {
        let machines = self.machines.len();
        let backup = self.server.backup.clone();
        let Some((_, backup)) = backup.filter(|(known, _)| *known == machines) else {
            return;
        };
        self.count(Trouble::Restored);
        self.all_servers_end(50_000);
        self.server.store.restore(&backup);
        self.truth.restored(&self.server.store);
        self.clients.restores += 1;
        for client in &mut self.clients.services {
            client.is_in_doubt = true;
        }
        for machine in 0..self.machines.len() {
            // What was settled since the backup is forgotten by both sides.
            self.truth.excuse(machine, self.now, Excuse::Lapse);
        }
    }

    /// All faults end; from here on everything must come to its end.
    pub(crate) fn heals(&mut self) {
        self.healed = true;
        self.note(|| "HEALED".to_owned());
        self.server.full = 0;
        self.server.slow = false;
        self.server.crash_loop = 0;
        for server in 0..self.server.lives.len() {
            self.server_continues(server);
        }
        for machine in 0..self.machines.len() {
            self.machine_heals(machine);
        }
        if self.server.current.is_none() {
            self.server_will_start(1_000);
        }
        self.plan_in(1_000, Happening::Client(Errand::Look));
    }
}
