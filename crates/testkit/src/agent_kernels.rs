//! Kernels in the agent's pool.

use flota_engine::node::api::{Effect, Event, KernelEnd};
use flota_model::{ids::AttemptId, outcome::Usage};

use crate::{
    hosts::Kernel,
    script::ScriptedEnding,
    time::Time,
    truth::Ending,
    world::{AtAgent, Happening, World},
};

impl World {
    pub(crate) fn kernel_starts(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let began = self.machines[machine].clock.now(self.now).wall;
        if self.kernel_is_doomed(machine, life, attempt) {
            let (end, ran) = (KernelEnd::Stopped, (began, began));
            let usage = Usage::default();
            let event = Event::KernelEnded {
                attempt,
                end,
                ran,
                usage,
            };
            return self.tell_agent(machine, life, event);
        }
        if self.truth.is_forgiven(machine, self.now) {
            // Its time began with the order, before its agent stood still.
            self.truth.spawned.insert(attempt, Time::default());
        }
        let started = self.truth.start(attempt, machine, self.now);
        self.check(started);
        self.note(|| format!("GHOST {attempt} starts as kernel on {machine}"));
        let Some(hash) = self.truth.spec_hash(attempt) else {
            return;
        };
        let script = self.specs.script(attempt, hash);
        if let Some(agent) = self.machines[machine].living(life) {
            agent.kernels.insert(
                attempt,
                Kernel {
                    began,
                    plan: 0,
                    stopping: false,
                },
            );
            let ends = Happening::Agent(machine, life, AtAgent::KernelEnds { attempt, plan: 0 });
            self.plan_in(script.duration, ends);
        }
    }

    /// Whether the stop of a kernel waits behind its start, because the journal was full: its flag is
    /// up before the kernel begins.
    fn kernel_is_doomed(&mut self, machine: usize, life: u32, wanted: AttemptId) -> bool {
        let Some(agent) = self.machines[machine].living(life) else {
            return true;
        };
        let waiting = agent.journal.iter().flat_map(|write| &write.after);
        waiting
            .into_iter()
            .any(|effect| matches!(effect, Effect::StopKernel { attempt } if *attempt == wanted))
    }

    pub(crate) fn kernel_stops(&mut self, machine: usize, life: u32, attempt: AttemptId) {
        let notices = self.random.within(100..=30_000);
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        if let Some(kernel) = agent.kernels.get_mut(&attempt)
            && !kernel.stopping
        {
            kernel.stopping = true;
            kernel.plan += 1;
            let plan = kernel.plan;
            self.plan_in(
                notices,
                Happening::Agent(machine, life, AtAgent::KernelEnds { attempt, plan }),
            );
        }
    }

    pub(crate) fn kernel_ends(&mut self, machine: usize, life: u32, attempt: AttemptId, plan: u32) {
        let now = self.now;
        let ended = self.machines[machine].clock.now(now).wall;
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        let Some(kernel) = agent.kernels.get(&attempt).copied() else {
            return;
        };
        if kernel.plan != plan {
            return;
        }
        agent.kernels.remove(&attempt);
        let Some(hash) = self.truth.spec_hash(attempt) else {
            return;
        };
        let (ending, end) = if kernel.stopping {
            (Ending::KernelStopped, KernelEnd::Stopped)
        } else {
            let scripted = self.specs.script(attempt, hash).ending;
            let end = match scripted {
                ScriptedEnding::Exit(0) => KernelEnd::Completed(None),
                ScriptedEnding::Exit(_)
                | ScriptedEnding::Signal(_)
                | ScriptedEnding::OutOfMemory => KernelEnd::Failed("as scripted".to_owned()),
            };
            (Ending::Scripted(scripted), end)
        };
        self.truth.leader_ended(attempt, now, ending);
        self.truth.ended(attempt, now);
        self.note(|| format!("GHOST kernel {attempt} ends: {ending:?}"));
        let (ran, usage) = ((kernel.began, ended), Usage::default());
        self.tell_agent(
            machine,
            life,
            Event::KernelEnded {
                attempt,
                end,
                ran,
                usage,
            },
        );
    }
}
