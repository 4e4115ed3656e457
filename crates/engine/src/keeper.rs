//! The keeper's decisions: what to spawn, stop, kill at a deadline, remember and forget.
//!
//! A keeper obeys one agent at a time, the one that said hello last. What it has to tell while there
//! is none is not queued: the next agent gets a list of all that the keeper holds.

pub mod api;
mod child;
pub mod codec;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    ids::{AttemptId, BootId},
    outcome::StartStage,
    sample::Unkillable,
    units::{Moment, Now},
};

use crate::{
    keeper::{
        api::{
            Child, Effect, Event, FromKeeper, Identity, LIST_PART_MAX, Launch, LogRecord, Peer,
            Settings, TAKEN_BACK, TOO_LATE, ToKeeper,
        },
        child::{Held, Leader, Live, Order},
        lines::Lines,
    },
    sabotage::Rule,
};

/// What the agent is told at once: a packet full of descriptors.
const UNTOLD_MAX: usize = 2 * LIST_PART_MAX;
/// `EAGAIN`, the answer to a start beyond the limit (`man 3 errno`).
const TOO_MANY: i32 = 11;
/// `man 7 signal`.
const SIGKILL: i32 = 9;

/// The keeper's state.
#[derive(Debug)]
pub struct Keeper {
    boot: BootId,
    settings: Settings,
    /// The connection that said hello last.
    agent: Option<Peer>,
    /// Without an agent since then.
    idle_since: Moment,
    children: BTreeMap<AttemptId, Held>,
    /// Of those that are not their attempt's first, which run it is (PROTOCOL 17).
    later_runs: BTreeMap<AttemptId, u32>,
    /// Those that were killed and are not gone.
    unkillable: BTreeMap<AttemptId, Unkillable>,
    lines: Lines,
    untold: Untold,
    /// When something must be killed.
    deadlines: BTreeSet<(Moment, AttemptId)>,
    phase: Phase,
}

/// What the agent will be told.
#[derive(Debug, Default)]
struct Untold {
    messages: Vec<FromKeeper>,
    /// At the latest then; `None` for at once.
    until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Takes no new programs and ends without children.
    Quitting,
    Ended,
}

impl Keeper {
    /// A keeper without children on a machine of that boot.
    pub fn open(boot: BootId, now: Now, settings: Settings) -> Self {
        Self {
            boot,
            settings,
            agent: None,
            idle_since: now.moment,
            children: BTreeMap::new(),
            later_runs: BTreeMap::new(),
            unkillable: BTreeMap::new(),
            lines: Lines::default(),
            untold: Untold::default(),
            deadlines: BTreeSet::new(),
            phase: Phase::Serving,
        }
    }

    /// Applies `events` in order at `now` and returns what must be done, in order.
    pub fn handle(&mut self, events: Vec<Event>, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for event in events {
            self.apply(event, now, &mut effects);
        }
        self.kill_due(now, &mut effects);
        self.tell(now, &mut effects);
        if self.phase != Phase::Ended && self.is_over(now.moment) {
            self.phase = Phase::Ended;
            effects.push(Effect::End);
        }
        effects
    }

    /// When a tick is needed at the latest, if no event comes before.
    pub fn deadline(&self) -> Option<Moment> {
        let kill = self.deadlines.first().map(|(deadline, _)| *deadline);
        let is_idle = self.agent.is_none() && self.children.is_empty();
        let end = is_idle.then(|| self.idle_since + self.settings.idle_end);
        let tell = self.untold.until;
        [kill, end, tell]
            .into_iter()
            .flatten()
            .min()
            .filter(|_| self.phase != Phase::Ended)
    }

    fn apply(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        match event {
            Event::Message {
                peer,
                message: ToKeeper::Hello { nonce: _ },
            } => {
                self.hello(peer, effects);
            }
            Event::Message { peer, message } if self.agent == Some(peer) => {
                self.obey(message, now, effects);
            }
            // Of a connection that a newer hello closed, or that never said hello.
            Event::Message { .. } | Event::Tick => {}
            Event::PeerGone { peer } => {
                if self.agent.take_if(|agent| *agent == peer).is_some() {
                    self.idle_since = now.moment;
                    self.untold = Untold::default();
                }
            }
            Event::Executed { attempt, identity } => self.executed(attempt, identity, now, effects),
            Event::NotExecuted {
                attempt,
                stage,
                errno,
            } => {
                self.not_executed(attempt, stage, errno, now, effects);
            }
            Event::LeaderExited {
                attempt,
                status,
                usage,
                out_of_memory,
            } => {
                let leader = Leader {
                    status,
                    usage,
                    out_of_memory,
                    ended_at: now.wall,
                };
                self.leader_exited(attempt, leader, now, effects);
            }
            Event::TreeEmpty { attempt } => self.tree_empty(attempt, now, effects),
            Event::Unkillable(unkillable) => self.still_there(unkillable),
        }
    }

