//! Connections and frames: who is listened to, and in which order (PROTOCOL 1–3).

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use flota_model::{
    frame::{
        Down, DownBody, Held, HeldState, Hello, HelloRefusal, OUTPUT_PART_MAX, OutputFault,
        OutputPart, PROTOCOL_VERSION, REPLICAS_PER_FRAME, SpecWindow, Up, UpBody,
    },
    ids::{AttemptRange, Authority, ConnectionId, NodeId, RequestId, SessionNumber},
    outcome::Report,
    sample::NodeSample,
    service::ReplicaStatus,
    spec::SealedSpec,
    units::Moment,
};

use crate::{
    journal::{Record, report_weight, values::is_sound},
    node::{Node, api::Effect, tombstones::Tombstones, turn::Draft},
    sabotage::Rule,
};

/// Reports of more bytes than this go into the next frame.
const REPORT_FRAME_BYTES_MAX: u64 = 1 << 20;
/// How many statuses without lines one with lines counts for: sixty-odd of them are a mebibyte.
const WEIGHT_OF_LINES: usize = 16;
/// How long an agent waits for the answer to its hello before it dials anew.
const WELCOME_WAIT_MAX: Duration = Duration::from_secs(10);
/// Heartbeats of which the answer is awaited: a minute at one a second.
const HEARTBEATS_MAX: usize = 64;

/// The connections to the server.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The newest connection, until the hello.
    waiting: Option<ConnectionId>,
    pub(super) session: Option<Session>,
    /// The last sample of the machine, until a heartbeat has taken it along.
    pub(super) sample: Option<Box<NodeSample>>,
    /// Orders of our clients without an answer, and the session that took them along.
    pub(super) orders: BTreeMap<RequestId, SessionNumber>,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: ConnectionId,
    number: SessionNumber,
    /// Frames sent.
    sent: u64,
    /// Frames received.
    received: u64,
    phase: Phase,
    pub(super) specs: SpecWindow<Arc<SealedSpec>>,
    tombstones: Tombstones,
    /// Attempts that were refused since the hello, which still counted them as held; the server is
    /// told when it has answered.
    untold: Vec<AttemptRange>,
    /// The turn that sent the hello, and when that was.
    greeted_in: u64,
    greeted_at: Moment,
    /// When heartbeats were sent, and in which turn.
    heartbeats: VecDeque<(Moment, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The hello was sent.
    Greeting,
    /// The server welcomed us.
    Open {
        lease: Duration,
        next_heartbeat: Moment,
    },
}

impl Session {
    fn new(connection: ConnectionId, number: SessionNumber, greeted: (u64, Moment)) -> Self {
        Self {
            connection,
            number,
            sent: 0,
            received: 0,
            phase: Phase::Greeting,
            specs: SpecWindow::default(),
            tombstones: Tombstones::default(),
            untold: Vec::new(),
            greeted_in: greeted.0,
            greeted_at: greeted.1,
            heartbeats: VecDeque::new(),
        }
    }

    /// How long a lease lasts; `None` before the welcome.
    pub(super) fn lease(&self) -> Option<Duration> {
        match self.phase {
            Phase::Greeting => None,
            Phase::Open { lease, .. } => Some(lease),
        }
    }

    /// When the next heartbeat is due; `None` before the welcome.
    pub(super) fn next_heartbeat(&self) -> Option<Moment> {
        match self.phase {
            Phase::Greeting => None,
            Phase::Open { next_heartbeat, .. } => Some(next_heartbeat),
        }
    }

    /// Notes a heartbeat sent in `turn`, and when the next one is due.
    pub(super) fn beat(&mut self, sent_at: Moment, turn: u64, next: Moment) {
        if let Phase::Open { next_heartbeat, .. } = &mut self.phase {
            *next_heartbeat = next;
        }
        self.heartbeats.push_back((sent_at, turn));
        if self.heartbeats.len() > HEARTBEATS_MAX {
            self.heartbeats.pop_front();
        }
    }

