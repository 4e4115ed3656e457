//! Connections of agents: hello, reconcile, heartbeats, and their end.

use std::collections::BTreeSet;

use flota_model::{
    change::NodeRecord,
    command::Reply,
    frame::{
        DownBody, Held, HeldState, Hello, HelloRefusal, OutputFault, PROTOCOL_VERSION, Up, UpBody,
    },
    ids::{AttemptId, AttemptRange, ConnectionId, NodeId, SessionNumber},
    outcome::Outcome,
    process::AskFault,
    state::{NodePhase, TaskState},
    units::Moment,
};

use super::{
    Fleet,
    api::{Effect, FleetEvent},
    node::Session,
    settle::Place,
};
use crate::sabotage::Rule;

/// Who an agent turns out to be.
enum Claim {
    /// The node of this number; a session of it that is open is an older one of the same agent.
    Known {
        node: NodeId,
        fresh: bool,
    },
    /// A node that joins; `fresh` if it comes from a folder that the server does not recognise.
    New {
        fresh: bool,
    },
    Refused(HelloRefusal),
    /// A late frame of an old connection.
    Stale,
}

impl Fleet {
    pub(crate) fn frame(&mut self, connection: ConnectionId, frame: Up) {
        if let UpBody::Hello(hello) = frame.body {
            if !self.is_stray_hello(connection, frame.session) {
                self.hello(connection, frame.session, *hello);
            }
            return;
        }
        let unchecked = self.office.settings.sabotage.breaks(Rule::SessionCheck);
        let Some(node) = self.nodes.by_connection.get(&connection).copied() else {
            self.close(connection);
            return;
        };
        let Some(session) = self.nodes.session(node) else {
            return;
        };
        if !unchecked {
            if frame.session != session.number
                || connection != session.connection
                || frame.sequence < session.expected
            {
                return;
            }
            if frame.sequence > session.expected {
                // Something is missing: the next hello says what is true.
                self.end_session(node);
                return;
            }
            session.expected += 1;
        }
        self.body(node, frame.body);
    }

    /// Whether the connection has a session that is not older: an agent says hello once on each of
    /// its connections, so this is a late one of another.
    fn is_stray_hello(&mut self, connection: ConnectionId, number: SessionNumber) -> bool {
        let node = self.nodes.by_connection.get(&connection).copied();
        node.and_then(|node| self.nodes.session(node))
            .is_some_and(|session| session.connection == connection && number <= session.number)
    }

    fn body(&mut self, node: NodeId, body: UpBody) {
        match body {
            UpBody::Hello(_) => {}
            UpBody::Replicas(statuses) => self.replicas(node, statuses),
            UpBody::Heartbeat {
                sent_at,
                running,
                sample,
            } => {
                self.heartbeat(node, sent_at, running);
                if let Some(sample) = sample {
                    let at = self.office.now.moment;
                    self.nodes.known(node).sample = Some((at, sample));
                }
            }
            UpBody::Answer { request, answer } => self.answered(node, request, answer),
            UpBody::LocalOrder { request, order } => self.local_order(node, request, order),
            UpBody::Reports(reports) => self.reports(node, reports),
            UpBody::Forgotten(ranges) => self.forgotten(node, &ranges),
            UpBody::OutputPart { request, part } => {
                let asked = self
                    .nodes
                    .session(node)
                    .is_some_and(|session| session.reads.remove(&request));
                if asked {
                    self.reply(request, Ok(Reply::Output(part)));
                }
            }
        }
    }

    fn heartbeat(&mut self, node: NodeId, sent_at: Moment, running: Vec<AttemptRange>) {
        self.heard(node);
        self.nodes.known(node).running = running;
        self.send(node, DownBody::HeartbeatSeen { sent_at });
    }

    fn heard(&mut self, node: NodeId) {
        let settings = &self.office.settings;
        let until = self.office.now.moment + settings.lease + settings.lease_margin;
        self.nodes.lease(node, Some(until));
        self.nodes.known(node).last_heard_at = Some(self.office.now.wall);
    }