    /// A new agent: the older connection is closed unread, and the new one is told everything.
    fn hello(&mut self, peer: Peer, effects: &mut Vec<Effect>) {
        match self.agent {
            Some(newer) if newer > peer => return effects.push(Effect::Close { peer }),
            Some(older) if older < peer => effects.push(Effect::Close { peer: older }),
            Some(_) | None => {}
        }
        self.agent = Some(peer);
        // All of it is in the list.
        self.untold = Untold::default();
        let children: Vec<Child> = self
            .children
            .iter()
            .map(|(attempt, held)| Child {
                attempt: *attempt,
                run: self.run_of(*attempt),
                state: held.state(),
            })
            .collect();
        let mut parts = children.chunks(LIST_PART_MAX).peekable();
        if parts.peek().is_none() {
            let (children, last) = (Vec::new(), true);
            self.send(FromKeeper::Listed { children, last });
        }
        while let Some(part) = parts.next() {
            let (children, last) = (part.to_vec(), parts.peek().is_none());
            self.send(FromKeeper::Listed { children, last });
        }
        // Behind the list, so that whoever hears it knows the attempt.
        for unkillable in self.unkillable.values().cloned().collect::<Vec<_>>() {
            self.send(FromKeeper::Unkillable(unkillable));
        }
    }

    fn obey(&mut self, message: ToKeeper, now: Now, effects: &mut Vec<Effect>) {
        match message {
            // Handled before, of whatever peer.
            ToKeeper::Hello { nonce: _ } => {}
            ToKeeper::Start(launch) => self.start(launch, now, effects),
            ToKeeper::Stop { attempt, .. } if self.lines.remove(attempt) => {
                self.take_back(attempt, effects);
            }
            ToKeeper::Stop {
                attempt,
                signal,
                grace,
                reason,
            } => {
                // Logged before the signal: whoever finds the program ended by it knows why.
                if self.change(attempt, |live| live.stop_for(reason)) == Some(true) {
                    effects.push(Effect::Log(LogRecord::Stopping { attempt, reason }));
                }
                let kill_at = now.moment + grace;
                let order = self.change(attempt, |live| live.stop(kill_at, grace.is_zero()));
                match order {
                    Some(Order::Signal) => effects.push(Effect::Signal {
                        attempt,
                        signal: i32::from(signal),
                    }),
                    order => carry_out(attempt, order, effects),
                }
            }
            ToKeeper::Fence { attempt, deadline } => {
                self.change(attempt, |live| live.fence = Some(deadline));
            }
            ToKeeper::Forget { attempt } => self.forget(attempt, effects),
            ToKeeper::Quit => {
                self.phase = Phase::Quitting;
                for attempt in self.lines.clear() {
                    self.take_back(attempt, effects);
                }
            }
        }
    }

    fn start(&mut self, launch: Box<Launch>, now: Now, effects: &mut Vec<Effect>) {
        let attempt = launch.attempt;
        if self.phase != Phase::Serving || self.children.contains_key(&attempt) {
            return self.send(FromKeeper::Refused { attempt });
        }
        if self.children.len() >= usize::try_from(self.settings.children_max).unwrap_or(usize::MAX)
        {
            let (stage, errno) = (StartStage::Spawn, TOO_MANY);
            return self.send(FromKeeper::NotStarted {
                attempt,
                stage,
                errno,
            });
        }
        let class = launch.class;
        if launch.run > 1 {
            self.later_runs.insert(attempt, launch.run);
        }
        match launch.places.filter(|_| launch.fence.is_none()) {
            None => self.begin(launch, now, effects),
            Some(places) => {
                self.children.insert(attempt, Held::Waiting);
                self.lines.wait(launch, places);
                self.begin_next(class, now, effects);
            }
        }
    }

