//! Which granted attempts start, and how.
//!
//! The rule: the oldest grant first; what does not fit lets younger grants of other requests pass,
//! but only for [`OVERTAKING_MAX`]: then nothing else starts until it fits. So large work is not
//! starved by small work, and small work fills the gaps otherwise.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flota_model::{
    ids::{AttemptId, SpecHash, TaskIndex},
    outcome::StartStage,
    parameters::Rows,
    resources::Resources,
    spec::{KernelCall, Program, Retry, Work},
    units::{Moment, Timestamp},
};

use crate::{
    journal::Record,
    keeper::{api::KeeperId, codec},
    node::{
        Node, Stopping,
        api::Effect,
        classes::{self, ClassId},
        expand::{self, Names, Terms},
        queue::Piece,
        table::{Fate, Place, Running},
        turn::Draft,
    },
};

/// How long the oldest grant that does not fit may be overtaken.
const OVERTAKING_MAX: Duration = Duration::from_secs(2);
/// Classes that one look passes over: bounds its cost where every job asks for something else.
const LOOK_CLASSES_MAX: usize = 64;
/// Kernels that run shorter are handed out ahead of time, in microseconds.
const SHORT_KERNEL_MICROS: u64 = 1_000;
/// Programs are handed out ahead of time for so long a time, in microseconds: they cannot give way to
/// others then, which must not be felt.
const AHEAD_MICROS: u64 = 40_000;
/// Programs with a shorter time-out wait their turn here: it counts from the order to start.
const TIMEOUT_AHEAD_MIN: Duration = Duration::from_secs(1);
/// Specs of which the run time is remembered.
const PACES_MAX: usize = 1_024;
/// `E2BIG` (`man 3 errno`): the arguments do not fit into a message to the keeper.
pub(super) const TOO_LONG: i32 = 7;

/// The oldest attempt that does not fit, and since when.
pub(super) type Stall = (AttemptId, Moment);

/// Recent run times.
#[derive(Debug, Default)]
pub(super) struct Paces {
    micros: BTreeMap<SpecHash, u64>,
}

impl Paces {
    /// Notes a run: the mean moves an eighth of the way.
    pub(super) fn note(&mut self, spec: SpecHash, ran: (Timestamp, Timestamp)) {
        let latest = ran.1.0.saturating_sub(ran.0.0);
        if let Some(mean) = self.micros.get_mut(&spec) {
            *mean = (mean.saturating_mul(7)).saturating_add(latest) / 8;
            return;
        }
        if self.micros.len() >= PACES_MAX {
            self.micros.pop_first();
        }
        self.micros.insert(spec, latest);
    }

    fn micros(&self, spec: SpecHash) -> Option<u64> {
        self.micros.get(&spec).copied()
    }
}

/// How many attempts of a piece start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    /// With resources reserved.
    fitting: u32,
    /// Handed out ahead of time, beyond that.
    ahead: u32,
}

/// One look at the queue.
#[derive(Debug)]
struct Look {
    keeper: KeeperId,
    free: Resources,
    passed: Vec<ClassId>,
    stall: Option<Stall>,
}

impl Node {
    /// Starts what fits.
    pub(super) fn start_what_fits(&mut self, draft: &mut Draft) {
        let Some(keeper) = self.keeper.filter(|_| !self.holds_back()) else {
            return;
        };
        let free = self.queue.classes.free(&self.opening.capacity);
        let mut look = Look {
            keeper,
            free,
            passed: Vec::new(),
            stall: None,
        };
        while look.passed.len() < LOOK_CLASSES_MAX && self.room() > 0 {
            let mut heads = self.queue.classes.heads();
            let Some(((_, key), class)) = heads.find(|(_, class)| !look.passed.contains(class))
            else {
                break;
            };
            drop(heads);
            if !self.look_at(key, class, &mut look, draft) {
                break;
            }
        }
        self.stall = look.stall;
    }

