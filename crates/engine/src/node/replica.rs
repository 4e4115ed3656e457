//! Replicas of services: their runs, what follows a run that ended, and their probes (PROTOCOL 17).
//!
//! The attempt of a replica stays in the table from its first run to its end; between two runs it is
//! at [`Place::Resting`] and keeps its resources. Each end of a run, and each further start, is a
//! synced record of the journal before anything is done about it, so that a run is never counted
//! twice and the end of one is never taken for that of another. Restarts need no server.

mod evidence;
mod probing;

use std::collections::{BTreeMap, BTreeSet};

use flota_model::{
    ids::{AttemptId, BootId, NodeId},
    outcome::{Outcome, StartStage},
    replica::{LastLines, ProbeFailure},
    service::{Purpose, ReplicaState, ReplicaStatus, RunEnd, Service},
    spec::{Program, Work},
    units::{Moment, Timestamp},
};

use crate::{
    journal::{Record, Rest},
    keeper::codec,
    node::{
        Node,
        api::Effect,
        ending::{Fact, judge_run},
        expand::{self, Host, Names, Terms},
        starting::TOO_LONG,
        table::{Fate, Place},
        turn::Draft,
    },
    sabotage::Rule,
    supervise::{
        probe::Probe,
        restart::{BeforeBoot, Restarts, Run, Verdict, starts_after_boot},
    },
};

/// A run that cannot begin now (the disk is full, the lease is over) is tried again after this.
const TRY_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// What is known of a replica beyond what every attempt has.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    /// The run that it is in, or was in last; from 1.
    pub(super) run: u32,
    pub(super) phase: Phase,
    restarts: Restarts,
    last: Option<RunEnd>,
    probes: Vec<Probe>,
    /// It has failed again and again, and neither ran for long nor answered a probe since.
    is_looping: bool,
    /// The probe that failed last and has not succeeded since.
    failure: Option<ProbeFailure>,
    /// In a crash loop: what the last run wrote.
    lines: Option<LastLines>,
    /// When the run that it is in will have lasted long enough to be no part of a crash loop.
    calm_at: Option<Moment>,
    /// What the server was told last, and since when that is so.
    shown: ReplicaState,
    since: Timestamp,
    due: Option<Moment>,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A run was ordered.
    Starting,
    /// Its program runs, since then.
    Up(Moment),
    /// Its run ended.
    Resting {
        /// When the next one begins.
        until: Moment,
    },
}

/// All replicas of the node.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    by_attempt: BTreeMap<AttemptId, Replica>,
    due: BTreeSet<(Moment, AttemptId)>,
    /// Of these the server will be told.
    pub(super) changed: BTreeSet<AttemptId>,
    /// Their runs were ended by a boot of the machine, as the journal tells.
    interrupted: BTreeSet<AttemptId>,
    /// The boot before that one.
    interrupted_boot: Option<BootId>,
}

impl Replicas {
    pub(super) fn get(&self, attempt: AttemptId) -> Option<&Replica> {
        self.by_attempt.get(&attempt)
    }

    /// A first run is ordered.
    pub(super) fn begin(&mut self, attempt: AttemptId, now: Timestamp) {
        let replica = Replica {
            run: 1,
            phase: Phase::Starting,
            restarts: Restarts::default(),
            last: None,
            probes: Vec::new(),
            is_looping: false,
            failure: None,
            lines: None,
            calm_at: None,
            shown: ReplicaState::Starting,
            since: now,
            due: None,
        };
        self.by_attempt.insert(attempt, replica);
        self.changed.insert(attempt);
    }

    pub(super) fn remove(&mut self, attempt: AttemptId) -> Option<Replica> {
        self.rearm(attempt, None);
        self.changed.remove(&attempt);
        self.interrupted.remove(&attempt);
        self.by_attempt.remove(&attempt)
    }

    /// The machine was booted since that part of the journal was written, in the boot `before`:
    /// nothing runs, moments of before mean nothing, and what rested begins at once.
    pub(super) fn after_boot(&mut self, before: BootId, now: Moment) {
        self.interrupted_boot = Some(before);
        let attempts: Vec<AttemptId> = self.by_attempt.keys().copied().collect();
        for attempt in attempts {
            if let Some(replica) = self.by_attempt.get_mut(&attempt) {
                replica.restarts.clear();
                replica.is_looping = false;
                if replica.is_resting() {
                    replica.phase = Phase::Resting { until: now };
                } else {
                    self.interrupted.insert(attempt);
                }
            }
            self.arm(attempt);
        }
    }