    fn hello(&mut self, connection: ConnectionId, number: SessionNumber, hello: Hello) {
        if hello.protocol != PROTOCOL_VERSION {
            self.refuse(connection, number, HelloRefusal::Protocol(PROTOCOL_VERSION));
            return;
        }
        if self.learn_of_higher_authority(&hello) || self.office.is_frozen() {
            self.count_unclaimed(&hello);
            self.close(connection);
            return;
        }
        match self.claim(number, &hello) {
            Claim::Refused(refusal) => self.refuse(connection, number, refusal),
            Claim::Stale => self.close(connection),
            Claim::Known { node, fresh } => {
                self.end_session(node);
                self.welcome((connection, number), node, hello, fresh);
            }
            Claim::New { fresh } => {
                let node = self.join(&hello);
                self.welcome((connection, number), node, hello, fresh);
            }
        }
    }

    /// PROTOCOL 4: an agent that obeyed more than this store knows of.
    fn learn_of_higher_authority(&mut self, hello: &Hello) -> bool {
        let mine = self.office.mandate.authority;
        let welcomed = hello
            .node
            .and_then(|node| self.nodes.get(node))
            .is_some_and(|node| node.welcomed);
        let explained = hello.obeyed <= self.office.stored
            || hello.obeyed <= mine && (welcomed || hello.node.is_none());
        if !explained {
            let highest = self
                .office
                .behind
                .map_or(hello.obeyed, |seen| seen.max(hello.obeyed));
            self.office.behind = Some(highest);
        }
        !explained
    }

    fn count_unclaimed(&mut self, hello: &Hello) {
        let held = hello.held.iter().flat_map(|held| held.attempts.iter());
        let unclaimed = held
            .filter(|attempt| self.place_of(*attempt).is_none())
            .count();
        if let Some(node) = hello.node.and_then(|node| self.nodes.known.get_mut(&node)) {
            node.unclaimed = u32::try_from(unclaimed).unwrap_or(u32::MAX);
        }
    }

    fn claim(&self, number: SessionNumber, hello: &Hello) -> Claim {
        let Some((node, known)) = hello
            .node
            .and_then(|node| self.nodes.get(node).map(|known| (node, known)))
        else {
            return self.claim_new(hello, hello.node.is_some());
        };
        let record = &known.record;
        let same_start = record.nonce == hello.nonce;
        if !same_start && hello.nonce_previous != Some(record.nonce) {
            return self.claim_new(hello, true);
        }
        if number <= record.session {
            return Claim::Stale;
        }
        if known.session.is_some() && !same_start {
            return Claim::Refused(HelloRefusal::SecondSession);
        }
        Claim::Known { node, fresh: false }
    }

    fn claim_new(&self, hello: &Hello, fresh: bool) -> Claim {
        // An agent whose welcome was lost asks again with the nonce of the same start.
        let asked = self
            .nodes
            .known
            .values()
            .find(|node| node.record.nonce == hello.nonce);
        if let Some(joined) = asked {
            return Claim::Known {
                node: joined.record.node,
                fresh,
            };
        }
        if self.nodes.known.len() >= self.office.settings.nodes_max as usize {
            return Claim::Refused(HelloRefusal::TooManyNodes);
        }
        let taken = self
            .nodes
            .named(&hello.name)
            .and_then(|node| self.nodes.get(node));
        if !fresh && taken.is_some_and(|taken| taken.phase() != NodePhase::Lost) {
            return Claim::Refused(HelloRefusal::NameTaken);
        }
        Claim::New { fresh }
    }