    /// Starts what fits of one piece. `false` when nothing behind it may start.
    fn look_at(
        &mut self,
        key: AttemptId,
        class: ClassId,
        look: &mut Look,
        draft: &mut Draft,
    ) -> bool {
        let now = draft.now.moment;
        if self.queue.classes.get(class).key.leased && !self.is_leased(now) {
            look.passed.push(class);
            return true;
        }
        let waiting = self.queue.piece(key).order.attempts;
        let share = self.share(key, class, look);
        if share.fitting + share.ahead < waiting.count {
            look.passed.push(class);
        }
        if share.fitting + share.ahead > 0 {
            look.free
                .subtract(&self.queue.classes.get(class).key.request, share.fitting);
            self.start_share(key, class, share, look.keeper, draft);
        } else if look.stall.is_none() {
            let before = self.stall.filter(|(attempt, _)| *attempt == waiting.first);
            let since = before.map_or(now, |(_, since)| since);
            look.stall = Some((waiting.first, since));
            return now < since + OVERTAKING_MAX;
        }
        true
    }

    /// Whether nothing may start now.
    pub(super) fn holds_back(&self) -> bool {
        self.disk_is_full
            || self.stopping != Stopping::No
            || self.reports.bytes() > self.opening.settings.unacknowledged_bytes_max
    }

    /// What waited for the journal starts now, so its time begins now.
    pub(super) fn disk_is_free(&mut self, draft: &Draft) {
        self.disk_is_full = false;
        let running: Vec<AttemptId> = self.table.iter().map(|(attempt, _)| attempt).collect();
        for attempt in running {
            if self.waits_for_journal(attempt) {
                self.start_time_anew(attempt, draft.now.moment);
            }
        }
    }

    /// Whether the start of an attempt may still wait for its batch to be in the journal.
    pub(super) fn waits_for_journal(&self, attempt: AttemptId) -> bool {
        self.table
            .get(attempt)
            .is_some_and(|running| !running.confirmed && !self.progress.is_durable(running.turn))
    }

    /// Gives an attempt all of its time from `now` on, unless it still waits for its turn.
    pub(super) fn start_time_anew(&mut self, attempt: AttemptId, now: Moment) {
        let Some(running) = self.table.get(attempt) else {
            return;
        };
        if self.queue.classes.get(running.class).is_ahead(attempt) {
            return;
        }
        let timeout = running.spec.spec.timeout;
        self.table
            .rearm(attempt, timeout.map(|timeout| now + timeout));
    }

    /// How many more attempts may run.
    fn room(&self) -> u32 {
        self.opening
            .settings
            .running_max
            .saturating_sub(self.table.occupied())
    }

    /// How many attempts of a piece start now.
    fn share(&self, key: AttemptId, id: ClassId, look: &Look) -> Share {
        let (piece, class) = (self.queue.piece(key), self.queue.classes.get(id));
        let most = piece.order.attempts.count.min(self.room());
        let fitting = most.min(look.free.times_that_fit(&class.key.request));
        // Ahead of time only behind a running attempt that asks for the same: its resources go over
        // to them, so that they are accounted for when they run.
        let places = class.holding() + fitting;
        let ahead_max = if places > 0 {
            self.ahead_max(piece, places)
        } else {
            0
        };
        let ahead = (most - fitting).min(ahead_max.saturating_sub(class.ahead()));
        if ahead > 0 && !self.are_all_here(piece, id, look.keeper) {
            return Share { fitting, ahead: 0 };
        }
        Share { fitting, ahead }
    }

    /// How many attempts like these may be handed out ahead of time behind so many that run.
    fn ahead_max(&self, piece: &Piece, places: u32) -> u32 {
        let Some(micros) = self.paces.micros(piece.spec.hash) else {
            return 0;
        };
        let (spec, settings) = (&piece.spec.spec, &self.opening.settings);
        match spec.work {
            Work::Kernel(_) if micros < SHORT_KERNEL_MICROS => settings.kernels_ahead,
            Work::Program(_)
                if spec.retry != Retry::Never
                    && spec.service.is_none()
                    && !classes::is_leased(spec)
                    && spec
                        .timeout
                        .is_none_or(|timeout| timeout >= TIMEOUT_AHEAD_MIN) =>
            {
                let rounds = AHEAD_MICROS / micros.max(1);
                let most = rounds.saturating_mul(u64::from(places));
                u32::try_from(most)
                    .unwrap_or(u32::MAX)
                    .min(settings.programs_ahead)
            }
            Work::Kernel(_) | Work::Program(_) => 0,
        }
    }

    /// A keeper lets a program start when another one of its own ends.
    fn are_all_here(&self, piece: &Piece, class: ClassId, keeper: KeeperId) -> bool {
        match piece.spec.spec.work {
            Work::Kernel(_) => true,
            Work::Program(_) => self.table.are_all_at(class, Place::Keeper(keeper)),
        }
    }

