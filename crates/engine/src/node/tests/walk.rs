//! Random events, and after each of them: the journal gives the state back, and nothing is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flota_model::{
    frame::DownBody,
    ids::{AttemptId, AttemptRange},
    outcome::Outcome,
};

use super::bench::{
    Bench, Kind, completed, decode, ended, exit, forgotten, opening, range, reports, running_child,
    started,
};
use crate::{
    journal::{self, Record, random::Random},
    node::{
        Node,
        api::{Effect, Event, Settings, Turn},
    },
};

/// Where an attempt is, as the journal tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Granted,
    Started,
    Ended(Outcome),
}

fn places(records: &[Record]) -> BTreeMap<AttemptId, At> {
    let mut places = BTreeMap::new();
    for record in records {
        match record {
            Record::Granted(order) => {
                places.extend(order.attempts.iter().map(|attempt| (attempt, At::Granted)));
            }
            Record::Starting { attempt, .. } => drop(places.insert(*attempt, At::Started)),
            Record::Done(report) => {
                places.insert(report.attempt, At::Ended(report.outcome.clone()));
            }
            _ => {}
        }
    }
    places
}

struct Walk {
    bench: Bench,
    random: Random,
    kinds: BTreeMap<u64, Kind>,
    next: u64,
    /// Programs that a keeper has, kernels that the pool has.
    programs: BTreeSet<u64>,
    kernels: BTreeSet<u64>,
    /// Ever given to a keeper.
    spawned: BTreeSet<u64>,
    /// Granted, and neither reported nor confirmed.
    owed: BTreeSet<u64>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let settings = Settings {
            rewrite_bytes: 3_000,
            attempts_max: 200,
            ..Settings::default()
        };
        Self {
            bench: Bench::ready_with(settings),
            random: Random(seed),
            kinds: BTreeMap::new(),
            next: 1,
            programs: BTreeSet::new(),
            kernels: BTreeSet::new(),
            spawned: BTreeSet::new(),
            owed: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        let turn = match self.random.below(14) {
            0..=2 => self.grants(),
            3..=6 => self.ends(),
            7 => self.says(DownBody::Forget),
            8 => self.says(DownBody::Cancel),
            9 => self.says(DownBody::Acknowledge),
            10 => self.bench.pass(Duration::from_millis(700)),
            11 => self.bench.beat_seen(),
            12 => self.reconnects(),
            _ => return self.restarts(),
        };
        self.see(&turn);
    }

    fn grants(&mut self) -> Turn {
        let kinds = [Kind::Noop, Kind::NoopOnce, Kind::NoopLeased, Kind::Program];
        let more = [
            Kind::ProgramOnce,
            Kind::ProgramLeased,
            Kind::ProgramTimed,
            Kind::Wide,
        ];
        let all = [kinds, more].concat();
        let kind = all[usize::try_from(self.random.below(8)).unwrap()];
        let (first, count) = (self.next, 1 + self.random.below(30));
        self.next += count;
        self.kinds
            .extend((first..self.next).map(|sequence| (sequence, kind)));
        self.owed.extend(first..self.next);
        self.bench.grant(kind, first, u32::try_from(count).unwrap())
    }

    fn ends(&mut self) -> Turn {
        let mut events = Vec::new();
        for sequence in self.programs.clone() {
            match self.random.below(4) {
                0 => events.push(started(sequence)),
                1 => {
                    self.programs.remove(&sequence);
                    events.push(ended(sequence, exit(self.random.byte())));
                }
                _ => {}
            }
        }
        for sequence in self.kernels.clone() {
            if self.random.below(3) == 0 {
                self.kernels.remove(&sequence);
                events.push(completed(sequence));
            }
        }
        self.bench.turn(events)
    }