    /// Whether the server has left the hello, or a heartbeat, without an answer for too long: on a
    /// link that loses frames, or to a server that is gone without a word, nothing else would tell.
    fn is_silent(&self, now: Moment) -> bool {
        let (since, patience) = match self.phase {
            Phase::Greeting => (self.greeted_at, WELCOME_WAIT_MAX),
            Phase::Open { lease, .. } => {
                (self.heartbeats.front().map_or(now, |beat| beat.0), lease)
            }
        };
        now.since(since) >= patience
    }

    /// Its number, once the server has welcomed us.
    pub(super) fn open_number(&self) -> Option<SessionNumber> {
        match self.phase {
            Phase::Greeting => None,
            Phase::Open { .. } => Some(self.number),
        }
    }

    /// The turn of the last heartbeat sent at or before `sent_at`; it is given once.
    pub(super) fn answered(&mut self, sent_at: Moment) -> Option<u64> {
        let mut turn = None;
        while let Some(beat) = self.heartbeats.pop_front_if(|beat| beat.0 <= sent_at) {
            turn = Some(beat.1);
        }
        turn
    }

    /// Which of the attempts of `range` were refused in this session.
    pub(super) fn refused_within(&self, range: AttemptRange) -> Vec<AttemptRange> {
        self.tombstones.within(range)
    }

    pub(super) fn bury(&mut self, range: AttemptRange) {
        self.tombstones.insert(range);
    }