    /// The boot in which those ran that another boot has ended, and of which nothing is written since.
    pub(super) fn interrupted_in(&self) -> Option<BootId> {
        self.interrupted_boot
            .filter(|_| !self.interrupted.is_empty())
    }

    /// When something of a replica is due.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// All of them will be told to the server.
    pub(super) fn all_changed(&mut self) {
        self.changed = self.by_attempt.keys().copied().collect();
    }

    fn pop_due(&mut self, now: Moment) -> Option<AttemptId> {
        let (at, attempt) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.rearm(attempt, None);
        Some(attempt)
    }

    fn rearm(&mut self, attempt: AttemptId, at: Option<Moment>) {
        let Some(replica) = self.by_attempt.get_mut(&attempt) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut replica.due, at) {
            self.due.remove(&(before, attempt));
        }
        if let Some(at) = at {
            self.due.insert((at, attempt));
        }
    }

    /// Moves the alarm to what is due next.
    fn arm(&mut self, attempt: AttemptId) {
        let next = self.by_attempt.get(&attempt).and_then(Replica::next_due);
        self.rearm(attempt, next);
    }
}

impl Replica {
    pub(super) fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting { .. })
    }

    /// What the journal must say of it to give it back: how its last run ended, if one has.
    pub(super) fn rest(&self, attempt: AttemptId) -> Option<Rest> {
        let last = self.last.clone()?;
        let until = match self.phase {
            Phase::Resting { until } => until,
            Phase::Starting | Phase::Up(_) => Moment::default(),
        };
        let (streak, failures) = self.restarts.parts();
        Some(Rest {
            attempt,
            last,
            streak,
            failures,
            until,
            is_crash_loop: self.is_looping,
        })
    }

    fn next_due(&self) -> Option<Moment> {
        match self.phase {
            Phase::Starting => None,
            Phase::Up(_) => {
                let probes = self.probes.iter().filter_map(Probe::deadline);
                probes.chain(self.calm_at).min()
            }
            Phase::Resting { until } => Some(until),
        }
    }

    /// A crash loop is over when a run lasts, or is proven to be ready: between two failures a
    /// program mostly runs for a moment, which says nothing.
    fn state(&self, service: &Service, fate: Fate) -> ReplicaState {
        if !self.is_resting() && fate != Fate::Open {
            return ReplicaState::Stopping;
        }
        let is_up = matches!(self.phase, Phase::Up(_));
        let probes = service.probes.iter().zip(&self.probes);
        let mut readiness = probes
            .filter(|(spec, _)| spec.settings.purpose == Purpose::Readiness)
            .map(|(_, probe)| probe.is_up())
            .peekable();
        let is_proven = readiness.peek().is_some();
        let is_ready = is_up && readiness.all(|is_up| is_up);
        match self.phase {
            _ if self.is_looping && !(is_ready && is_proven) => ReplicaState::CrashLoop,
            Phase::Resting { .. } => ReplicaState::BackingOff,
            Phase::Starting => ReplicaState::Starting,
            Phase::Up(_) if is_ready => ReplicaState::Ready,
            Phase::Up(_) => ReplicaState::Running,
        }
    }
}

impl Node {
    /// What a replica does now; the server is told if that is news.
    pub(super) fn note_replica(&mut self, attempt: AttemptId, now: Timestamp) {
        let Some(running) = self.table.get(attempt) else {
            return;
        };
        let (Some(service), Some(replica)) = (
            running.spec.spec.service.as_deref(),
            self.replicas.by_attempt.get_mut(&attempt),
        ) else {
            return;
        };
        let state = replica.state(service, running.fate);
        if replica.shown != state {
            (replica.shown, replica.since) = (state, now);
            self.replicas.changed.insert(attempt);
        }
    }

    /// What the server will be told of replicas.
    pub(super) fn take_statuses(&mut self) -> Vec<ReplicaStatus> {
        let changed = std::mem::take(&mut self.replicas.changed);
        let known = changed
            .into_iter()
            .filter_map(|attempt| Some((attempt, self.replicas.get(attempt)?)));
        known
            .map(|(attempt, replica)| ReplicaStatus {
                attempt,
                run: replica.run,
                state: replica.shown,
                since: replica.since,
                restarts: replica.run - 1,
                last: replica.last.clone(),
                failure: replica.failure.clone(),
                lines: replica.lines.clone().filter(|_| replica.is_looping),
            })
            .collect()
    }

