//! What a node has been given: attempts that may run at once, and attempts sent ahead.

use std::{collections::BTreeMap, time::Duration};

use flota_model::{resources::Resources, units::Moment};

use super::queue::ClassKey;

/// Attempts are sent ahead for this long at the measured rate: twice what passes between the end of
/// an attempt and the arrival of the next grant (up to 15 ms in which the keeper gathers ends, two
/// commits, a journal sync and a round trip: 18 to 35 ms; PROTOCOL 29).
const AHEAD: Duration = Duration::from_millis(80);
/// Most attempts of a class sent ahead to one node.
const AHEAD_MAX: u32 = 4_096;
/// Rates of this many idle classes are remembered.
const CLASSES_KEPT: usize = 64;
/// A rate is measured over at least this long.
const RATE_WINDOW: Duration = Duration::from_millis(5);
/// A class that was idle for longer is measured from its next grant on.
const RATE_STALE: Duration = Duration::from_secs(1);

/// The load of a node by class.
#[derive(Debug, Default)]
pub(crate) struct Load {
    classes: BTreeMap<ClassKey, ClassLoad>,
    used: Resources,
    /// Sum over the classes.
    ahead: u32,
}

#[derive(Debug, Default)]
struct ClassLoad {
    /// Attempts whose resources are reserved.
    active: u32,
    /// Attempts beyond that, waiting at the node.
    ahead: u32,
    /// Ends since `measured_at`.
    ended: u32,
    measured_at: Moment,
    /// Ends per second, smoothed.
    rate: f64,
}

impl Load {
    /// What its attempts may use at once.
    pub(crate) fn used(&self) -> &Resources {
        &self.used
    }

    /// All attempts that it has been given.
    pub(crate) fn granted(&self) -> u32 {
        self.classes
            .values()
            .map(|load| load.active + load.ahead)
            .sum()
    }

    /// The class that will keep it busy for longest with attempts sent ahead: how many, how long.
    pub(crate) fn longest_ahead(&self, now: Moment) -> Option<(&ClassKey, u32, Duration)> {
        let waiting = self.classes.iter().filter(|(_, load)| load.ahead > 0);
        let queues = waiting.map(|(class, load)| {
            // What has not ended for a while is slower than it was measured.
            let silence = now.since(load.measured_at).as_secs_f64().max(0.001);
            let rate = load
                .rate
                .min(f64::from(load.ended + 1) / silence)
                .max(0.001);
            (
                class,
                load.ahead,
                Duration::from_secs_f64(f64::from(load.ahead) / rate),
            )
        });
        queues.max_by_key(|(_, _, span)| *span)
    }

    /// What is left of `capacity`.
    pub(crate) fn free(&self, capacity: &Resources) -> Resources {
        let mut free = capacity.clone();
        free.subtract(&self.used, 1);
        free
    }

    /// Whether it has nothing but replicas of services, which stay for ever.
    pub(crate) fn has_services_only(&self) -> bool {
        let others = self.classes.iter();
        others
            .filter(|(class, _)| class.service.is_none())
            .all(|(_, load)| load.active + load.ahead == 0)
    }

    /// What is free once all but the replicas of services has ended.
    pub(crate) fn free_beside_services(&self, capacity: &Resources) -> Resources {
        let mut free = capacity.clone();
        let services = self.classes.iter();
        for (class, load) in services.filter(|(class, _)| class.service.is_some()) {
            free.subtract(&class.resources, load.active);
        }
        free
    }

    /// Replicas of a service that it has, of any revision.
    pub(crate) fn replicas_of(&self, name: &str) -> u32 {
        let of_service = self.classes.iter().filter(|(class, _)| {
            let service = class.service.as_ref();
            service.is_some_and(|(other, _)| **other == *name)
        });
        of_service.map(|(_, load)| load.active + load.ahead).sum()
    }

    /// How many attempts of `class` may be sent ahead now.
    pub(crate) fn room_ahead(&self, class: &ClassKey) -> u32 {
        if class.service.is_some() {
            return 0;
        }
        let Some(load) = self.classes.get(class) else {
            return 0;
        };
        // At most 4,096, so the cast is exact enough and never negative.
        #[expect(clippy::cast_possible_truncation, reason = "clamped right behind")]
        #[expect(clippy::cast_sign_loss, reason = "a rate is never negative")]
        let window = ((load.rate * AHEAD.as_secs_f64()) as u32).min(AHEAD_MAX);
        window.saturating_sub(load.ahead)
    }

    /// Books attempts of `class`: what fits is active, the rest waits ahead.
    pub(crate) fn add(&mut self, class: &ClassKey, count: u32, capacity: &Resources, now: Moment) {
        let fit = self
            .free(capacity)
            .times_that_fit(&class.resources)
            .min(count);
        let load = self.classes.entry(class.clone()).or_default();
        if load.active == 0 && now.since(load.measured_at) > RATE_STALE {
            load.ended = 0;
            load.measured_at = now;
        }
        load.active += fit;
        load.ahead += count - fit;
        self.ahead += count - fit;
        self.used.add(&class.resources, fit);
    }

    /// One attempt of `class` is settled; what waits ahead takes its place.
    pub(crate) fn settle(&mut self, class: &ClassKey, capacity: &Resources, now: Moment) {
        let Some(load) = self.classes.get_mut(class) else {
            return;
        };
        load.measure(now);
        if load.ahead > 0 {
            load.ahead -= 1;
            self.ahead -= 1;
            return;
        }
        load.active = load.active.saturating_sub(1);
        let idle = load.active == 0;
        self.used.subtract(&class.resources, 1);
        if self.ahead > 0 {
            self.promote(capacity);
        } else if idle && (self.classes.len() > CLASSES_KEPT || class.service.is_some()) {
            self.classes.remove(class);
        }
    }

    /// Books everything anew after the capacity changed.
    pub(crate) fn rebook(&mut self, capacity: &Resources, now: Moment) {
        let before = std::mem::take(self);
        for (class, load) in before.classes {
            self.add(&class, load.active + load.ahead, capacity, now);
        }
    }

    fn promote(&mut self, capacity: &Resources) {
        for (class, load) in &mut self.classes {
            if load.ahead == 0 {
                continue;
            }
            let mut free = capacity.clone();
            free.subtract(&self.used, 1);
            let fit = free.times_that_fit(&class.resources).min(load.ahead);
            load.ahead -= fit;
            load.active += fit;
            self.ahead -= fit;
            self.used.add(&class.resources, fit);
        }
    }
}

impl ClassLoad {
    fn measure(&mut self, now: Moment) {
        self.ended += 1;
        let span = now.since(self.measured_at);
        if span >= RATE_WINDOW {
            let seen = f64::from(self.ended) / span.as_secs_f64();
            self.rate = if self.rate == 0.0 {
                seen
            } else {
                f64::midpoint(self.rate, seen)
            };
            self.ended = 0;
            self.measured_at = now;
        }
    }
}
