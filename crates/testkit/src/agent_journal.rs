//! The agent's journal on its disk: appended in order, synced one at a time, effects after that.

use flota_engine::{journal, journal::Record, node::api::Event};

use crate::{
    hosts::Write,
    plan::Switch,
    tally::Trouble,
    world::{AtAgent, Happening, World},
};

/// Between two tries while the disk is full.
const RETRY: u64 = 100_000;

impl World {
    /// Takes a batch with the effects that wait for it.
    pub(crate) fn journal_takes(&mut self, machine: usize, life: u32, mut write: Write) {
        let careless = self.plan.switch == Some(Switch::JournalAfterSend);
        if careless {
            let after = std::mem::take(&mut write.after);
            self.agent_performs(machine, life, after);
        }
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        if let Some(rewrite) = &mut write.rewrite {
            *rewrite = agent.node.rewritten();
        }
        agent.journal.push_back(write);
        if careless {
            let wait = self.random.within(200..=3_000);
            return self.plan_in(
                wait,
                Happening::Agent(machine, life, AtAgent::JournalWrites),
            );
        }
        self.journal_writes(machine, life);
    }

    /// Appends what is not in the file yet, as far as the disk allows.
    pub(crate) fn journal_writes(&mut self, machine: usize, life: u32) {
        let host = &mut self.machines[machine];
        let Some(agent) = host.agent.as_mut().filter(|agent| agent.life == life) else {
            return;
        };
        let mut refused = false;
        for write in &mut agent.journal {
            if write.end.is_none() {
                if !write.records.is_empty() {
                    let mut bytes = Vec::new();
                    journal::encode(&write.records, host.disk.synced() as u64, &mut bytes);
                    self.trace.fold_bytes(&bytes);
                    refused = host.disk.append(&bytes).is_err();
                }
                if refused {
                    break;
                }
                write.end = Some(host.disk.bytes().len());
                for record in &write.records {
                    if let Record::Done(report) = record {
                        agent.unwritten.remove(&report.attempt);
                    }
                }
            }
            // What follows a new file belongs into that file.
            if write.rewrite.is_some() {
                break;
            }
        }
        if refused {
            let told = std::mem::replace(&mut agent.full, true);
            self.plan_in(
                RETRY,
                Happening::Agent(machine, life, AtAgent::JournalWrites),
            );
            if !told {
                self.count(Trouble::JournalFull);
                self.tell_agent(machine, life, Event::DiskFull);
            }
        } else if std::mem::take(&mut agent.full) {
            self.tell_agent(machine, life, Event::DiskFree);
        }
        self.journal_settles(machine, life);
    }

    /// Performs what waits for nothing any more, and begins a sync if something waits for one.
    fn journal_settles(&mut self, machine: usize, life: u32) {
        loop {
            let host = &mut self.machines[machine];
            let Some(agent) = host.agent.as_mut().filter(|agent| agent.life == life) else {
                return;
            };
            let Some(first) = agent.journal.front_mut() else {
                return;
            };
            let Some(end) = first.end else { return };
            if first.sync && end > host.disk.synced() {
                break;
            }
            if let Some(rewritten) = first.rewrite.take() {
                let mut bytes = Vec::new();
                journal::encode(&rewritten, 0, &mut bytes);
                let kept = host.disk.replace(bytes).is_err();
                self.trace.fold(&[u64::from(kept)]);
                first.end = Some(host.disk.synced());
                // The batches behind it are appended to the new file, or to the old one if the
                // disk is full.
                self.journal_done(machine, life);
                return self.journal_writes(machine, life);
            }
            self.journal_done(machine, life);
        }
        self.journal_syncs(machine, life);
    }

    fn journal_done(&mut self, machine: usize, life: u32) {
        let Some(agent) = self.machines[machine].living(life) else {
            return;
        };
        if let Some(done) = agent.journal.pop_front() {
            self.records_durable(machine, &done);
            self.agent_performs(machine, life, done.after);
        }
    }

    fn journal_syncs(&mut self, machine: usize, life: u32) {
        let latency = self.random.within(100..=3_000);
        let dies = self.mishap(self.plan.crash_in_sync);
        let host = &mut self.machines[machine];
        let length = host.disk.bytes().len();
        let Some(agent) = host.living(life) else {
            return;
        };
        if agent.syncing {
            return;
        }
        agent.syncing = true;
        self.plan_in(
            latency,
            Happening::Agent(machine, life, AtAgent::JournalSynced { length }),
        );
        if dies {
            self.crash_soon(machine, latency);
        }
    }

    pub(crate) fn journal_synced(&mut self, machine: usize, life: u32, length: usize) {
        let host = &mut self.machines[machine];
        let Some(agent) = host.agent.as_mut().filter(|agent| agent.life == life) else {
            return;
        };
        agent.syncing = false;
        host.disk.sync(length);
        self.journal_settles(machine, life);
    }

    /// Notes what an agent can never forget any more.
    fn records_durable(&mut self, machine: usize, write: &Write) {
        let synced = write
            .end
            .is_some_and(|end| end <= self.machines[machine].disk.synced());
        for record in &write.records {
            if let Record::Done(report) = record
                && synced
                && report.outcome.is_success()
            {
                self.truth.durable_success.insert(report.attempt);
            }
        }
    }
}
