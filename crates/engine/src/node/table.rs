//! Attempts that were started and have not ended, as far as the agent knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flota_model::{
    ids::{AttemptId, AttemptRange, JobId, TaskIndex},
    parameters::Rows,
    spec::{Retry, SealedSpec, Work},
    units::{Moment, Timestamp},
};

use crate::{
    keeper::api::{KeeperId, StopReason},
    node::{
        classes::{ClassId, is_leased},
        ranges::keys_within,
        turn::Draft,
    },
};

/// An attempt that was started.
#[derive(Debug, Clone)]
pub(super) struct Running {
    /// Of which job.
    pub(super) job: JobId,
    /// Of which task.
    pub(super) task: TaskIndex,
    /// Its row, where its job has rows.
    pub(super) row: Option<Rows>,
    /// What it runs.
    pub(super) spec: Arc<SealedSpec>,
    /// For what it holds resources.
    pub(super) class: ClassId,
    /// Where it runs.
    pub(super) place: Place,
    /// When the start was ordered.
    pub(super) ordered_at: Timestamp,
    /// Since when it runs, where known.
    pub(super) started_at: Option<Timestamp>,
    /// Whether and why it is being stopped.
    pub(super) fate: Fate,
    /// The turn that ordered the start after its batch; 0 if it was ordered at once.
    pub(super) turn: u64,
    /// Whether orders for it reach the start's receiver behind the start, also when performed at
    /// once.
    pub(super) confirmed: bool,
    /// When it has run too long.
    pub(super) expires: Option<Moment>,
}

impl Running {
    /// Whether the journal says that it was started. Kernels die with the agent: only those that
    /// must start at most once are recorded.
    pub(super) fn is_recorded(&self) -> bool {
        match self.place {
            Place::Keeper(_) | Place::Orphaned | Place::Resting => true,
            Place::Pool => self.spec.spec.retry == Retry::Never,
        }
    }
}

impl Running {
    /// Between two runs.
    pub(super) fn at_rest(self) -> Self {
        Self {
            place: Place::Resting,
            started_at: None,
            fate: Fate::Open,
            turn: 0,
            confirmed: true,
            expires: None,
            ..self
        }
    }

    /// A further run of it is ordered in this turn, after its batch.
    pub(super) fn started_again(self, place: Place, draft: &Draft) -> Self {
        Self {
            place,
            ordered_at: draft.now.wall,
            turn: draft.number,
            confirmed: false,
            ..self
        }
    }

    /// Started, by nobody knows whom.
    pub(super) fn orphaned(self, ordered_at: Timestamp) -> Self {
        Self {
            ordered_at,
            place: place_of_work(&self.spec.spec.work),
            turn: 0,
            confirmed: false,
            ..self
        }
    }
}

/// Where an attempt runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A program under a keeper.
    Keeper(KeeperId),
    /// A program whose keeper is dead (or was not asked yet).
    Orphaned,
    /// A kernel in the pool.
    Pool,
    /// A replica between two runs: nothing of it runs.
    Resting,
}

impl Place {
    /// The keeper that has it.
    pub(super) fn keeper(self) -> Option<KeeperId> {
        match self {
            Self::Keeper(keeper) => Some(keeper),
            Self::Orphaned | Self::Pool | Self::Resting => None,
        }
    }
}

/// Why an attempt is being stopped; a later one of this list replaces an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It is not.
    Open,
    /// A liveness probe failed: the run is over, the attempt is not.
    Unhealthy,
    /// The lease ended, and no keeper enforces that.
    Fenced,
    /// It ran too long.
    TimedOut,
    /// It ran too long, and the keeper that was told to stop it is dead: if it has ended by now,
    /// nobody saw whether it was stopped first.
    TimedOutUnseen,
    /// A person asked.
    Cancelled,
    /// The server wants it gone: tombstone instead of report.
    Forgotten,
}

impl Fate {
    /// Why it is being stopped, as the keeper is told.
    pub(super) fn reason(self) -> Option<StopReason> {
        match self {
            Self::Open => None,
            Self::Unhealthy => Some(StopReason::Unhealthy),
            Self::Fenced => Some(StopReason::Fenced),
            Self::TimedOut | Self::TimedOutUnseen => Some(StopReason::TimedOut),
            Self::Cancelled => Some(StopReason::Cancelled),
            Self::Forgotten => Some(StopReason::Forgotten),
        }
    }

    /// The fate of an attempt that a keeper was told to stop, perhaps by an earlier start of the
    /// agent.
    pub(super) fn told(stopped: Option<StopReason>) -> Self {
        match stopped {
            // Of a stray no journal knew what it was for.
            None | Some(StopReason::Stray) => Self::Open,
            Some(StopReason::Unhealthy) => Self::Unhealthy,
            Some(StopReason::Fenced) => Self::Fenced,
            Some(StopReason::TimedOut) => Self::TimedOut,
            Some(StopReason::Cancelled) => Self::Cancelled,
            Some(StopReason::Forgotten) => Self::Forgotten,
        }
    }
}

/// A program or kernel that counts for nothing any more; it is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stray {
    /// For what it holds resources, where known.
    pub(super) class: Option<ClassId>,
    /// Where it runs.
    pub(super) place: Place,
    /// Whether the server waits for its tombstone.
    pub(super) asked_for: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    running: BTreeMap<AttemptId, Running>,
    strays: BTreeMap<AttemptId, Stray>,
    expiries: BTreeSet<(Moment, AttemptId)>,
    /// Leased programs that a keeper kills at their deadline.
    fenced_by_keeper: BTreeSet<AttemptId>,
    /// Leased attempts that this engine must stop itself: kernels, and programs without a keeper.
    fenced_here: BTreeSet<AttemptId>,
}

