//! Programs handed over ahead of time: each starts when an earlier one of its class has ended, so
//! that short programs follow each other without a word to the agent in between.

use std::collections::{BTreeMap, VecDeque};

use flota_model::ids::AttemptId;

use crate::keeper::api::Launch;

/// The programs of all classes that have live ones.
#[derive(Debug, Default)]
pub(super) struct Lines {
    by_class: BTreeMap<u64, Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Programs that were spawned and have not ended.
    live: u32,
    /// How many may be live, as the agent said last.
    places: u32,
    waiting: VecDeque<Box<Launch>>,
}

impl Lines {
    /// Counts a program of the class as live.
    pub(super) fn begin(&mut self, class: u64) {
        self.by_class.entry(class).or_default().live += 1;
    }

    /// A live program of the class has ended.
    pub(super) fn end(&mut self, class: u64) {
        if let Some(line) = self.by_class.get_mut(&class) {
            line.live = line.live.saturating_sub(1);
            self.tidy(class);
        }
    }

    /// Puts a program behind those of its class.
    pub(super) fn wait(&mut self, launch: Box<Launch>, places: u32) {
        let line = self.by_class.entry(launch.class).or_default();
        line.places = places;
        line.waiting.push_back(launch);
    }

    /// The next program of the class, if there is a place for it.
    pub(super) fn next(&mut self, class: u64) -> Option<Box<Launch>> {
        let line = self.by_class.get_mut(&class)?;
        let launch = line
            .waiting
            .pop_front_if(|_| line.live < line.places.max(1));
        self.tidy(class);
        launch
    }

    fn tidy(&mut self, class: u64) {
        let is_over = |line: &Line| line.live == 0 && line.waiting.is_empty();
        if self.by_class.get(&class).is_some_and(is_over) {
            self.by_class.remove(&class);
        }
    }

    /// Takes a waiting program out of its line. Looks at all: the agent hands over few.
    pub(super) fn remove(&mut self, attempt: AttemptId) -> bool {
        for line in self.by_class.values_mut() {
            let before = line.waiting.len();
            line.waiting.retain(|launch| launch.attempt != attempt);
            if line.waiting.len() < before {
                return true;
            }
        }
        false
    }

    /// Takes all waiting programs out of their lines.
    pub(super) fn clear(&mut self) -> Vec<AttemptId> {
        let waiting = self.by_class.values_mut();
        let taken = waiting.flat_map(|line| line.waiting.drain(..));
        taken.map(|launch| launch.attempt).collect()
    }

    /// Whether the class has enough waiting programs to go on for a while: then the agent need not
    /// hear of each end at once.
    pub(super) fn is_long(&self, class: u64) -> bool {
        self.by_class
            .get(&class)
            .is_some_and(|line| line.waiting.len() > 2 * line.live as usize)
    }
}
