//! Collects what happened, lets the engine decide, and performs.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::OwnedFd,
    time::Duration,
};

use flota_engine::keeper::{
    Keeper,
    api::{Effect, Event, Peer, Settings, ToKeeper},
};
use flota_model::units::Moment;

use super::{
    KeeperFault, KeeperSettings, OUTPUT_FOLDER, Place,
    children::{Children, Surroundings},
    log::Log,
    outputs::Outputs,
    peers::{Inbound, Peers},
    reactor::{Pace, Reactor, Source},
    system,
    trees::Trees,
};
use crate::{
    groups::Groups,
    logs::{self, Pump, Store},
    machine,
    sys::{clock, files, signals, socket, wait},
};

/// How often outputs are held to their limit: a program can exceed it by what it writes in this time.
const LIMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Messages of a connection handled in one turn. A packet may hold a thousand starts; in between,
/// ends are reaped and deadlines kept.
const MESSAGES_MAX: usize = 16;
/// Connections taken in one turn.
const ACCEPTED_MAX: usize = 8;

/// A keeper.
#[derive(Debug)]
pub(super) struct Shell {
    engine: Keeper,
    reactor: Reactor,
    signals: OwnedFd,
    listener: OwnedFd,
    peers: Peers,
    children: Children,
    /// Of programs whose logs are rotated.
    logs: Pump,
    trees: Trees,
    log: Log,
    /// Messages that were read and not handled. At most one packet for each connection.
    backlog: BTreeMap<Peer, VecDeque<ToKeeper>>,
    limit_at: Option<Moment>,
    is_ended: bool,
}

/// What the process was given or has made before.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) signals: OwnedFd,
    pub(super) listener: OwnedFd,
    pub(super) null: OwnedFd,
    /// Limits of open files to give back to programs.
    pub(super) open_files: Option<(u64, u64)>,
}

impl Shell {
    pub(super) fn new(
        settings: &KeeperSettings,
        place: &Place,
        descriptors: Descriptors,
    ) -> Result<Self, KeeperFault> {
        let boot = machine::boot().map_err(system("read the id of this boot"))?;
        let surroundings = Surroundings {
            boot,
            pid_namespace: machine::pid_namespace().map_err(system("read the PID namespace"))?,
            null: descriptors.null,
            open_files: descriptors.open_files,
            groups: Groups::new(settings.places.clone()),
        };
        let log = Log::create(&place.folder, place.name("log")).map_err(place.fault("log"))?;
        let reactor = Reactor::new().map_err(system("make an epoll"))?;
        let logs = logs(settings)?;
        let watched = reactor
            .watch(&descriptors.signals, Source::Signals)
            .and_then(|()| reactor.watch(logs.descriptor(), Source::Logs))
            .and_then(|()| reactor.watch(&descriptors.listener, Source::Listener));
        watched.map_err(system("watch signals and socket"))?;
        Ok(Self {
            engine: Keeper::open(boot, clock::now(), Settings::default()),
            reactor,
            signals: descriptors.signals,
            listener: descriptors.listener,
            peers: Peers::new(settings.version_max),
            children: Children::new(outputs(settings)?, surroundings),
            logs,
            trees: Trees::new(),
            log,
            backlog: BTreeMap::new(),
            limit_at: None,
            is_ended: false,
        })
    }