impl Table {
    pub(super) fn insert(&mut self, attempt: AttemptId, running: Running) {
        if let Some(expires) = running.expires {
            self.expiries.insert((expires, attempt));
        }
        if is_leased(&running.spec.spec) {
            self.fences_of(running.place).insert(attempt);
        }
        self.running.insert(attempt, running);
    }

    pub(super) fn remove(&mut self, attempt: AttemptId) -> Option<Running> {
        let running = self.running.remove(&attempt)?;
        if let Some(expires) = running.expires {
            self.expiries.remove(&(expires, attempt));
        }
        if is_leased(&running.spec.spec) {
            self.fences_of(running.place).remove(&attempt);
        }
        Some(running)
    }

    pub(super) fn get(&self, attempt: AttemptId) -> Option<&Running> {
        self.running.get(&attempt)
    }

    /// For changes of fate, start and confirmation only.
    pub(super) fn get_mut(&mut self, attempt: AttemptId) -> Option<&mut Running> {
        self.running.get_mut(&attempt)
    }

    /// All attempts, without the strays.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AttemptId, &Running)> {
        self.running
            .iter()
            .map(|(attempt, running)| (*attempt, running))
    }

    pub(super) fn within(&self, range: AttemptRange) -> Vec<AttemptId> {
        keys_within(&self.running, range)
    }

    pub(super) fn strays_within(&self, range: AttemptRange) -> Vec<AttemptId> {
        keys_within(&self.strays, range)
    }

    pub(super) fn insert_stray(&mut self, attempt: AttemptId, stray: Stray) {
        self.strays.insert(attempt, stray);
    }

    pub(super) fn remove_stray(&mut self, attempt: AttemptId) -> Option<Stray> {
        self.strays.remove(&attempt)
    }

    pub(super) fn stray_mut(&mut self, attempt: AttemptId) -> Option<&mut Stray> {
        self.strays.get_mut(&attempt)
    }

    /// Attempts that run, without the strays.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether all attempts of a class, strays too, run at that place.
    pub(super) fn are_all_at(&self, class: ClassId, place: Place) -> bool {
        let running = self.running.values();
        let mut running = running.filter(|running| running.class == class);
        let strays = self.strays.values();
        let mut strays = strays.filter(|stray| stray.class == Some(class));
        running.all(|running| running.place == place) && strays.all(|stray| stray.place == place)
    }

    /// All that runs, strays too.
    pub(super) fn occupied(&self) -> u32 {
        u32::try_from(self.running.len() + self.strays.len()).unwrap_or(u32::MAX)
    }

    /// An attempt that has run too long at `now`; it is given once.
    pub(super) fn pop_expired(&mut self, now: Moment) -> Option<AttemptId> {
        let (expires, attempt) = *self.expiries.first()?;
        if expires > now {
            return None;
        }
        self.expiries.pop_first();
        if let Some(running) = self.running.get_mut(&attempt) {
            running.expires = None;
        }
        Some(attempt)
    }

    /// Moves the moment at which an attempt has run too long, unless it is being stopped.
    pub(super) fn rearm(&mut self, attempt: AttemptId, expires: Option<Moment>) {
        let Some(running) = self.running.get_mut(&attempt) else {
            return;
        };
        if running.fate != Fate::Open {
            return;
        }
        if let Some(before) = std::mem::replace(&mut running.expires, expires) {
            self.expiries.remove(&(before, attempt));
        }
        if let Some(expires) = expires {
            self.expiries.insert((expires, attempt));
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Moment> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    /// Leased programs that a keeper kills at their deadline.
    pub(super) fn fenced_by_keeper(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.fenced_by_keeper.iter().copied()
    }

    /// Whether it is one of those.
    pub(super) fn is_fenced_by_keeper(&self, attempt: AttemptId) -> bool {
        self.fenced_by_keeper.contains(&attempt)
    }

    /// Whether something must be stopped here when the lease ends.
    pub(super) fn has_fences_here(&self) -> bool {
        !self.fenced_here.is_empty()
    }

    /// What must be stopped now that the lease has ended; each is given once.
    pub(super) fn take_fenced_here(&mut self) -> BTreeSet<AttemptId> {
        std::mem::take(&mut self.fenced_here)
    }

    /// Notes that a keeper is dead and returns its attempts, strays too.
    pub(super) fn orphan(&mut self, keeper: KeeperId) -> Vec<AttemptId> {
        let of_keeper = |place: Place| place == Place::Keeper(keeper);
        let mut orphans = Vec::new();
        for (attempt, running) in &mut self.running {
            if of_keeper(running.place) {
                running.place = Place::Orphaned;
                if running.fate == Fate::TimedOut {
                    running.fate = Fate::TimedOutUnseen;
                }
                orphans.push(*attempt);
                if self.fenced_by_keeper.remove(attempt) {
                    self.fenced_here.insert(*attempt);
                }
            }
        }
        for (attempt, stray) in &mut self.strays {
            if of_keeper(stray.place) {
                stray.place = Place::Orphaned;
                orphans.push(*attempt);
            }
        }
        orphans
    }

    fn fences_of(&mut self, place: Place) -> &mut BTreeSet<AttemptId> {
        match place {
            Place::Keeper(_) => &mut self.fenced_by_keeper,
            Place::Orphaned | Place::Pool | Place::Resting => &mut self.fenced_here,
        }
    }
}

/// Where an attempt of that work is before any keeper was asked.
pub(super) fn place_of_work(work: &Work) -> Place {
    match work {
        Work::Program(_) => Place::Orphaned,
        Work::Kernel(_) => Place::Pool,
    }
}
