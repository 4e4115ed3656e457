//! The server's way to its store: group commit, failures, lost answers.

use flota_model::change::Batch;

use crate::{
    faults::{Fault, ServerFault},
    hosts::Pending,
    store::ApplyFault,
    tally::Trouble,
    truth::Invariant,
    world::{AtServer, Happening, World},
};

impl World {
    /// Begins a transaction with all that gathered during the previous one (PROTOCOL 18).
    pub(crate) fn server_commits(&mut self, server: usize) {
        let asks = self.plan.several_servers;
        loop {
            let Some(life) = self.living(server) else {
                return;
            };
            if life.writing > 0 {
                return;
            }
            let Some(first) = life.waiting.front() else {
                return;
            };
            if first.batch.is_some() || asks {
                break;
            }
            let effects = life.waiting.pop_front().map(|pending| pending.effects);
            self.server_performs(server, effects.unwrap_or_default());
        }
        let latency = if self.server.slow {
            self.random.within(20_000..=400_000)
        } else {
            self.random.within(100..=4_000)
        };
        let Some(life) = self.living(server) else {
            return;
        };
        life.writing = life.waiting.len();
        let crashes = self.mishap(self.plan.crash_in_commit);
        self.plan_in(
            latency,
            Happening::Server(server, AtServer::CommitEnds { again: false }),
        );
        if crashes {
            let moment = self.random.below(latency);
            let again_in = self.random.within(1_000..=self.plan.lease);
            self.plan_fault(moment, Fault::Server(ServerFault::Dies { again_in }));
        }
    }

    /// The store answers.
    pub(crate) fn commit_ends(&mut self, server: usize, again: bool) {
        if self.living(server).is_none() {
            return;
        }
        if self.server.full > 0 {
            self.server.full -= 1;
            self.note(|| format!("server {server}: the disk is full (again: {again})"));
            self.count(if again {
                Trouble::StoreFullTwice
            } else {
                Trouble::StoreFull
            });
            if again {
                return self.server_ends(server, self.plan.lease / 4);
            }
            // The reserve is released, and the same batches are written once more (PROTOCOL 19).
            return self.plan_in(
                2_000,
                Happening::Server(server, AtServer::CommitEnds { again: true }),
            );
        }
        if !again && self.mishap_of(Trouble::CommitFailed, self.plan.failed_commit) {
            self.note(|| format!("server {server}: a commit fails"));
            return self.plan_in(
                1_000,
                Happening::Server(server, AtServer::CommitEnds { again: true }),
            );
        }
        if !self.server_applies(server) {
            return;
        }
        let lost = self.mishap_of(Trouble::CommitAnswerLost, self.plan.failed_commit);
        let Some(life) = self.living(server) else {
            return;
        };
        if lost {
            // The answer was lost: the batch is looked up by its number, never assumed.
            let last = life
                .waiting
                .iter()
                .take(life.writing)
                .rev()
                .find_map(|pending| pending.batch.as_ref().map(|batch| batch.number));
            let found = last.is_none_or(|last| self.server.store.last_batch() >= last);
            assert!(found, "the store has what it committed");
        }
        let Some(life) = self.living(server) else {
            return;
        };
        let done: Vec<Pending> = life.waiting.drain(..life.writing).collect();
        life.writing = 0;
        life.serving = true;
        for pending in done {
            self.server_performs(server, pending.effects);
        }
        self.server_commits(server);
    }

    /// Applies the running transaction; whether the server lives on.
    pub(crate) fn server_applies(&mut self, server: usize) -> bool {
        let Some(life) = self.server.lives.get(server) else {
            return false;
        };
        let running = life.waiting.iter().take(life.writing);
        let batches: Vec<Batch> = running
            .clone()
            .filter_map(|pending| pending.batch.clone())
            .collect();
        let durable = running.rev().find_map(|pending| pending.durable.clone());
        // Another server may have taken the store, or written to it since this one read it.
        let zombie =
            self.server.current != Some(server) || (self.plan.several_servers && !life.serving);
        let asks = batches.is_empty() && self.plan.several_servers;
        if asks && self.server.store.authority() > life.authority {
            self.server_superseded(server);
            return false;
        }
        match self.server.store.apply(&batches) {
            Ok(()) => {}
            Err(ApplyFault::Superseded | ApplyFault::Order { .. }) if zombie => {
                self.server_superseded(server);
                return false;
            }
            Err(fault) => {
                self.fail(Invariant::StoreFits, format!("server {server}: {fault:?}"));
                return false;
            }
        }
        for batch in &batches {
            self.committed(batch);
        }
        if let Some(durable) = durable {
            self.check_same(&durable);
        }
        true
    }

    /// Another server leads: this one ends, and nothing that it decided since leaves it.
    fn server_superseded(&mut self, server: usize) {
        self.count(Trouble::ServerSuperseded);
        if let Some(life) = self.living(server) {
            life.writing = 0;
            life.waiting.clear();
        }
        self.server_ends(server, 1_000);
    }
}