    /// The program of a replica runs since `since`.
    pub(super) fn replica_runs(&mut self, attempt: AttemptId, since: Moment, now: Timestamp) {
        let service = self
            .table
            .get(attempt)
            .and_then(|running| running.spec.spec.service.as_deref());
        let (Some(service), Some(replica)) = (service, self.replicas.by_attempt.get_mut(&attempt))
        else {
            return;
        };
        replica.phase = Phase::Up(since);
        let probes = service.probes.iter();
        replica.probes = probes
            .map(|probe| Probe::new(probe.settings, since))
            .collect();
        let calm_at = since + service.restart.stable_after;
        replica.calm_at = replica.is_looping.then_some(calm_at);
        self.replicas.arm(attempt);
        self.note_replica(attempt, now);
    }

    /// A run ended. `true` if the attempt goes on, with another run after a while.
    pub(super) fn rests(&mut self, attempt: AttemptId, fact: &Fact, draft: &mut Draft) -> bool {
        let Some((outcome, unhealthy)) = self.own_end(attempt, fact) else {
            return false;
        };
        let nonce = self.opening.nonce.0;
        let (Some(running), Some(replica)) = (
            self.table.get(attempt),
            self.replicas.by_attempt.get_mut(&attempt),
        ) else {
            return false;
        };
        let Some(service) = running.spec.spec.service.as_deref() else {
            return false;
        };
        let now = draft.now.moment;
        // The boot ended it: that is no failure of its own.
        let by_boot = self.replicas.interrupted.remove(&attempt)
            && outcome == Outcome::Unknown
            && starts_after_boot(service.restart.policy, BeforeBoot::Running);
        let (until, is_crash_loop) = if by_boot {
            (now, false)
        } else {
            let run = Run {
                started_at: match replica.phase {
                    Phase::Up(since) => since,
                    Phase::Starting | Phase::Resting { .. } => now,
                },
                ended_at: now,
                outcome: outcome.clone(),
                is_unhealthy: unhealthy,
            };
            let draw = mixed(nonce ^ attempt.sequence.rotate_left(32) ^ u64::from(replica.run));
            match replica.restarts.ended(&service.restart, &run, draw) {
                Verdict::Finished { .. } => return false,
                Verdict::Restart { at, is_crash_loop } => (at, is_crash_loop),
            }
        };
        replica.last = Some(RunEnd {
            run: replica.run,
            outcome,
            unhealthy,
            ended_at: fact.ended_at,
        });
        let spins = self.opening.settings.sabotage.breaks(Rule::BackOff);
        let until = if spins { now } else { until };
        self.rest_until(attempt, until, is_crash_loop);
        if let Some(rest) = self.replicas.get(attempt).and_then(|one| one.rest(attempt)) {
            draft.record_synced(Record::RunEnded(Box::new(rest)));
        }
        if let Some(running) = self.table.remove(attempt) {
            if let Some(keeper) = running.place.keeper() {
                draft.after(Effect::Forget { keeper, attempt });
            }
            self.table.insert(attempt, running.at_rest());
        }
        self.replicas.changed.insert(attempt);
        self.note_replica(attempt, draft.now.wall);
        if is_crash_loop {
            self.tail(attempt, fact.output.as_deref(), draft);
        }
        true
    }

    /// How a run ended by itself, or because it was unwell. `None` where the attempt is over with
    /// it, or there is no run.
    fn own_end(&self, attempt: AttemptId, fact: &Fact) -> Option<(Outcome, bool)> {
        let running = self.table.get(attempt)?;
        let replica = self.replicas.get(attempt)?;
        if replica.is_resting() {
            return None;
        }
        let (outcome, fate) = judge_run(running, fact);
        let goes_on = matches!(fate, Fate::Open | Fate::Unhealthy)
            && !matches!(outcome, Outcome::Lost | Outcome::Cancelled);
        goes_on.then_some((outcome, fate == Fate::Unhealthy))
    }

