//! Who has heard of whom, and what has really arrived at an agent.

use flota_engine::{fleet::api as fleet, node::api as node};
use flota_model::{
    frame::{Down, DownBody, Up, UpBody},
    ids::{Authority, ConnectionId, SessionNumber},
};

use crate::{
    tally::Trouble,
    time::Time,
    truth::{Ending, Excuse},
    world::World,
};

/// Contact between one machine and the servers, as a careful reader of both sees it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contact {
    /// When a server last answered a hello or a heartbeat of it.
    heard: Time,
    /// When it sent the last heartbeat that was answered and whose answer arrived.
    answered: Time,
    connection: ConnectionId,
    session: SessionNumber,
    /// When it said the hello of that session, and of the one before.
    said: [(SessionNumber, Time); 2],
    /// The sequence number of the next frame that it may believe.
    expected: u64,
    obeyed: Authority,
    /// The last hello is answered by a welcome.
    open: bool,
    /// The last start of the agent that was welcomed.
    pub(crate) welcomed: u32,
}

impl World {
    /// Whether server and agent have not heard of each other for so long that either may believe
    /// the other lost.
    pub(crate) fn is_silent(&self, machine: usize) -> bool {
        let contact = self
            .truth
            .contacts
            .get(&machine)
            .copied()
            .unwrap_or_default();
        let since = contact.heard.min(contact.answered);
        self.now.since(since) >= self.plan.silence()
    }

    fn contact(&mut self, machine: usize) -> &mut Contact {
        self.truth.contacts.entry(machine).or_default()
    }

    /// Keeps a silence in mind before it ends.
    fn silence_ends(&mut self, machine: usize) {
        if self.is_silent(machine) {
            self.truth.excuse(machine, self.now, Excuse::Lapse);
        }
    }

    /// A server decided something: it has heard those whom it answers.
    pub(crate) fn heard(&mut self, server: usize, effects: &[fleet::Effect]) {
        for effect in effects {
            let fleet::Effect::Send { connection, frame } = effect else {
                continue;
            };
            let answer = matches!(
                frame.body,
                DownBody::Welcome { .. } | DownBody::HeartbeatSeen { .. }
            );
            let link = self.link_of(server, *connection);
            let machine = link.and_then(|link| self.network.links.get(&link));
            if let (true, Some(machine)) = (answer, machine.map(|link| link.machine)) {
                self.silence_ends(machine);
                let now = self.now;
                self.contact(machine).heard = now;
                if let DownBody::Welcome { node, .. } = frame.body {
                    self.truth.node_of.insert(machine, node);
                    self.truth
                        .machines_of
                        .entry(node)
                        .or_default()
                        .insert(machine);
                    self.news_arrives(machine, frame.session);
                }
            }
        }
    }

    /// A server knows what a hello said. What happened since then it learns with the next one, however
    /// late the welcome of this one is committed.
    fn news_arrives(&mut self, machine: usize, session: SessionNumber) {
        let said = self.contact(machine).said;
        let Some((_, said)) = said.into_iter().find(|(number, _)| *number == session) else {
            return;
        };
        let known = self.truth.news.iter().copied();
        let known: Vec<_> = known
            .filter(|(of, at, _)| *of == machine && *at <= said)
            .collect();
        for news in known {
            self.truth.news.remove(&news);
            self.truth.learned(machine, self.now, news.2);
        }
    }

    /// Whether the server's answer to the hello of the present start is durable at the agent: from
    /// here on a copy of its folder can be told from it (PROTOCOL 3).
    pub(crate) fn is_acknowledged(&self, machine: usize) -> bool {
        let host = &self.machines[machine];
        let contact = self
            .truth
            .contacts
            .get(&machine)
            .copied()
            .unwrap_or_default();
        host.agent.as_ref().is_some_and(|agent| {
            contact.welcomed == agent.life
                && agent.journal.is_empty()
                && host.disk.synced() == host.disk.bytes().len()
        })
    }

    /// Whether the last session that an agent began was opened by its server.
    pub(crate) fn is_welcome(&self, machine: usize) -> bool {
        let contact = self.truth.contacts.get(&machine);
        contact.is_some_and(|contact| contact.open)
    }

    /// An agent sends: a hello begins a session.
    pub(crate) fn agent_says(&mut self, machine: usize, effects: &[node::Effect]) {
        for effect in effects {
            if let node::Effect::Send { connection, frame } = effect
                && matches!(frame.body, UpBody::Hello(_))
            {
                let now = self.now;
                let contact = self.contact(machine);
                contact.connection = *connection;
                contact.session = frame.session;
                contact.said = [(frame.session, now), contact.said[0]];
                contact.expected = 0;
                contact.open = false;
            }
        }
    }

