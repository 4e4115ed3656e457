//! A model of the server's shell: collects events, lets the fleet decide, commits, then performs.

use std::collections::{BTreeMap, VecDeque};

use flota_engine::fleet::{
    Fleet,
    api::{Effect, Event, Opening, Turn},
};
use flota_model::{
    change::{Batch, Change},
    ids::{BatchNumber, ConnectionId},
};

use crate::{
    faults::{Fault, ServerFault},
    hosts::{Pending, Server},
    network::{Link, LinkId, Parcel, Way},
    plan::Switch,
    store::{ApplyFault, taken},
    time::Time,
    truth::Invariant,
    world::{Happening, World},
};

/// A tick comes at least this often.
const TICK: u64 = 1_000_000;

impl World {
    /// Opens the store and takes it over.
    pub(crate) fn server_starts(&mut self) {
        self.server.starting = false;
        if self.now < self.server.down_until {
            let wait = self.server.down_until.since(self.now);
            self.server_will_start(wait);
            return;
        }
        let snapshot = self.server.store.load();
        self.check_durable();
        let (authority, last_batch) = (snapshot.authority, snapshot.batch);
        let opening = Opening {
            salt: self.random.next(),
            seed: self.random.next(),
            boot: self.server.boot,
            now: self.server.clock.now(self.now),
            settings: self.plan.fleet.clone(),
        };
        let (fleet, turn) = match Fleet::open(snapshot, opening) {
            Ok(opened) => opened,
            Err(fault) => return self.fail(Invariant::StoreFits, format!("load: {}", fault.what)),
        };
        let number = self.server.lives.len();
        self.note(|| format!("server {number} opens at {authority:?}"));
        self.server.lives.push(Server {
            fleet,
            alive: true,
            stopped: false,
            serving: false,
            authority,
            last_batch,
            inbox: Vec::new(),
            waiting: VecDeque::new(),
            writing: 0,
            links: BTreeMap::new(),
            step_due: false,
            tick_at: None,
            deferred: Vec::new(),
        });
        self.server.current = Some(number);
        self.server_turn(number, turn);
        self.server_plans_tick(number);
        if self.server.crash_loop > 0 {
            self.server.crash_loop -= 1;
            let lasts = self.random.within(1_000..=self.plan.lease / 2);
            self.plan_fault(lasts, Fault::Server(ServerFault::Dies { again_in: 1_000 }));
        }
    }

    pub(crate) fn server_will_start(&mut self, wait: u64) {
        if !self.server.starting {
            self.server.starting = true;
            self.plan_in(wait, Happening::ServerStarts);
        }
    }

    /// A start of the server that is alive.
    pub(crate) fn living(&mut self, server: usize) -> Option<&mut Server> {
        self.server
            .lives
            .get_mut(server)
            .filter(|server| server.alive)
    }

    /// Gives an event to a server.
    pub(crate) fn tell_server(&mut self, server: usize, event: Event) {
        let delay = self.random.within(10..=400);
        let Some(life) = self.living(server) else {
            return;
        };
        life.inbox.push(event);
        if !life.step_due {
            life.step_due = true;
            self.plan_in(delay, Happening::ServerSteps { server });
        }
    }

    /// One pass over what was collected.
    pub(crate) fn server_steps(&mut self, server: usize, tick: bool) {
        let now = self.server.clock.now(self.now);
        let Some(life) = self.living(server) else {
            return;
        };
        if tick {
            life.tick_at = None;
            life.inbox.push(Event::Tick);
        } else {
            life.step_due = false;
        }
        let events = std::mem::take(&mut life.inbox);
        if events.is_empty() {
            return;
        }
        self.trace
            .line(self.now, || format!("server {server} <- {events:?}"));
        let Some(life) = self.living(server) else {
            return;
        };
        let turn = life.fleet.handle(events, now);
        self.server_turn(server, turn);
        self.server_plans_tick(server);
    }

    fn server_plans_tick(&mut self, server: usize) {
        let now = self.now;
        let clock = &self.server.clock;
        let Some(life) = self.server.lives.get_mut(server) else {
            return;
        };
        let deadline = life
            .fleet
            .deadline()
            .map_or(now + TICK, |moment| clock.time_of(moment));
        let at = deadline.clamp(now + 1, now + TICK);
        if life.tick_at.is_none_or(|planned| at < planned) {
            life.tick_at = Some(at);
            self.agenda.add(at, Happening::ServerTicks { server });
        }
    }

    /// Puts a turn behind all earlier ones.
    fn server_turn(&mut self, server: usize, turn: Turn) {
        let Turn {
            changes,
            mut effects,
        } = turn;
        self.heard(server, &effects);
        self.trace
            .fold(&[changes.len() as u64, effects.len() as u64]);
        self.note(|| format!("server {server} -> {changes:?} {effects:?}"));
        let early = match self.plan.switch {
            Some(Switch::ReplyBeforeCommit) => true,
            Some(Switch::ReplyBeforeEarlierCommit) => changes
                .iter()
                .all(|change| matches!(change, Change::Audited(_))),
            Some(_) | None => false,
        };
        let early = if early {
            std::mem::take(&mut effects)
        } else {
            Vec::new()
        };
        let Some(life) = self.living(server) else {
            return;
        };
        let batch = (!changes.is_empty()).then(|| {
            life.last_batch = BatchNumber(life.last_batch.0 + 1);
            Batch {
                number: life.last_batch,
                authority: life.authority,
                changes,
            }
        });
        if let Some(taken) = batch.as_ref().and_then(taken) {
            life.authority = taken;
        }
        let durable = batch.as_ref().map(|batch| life.fleet.durable(batch.number));
        life.waiting.push_back(Pending {
            batch,
            effects,
            durable,
        });
        self.server_performs(server, early);
        self.server_commits(server);
    }