    fn start_share(
        &mut self,
        key: AttemptId,
        class: ClassId,
        share: Share,
        keeper: KeeperId,
        draft: &mut Draft,
    ) {
        // Reserved before it is taken: the last attempt taken may be all that keeps the class.
        self.queue.classes.hold(class, share.fitting);
        let piece = self.queue.take(key, share.fitting + share.ahead);
        for offset in 0..piece.order.attempts.count {
            let row = piece.order.rows.as_ref().map(|rows| rows.part(offset, 1));
            let task = piece.order.task(offset);
            let values = expand::values(&piece.spec.spec, task, row.as_ref());
            let names = Names {
                attempt: piece.order.attempts.first.plus(offset),
                job: piece.order.job,
                task,
                values: &values,
            };
            let is_ahead = offset >= share.fitting;
            if is_ahead {
                self.queue.classes.hand_out_ahead(class, names.attempt);
            }
            match &piece.spec.spec.work {
                Work::Program(program) => {
                    let terms = self.terms(class, is_ahead);
                    self.start_program(program, names, (&piece, class, terms), keeper, draft);
                }
                Work::Kernel(call) => self.start_kernel(call, names, (&piece, class), draft),
            }
            self.start_time_anew(names.attempt, draft.now.moment);
        }
    }

    pub(super) fn terms(&self, id: ClassId, is_ahead: bool) -> Terms {
        let class = self.queue.classes.get(id);
        Terms {
            run: 1,
            fence: self.fence().filter(|_| class.key.leased),
            // Of this start of the agent: the keeper may have programs of an earlier one.
            class: self.opening.nonce.0.wrapping_add(id.0),
            places: is_ahead.then(|| class.holding()),
        }
    }

    fn start_program(
        &mut self,
        program: &Program,
        names: Names<'_>,
        (piece, class, terms): (&Piece, ClassId, Terms),
        keeper: KeeperId,
        draft: &mut Draft,
    ) {
        let place = Place::Keeper(keeper);
        self.table
            .insert(names.attempt, running(piece, class, names, place, draft));
        if piece.spec.spec.service.is_some() {
            self.replicas.begin(names.attempt, draft.now.wall);
        }
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
        record_start(names.attempt, piece, draft);
        draft.after(Effect::Start {
            keeper,
            launch: Box::new(launch),
        });
    }

    fn start_kernel(
        &mut self,
        call: &KernelCall,
        names: Names<'_>,
        (piece, class): (&Piece, ClassId),
        draft: &mut Draft,
    ) {
        let mut running = running(piece, class, names, Place::Pool, draft);
        // A kernel dies with the agent, so that only `never` needs to know of its start.
        let is_recorded = piece.spec.spec.retry == Retry::Never;
        if is_recorded {
            record_start(names.attempt, piece, draft);
        }
        if !is_recorded && self.progress.is_durable(piece.turn) {
            (running.turn, running.confirmed) = (0, true);
        }
        let effect = Effect::RunKernel {
            attempt: names.attempt,
            task: (names.job, names.task),
            call: expand::kernel_call(call, names),
        };
        draft.early_if(running.confirmed, effect);
        self.table.insert(names.attempt, running);
    }
}

/// An attempt of `piece` that starts in this turn, after its batch.
fn running(
    piece: &Piece,
    class: ClassId,
    names: Names<'_>,
    place: Place,
    draft: &Draft,
) -> Running {
    Running {
        job: names.job,
        task: names.task,
        row: row_of(piece, names.task),
        spec: Arc::clone(&piece.spec),
        class,
        place,
        ordered_at: draft.now.wall,
        started_at: None,
        fate: Fate::Open,
        turn: draft.number,
        confirmed: false,
        expires: None,
    }
}

/// The row of one task of `piece`.
fn row_of(piece: &Piece, task: TaskIndex) -> Option<Rows> {
    let offset = task.0.checked_sub(piece.order.first_task.0)?;
    piece.order.rows.as_ref().map(|rows| rows.part(offset, 1))
}

/// Journals that an attempt is about to start; durable before the start where it must start at most
/// once (PROTOCOL 7).
fn record_start(attempt: AttemptId, piece: &Piece, draft: &mut Draft) {
    let record = Record::Starting {
        attempt,
        at: draft.now.wall,
    };
    match piece.spec.spec.retry {
        Retry::Never => draft.record_synced(record),
        Retry::Limited { .. } => draft.record(record),
    }
}