    /// Until the engine says that it is over.
    pub(super) fn run(mut self) -> Result<(), KeeperFault> {
        let mut events = vec![Event::Tick];
        loop {
            self.settle(events);
            if self.is_ended {
                return Ok(());
            }
            let pace = if self.backlog.is_empty() {
                Pace::Wait
            } else {
                Pace::Look
            };
            let waited = self.reactor.wait(self.deadline(), pace);
            let sources = waited.map_err(system("wait"))?;
            events = self
                .collect(&sources)
                .map_err(system("take what happened"))?;
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let deadlines = [
            self.engine.deadline(),
            self.trees.deadline(),
            self.children.deadline(),
            self.logs.deadline(),
            self.limit_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Starts before ends, and both before orders: so the engine sees them as they happened.
    fn collect(&mut self, sources: &[Source]) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        for source in sources {
            match source {
                Source::Report(pid) => events.extend(self.children.reported(*pid, &self.reactor)),
                Source::Signals => signals::drain(&self.signals),
                Source::Timer => events.push(Event::Tick),
                Source::Listener => self.accept(&mut events)?,
                Source::Peer(_) | Source::Logs => {}
            }
        }
        if sources.contains(&Source::Signals) {
            self.reap(&mut events)?;
        }
        for source in sources {
            if let Source::Peer(peer) = source {
                self.receive(*peer, &mut events);
            }
        }
        self.take_messages(&mut events);
        events.extend(self.children.look(clock::moment(), &self.reactor));
        if sources.contains(&Source::Logs) || self.logs.is_due(clock::moment()) {
            self.logs.turn();
        }
        self.limit_outputs();
        Ok(events)
    }

    fn reap(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        while let Some(reaped) = wait::any()? {
            let of_leader = self.children.reaped(reaped, &self.reactor);
            if of_leader.is_empty() {
                self.trees.reaped(reaped.pid);
            }
            events.extend(of_leader);
        }
        Ok(())
    }

    fn accept(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        for _ in 0..ACCEPTED_MAX {
            let Some(socket) = socket::accept(&self.listener)? else {
                break;
            };
            if let Some(peer) = self.peers.superfluous() {
                self.close(peer);
                events.push(Event::PeerGone { peer });
            }
            if let Some(peer) = self.peers.add(socket)
                && let Some(socket) = self.peers.socket(peer)
            {
                self.reactor.watch(socket, Source::Peer(peer))?;
            }
        }
        Ok(())
    }

    /// One packet a turn, so that nobody who sends without end keeps the rest waiting.
    fn receive(&mut self, peer: Peer, events: &mut Vec<Event>) {
        if self.backlog.contains_key(&peer) {
            return;
        }
        match self.peers.receive(peer) {
            Inbound::Messages(messages) => {
                self.backlog.insert(peer, messages.into());
            }
            Inbound::Nothing => {}
            Inbound::Gone => {
                self.close(peer);
                events.push(Event::PeerGone { peer });
            }
        }
    }

    /// The newest connection first: its hello makes the rest of an older one void.
    fn take_messages(&mut self, events: &mut Vec<Event>) {
        for (peer, messages) in self.backlog.iter_mut().rev() {
            let peer = *peer;
            let taken = messages.drain(..messages.len().min(MESSAGES_MAX));
            events.extend(taken.map(|message| Event::Message { peer, message }));
        }
        self.backlog.retain(|_, messages| !messages.is_empty());
    }

    fn close(&mut self, peer: Peer) {
        self.backlog.remove(&peer);
        if let Some(socket) = self.peers.socket(peer) {
            self.reactor.unwatch(socket);
        }
        self.peers.close(peer);
    }

    fn limit_outputs(&mut self) {
        let now = clock::moment();
        if self.limit_at.is_some_and(|at| at <= now) {
            self.limit_at = self.children.limit_outputs().then(|| now + LIMIT_INTERVAL);
        }
    }

    /// Lets the engine handle events, and those that performing its effects brings, until there are
    /// no more.
    fn settle(&mut self, mut events: Vec<Event>) {
        loop {
            self.finish_logs(&events);
            for effect in self
                .engine
                .handle(std::mem::take(&mut events), clock::now())
            {
                self.perform(effect, &mut events);
            }
            events.extend(self.trees.advance(&mut self.children, clock::moment()));
            self.log.flush();
            events.extend(self.flush());
            if events.is_empty() {
                break;
            }
        }
        if self.limit_at.is_none() && self.children.has_leaders() {
            self.limit_at = Some(clock::moment() + LIMIT_INTERVAL);
        }
    }

    /// Closes the logs of programs that are gone, before anybody is told that they are.
    fn finish_logs(&mut self, events: &[Event]) {
        for event in events {
            if let Event::TreeEmpty { attempt } | Event::NotExecuted { attempt, .. } = event {
                self.logs.finish(*attempt);
            }
        }
    }

    fn perform(&mut self, effect: Effect, events: &mut Vec<Event>) {
        match effect {
            Effect::Log(record) => self.log.append(&record),
            Effect::Send { peer, message } => self.peers.queue(peer, message),
            Effect::Close { peer } => self.close(peer),
            Effect::Spawn(launch) => {
                self.log.flush();
                events.extend(self.children.spawn(*launch, &mut self.logs));
            }
            Effect::Signal { attempt, signal } => {
                // Why must be known to whoever finds the program ended by it.
                self.log.flush();
                self.trees.signal(attempt, signal, &self.children);
            }
            Effect::Sweep { attempt } => self.trees.sweep(attempt, clock::now()),
            Effect::Release { attempt } => self.children.release(attempt),
            Effect::End => {
                self.children.leave_groups();
                self.is_ended = true;
            }
        }
    }

    fn flush(&mut self) -> Vec<Event> {
        let flushed = self.peers.flush(&&self.children);
        for (peer, wanted) in flushed.changed {
            if let Some(socket) = self.peers.socket(peer) {
                // Failure leaves it to the next flush, which comes with the next message.
                let _ = self.reactor.watch_room(socket, Source::Peer(peer), wanted);
            }
        }
        let gone = flushed.gone.into_iter();
        gone.map(|peer| {
            self.close(peer);
            Event::PeerGone { peer }
        })
        .collect()
    }
}

fn logs(settings: &KeeperSettings) -> Result<Pump, KeeperFault> {
    let store = Store::open(&settings.data, settings.logs);
    store
        .and_then(Pump::new)
        .map_err(|source| KeeperFault::File {
            path: settings.data.join(logs::FOLDER),
            source,
        })
}

fn outputs(settings: &KeeperSettings) -> Result<Outputs, KeeperFault> {
    let path = settings.data.join(OUTPUT_FOLDER);
    let folder = files::private_folder(&path).and_then(|()| files::folder(&path));
    match folder {
        Ok(folder) => Ok(Outputs::new(folder, settings.output_bytes_max)),
        Err(source) => Err(KeeperFault::File { path, source }),
    }
}
