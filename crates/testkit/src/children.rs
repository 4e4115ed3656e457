//! How programs start, end and are signalled on a machine.

use flota_engine::keeper::api::{Event, Identity, KeeperId, Launch};
use flota_model::{
    ids::{AttemptId, SpecHash},
    outcome::Usage,
};

use crate::{
    processes::{Exit, KILL, Leader, Process, TERM, exit_status, status_of},
    script::OnTerm,
    tally::Trouble,
    time::Time,
    truth::{Breach, Ending, Excuse, Invariant, breach},
    world::{AtMachine, Happening, World},
};

impl World {
    /// `clone` and, some time later, `execve`.
    pub(crate) fn spawns(&mut self, machine: usize, keeper: KeeperId, launch: &Launch) {
        let attempt = launch.attempt;
        let now = self.now;
        let alone = self.is_alone(machine, launch);
        self.check(alone);
        let own = self.has_its_arguments(attempt, &launch.argv);
        self.check(own);
        let host = &mut self.machines[machine];
        host.next_pid += 1;
        let pid = host.next_pid;
        let start_time = host.clock.moment(now).0 / 10_000;
        let identity = Identity {
            boot: host.boot,
            pid_namespace: 1,
            pid,
            start_time,
            pidfd_inode: u64::from(pid) + 1_000,
        };
        let Some(hash) = self.truth.spec_hash(attempt) else {
            let started = self.truth.start(attempt, machine, now);
            return self.check(started);
        };
        let fits = self.fits(machine, keeper, launch, hash);
        self.check(fits);
        let script = match self.specs.version(hash) {
            Some(version) => {
                let run = (attempt, launch.run);
                self.specs.run_script(run, version, self.healed)
            }
            None => self.specs.script(attempt, hash),
        };
        let process = Process {
            attempt,
            run: launch.run,
            identity,
            keeper,
            class: launch.class,
            fenced: launch.fence.is_some(),
            script,
            leader: Leader::Starting { pending: None },
            tree: false,
            plan: 0,
            signalled: false,
            sweeping: false,
        };
        self.truth.run_spawned((attempt, launch.run), now);
        self.machines[machine].processes.insert(attempt, process);
        self.plan_in(
            script.start_delay,
            Happening::Machine(machine, AtMachine::Execs { attempt, pid }),
        );
    }

    /// Whether there is room for one more program: a place, where it was handed over ahead of time,
    /// and cores, unless the agent may have lost sight of some that run.
    fn fits(
        &mut self,
        machine: usize,
        keeper: KeeperId,
        launch: &Launch,
        hash: SpecHash,
    ) -> Result<(), Breach> {
        let host = &self.machines[machine];
        let alive = host.processes.values().filter(|process| process.is_alive());
        let (mut beside, mut used) = (0, self.specs.cpus(hash));
        for process in alive {
            beside += u32::from(process.keeper == keeper && process.class == launch.class);
            let other = self.truth.spec_hash(process.attempt);
            used += other.map_or(0, |hash| self.specs.cpus(hash));
        }
        let what = || {
            format!(
                "{} on {machine} beside {beside}, {used} used of {} cores, places {:?}",
                launch.attempt, host.cores, launch.places
            )
        };
        let blinding = [Excuse::KeeperDied, Excuse::JournalLost, Excuse::PowerCut];
        let is_excused = self.truth.excused(machine, Time(0), &blinding);
        if used > host.cores * 1_000 && !is_excused {
            return breach(Invariant::NoOverload, what());
        }
        if launch.places.is_some() {
            self.count(Trouble::HandedOver);
        }
        Ok(())
    }