    /// Begins a transaction with all that gathered during the previous one (PROTOCOL 18).
    fn server_commits(&mut self, server: usize) {
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
            if first.batch.is_some() {
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
            Happening::CommitEnds {
                server,
                again: false,
            },
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
            if again {
                return self.server_ends(server, self.plan.lease / 4);
            }
            // The reserve is released, and the same batches are written once more (PROTOCOL 19).
            return self.plan_in(
                2_000,
                Happening::CommitEnds {
                    server,
                    again: true,
                },
            );
        }
        if !again && self.mishap(self.plan.failed_commit) {
            self.note(|| format!("server {server}: a commit fails"));
            return self.plan_in(
                1_000,
                Happening::CommitEnds {
                    server,
                    again: true,
                },
            );
        }
        if !self.server_applies(server) {
            return;
        }
        let lost = self.mishap(self.plan.failed_commit);
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
            let found = last.is_some_and(|last| self.server.store.last_batch() >= last);
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
    fn server_applies(&mut self, server: usize) -> bool {
        let Some(life) = self.server.lives.get(server) else {
            return false;
        };
        let running = life.waiting.iter().take(life.writing);
        let batches: Vec<Batch> = running
            .clone()
            .filter_map(|pending| pending.batch.clone())
            .collect();
        let durable = running.rev().find_map(|pending| pending.durable.clone());
        let zombie = self.server.current != Some(server);
        match self.server.store.apply(&batches) {
            Ok(()) => {}
            Err(ApplyFault::Superseded | ApplyFault::Order { .. }) if zombie => {
                self.server_ends(server, 1_000);
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

    /// A start of the server ends; what was in the running transaction is there or not.
    pub(crate) fn server_ends(&mut self, server: usize, again_in: u64) {
        let Some(life) = self.living(server) else {
            return;
        };
        let writing = life.writing > 0;
        self.note(|| format!("server {server} dies (in a commit: {writing})"));
        if writing && self.server.full == 0 && self.random.chance(500) {
            self.server_applies(server);
        }
        let Some(life) = self.living(server) else {
            return;
        };
        life.alive = false;
        life.inbox.clear();
        life.waiting.clear();
        life.deferred.clear();
        for link in self.network.of_server(server) {
            self.server_closes(link);
        }
        self.clients_cut_off(server);
        if self.server.current == Some(server) {
            self.server.current = None;
            self.server_will_start(again_in);
        }
    }

    fn server_performs(&mut self, server: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { request, reply } => self.reply(server, request, reply),
                Effect::Send { connection, frame } => {
                    if let Some(link) = self.link_of(server, connection) {
                        self.send(link, Way::Down, Parcel::Down(frame));
                    }
                }
                Effect::Close { connection } => {
                    if let Some(link) = self.link_of(server, connection) {
                        self.server_closes(link);
                    }
                }
                Effect::Publish { id, .. } => self.trace.fold(&[id.0]),
            }
        }
    }

    pub(crate) fn link_of(&self, server: usize, connection: ConnectionId) -> Option<LinkId> {
        self.server
            .lives
            .get(server)?
            .links
            .get(&connection)
            .copied()
    }

    fn server_closes(&mut self, link: LinkId) {
        if let Some(open) = self.network.links.get_mut(&link) {
            open.server_open = false;
            let (server, connection) = (open.server, open.at_server);
            if let Some(life) = self.server.lives.get_mut(server) {
                life.links.remove(&connection);
            }
            self.send(link, Way::Down, Parcel::Closed);
            self.network.forget_if_closed(link);
        }
    }

    /// An agent dials; `None` when nobody listens.
    pub(crate) fn accept(&mut self, agent: (usize, u32, ConnectionId)) -> Option<LinkId> {
        let server = self.server.current?;
        let life = self.living(server)?;
        if !life.serving || life.stopped {
            return None;
        }
        self.server.next_connection += 1;
        let connection = ConnectionId(self.server.next_connection);
        let link = self.network.open(Link::new(agent, (server, connection)));
        self.living(server)?.links.insert(connection, link);
        Some(link)
    }

    /// Since when a server that lives may be reached again.
    pub(crate) fn server_continues(&mut self, server: usize) {
        let Some(life) = self.living(server) else {
            return;
        };
        if life.stopped {
            life.stopped = false;
            let held = std::mem::take(&mut life.deferred);
            let now: Time = self.now;
            for happening in held {
                self.agenda.add(now, happening);
            }
        }
    }
}