    /// Makes a node. A name that is taken goes to the newcomer if the old node is lost (its folder
    /// was removed, say), and gets a suffix if the newcomer is a copy of another folder.
    fn join(&mut self, hello: &Hello) -> NodeId {
        let node = self.office.next_node();
        self.ledger.counters = true;
        let mut name = hello.name.clone();
        if let Some(taken) = self.nodes.named(&name) {
            if self.nodes.known(taken).phase() == NodePhase::Lost {
                self.nodes.rename(taken, format!("{name}~{taken}"));
                self.ledger.nodes.insert(taken);
            } else {
                name = format!("{name}~{node}");
            }
        }
        self.nodes.insert(NodeRecord {
            node,
            name,
            nonce: hello.nonce,
            boot: hello.boot,
            journal: hello.journal,
            session: SessionNumber(0),
            capacity: hello.capacity.clone(),
            labels: hello.labels.clone(),
            joined_at: self.office.now.wall,
            last_heard_at: self.office.now.wall,
            leased: true,
            grace: None,
        });
        node
    }

    fn welcome(
        &mut self,
        (connection, number): (ConnectionId, SessionNumber),
        node: NodeId,
        hello: Hello,
        fresh: bool,
    ) {
        let now = self.office.now;
        let entry = self.nodes.known(node);
        let record = &mut entry.record;
        record.nonce = hello.nonce;
        let is_booted = record.boot != hello.boot;
        record.boot = hello.boot;
        record.journal = hello.journal;
        record.session = number;
        record.labels = hello.labels;
        record.last_heard_at = now.wall;
        record.leased = true;
        record.grace = None;
        if record.capacity != hello.capacity {
            record.capacity = hello.capacity;
            entry.load.rebook(&record.capacity, now.moment);
        }
        entry.session = Some(Session::new(connection, number));
        entry.version = hello.version;
        entry.containment = hello.containment;
        entry.offer = hello.offer;
        entry.welcomed = true;
        entry.unclaimed = 0;
        if is_booted {
            self.node_booted(node);
        }
        self.nodes.by_connection.insert(connection, node);
        self.nodes.awaited.remove(&node);
        self.nodes.dirty.insert(node);
        self.ledger.nodes.insert(node);
        self.heard(node);
        let lease = self.office.settings.lease;
        self.send(node, DownBody::Welcome { node, lease, fresh });
        let held = if fresh { Vec::new() } else { hello.held };
        self.reconcile(node, &held);
        self.nodes.known(node).running = held
            .iter()
            .filter(|held| held.state == HeldState::Running)
            .map(|held| held.attempts)
            .collect();
        self.publish(FleetEvent::Node {
            node,
            phase: NodePhase::Up,
            at: now.wall,
        });
    }

    /// Compares what the agent holds with what it was granted (PROTOCOL 6).
    fn reconcile(&mut self, node: NodeId, held: &[Held]) {
        let mut forget = Vec::new();
        let mut cancel = Vec::new();
        let mut seen: BTreeSet<AttemptId> = BTreeSet::new();
        for part in held {
            for attempt in part.attempts.iter() {
                let place = self.place_of(attempt).filter(|place| place.node == node);
                let Some(place) = place else {
                    // Its report is acknowledged when it comes.
                    if part.state != HeldState::Ended {
                        forget.push(attempt);
                    }
                    continue;
                };
                seen.insert(attempt);
                if place.suspect && self.is_surplus(place) {
                    forget.push(attempt);
                    continue;
                }
                if place.suspect && !self.is_replaced(place) {
                    self.suspect(place, false);
                }
                if part.state != HeldState::Ended {
                    self.sort_held((place, part.state), &mut forget, &mut cancel);
                }
            }
        }
        let grants: Vec<_> = self.nodes.known(node).grants.iter().copied().collect();
        for grant in grants {
            let places = self.unsettled_of(grant);
            let missing = places.iter().filter(|place| !seen.contains(&place.attempt));
            forget.extend(missing.map(|place| place.attempt));
            self.arm(grant);
        }
        self.forget(node, forget);
        if !cancel.is_empty() {
            self.nodes.known(node).asked.extend(cancel.iter().copied());
            self.send(node, DownBody::Cancel(AttemptRange::gather(cancel)));
        }
    }

