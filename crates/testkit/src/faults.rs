//! What goes wrong, and how it is put right again.

use crate::{
    network::Way,
    random::Random,
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
    Clone,
}

/// The kinds of faults that a seed may draw; the rest follows from them.
const KINDS: u64 = 21;

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
        18 => of_disk(DiskFault::Clone),
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
                self.server.boot.0 += 1;
                self.server.clock.reboot(self.now);
                self.all_servers_end(again_in);
            }
            (ServerFault::Stops { lasts }, Some(server)) => {
                self.server.lives[server].stopped = true;
                self.plan_fault(lasts, Fault::Server(ServerFault::Continues { server }));
            }
            (ServerFault::Continues { server }, _) => self.server_continues(server),
            (ServerFault::Failover { lasts }, Some(server)) => {
                self.server.lives[server].stopped = true;
                self.server.current = None;
                self.plan_fault(lasts, Fault::Server(ServerFault::Continues { server }));
                self.server_will_start(1_000);
            }
            (ServerFault::DiskFull { commits }, _) => self.server.full = commits,
            (ServerFault::Slow(slow), _) => self.server.slow = slow,
            (ServerFault::Backup, _) => self.server.backup = Some(self.server.store.clone()),
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
            ) => {}
        }
    }

    fn all_servers_end(&mut self, again_in: u64) {
        for server in 0..self.server.lives.len() {
            self.server_ends(server, again_in);
        }
        self.server_will_start(again_in);
    }

    fn restore(&mut self) {
        let Some(backup) = self.server.backup.clone() else {
            return;
        };
        self.all_servers_end(50_000);
        self.server.store.restore(&backup);
        self.truth.restored(&self.server.store);
        self.clients.restores += 1;
    }

    fn machine_fault(&mut self, machine: usize, fault: MachineFault) {
        match fault {
            MachineFault::AgentDies { again_in } => self.agent_ends(machine, again_in),
            MachineFault::KeeperDies => self.keepers_die(machine),
            MachineFault::BothDie { again_in } => {
                self.agent_ends(machine, again_in);
                self.keepers_die(machine);
            }
            MachineFault::AgentStops { lasts } => self.agent_stands(machine, lasts),
            MachineFault::AgentContinues { life } => self.agent_continues(machine, life),
            MachineFault::Suspends { lasts } => {
                if self.machines[machine].powered && !self.machines[machine].suspended {
                    self.machines[machine].suspended = true;
                    self.truth.frozen.insert(machine);
                    self.plan_fault(lasts, Fault::Machine(machine, MachineFault::Resumes));
                }
            }
            MachineFault::Resumes => self.resumes(machine),
            MachineFault::PowerCut { lasts } => self.loses_power(machine, lasts),
            MachineFault::PowerOn => self.powers_on(machine),
            MachineFault::DiskFull { lasts } => {
                self.machines[machine].disk.full = true;
                self.plan_fault(lasts, Fault::Machine(machine, MachineFault::DiskFree));
            }
            MachineFault::DiskFree => self.machines[machine].disk.full = false,
            MachineFault::Cut { way, lasts } => {
                self.network.cut(machine, way);
                self.plan_fault(lasts, Fault::Machine(machine, MachineFault::Mend { way }));
            }
            MachineFault::Mend { way } => self.mend(machine, way),
            MachineFault::Reset => {
                for link in self.network.of_agent(machine) {
                    self.reset(link);
                }
            }
            MachineFault::ClockJumps { micros } => {
                self.machines[machine].clock.jump(micros);
                self.server.clock.jump(micros / 2);
            }
        }
    }

    /// An agent dies within that time.
    pub(crate) fn crash_soon(&mut self, machine: usize, within: u64) {
        let moment = self.random.below(within);
        let again_in = self.random.within(1_000..=self.plan.lease);
        let fault = if self.random.chance(500) {
            MachineFault::AgentDies { again_in }
        } else {
            MachineFault::PowerCut { lasts: again_in }
        };
        self.plan_fault(moment, Fault::Machine(machine, fault));
    }

    fn keepers_die(&mut self, machine: usize) {
        let keepers: Vec<_> = self.machines[machine].keepers.keys().copied().collect();
        for keeper in keepers {
            self.keeper_ends(machine, keeper);
        }
    }

    fn agent_stands(&mut self, machine: usize, lasts: u64) {
        let host = &mut self.machines[machine];
        if let (Some(agent), false) = (&host.agent, host.agent_stopped) {
            let life = agent.life;
            host.agent_stopped = true;
            self.truth.frozen_kernels.insert(machine);
            let ends = MachineFault::AgentContinues { life };
            self.plan_fault(lasts, Fault::Machine(machine, ends));
        }
    }

    fn agent_continues(&mut self, machine: usize, life: u32) {
        let host = &mut self.machines[machine];
        if host.agent_stopped && host.agent.as_ref().is_some_and(|agent| agent.life == life) {
            host.agent_stopped = false;
            self.truth.frozen_kernels.remove(&machine);
            self.go_on(machine);
        }
    }

    fn resumes(&mut self, machine: usize) {
        if std::mem::take(&mut self.machines[machine].suspended) {
            self.truth.frozen.remove(&machine);
            if !self.machines[machine].agent_stopped {
                self.truth.frozen_kernels.remove(&machine);
            }
            self.go_on(machine);
            if self.machines[machine].agent.is_none() {
                self.agent_will_start(machine, 1_000);
            }
        }
    }

    /// What was held happens now, and those who stood still get a moment to look at their clocks.
    fn go_on(&mut self, machine: usize) {
        let held = std::mem::take(&mut self.machines[machine].deferred);
        for happening in held {
            self.agenda.add(self.now, happening);
        }
        self.truth
            .forgiven_until
            .insert(machine, self.now + FORGIVEN);
        self.plan_in(FORGIVEN + 1, Happening::Thaws { machine });
    }

    /// The moment is over.
    pub(crate) fn thawed(&mut self, machine: usize) {
        let forgiven = self.truth.forgiven_until.get(&machine);
        if forgiven.is_some_and(|until| *until < self.now) {
            let result = self.truth.check_machine(machine, self.now);
            self.check(result);
        }
    }

    pub(crate) fn loses_power(&mut self, machine: usize, lasts: u64) {
        if !self.machines[machine].powered {
            return;
        }
        self.note(|| format!("machine {machine} loses power"));
        self.truth.excuse(machine, self.now, Excuse::PowerCut);
        let host = &mut self.machines[machine];
        host.powered = false;
        host.suspended = false;
        host.deferred.clear();
        self.truth.frozen.remove(&machine);
        self.agent_ends(machine, 0);
        let host = &mut self.machines[machine];
        for keeper in host.keepers.values_mut() {
            keeper.alive = false;
        }
        // Their logs were never synced, and speak of another boot anyway.
        host.keepers.clear();
        host.disk.power_cut(&mut self.random);
        self.children_lose_power(machine);
        self.plan_fault(lasts, Fault::Machine(machine, MachineFault::PowerOn));
    }

    fn powers_on(&mut self, machine: usize) {
        let now = self.now;
        let host = &mut self.machines[machine];
        if !host.powered {
            host.powered = true;
            host.boot.0 += 1 << 64;
            host.clock.reboot(now);
            self.agent_will_start(machine, 1_000);
        }
    }

    fn disk_fault(&mut self, machine: usize, fault: DiskFault) {
        match fault {
            DiskFault::KeepCopy => {
                let copy = self.machines[machine].disk.clone();
                self.machines[machine].old_disk = Some(copy);
            }
            DiskFault::Damage => {
                self.agent_ends(machine, 100_000);
                self.machines[machine].disk.damage(&mut self.random);
                self.truth.excuse(machine, self.now, Excuse::JournalLost);
            }
            DiskFault::RollBack => {
                if let Some(copy) = self.machines[machine].old_disk.take() {
                    self.agent_ends(machine, 100_000);
                    self.machines[machine].disk = copy;
                    self.truth.excuse(machine, self.now, Excuse::JournalLost);
                }
            }
            DiskFault::Clone => self.clones(machine),
        }
    }

    /// The folder of a machine is copied to another one, and an agent is started on it.
    fn clones(&mut self, machine: usize) {
        let copies = self.machines.iter().filter(|host| host.copy).count();
        if self.machines[machine].copy || copies >= 2 {
            return;
        }
        let disk = self.machines[machine].disk.clone();
        let number = self.new_machine(true);
        let copy = &mut self.machines[number];
        copy.disk = disk;
        copy.disk.full = false;
        let name = self.machines[machine].name.clone();
        self.machines[number].name = name;
        self.truth.excuse(machine, self.now, Excuse::JournalLost);
        self.truth.excuse(number, self.now, Excuse::JournalLost);
        self.agent_will_start(number, 1_000);
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

    fn machine_heals(&mut self, machine: usize) {
        for way in [Way::Up, Way::Down] {
            while self.network.is_cut(machine, way) {
                self.mend(machine, way);
            }
        }
        if self.machines[machine].copy {
            // A copy is taken away for good: only its server must come to terms with it.
            self.loses_power(machine, u64::from(u32::MAX));
            return;
        }
        self.machines[machine].disk.full = false;
        self.machines[machine].down_until = self.now;
        self.powers_on(machine);
        self.resumes(machine);
        if let Some(life) = self.machines[machine]
            .agent
            .as_ref()
            .map(|agent| agent.life)
        {
            self.agent_continues(machine, life);
        } else {
            self.agent_will_start(machine, 1_000);
        }
    }
}

/// How long a keeper or an agent that stood still may need to see that time has passed.
const FORGIVEN: u64 = 100_000;