    /// `execve` returns, or does not.
    pub(crate) fn execs(&mut self, machine: usize, attempt: AttemptId) {
        let now = self.now;
        let Some(process) = self.machines[machine].processes.get_mut(&attempt) else {
            return;
        };
        let Leader::Starting { pending } = process.leader else {
            return;
        };
        let (keeper, script, identity) = (process.keeper, process.script, process.identity);
        if let Some((stage, errno)) = script.fails_to_start {
            process.leader = Leader::NeverRan;
            self.truth.never_ran.insert(attempt);
            self.keeper_event(
                machine,
                keeper,
                Event::NotExecuted {
                    attempt,
                    stage,
                    errno,
                },
            );
            return self.tell_watcher(machine, attempt);
        }
        process.leader = Leader::Running { since: now };
        process.tree = script.leaves_tree;
        let run = process.run;
        let started = self.truth.start(attempt, machine, now);
        self.check(started);
        self.replica_starts(machine, (attempt, run));
        self.note(|| format!("GHOST {attempt} starts on {machine}, run {run}"));
        self.keeper_event(machine, keeper, Event::Executed { attempt, identity });
        self.tell_watcher(machine, attempt);
        let pid = identity.pid;
        let exits = AtMachine::Exits {
            attempt,
            pid,
            plan: 0,
        };
        let ends = Happening::Machine(machine, exits);
        self.plan_in(script.duration, ends);
        if let Some(signal) = pending {
            self.signals(machine, attempt, signal);
        }
    }

    /// The leader ends as its script says, or as it answers to SIGTERM.
    pub(crate) fn exits(&mut self, machine: usize, attempt: AttemptId, plan: u32) {
        let Some(process) = self.machines[machine].processes.get(&attempt) else {
            return;
        };
        if process.plan != plan {
            return;
        }
        let (status, out_of_memory, ending) = match process.script.on_term {
            OnTerm::Exits { code, .. } if plan > 0 => {
                (exit_status(code), false, Ending::ExitedOnTerm(code))
            }
            OnTerm::Exits { .. } | OnTerm::Dies | OnTerm::Ignores => {
                let (status, out_of_memory) = status_of(process.script.ending);
                (
                    status,
                    out_of_memory,
                    Ending::Scripted(process.script.ending),
                )
            }
        };
        self.leader_goes(machine, attempt, (status, out_of_memory), ending);
    }

    /// A signal to every process of an attempt.
    pub(crate) fn signals(&mut self, machine: usize, attempt: AttemptId, signal: i32) {
        self.note(|| format!("GHOST signal {signal} to {attempt}"));
        let Some(process) = self.machines[machine].processes.get_mut(&attempt) else {
            return;
        };
        process.signalled = true;
        match process.leader {
            Leader::Starting { .. } if signal != KILL => {
                process.leader = Leader::Starting {
                    pending: Some(signal),
                };
                return;
            }
            Leader::Starting { .. } | Leader::Running { .. } => {}
            Leader::Gone(_) | Leader::NeverRan => {
                if signal == KILL {
                    self.tree_dies(machine, attempt);
                }
                return;
            }
        }
        let on_term = process.script.on_term;
        if signal == KILL {
            process.tree = false;
            return self.leader_goes(machine, attempt, (KILL, false), Ending::Killed(KILL));
        }
        match on_term {
            OnTerm::Dies => {
                self.leader_goes(machine, attempt, (TERM, false), Ending::Killed(TERM));
            }
            OnTerm::Exits { after, .. } if process.plan == 0 => {
                process.plan = 1;
                let pid = process.identity.pid;
                let exits = AtMachine::Exits {
                    attempt,
                    pid,
                    plan: 1,
                };
                self.plan_in(after, Happening::Machine(machine, exits));
            }
            OnTerm::Exits { .. } | OnTerm::Ignores => {}
        }
    }

