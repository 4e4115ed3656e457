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
    store::taken,
    tally::Trouble,
    time::{Time, is_due},
    truth::Invariant,
    world::{AtServer, Happening, World},
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
            opened_at: self.now,
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
            self.plan_in(delay, Happening::Server(server, AtServer::Steps));
        }
    }

    /// One pass over what was collected.
    pub(crate) fn server_steps(&mut self, server: usize, tick: bool) {
        let now = self.server.clock.now(self.now);
        let true_now = self.now;
        let Some(life) = self.living(server) else {
            return;
        };
        if tick {
            if !is_due(&mut life.tick_at, true_now) {
                return;
            }
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
        if let Some(detail) = life.fleet.unexplained() {
            self.fail(Invariant::WaitsExplained, detail);
        }
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
            self.agenda
                .add(at, Happening::Server(server, AtServer::Ticks));
        }
    }

    /// Puts a turn behind all earlier ones.
    fn server_turn(&mut self, server: usize, turn: Turn) {
        let Turn {
            changes,
            mut effects,
        } = turn;
        self.trace
            .fold(&[changes.len() as u64, effects.len() as u64]);
        self.note(|| format!("server {server} -> {changes:?} {effects:?}"));
        self.server_dooms(server, &effects);
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

    /// The sessions of these connections are over for the server, whatever the agents still believe.
    fn server_dooms(&mut self, server: usize, effects: &[Effect]) {
        for effect in effects {
            let Effect::Close { connection } = effect else {
                continue;
            };
            let link = self.link_of(server, *connection);
            if let Some(link) = link.and_then(|link| self.network.links.get_mut(&link)) {
                link.doomed = true;
                let machine = link.machine;
                self.removes_copy_of(machine);
            }
        }
    }

    /// A start of the server ends; what was in the running transaction is there or not.
    pub(crate) fn server_ends(&mut self, server: usize, again_in: u64) {
        let Some(life) = self.living(server) else {
            return;
        };
        let writing = life.writing > 0;
        let opened_at = life.opened_at;
        self.count(Trouble::ServerDied);
        if writing {
            self.count(Trouble::ServerDiedInCommit);
        }
        if self.now.since(opened_at) < self.plan.lease {
            self.count(Trouble::ServerDiedYoung);
        }
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

    pub(crate) fn server_performs(&mut self, server: usize, effects: Vec<Effect>) {
        self.heard(server, &effects);
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
                Effect::LocalOrder { node, request, .. } => {
                    self.order_is_carried_out(server, node, request);
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
            let machine = open.machine;
            if let Some(life) = self.server.lives.get_mut(server) {
                life.links.remove(&connection);
            }
            self.removes_copy_of(machine);
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