    /// Whether a replica that was believed lost was replaced meanwhile. One whose replacement was not
    /// granted yet is taken back.
    fn is_surplus(&mut self, place: Place) -> bool {
        let job = self.jobs.live(place.job);
        if !job.is_service() {
            return false;
        }
        match job.state(place.task) {
            TaskState::Waiting | TaskState::Parked => {
                self.set_task(place.job, place.task, TaskState::Granted);
                self.enqueue(place.job);
                false
            }
            TaskState::Granted => self.is_replaced(place),
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Dead
            | TaskState::Unknown
            | TaskState::Blocked
            | TaskState::Skipped => false,
        }
    }

    fn sort_held(
        &mut self,
        (place, held): (Place, HeldState),
        forget: &mut Vec<AttemptId>,
        cancel: &mut Vec<AttemptId>,
    ) {
        let job = self.jobs.live(place.job);
        match job.state(place.task) {
            TaskState::Waiting | TaskState::Parked | TaskState::Granted => {
                if job.is_cancelling() || !job.wants(place.task) {
                    cancel.push(place.attempt);
                }
            }
            // What runs may still tell its real outcome (PROTOCOL 7). What did not start must not do
            // so after a person was told that the job is over, perhaps because they cancelled it.
            TaskState::Unknown => {
                if held == HeldState::Granted && !job.is_active() {
                    forget.push(place.attempt);
                }
            }
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Dead
            | TaskState::Blocked
            | TaskState::Skipped => {
                forget.push(place.attempt);
            }
        }
    }

    /// Asks an agent to give attempts back. They stay its own until it confirms (PROTOCOL 6).
    pub(crate) fn forget(&mut self, node: NodeId, attempts: Vec<AttemptId>) {
        if attempts.is_empty() {
            return;
        }
        self.nodes
            .known(node)
            .asked
            .extend(attempts.iter().copied());
        let ranges = AttemptRange::gather(attempts);
        if self.office.settings.sabotage.breaks(Rule::Tombstone) {
            self.forgotten(node, &ranges);
        }
        self.send(node, DownBody::Forget(ranges));
    }

    /// An attempt of a task that has ended without it: given back by a node that can be asked,
    /// written off otherwise (what that node still holds is unknown at its next hello, and stopped).
    pub(crate) fn revoke(&mut self, place: Place) {
        if self.nodes.session(place.node).is_some() {
            self.forget(place.node, vec![place.attempt]);
        } else {
            self.record_without_report(place, Outcome::Lost, false);
            self.settle(place);
        }
    }

    pub(crate) fn disconnected(&mut self, connection: ConnectionId) {
        let Some(node) = self.nodes.by_connection.remove(&connection) else {
            return;
        };
        let current = self.nodes.session(node).map(|session| session.connection);
        if current == Some(connection) {
            self.end_session(node);
        }
    }

    /// Closes the session of a node, if it has one. Its lease runs on.
    pub(crate) fn end_session(&mut self, node: NodeId) {
        let at = self.office.now.wall;
        let unchecked = self.office.settings.sabotage.breaks(Rule::SessionCheck);
        let entry = self.nodes.known(node);
        let Some(session) = entry.session.take() else {
            return;
        };
        entry.asked.clear();
        entry.record.last_heard_at = entry.last_heard_at.unwrap_or(at);
        let phase = entry.phase();
        self.ledger.nodes.insert(node);
        if !unchecked {
            self.nodes.by_connection.remove(&session.connection);
        }
        for request in session.reads {
            self.reply(request, Ok(Reply::Output(Err(OutputFault::Unreachable))));
        }
        for (request, order) in session.asks {
            let answer = Err(AskFault::Unreachable);
            self.audit_answer(order, &answer);
            self.reply(request, Ok(Reply::Answer(answer)));
        }
        self.close(session.connection);
        self.publish(FleetEvent::Node { node, phase, at });
    }

    fn refuse(&mut self, connection: ConnectionId, number: SessionNumber, refusal: HelloRefusal) {
        let authority = self.office.mandate.authority;
        let frame = Session::new(connection, number).frame(authority, DownBody::Refused(refusal));
        self.ledger.effects.push(Effect::Send { connection, frame });
        self.close(connection);
    }

    fn close(&mut self, connection: ConnectionId) {
        self.ledger.effects.push(Effect::Close { connection });
    }
}
