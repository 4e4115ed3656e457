//! How far a job is: a bar on a terminal, a line now and then elsewhere.

use std::time::Duration;

use flota_model::units::Moment;
use flota_wire::rest::Job;

use crate::{
    catalogue::Language,
    render::{Screen, duration},
};

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two states of the bar.
const BAR_INTERVAL: Duration = Duration::from_secs(1);
/// Letters of the bar.
const BAR_WIDTH: usize = 24;
/// States in which a task stays.
const TERMINAL: [&str; 6] = [
    "succeeded",
    "failed",
    "cancelled",
    "dead",
    "unknown",
    "skipped",
];

/// How many tasks of a job are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    pub(crate) ended: u64,
    pub(crate) succeeded: u64,
    pub(crate) granted: u64,
}

impl Tally {
    pub(crate) fn of(job: &Job) -> Self {
        let of = |word: &str| job.tasks.get(word).copied().map_or(0, u64::from);
        Self {
            // Of a service only the replicas that are wanted are counted.
            total: job.tasks.values().copied().map(u64::from).sum(),
            ended: TERMINAL.into_iter().map(of).sum(),
            succeeded: of("succeeded"),
            granted: of("granted"),
        }
    }

    pub(crate) fn bad(self) -> u64 {
        self.ended.saturating_sub(self.succeeded)
    }
}

/// Shows the progress of one job.
pub(crate) struct Progress {
    language: Language,
    kind: Kind,
    started_at: Moment,
    /// When the wait began, this many had ended: the rate is that of the wait.
    ended_before: Option<u64>,
    shown_at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Bar,
    Lines,
}

impl Progress {
    pub(crate) fn new(screen: &Screen, now: Moment) -> Self {
        let kind = match screen.style {
            style if style.quiet => Kind::None,
            style if style.bar => Kind::Bar,
            _ => Kind::Lines,
        };
        let language = screen.language();
        Self {
            language,
            kind,
            started_at: now,
            ended_before: None,
            shown_at: now,
        }
    }

    /// How long to wait for the next news.
    pub(crate) fn interval(&self) -> Duration {
        if self.kind == Kind::Bar {
            BAR_INTERVAL
        } else {
            LINE_INTERVAL
        }
    }

    /// Shows how far it is at `now`.
    pub(crate) fn show(&mut self, screen: &mut Screen, tally: Tally, now: Moment) {
        let before = *self.ended_before.get_or_insert(tally.ended);
        let elapsed = now.since(self.started_at);
        let text = self.text(tally, time_left(tally, before, elapsed));
        match self.kind {
            Kind::Bar => screen.err_bytes(format!("\r{} {text}\x1b[K", bar(tally)).as_bytes()),
            Kind::Lines if now.since(self.shown_at) >= LINE_INTERVAL => {
                self.shown_at = now;
                screen.tell(&text);
            }
            Kind::Lines | Kind::None => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self, screen: &mut Screen) {
        if self.kind == Kind::Bar && self.ended_before.is_some() {
            screen.err_bytes(b"\r\x1b[K");
        }
    }

    fn text(&self, tally: Tally, left: Option<Duration>) -> String {
        let language = self.language;
        if tally.ended == 0 && tally.granted == 0 {
            return language.progress_queued(tally.total);
        }
        let counts = language.progress_counts(tally.ended, tally.total, tally.granted, tally.bad());
        match left {
            Some(left) => {
                let left = language.progress_left(duration(left.as_secs_f64().ceil()));
                format!("{counts}, {left}")
            }
            None => counts,
        }
    }
}

/// At the rate of this wait; `None` while nothing ended in it.
fn time_left(tally: Tally, ended_before: u64, elapsed: Duration) -> Option<Duration> {
    let ended = u32::try_from(tally.ended.checked_sub(ended_before)?).ok()?;
    let open = u32::try_from(tally.total.saturating_sub(tally.ended)).ok()?;
    if ended == 0 || open == 0 {
        return None;
    }
    Some(elapsed.mul_f64(f64::from(open) / f64::from(ended)))
}

fn bar(tally: Tally) -> String {
    let width = BAR_WIDTH as u64;
    let full = tally.ended.saturating_mul(width) / tally.total.max(1);
    let full = usize::try_from(full.min(width)).unwrap_or(BAR_WIDTH);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR_WIDTH - full))
}

#[cfg(test)]
mod tests;