    /// What to do with a frame of that session and place.
    fn judge(&mut self, connection: ConnectionId, frame: &Down) -> Verdict {
        if self.connection != connection || self.number != frame.session {
            return Verdict::Drop;
        }
        match frame.sequence.cmp(&self.received) {
            Ordering::Less => Verdict::Drop,
            Ordering::Greater => Verdict::Close,
            Ordering::Equal => {
                self.received += 1;
                let is_answer =
                    matches!(frame.body, DownBody::Welcome { .. } | DownBody::Refused(_));
                if is_answer == (self.phase == Phase::Greeting) {
                    Verdict::Take
                } else {
                    Verdict::Close
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Take,
    Drop,
    Close,
}

impl Node {
    /// Notes a connection; the hello follows when the turn is complete.
    pub(super) fn connected(&mut self, connection: ConnectionId, draft: &mut Draft) {
        if let Some(connection) = self.link.waiting.replace(connection) {
            draft.at_once(Effect::Close { connection });
        }
    }

    /// Says hello on the newest connection, once the keepers were heard: only then is it known what
    /// is held.
    pub(super) fn greet_waiting(&mut self, draft: &mut Draft) {
        if self.keeper.is_some()
            && let Some(connection) = self.link.waiting.take()
        {
            self.greet(connection, draft);
        }
    }

    pub(super) fn disconnected(&mut self, connection: ConnectionId) {
        self.link.waiting.take_if(|waiting| *waiting == connection);
        self.link
            .session
            .take_if(|session| session.connection == connection);
    }

    /// Takes a frame, if it is the next one of the session and of no lower authority than obeyed.
    pub(super) fn frame(&mut self, connection: ConnectionId, frame: Down, draft: &mut Draft) {
        let Some(session) = &mut self.link.session else {
            return;
        };
        if !self.opening.settings.sabotage.breaks(Rule::SessionCheck) {
            match session.judge(connection, &frame) {
                Verdict::Take => {}
                Verdict::Drop => return,
                Verdict::Close => return self.close(draft),
            }
        }
        if frame.authority < self.chain.obeyed {
            return self.close(draft);
        }
        self.obey(frame.authority, draft);
        if !self.body(frame.body, draft) {
            self.close(draft);
        }
    }

    /// Answers the server that asked for a part of an output, if it is still there.
    pub(super) fn output_read(
        &mut self,
        connection: ConnectionId,
        request: RequestId,
        part: Result<OutputPart, OutputFault>,
        draft: &mut Draft,
    ) {
        if self
            .link
            .session
            .as_ref()
            .is_some_and(|session| session.connection == connection)
        {
            self.send(UpBody::OutputPart { request, part }, draft);
        }
    }

    /// Sends a frame of the session, after the batch: frames are numbered in the order in which
    /// they are performed, so all go the same way.
    pub(super) fn send(&mut self, body: UpBody, draft: &mut Draft) {
        let Some(session) = &mut self.link.session else {
            return;
        };
        let frame = Up {
            session: session.number,
            sequence: session.sent,
            body,
        };
        session.sent += 1;
        draft.after(Effect::Send {
            connection: session.connection,
            frame,
        });
    }

    /// Sends the reports and tombstones of the turn. Without an open session they are not lost:
    /// both follow the next welcome, and what is not held needs no tombstone in the next hello.
    pub(super) fn flush(&mut self, draft: &mut Draft) {
        let reports = std::mem::take(&mut draft.reports);
        let tombstones = std::mem::take(&mut draft.tombstones);
        let Some(session) = &mut self.link.session else {
            return;
        };
        if session.phase == Phase::Greeting {
            return session.untold.extend(tombstones);
        }
        for reports in in_frames(reports, self.opening.settings.reports_per_frame) {
            self.send(UpBody::Reports(reports), draft);
        }
        if !tombstones.is_empty() {
            self.send(UpBody::Forgotten(tombstones), draft);
        }
        let statuses = self.take_statuses();
        for part in in_status_frames(statuses) {
            self.send(UpBody::Replicas(part), draft);
        }
    }

    fn greet(&mut self, connection: ConnectionId, draft: &mut Draft) {
        if let Some(older) = self.link.session.take() {
            draft.at_once(Effect::Close {
                connection: older.connection,
            });
        }
        self.chain.session.0 += 1;
        let number = self.chain.session;
        draft.record_synced(Record::Session(number));
        self.link.session = Some(Session::new(
            connection,
            number,
            (draft.number, draft.now.moment),
        ));
        let hello = self.hello();
        self.send(UpBody::Hello(Box::new(hello)), draft);
    }

    fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            version: self.opening.version.clone(),
            name: self.opening.name.clone(),
            node: self.chain.node,
            nonce_previous: self.chain.previous,
            nonce: self.chain.nonce,
            boot: self.opening.boot,
            journal: self.chain.journal,
            obeyed: self.chain.obeyed,
            capacity: self.opening.capacity.clone(),
            labels: self.opening.labels.clone(),
            held: self.held(),
            containment: Some(self.opening.settings.containment),
            offer: self.opening.settings.offer.clone(),
        }
    }

    /// All that is not settled, in ranges.
    fn held(&self) -> Vec<Held> {
        let granted = self
            .queue
            .pieces()
            .map(|piece| piece.order.attempts)
            .collect();
        let running = AttemptRange::gather(self.table.iter().map(|(attempt, _)| attempt));
        let ended = AttemptRange::gather(self.reports.iter().map(|report| report.attempt));
        let in_state = |ranges: Vec<AttemptRange>, state| {
            ranges
                .into_iter()
                .map(move |attempts| Held { attempts, state })
        };
        in_state(granted, HeldState::Granted)
            .chain(in_state(running, HeldState::Running))
            .chain(in_state(ended, HeldState::Ended))
            .collect()
    }

    /// Leaves a server that does not answer; the shell dials again.
    pub(super) fn leave_silence(&mut self, draft: &mut Draft) {
        let now = draft.now.moment;
        if self
            .link
            .session
            .as_ref()
            .is_some_and(|session| session.is_silent(now))
        {
            self.close(draft);
        }
    }

    fn close(&mut self, draft: &mut Draft) {
        if let Some(session) = self.link.session.take() {
            draft.at_once(Effect::Close {
                connection: session.connection,
            });
        }
    }

    fn obey(&mut self, authority: Authority, draft: &mut Draft) {
        if authority > self.chain.obeyed {
            self.chain.obeyed = authority;
            self.progress.obey();
            draft.record_synced(Record::Obeyed(authority));
        }
    }

    /// Acts on a frame. `false` if it cannot be of a server in its right mind.
    fn body(&mut self, body: DownBody, draft: &mut Draft) -> bool {
        let all_sound = |ranges: &[AttemptRange]| ranges.iter().all(is_sound);
        match body {
            DownBody::Welcome { node, lease, fresh } => self.welcome(node, lease, fresh, draft),
            DownBody::Refused(refusal) => self.refused(refusal, draft),
            DownBody::HeartbeatSeen { sent_at } => self.heartbeat_seen(sent_at, draft),
            DownBody::Grants { specs, orders } => return self.grants(specs, orders, draft),
            DownBody::Forget(ranges) if all_sound(&ranges) => {
                for range in ranges {
                    self.forget(range, draft);
                }
            }
            DownBody::Retract(ranges) if all_sound(&ranges) => {
                for range in ranges {
                    self.give_back(range, draft);
                }
            }
            DownBody::Cancel(ranges) if all_sound(&ranges) => {
                for range in ranges {
                    self.cancel(range, draft);
                }
            }
            DownBody::Acknowledge(ranges) if all_sound(&ranges) => {
                self.acknowledge(&ranges, draft);
            }
            DownBody::Forget(_)
            | DownBody::Retract(_)
            | DownBody::Cancel(_)
            | DownBody::Acknowledge(_) => return false,
            DownBody::ReadOutput {
                request,
                attempt,
                stream,
                offset,
                length,
            } => {
                let Some(session) = &self.link.session else {
                    return true;
                };
                let (connection, length) = (session.connection, length.min(OUTPUT_PART_MAX));
                let read = Effect::ReadOutput {
                    connection,
                    request,
                    attempt,
                    stream,
                    offset,
                    length,
                };
                draft.at_once(read);
            }
            DownBody::Ask { request, question } => self.asked(request, question, draft),
            DownBody::LocalAnswer { request, answer } => self.local_answer(request, answer, draft),
        }
        true
    }

    fn welcome(&mut self, node: NodeId, lease: Duration, fresh: bool, draft: &mut Draft) {
        let Some(session) = &mut self.link.session else {
            return;
        };
        session.phase = Phase::Open {
            lease,
            next_heartbeat: draft.now.moment,
        };
        let untold = std::mem::take(&mut session.untold);
        self.progress.prove(session.greeted_in);
        if fresh {
            self.reset(draft);
        } else {
            draft.tombstones.extend(untold);
        }
        if self.chain.join(node) {
            draft.record_synced(Record::Joined(node));
        }
        draft.reports = self.reports.iter().cloned().collect();
        self.replicas.all_changed();
        self.tail_loops(draft);
    }

    fn refused(&mut self, refusal: HelloRefusal, draft: &mut Draft) {
        draft.at_once(Effect::Refused(refusal));
        self.close(draft);
    }

    fn acknowledge(&mut self, ranges: &[AttemptRange], draft: &mut Draft) {
        let mut settled = Vec::new();
        for range in ranges {
            settled.extend(self.reports.remove_within(*range));
        }
        if !settled.is_empty() {
            // Not synced: an acknowledgement that is lost costs one repeated report.
            draft.record(Record::Acknowledged(AttemptRange::gather(settled)));
        }
    }
}

/// Splits reports into frames of at most `count_max`, and of about 1 MiB.
fn in_frames(reports: Vec<Report>, count_max: usize) -> Vec<Vec<Report>> {
    let (mut frames, mut frame, mut bytes) = (Vec::new(), Vec::new(), 0);
    for report in reports {
        bytes += report_weight(&report);
        if !frame.is_empty() && (frame.len() >= count_max || bytes > REPORT_FRAME_BYTES_MAX) {
            bytes = report_weight(&report);
            frames.push(std::mem::take(&mut frame));
        }
        frame.push(report);
    }
    if !frame.is_empty() {
        frames.push(frame);
    }
    frames
}

/// As many statuses as a frame may have, fewer where they are long.
fn in_status_frames(statuses: Vec<ReplicaStatus>) -> Vec<Vec<ReplicaStatus>> {
    let mut frames: Vec<Vec<ReplicaStatus>> = Vec::new();
    let mut room = 0;
    for status in statuses {
        let weight = if status.lines.is_some() {
            WEIGHT_OF_LINES
        } else {
            1
        };
        match frames.last_mut().filter(|_| room >= weight) {
            Some(frame) => frame.push(status),
            None => {
                frames.push(vec![status]);
                room = REPLICAS_PER_FRAME;
            }
        }
        room -= weight;
    }
    frames
}