    fn leader_goes(
        &mut self,
        machine: usize,
        attempt: AttemptId,
        (status, out_of_memory): (i32, bool),
        ending: Ending,
    ) {
        let now = self.now;
        let Some(process) = self.machines[machine].processes.get_mut(&attempt) else {
            return;
        };
        if !matches!(
            process.leader,
            Leader::Running { .. } | Leader::Starting { .. }
        ) {
            return;
        }
        if matches!(process.leader, Leader::Starting { .. }) {
            self.truth.never_executed.insert(attempt);
        }
        process.leader = Leader::Gone(Exit {
            status,
            out_of_memory,
            at: now,
        });
        process.plan += 1;
        let (keeper, tree) = (process.keeper, process.tree);
        self.note(|| format!("GHOST leader of {attempt} ends: {ending:?}, tree left: {tree}"));
        self.truth.leader_ended(attempt, now, ending);
        if !tree {
            self.truth.ended(attempt, now);
        }
        let usage = Usage::default();
        let event = Event::LeaderExited {
            attempt,
            status,
            usage,
            out_of_memory,
        };
        self.keeper_event(machine, keeper, event);
        self.tell_watcher(machine, attempt);
    }

    fn tell_watcher(&mut self, machine: usize, attempt: AttemptId) {
        if let Some(life) = self.machines[machine]
            .agent
            .as_ref()
            .map(|agent| agent.life)
        {
            self.agent_looks_at(machine, life, attempt);
        }
    }

    /// Whether the process with that number is still the one of that attempt.
    pub(crate) fn is_process(&self, machine: usize, attempt: AttemptId, pid: u32) -> bool {
        let process = self.machines[machine].processes.get(&attempt);
        process.is_some_and(|process| process.identity.pid == pid)
    }

    /// Kills what is left of a tree until it is empty.
    pub(crate) fn sweeps(&mut self, machine: usize, attempt: AttemptId) {
        let takes = self.random.within(50..=3_000);
        let mut pid = 0;
        if let Some(process) = self.machines[machine].processes.get_mut(&attempt) {
            process.sweeping = true;
            process.signalled = true;
            pid = process.identity.pid;
        }
        self.plan_in(
            takes,
            Happening::Machine(machine, AtMachine::Swept { attempt, pid }),
        );
    }

    pub(crate) fn swept(&mut self, machine: usize, attempt: AttemptId) {
        let Some(process) = self.machines[machine].processes.get_mut(&attempt) else {
            return;
        };
        let keeper = process.keeper;
        process.tree = false;
        self.leader_goes(machine, attempt, (KILL, false), Ending::Killed(KILL));
        self.tree_dies(machine, attempt);
        self.keeper_event(machine, keeper, Event::TreeEmpty { attempt });
    }

    fn tree_dies(&mut self, machine: usize, attempt: AttemptId) {
        let now = self.now;
        let Some(process) = self.machines[machine].processes.get_mut(&attempt) else {
            return;
        };
        process.tree = false;
        if !process.is_alive() {
            self.truth.ended(attempt, now);
            self.tell_watcher(machine, attempt);
        }
    }

    /// A keeper died: leaders with a deadline die with it (PROTOCOL 25), but not their trees.
    pub(crate) fn children_lose_keeper(&mut self, machine: usize, keeper: KeeperId) {
        let orphans: Vec<(AttemptId, bool)> = self.machines[machine]
            .processes
            .values()
            .filter(|process| process.keeper == keeper && process.is_alive())
            .map(|process| (process.attempt, process.fenced))
            .collect();
        for (attempt, fenced) in orphans {
            if let Some(execution) = self.truth.executions.get_mut(&attempt) {
                // A tree without its keeper is not fenced; without a deadline it never was.
                let leader_gone = execution.leader_ended.is_some();
                execution.abandoned |= fenced || leader_gone;
            }
            if fenced {
                self.leader_goes(machine, attempt, (KILL, false), Ending::ParentDied);
            }
        }
    }

    /// The power fails: nothing is left.
    pub(crate) fn children_lose_power(&mut self, machine: usize) {
        let now = self.now;
        for attempt in std::mem::take(&mut self.machines[machine].processes).into_keys() {
            self.truth.leader_ended(attempt, now, Ending::PowerCut);
            self.truth.ended(attempt, now);
        }
    }
}
