//! What happens to a machine, its disk and its processes.

use flota_engine::journal;

use crate::{
    disk::ByteDisk,
    faults::{DiskFault, Fault, MachineFault},
    network::Way,
    tally::Trouble,
    truth::Excuse,
    world::{Happening, World},
};

/// How long a keeper or an agent that stood still may need to see that time has passed.
const FORGIVEN: u64 = 100_000;

impl World {
    pub(crate) fn machine_fault(&mut self, machine: usize, fault: MachineFault) {
        self.count_machine_fault(machine, fault);
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

    fn count_machine_fault(&mut self, machine: usize, fault: MachineFault) {
        let host = &self.machines[machine];
        let agent = host.agent.is_some();
        let keeper = host.keepers.values().any(|keeper| keeper.alive);
        let trouble = match fault {
            MachineFault::AgentDies { .. } if agent => Trouble::AgentDied,
            MachineFault::KeeperDies if keeper && agent => Trouble::KeeperDied,
            MachineFault::BothDie { .. } if keeper && agent => Trouble::BothDied,
            MachineFault::AgentStops { .. } if agent => Trouble::AgentStopped,
            MachineFault::Suspends { .. } if host.powered => Trouble::Suspended,
            MachineFault::Cut { .. } => Trouble::Cut,
            MachineFault::Reset if agent => Trouble::Reset,
            MachineFault::ClockJumps { .. } => Trouble::ClockJumped,
            MachineFault::AgentDies { .. }
            | MachineFault::KeeperDies
            | MachineFault::BothDie { .. }
            | MachineFault::AgentStops { .. }
            | MachineFault::AgentContinues { .. }
            | MachineFault::Suspends { .. }
            | MachineFault::Resumes
            | MachineFault::PowerCut { .. }
            | MachineFault::PowerOn
            | MachineFault::DiskFull { .. }
            | MachineFault::DiskFree
            | MachineFault::Mend { .. }
            | MachineFault::Reset => return,
        };
        self.count(trouble);
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

    pub(crate) fn keepers_die(&mut self, machine: usize) {
        let keepers: Vec<_> = self.machines[machine].keepers.keys().copied().collect();
        for keeper in keepers {
            self.keeper_ends(machine, keeper);
        }
    }

    pub(crate) fn agent_stands(&mut self, machine: usize, lasts: u64) {
        let host = &mut self.machines[machine];
        if let (Some(agent), false) = (&host.agent, host.agent_stopped) {
            let life = agent.life;
            host.agent_stopped = true;
            self.truth.frozen_kernels.insert(machine);
            let ends = MachineFault::AgentContinues { life };
            self.plan_fault(lasts, Fault::Machine(machine, ends));
        }
    }

    pub(crate) fn agent_continues(&mut self, machine: usize, life: u32) {
        let host = &mut self.machines[machine];
        if host.agent_stopped && host.agent.as_ref().is_some_and(|agent| agent.life == life) {
            host.agent_stopped = false;
            self.truth.frozen_kernels.remove(&machine);
            self.go_on(machine);
        }
    }

    pub(crate) fn resumes(&mut self, machine: usize) {
        if std::mem::take(&mut self.machines[machine].suspended) {
            self.truth.frozen.remove(&machine);
            self.truth.was_suspended.insert(machine);
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
    pub(crate) fn go_on(&mut self, machine: usize) {
        let held = std::mem::take(&mut self.machines[machine].deferred);
        for happening in held {
            self.agenda.add(self.now, happening);
        }
        self.truth
            .forgiven_until
            .insert(machine, self.now + FORGIVEN);
        self.plan_in(FORGIVEN + 1, Happening::Thaws(machine));
    }

    /// The moment is over.
    pub(crate) fn thawed(&mut self, machine: usize) {
        let forgiven = self.truth.forgiven_until.get(&machine);
        if forgiven.is_some_and(|until| *until < self.now) {
            self.truth.was_suspended.remove(&machine);
            let result = self.truth.check_machine(machine, self.now);
            self.check(result);
        }
    }

    pub(crate) fn loses_power(&mut self, machine: usize, lasts: u64) {
        if !self.machines[machine].powered {
            return;
        }
        self.note(|| format!("machine {machine} loses power"));
        self.count(Trouble::PowerLost);
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
        let before = host.disk.bytes().len();
        host.disk.power_cut(&mut self.random);
        if host.disk.bytes().len() < before {
            self.tally.count(Trouble::JournalTorn);
        }
        self.children_lose_power(machine);
        self.plan_fault(lasts, Fault::Machine(machine, MachineFault::PowerOn));
    }

    pub(crate) fn powers_on(&mut self, machine: usize) {
        let now = self.now;
        let host = &mut self.machines[machine];
        if !host.powered {
            host.powered = true;
            host.boot.0 += 1 << 64;
            host.clock.reboot(now);
            // A server may have granted something meanwhile, on what it knew before.
            self.truth.excuse(machine, now, Excuse::PowerCut);
            self.agent_will_start(machine, 1_000);
        }
    }

    pub(crate) fn disk_fault(&mut self, machine: usize, fault: DiskFault) {
        match fault {
            DiskFault::KeepCopy => {
                if self.is_acknowledged(machine) {
                    let host = &mut self.machines[machine];
                    host.old_disk = Some((host.lives, host.disk.clone()));
                }
            }
            DiskFault::Damage => {
                self.agent_ends(machine, 100_000);
                // Damage to the very last batch cannot be told from a tail that was never synced
                // (PROTOCOL 14): only what a later batch proves to have been durable is damage.
                let mut damaged = self.machines[machine].disk.clone();
                damaged.damage(&mut self.random);
                if journal::recover(damaged.bytes()).damage.is_some() {
                    self.tally.count(Trouble::JournalDamaged);
                    self.machines[machine].disk = damaged;
                    self.machines[machine].tampered = true;
                    self.truth.excuse(machine, self.now, Excuse::JournalLost);
                }
            }
            DiskFault::RollBack => self.rolls_back(machine),
            DiskFault::MoveAway => self.moves_away(machine),
            DiskFault::CopyBeside => self.copies_beside(machine),
        }
    }

    /// The journal is replaced by a copy from an earlier start of the agent. (PROTOCOL 3 notices a
    /// copy by the nonce, which changes at each start: one of the same start it cannot notice.)
    fn rolls_back(&mut self, machine: usize) {
        let acknowledged = self.is_acknowledged(machine);
        let host = &mut self.machines[machine];
        let earlier = |(life, _): &mut (u32, ByteDisk)| acknowledged && *life < host.lives;
        if let Some((_, copy)) = host.old_disk.take_if(earlier) {
            self.count(Trouble::JournalRolledBack);
            self.agent_ends(machine, 100_000);
            self.machines[machine].disk = copy;
            self.machines[machine].tampered = true;
            self.truth.excuse(machine, self.now, Excuse::JournalLost);
        }
    }

    /// A machine breaks down; its folder goes on on another one, until the first one comes back.
    fn moves_away(&mut self, machine: usize) {
        if !self.is_acknowledged(machine) || self.is_copied(machine) {
            return;
        }
        self.count(Trouble::FolderMoved);
        let lasts = self.random.within(100_000..=self.plan.lease * 2);
        self.loses_power(machine, lasts);
        self.copies(machine);
    }

    /// A second agent is started on a copy of a folder beside the first one, which is connected.
    fn copies_beside(&mut self, machine: usize) {
        if self.is_acknowledged(machine) && !self.is_copied(machine) && self.is_linked(machine) {
            self.count(Trouble::FolderCopied);
            let copy = self.copies(machine);
            self.machines[copy].beside = Some(machine);
        }
    }

    fn is_copied(&self, machine: usize) -> bool {
        let name = &self.machines[machine].name;
        self.machines
            .iter()
            .filter(|host| host.name == *name)
            .count()
            > 1
    }

    /// Whether the session of an agent stands at both ends.
    pub(crate) fn is_linked(&self, machine: usize) -> bool {
        let link = self.machines[machine]
            .agent
            .as_ref()
            .and_then(|agent| agent.link);
        let link = link.and_then(|(_, link)| self.network.links.get(&link));
        let current = self.server.current;
        link.is_some_and(|link| {
            link.agent_open && link.server_open && !link.doomed && current == Some(link.server)
        }) && self.is_welcome(machine)
    }

    fn copies(&mut self, machine: usize) -> usize {
        let number = self.new_machine(true);
        let (name, disk) = (
            self.machines[machine].name.clone(),
            self.machines[machine].disk.clone(),
        );
        let copy = &mut self.machines[number];
        copy.name = name;
        copy.disk = disk;
        copy.disk.full = false;
        self.truth.excuse(machine, self.now, Excuse::JournalLost);
        self.truth.excuse(number, self.now, Excuse::JournalLost);
        self.agent_will_start(number, 1_000);
        number
    }

    /// A copy beside its original is taken away before the original is gone: who comes first would
    /// be taken for the original, wherever its programs run.
    pub(crate) fn removes_copy_of(&mut self, machine: usize) {
        let copies = self.machines.iter().enumerate();
        let beside = copies.filter(|(_, host)| host.beside == Some(machine) && host.powered);
        let beside: Vec<usize> = beside.map(|(number, _)| number).collect();
        for copy in beside {
            for link in self.network.of_agent(copy) {
                self.network.links.remove(&link);
            }
            self.loses_power(copy, u64::from(u32::MAX));
        }
    }

    pub(crate) fn machine_heals(&mut self, machine: usize) {
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