    fn says(&mut self, body: fn(Vec<AttemptRange>) -> DownBody) -> Turn {
        // Of what was granted only: no server forgets first and grants then.
        let first = self.random.below(self.next);
        let count = 1 + self.random.below(20).min(self.next - first - 1);
        let count = u32::try_from(count).unwrap();
        self.bench.say(body(vec![range(first, count)]))
    }

    fn reconnects(&mut self) -> Turn {
        let turn = self.bench.disconnect();
        self.see(&turn);
        let (turn, _) = self.bench.connect();
        self.see(&turn);
        let turn = self.bench.welcome(false);
        self.see(&turn);
        self.bench.beat_seen()
    }

    fn restarts(&mut self) {
        self.kernels.clear();
        let (turn, _) = self.bench.restart();
        self.see(&turn);
        let children = self.programs.iter().copied().map(running_child).collect();
        let turn = self.bench.recover(children);
        self.see(&turn);
        self.bench.connect();
        let turn = self.bench.welcome(false);
        self.see(&turn);
    }

    fn see(&mut self, turn: &Turn) {
        for effect in turn.at_once.iter().chain(&turn.after) {
            match effect {
                Effect::Start { launch, .. } => {
                    let sequence = launch.attempt.sequence;
                    assert!(
                        self.spawned.insert(sequence),
                        "{sequence} was spawned before"
                    );
                    self.programs.insert(sequence);
                }
                Effect::RunKernel { attempt, .. } => {
                    let is_once = self.kinds[&attempt.sequence] == Kind::NoopOnce;
                    assert!(!is_once || self.spawned.insert(attempt.sequence));
                    assert!(self.kernels.insert(attempt.sequence));
                }
                _ => {}
            }
        }
        for report in reports(turn) {
            self.owed.remove(&report.attempt.sequence);
        }
        for attempt in forgotten(turn).into_iter().flat_map(AttemptRange::iter) {
            self.owed.remove(&attempt.sequence);
            let runs = self.programs.contains(&attempt.sequence);
            assert!(!runs, "{attempt} was confirmed as gone and runs");
        }
        if turn.rewrite {
            self.bench.journal = self.bench.node.rewritten();
        }
        self.check();
    }

    /// Reading the journal, as bytes, gives the same state.
    fn check(&self) {
        let mut bytes = Vec::new();
        journal::encode(&self.bench.journal, 0, &mut bytes);
        let records = journal::recover(&bytes).records;
        assert_eq!(records, self.bench.journal);
        let opening = opening(77, self.bench.now, &self.bench.settings);
        let (read, _, _) = Node::open(records, &decode, opening);
        let live = places(&self.bench.node.rewritten());
        assert_eq!(places(&read.rewritten()), live);
        let held: u64 = live.len() as u64;
        assert!(held <= u64::from(self.bench.settings.attempts_max));
        let owed = self
            .owed
            .iter()
            .filter(|sequence| !live.contains_key(&super::bench::attempt(**sequence)));
        assert_eq!(owed.count(), 0, "an attempt vanished");
    }

    /// Everything ends, and nothing is owed.
    fn drain(&mut self) {
        for _ in 0..2_000 {
            if self.owed.is_empty() && self.programs.is_empty() && self.kernels.is_empty() {
                return;
            }
            let turn = self.bench.beat_seen();
            self.see(&turn);
            let mut events: Vec<Event> = std::mem::take(&mut self.programs)
                .into_iter()
                .map(|s| ended(s, exit(0)))
                .collect();
            events.extend(std::mem::take(&mut self.kernels).into_iter().map(completed));
            let turn = self.bench.turn(events);
            self.see(&turn);
            let turn = self
                .bench
                .say(DownBody::Acknowledge(vec![range(0, 1_000_000)]));
            self.see(&turn);
        }
        panic!("owed: {:?}", self.owed);
    }
}

#[test]
fn the_journal_gives_the_state_back_and_every_attempt_is_answered() {
    for seed in 0..60 {
        let mut walk = Walk::new(seed);
        for _ in 0..120 {
            walk.step();
        }
        walk.drain();
    }
}