    /// Spawns a program, unless its deadline has passed.
    fn begin(&mut self, launch: Box<Launch>, now: Now, effects: &mut Vec<Effect>) {
        let (attempt, class) = (launch.attempt, launch.class);
        let fence = launch
            .fence
            .filter(|_| !self.settings.sabotage.breaks(Rule::Fencing));
        self.lines.begin(class);
        if fence.is_some_and(|deadline| deadline <= now.moment) {
            self.children
                .insert(attempt, Held::Live(Live::new(class, fence, now.wall)));
            return self.not_executed(attempt, StartStage::Spawn, TOO_LATE, now, effects);
        }
        effects.push(Effect::Log(LogRecord::Spawning {
            attempt,
            run: launch.run,
            at: now.wall,
        }));
        effects.push(Effect::Spawn(launch));
        self.children
            .insert(attempt, Held::Live(Live::new(class, None, now.wall)));
        self.change(attempt, |live| live.fence = fence);
    }

    fn run_of(&self, attempt: AttemptId) -> u32 {
        self.later_runs.get(&attempt).copied().unwrap_or(1)
    }

    /// Logs and tells that a program was not started, and at which step.
    fn note_no_start(
        &mut self,
        attempt: AttemptId,
        (stage, errno): (StartStage, i32),
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Log(LogRecord::NotStarted {
            attempt,
            stage,
            errno,
        }));
        self.send(FromKeeper::NotStarted {
            attempt,
            stage,
            errno,
        });
    }

    /// A program that waited for its turn is stopped before that.
    fn take_back(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let (stage, errno) = (StartStage::Spawn, TAKEN_BACK);
        self.children
            .insert(attempt, Held::NotStarted { stage, errno });
        self.note_no_start(attempt, (stage, errno), effects);
    }

    fn forget(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        match self.children.get(&attempt) {
            Some(Held::NotStarted { .. } | Held::Ended(_)) => {
                self.children.remove(&attempt);
                self.later_runs.remove(&attempt);
                effects.push(Effect::Log(LogRecord::Forgotten { attempt }));
                effects.push(Effect::Release { attempt });
            }
            Some(Held::Waiting | Held::Live(_)) | None => {}
        }
    }

    fn executed(
        &mut self,
        attempt: AttemptId,
        identity: Identity,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        debug_assert_eq!(
            identity.boot, self.boot,
            "a child is of the keeper's own boot"
        );
        let Some(Held::Live(live)) = self.children.get_mut(&attempt) else {
            return;
        };
        live.identity = Some(identity);
        live.started_at = now.wall;
        effects.push(Effect::Log(LogRecord::Running {
            attempt,
            identity,
            at: now.wall,
        }));
        let class = live.class;
        let started = FromKeeper::Started {
            attempt,
            identity,
            at: now.wall,
        };
        self.send_of(class, started, now);
    }

    fn not_executed(
        &mut self,
        attempt: AttemptId,
        stage: StartStage,
        errno: i32,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let settled = self.settle(attempt, |_| Some(Held::NotStarted { stage, errno }));
        let Some((class, _)) = settled else {
            return;
        };
        self.note_no_start(attempt, (stage, errno), effects);
        self.lines.end(class);
        self.begin_next(class, now, effects);
    }

    fn leader_exited(
        &mut self,
        attempt: AttemptId,
        leader: Leader,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let order = self.change(attempt, |live| live.leader_exited(leader));
        carry_out(attempt, order, effects);
        self.end_when_over(attempt, now, effects);
    }

    fn tree_empty(&mut self, attempt: AttemptId, now: Now, effects: &mut Vec<Effect>) {
        self.change(attempt, |live| live.is_empty = true);
        self.end_when_over(attempt, now, effects);
    }

    fn still_there(&mut self, unkillable: Unkillable) {
        let attempt = unkillable.attempt;
        let is_live = matches!(self.children.get(&attempt), Some(Held::Live(_)));
        if is_live && self.unkillable.get(&attempt) != Some(&unkillable) {
            self.unkillable.insert(attempt, unkillable.clone());
            self.send(FromKeeper::Unkillable(unkillable));
        }
    }

    /// An attempt has ended when its leader was reaped and its tree is empty, in any order.
    fn end_when_over(&mut self, attempt: AttemptId, now: Now, effects: &mut Vec<Effect>) {
        let settled = self.settle(attempt, |live| live.end().map(Held::Ended));
        if let Some((class, Held::Ended(end))) = settled {
            effects.push(Effect::Log(LogRecord::Ended { attempt, end }));
            self.lines.end(class);
            self.begin_next(class, now, effects);
            self.send_of(class, FromKeeper::Ended { attempt, end }, now);
        }
    }

    /// Starts what waited for a place.
    fn begin_next(&mut self, class: u64, now: Now, effects: &mut Vec<Effect>) {
        while let Some(launch) = self.lines.next(class) {
            self.begin(launch, now, effects);
        }
    }

    fn kill_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some((deadline, attempt)) = self.deadlines.first().copied() {
            if deadline > now.moment {
                break;
            }
            let order = self.change(attempt, |live| live.kill(now.moment));
            carry_out(attempt, order, effects);
        }
    }

    /// Changes a live child and keeps the deadlines right.
    fn change<T>(&mut self, attempt: AttemptId, change: impl FnOnce(&mut Live) -> T) -> Option<T> {
        let fencing = !self.settings.sabotage.breaks(Rule::Fencing);
        let Some(Held::Live(live)) = self.children.get_mut(&attempt) else {
            return None;
        };
        let before = live.deadline();
        let result = change(live);
        if !fencing {
            live.fence = None;
        }
        let after = live.deadline();
        self.rearm(attempt, before, after);
        Some(result)
    }

    /// Replaces a live child by what it has become, if it has become something, and gives its class.
    fn settle(
        &mut self,
        attempt: AttemptId,
        become_what: impl FnOnce(&Live) -> Option<Held>,
    ) -> Option<(u64, Held)> {
        let Some(Held::Live(live)) = self.children.get(&attempt) else {
            return None;
        };
        let (class, before) = (live.class, live.deadline());
        let settled = become_what(live)?;
        self.children.insert(attempt, settled);
        self.unkillable.remove(&attempt);
        self.rearm(attempt, before, None);
        Some((class, settled))
    }

    fn rearm(&mut self, attempt: AttemptId, before: Option<Moment>, after: Option<Moment>) {
        if before != after {
            before.map(|deadline| self.deadlines.remove(&(deadline, attempt)));
            after.map(|deadline| self.deadlines.insert((deadline, attempt)));
        }
    }

    /// Tells the agent at the end of this turn.
    fn send(&mut self, message: FromKeeper) {
        if self.agent.is_some() {
            self.untold.messages.push(message);
            self.untold.until = None;
        }
    }

    /// Tells the agent of a start or an end: at once, unless programs of the class that wait for
    /// their turn keep the machine busy. Then a few are told together, which costs the agent one
    /// turn, one sync and one frame for all of them.
    fn send_of(&mut self, class: u64, message: FromKeeper, now: Now) {
        let Untold { messages, until } = &self.untold;
        let may_wait = (messages.is_empty() || until.is_some())
            && messages.len() < UNTOLD_MAX
            && self.lines.is_long(class);
        let until = until.unwrap_or(now.moment + self.settings.tell_within);
        self.send(message);
        if may_wait && self.agent.is_some() {
            self.untold.until = Some(until);
        }
    }

    fn tell(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.untold.until.is_some_and(|until| until > now.moment) {
            return;
        }
        let Untold { messages, .. } = std::mem::take(&mut self.untold);
        if let Some(peer) = self.agent {
            effects.extend(
                messages
                    .into_iter()
                    .map(|message| Effect::Send { peer, message }),
            );
        }
    }

    /// Whether nothing is held any more and nobody is there to ask for more. Ended children count as
    /// held: their output would be lost.
    fn is_over(&self, now: Moment) -> bool {
        let is_left = self.agent.is_none() && now >= self.idle_since + self.settings.idle_end;
        self.children.is_empty() && (is_left || self.phase == Phase::Quitting)
    }
}

fn carry_out(attempt: AttemptId, order: Option<Order>, effects: &mut Vec<Effect>) {
    match order {
        Some(Order::Kill) => {
            // All at once first: a parent that outlived its children by a moment could make more
            // than the sweep finds.
            effects.push(Effect::Signal {
                attempt,
                signal: SIGKILL,
            });
            effects.push(Effect::Sweep { attempt });
        }
        Some(Order::Sweep) => effects.push(Effect::Sweep { attempt }),
        // The signal is that of the stop that asks for it.
        Some(Order::Signal | Order::Nothing) | None => {}
    }
}