    fn rest_until(&mut self, attempt: AttemptId, until: Moment, is_crash_loop: bool) {
        if let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) {
            replica.phase = Phase::Resting { until };
            replica.is_looping = is_crash_loop;
            replica.calm_at = None;
            replica.probes.clear();
        }
        self.replicas.arm(attempt);
    }

    /// Begins runs that are due, and probes.
    pub(super) fn supervise(&mut self, draft: &mut Draft) {
        let now = draft.now.moment;
        while let Some(attempt) = self.replicas.pop_due(now) {
            match self.replicas.get(attempt).map(|replica| replica.phase) {
                Some(Phase::Resting { .. }) => {
                    if !self.run_again(attempt, draft) {
                        self.replicas.rearm(attempt, Some(now + TRY_AGAIN));
                    }
                }
                Some(Phase::Up(_)) => {
                    self.calm(attempt, draft);
                    self.probe_due(attempt, draft);
                }
                Some(Phase::Starting) | None => {}
            }
        }
    }

    /// Begins the next run, if it may begin now.
    fn run_again(&mut self, attempt: AttemptId, draft: &mut Draft) -> bool {
        let Some(keeper) = self.keeper.filter(|_| !self.holds_back()) else {
            return false;
        };
        let Some(running) = self.table.get(attempt) else {
            return true;
        };
        let leased = self.queue.classes.get(running.class).key.leased;
        if leased && !self.is_leased(draft.now.moment) {
            return false;
        }
        let Some(running) = self.table.remove(attempt) else {
            return true;
        };
        let (class, spec) = (running.class, std::sync::Arc::clone(&running.spec));
        let names = Names {
            attempt,
            job: running.job,
            task: running.task,
            values: &[],
        };
        let place = Place::Keeper(keeper);
        self.table
            .insert(attempt, running.started_again(place, draft));
        let Work::Program(program) = &spec.spec.work else {
            return true;
        };
        let run = self.next_run(attempt);
        draft.record_synced(Record::RunStarting {
            attempt,
            run,
            at: draft.now.wall,
        });
        let terms = Terms {
            run,
            ..self.terms(class, false)
        };
        self.order_run(program, names, terms, draft);
        self.note_replica(attempt, draft.now.wall);
        true
    }

    fn next_run(&mut self, attempt: AttemptId) -> u32 {
        let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) else {
            return 1;
        };
        replica.run = replica.run.saturating_add(1);
        replica.phase = Phase::Starting;
        self.replicas.changed.insert(attempt);
        replica.run
    }

    fn order_run(&mut self, program: &Program, names: Names<'_>, terms: Terms, draft: &mut Draft) {
        let Some(keeper) = self.keeper else { return };
        let launch = match expand::launch(program, names, self.host(), terms) {
            Ok(launch) => launch,
            Err(rule) => {
                let stage = StartStage::Policy;
                return self.not_started(names.attempt, stage, rule.number(), draft);
            }
        };
        if !codec::fits(&launch) {
            return self.not_started(names.attempt, StartStage::Execute, TOO_LONG, draft);
        }
        draft.after(Effect::Start {
            keeper,
            launch: Box::new(launch),
        });
    }

    pub(super) fn host(&self) -> Host<'_> {
        Host {
            node: self.chain.node.unwrap_or(NodeId(0)),
            name: &self.opening.name,
            policy: &self.opening.settings.policy,
        }
    }

    /// The run that a replica is in has lasted: it is no part of a crash loop.
    fn calm(&mut self, attempt: AttemptId, draft: &mut Draft) {
        let replica = self.replicas.by_attempt.get_mut(&attempt);
        let is_over = |at: &Moment| *at <= draft.now.moment;
        if let Some(replica) = replica
            && replica.calm_at.as_ref().is_some_and(is_over)
        {
            (replica.calm_at, replica.is_looping) = (None, false);
            self.note_replica(attempt, draft.now.wall);
        }
    }

    /// The journal says how a run of a replica ended.
    pub(super) fn replay_rest(&mut self, rest: Rest) {
        let attempt = rest.attempt;
        let Some(running) = self.table.remove(attempt) else {
            return;
        };
        self.table.insert(attempt, running.at_rest());
        self.replicas.interrupted.remove(&attempt);
        if let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) {
            replica.run = rest.last.run;
            replica.since = rest.last.ended_at;
            replica.restarts = Restarts::of_parts(rest.streak, rest.failures);
            replica.last = Some(rest.last);
        }
        self.rest_until(attempt, rest.until, rest.is_crash_loop);
        self.note_replica(attempt, Timestamp::default());
    }

    /// The journal says that a further run was about to start.
    pub(super) fn replay_run(&mut self, attempt: AttemptId, run: u32, at: Timestamp) {
        let Some(running) = self.table.remove(attempt) else {
            return;
        };
        self.table.insert(attempt, running.orphaned(at));
        self.replicas.interrupted.remove(&attempt);
        if let Some(replica) = self.replicas.by_attempt.get_mut(&attempt) {
            replica.run = run;
            replica.phase = Phase::Starting;
            replica.since = at;
        }
        self.replicas.arm(attempt);
        self.note_replica(attempt, at);
    }

    /// Whether a child, or its end, is of an earlier run of its attempt than the journal knows of.
    pub(super) fn is_of_earlier_run(&self, attempt: AttemptId, run: u32) -> bool {
        self.replicas
            .get(attempt)
            .is_some_and(|replica| run < replica.run || run == replica.run && replica.is_resting())
    }
}

/// A number that looks drawn, from one that was (splitmix64: Steele, Lea, Flood 2014).
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