    /// What an agent is told. Notes when ends and cancels arrive, in order.
    pub(crate) fn agent_saw(&mut self, machine: usize, step: u64, events: &[node::Event]) {
        for (index, event) in events.iter().enumerate() {
            let moment = step * 100_000 + index as u64;
            match event {
                node::Event::Frame { connection, frame } => {
                    if self.believes(machine, *connection, frame) {
                        self.agent_hears(machine, moment, &frame.body);
                    }
                }
                node::Event::Ended { attempt, .. } => {
                    self.truth.end_seen.entry(*attempt).or_insert(moment);
                }
                node::Event::KernelEnded { attempt, .. } => {
                    self.truth.end_seen.entry(*attempt).or_insert(moment);
                    if let Some(agent) = &mut self.machines[machine].agent {
                        agent.unwritten.insert(*attempt);
                    }
                }
                node::Event::Recovered { children, .. } => {
                    for (_, child) in children {
                        let state = child.state;
                        if matches!(state, flota_engine::keeper::api::ChildState::Ended(_)) {
                            self.truth.end_seen.entry(child.attempt).or_insert(moment);
                        }
                    }
                }
                node::Event::Connected { .. }
                | node::Event::Disconnected { .. }
                | node::Event::Started { .. }
                | node::Event::NotStarted { .. }
                | node::Event::KeeperGone { .. }
                | node::Event::OutputRead { .. }
                | node::Event::Answered { .. }
                | node::Event::ProbeEnded { .. }
                | node::Event::Tailed { .. }
                | node::Event::LocalOrder { .. }
                | node::Event::Sampled(_)
                | node::Event::DiskFull
                | node::Event::DiskFree
                | node::Event::PolicyRead(_)
                | node::Event::StopAll
                | node::Event::Tick => {}
            }
        }
    }

    /// Whether a frame is the next one of the open session, of a server that may be obeyed.
    fn believes(&mut self, machine: usize, connection: ConnectionId, frame: &Down) -> bool {
        let contact = self.contact(machine);
        let old = frame.session < contact.session;
        let next = contact.connection == connection
            && contact.session == frame.session
            && contact.expected == frame.sequence
            && contact.obeyed <= frame.authority;
        if next {
            contact.expected += 1;
            contact.obeyed = frame.authority;
        } else if contact.session == frame.session && contact.expected < frame.sequence {
            // A gap: nothing of this session is believed any more.
            contact.expected = u64::MAX;
        }
        if old {
            self.count(Trouble::OldFrameDown);
        }
        next
    }

    /// An agent dies: cancels that have not reached their programs are as if they had not come.
    pub(crate) fn cancels_are_lost(&mut self, machine: usize) {
        let processes = &self.machines[machine].processes;
        let truth = &mut self.truth;
        let lost = truth.cancel_seen.keys().filter(|attempt| {
            let execution = truth.executions.get(attempt);
            let here = execution.is_some_and(|execution| execution.machine == machine);
            let signalled = processes.get(attempt).is_some_and(|it| it.signalled);
            // What is signalled of it now is only what the leader left behind.
            let leader = execution.and_then(|execution| execution.leader_ended);
            let was_over = matches!(leader, Some((_, Ending::Scripted(_))));
            here && (!signalled || was_over) && !truth.end_seen.contains_key(attempt)
        });
        truth.cancel_lost.extend(lost);
    }

    /// A frame reaches a server.
    pub(crate) fn notes_old_frame(&mut self, machine: usize, frame: &Up) {
        if frame.session < self.contact(machine).session {
            self.count(Trouble::OldFrameUp);
        }
    }

    fn agent_hears(&mut self, machine: usize, moment: u64, body: &DownBody) {
        match body {
            DownBody::Welcome { fresh, .. } => {
                self.silence_ends(machine);
                let life = self.machines[machine].lives;
                let contact = self.contact(machine);
                contact.welcomed = life;
                contact.open = true;
                if *fresh {
                    let now = self.now;
                    self.truth.excuse(machine, now, Excuse::JournalLost);
                }
            }
            DownBody::HeartbeatSeen { sent_at } => {
                self.silence_ends(machine);
                let sent = self.machines[machine].clock.time_of(*sent_at);
                let contact = self.contact(machine);
                contact.answered = contact.answered.max(sent);
            }
            DownBody::Cancel(ranges) => {
                for attempt in ranges.iter().flat_map(|range| range.iter()) {
                    if self.truth.cancel_lost.remove(&attempt) {
                        self.truth.cancel_seen.remove(&attempt);
                    }
                    self.truth.cancel_seen.entry(attempt).or_insert(moment);
                }
            }
            DownBody::Refused(_)
            | DownBody::Grants { .. }
            | DownBody::Forget(_)
            | DownBody::Retract(_)
            | DownBody::Acknowledge(_)
            | DownBody::ReadOutput { .. }
            | DownBody::LocalAnswer { .. }
            | DownBody::Ask { .. } => {}
        }
    }
}
