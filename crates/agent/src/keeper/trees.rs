//! Finding, signalling and clearing away all processes of an attempt.
//!
//! Where it has a control group, that is emptied, and holds whatever left its session or its parent.
//! Else, and for what left its group as well:
//!
//! The keeper is a subreaper, so that every process whose parent dies becomes its child. What is
//! left of an attempt whose leader is reaped is therefore below a child of the keeper that is no
//! leader: an orphan. Whose it is, the session tells, or the cookie in its environment, or that
//! only one attempt was there when it appeared. Killing it makes its own children orphans; so it
//! goes on until none is left.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, time::Duration};

use flota_engine::keeper::api::Event;
use flota_model::{
    ids::AttemptId,
    sample::{REMNANTS_MAX, Remnant, Unkillable},
    units::{Moment, Now, Timestamp},
};

use super::children::Children;
use crate::{proc, signal};

/// After a kill the next look comes with the death of what was killed; this is for those that are
/// nobody's child yet. Doubles up to a second, because some cannot die (state `D`).
const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);

/// What is not dead this long after it was killed waits in the kernel (state `D`), for a disk that does
/// not answer for instance. To give back the memory of a large program takes less.
const COMPLAIN_AFTER: Duration = Duration::from_secs(5);

/// The processes that are left of attempts.
#[derive(Debug)]
pub(super) struct Trees {
    /// The list of our own children. Complete, since only we reap them and have one thread.
    own_children: Option<File>,
    orphans: BTreeMap<u32, Owner>,
    sweeping: BTreeMap<AttemptId, Sweep>,
    /// Something happened that may have emptied a tree.
    look: bool,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    Attempt(AttemptId),
    /// One of these, for they were there when it appeared.
    OneOf(Vec<AttemptId>),
}

#[derive(Debug, Clone, Copy)]
struct Sweep {
    look_at: Moment,
    pause: Duration,
    /// When it began, by the wall clock.
    since: Timestamp,
    /// When to say that it does not succeed.
    complain_at: Moment,
    has_complained: bool,
}

impl Trees {
    pub(super) fn new() -> Self {
        let own = std::process::id();
        Self {
            own_children: File::open(format!("/proc/{own}/task/{own}/children")).ok(),
            orphans: BTreeMap::new(),
            sweeping: BTreeMap::new(),
            look: false,
            buffer: Vec::new(),
        }
    }

    /// A process that was not a leader was reaped.
    pub(super) fn reaped(&mut self, pid: u32) {
        self.orphans.remove(&pid);
        self.look = true;
    }

    /// Begins to clear an attempt away.
    pub(super) fn sweep(&mut self, attempt: AttemptId, now: Now) {
        let sweep = Sweep {
            look_at: now.moment + LOOK_AGAIN_FIRST,
            pause: LOOK_AGAIN_FIRST,
            since: now.wall,
            complain_at: now.moment + COMPLAIN_AFTER,
            has_complained: false,
        };
        self.sweeping.entry(attempt).or_insert(sweep);
        self.look = true;
    }

    /// When to look again though nothing happened.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.sweeping.values().map(|sweep| sweep.look_at).min()
    }

    /// Kills what is left of attempts that are being cleared away, and tells which trees are empty.
    pub(super) fn advance(&mut self, children: &mut Children, now: Moment) -> Vec<Event> {
        let is_due = self.deadline().is_some_and(|deadline| deadline <= now);
        if self.sweeping.is_empty() || !(self.look || is_due) {
            return Vec::new();
        }
        self.look = false;
        if let Err(error) = self.survey(children) {
            tracing::error!(%error, "the keeper cannot list its children");
            self.look = true;
            return Vec::new();
        }
        let attempts: Vec<AttemptId> = self.sweeping.keys().copied().collect();
        let mut events = Vec::new();
        for attempt in attempts {
            // The group first: it takes what forks faster than it can be found one by one.
            let is_gone = children.clear_group(attempt);
            if children.leader(attempt).is_none() && !self.kill_orphans(attempt) && is_gone {
                self.sweeping.remove(&attempt);
                self.emptied(attempt);
                events.push(Event::TreeEmpty { attempt });
            } else if let Some(sweep) = self.sweeping.get_mut(&attempt)
                && sweep.look_at <= now
            {
                sweep.pause = (sweep.pause * 2).min(LOOK_AGAIN_MAX);
                sweep.look_at = now + sweep.pause;
                if sweep.complain_at <= now {
                    let (since, is_first) = (sweep.since, !sweep.has_complained);
                    sweep.has_complained = true;
                    let unkillable = self.left_of(attempt, since, children);
                    if is_first {
                        tracing::error!(%attempt, ?unkillable, "killed processes do not die");
                    }
                    events.extend(unkillable.map(Event::Unkillable));
                }
            }
        }
        events
    }

    /// `None` where it has just gone.
    fn left_of(
        &self,
        attempt: AttemptId,
        since: Timestamp,
        children: &Children,
    ) -> Option<Unkillable> {
        let orphans = self.orphans.iter().filter(|(_, owner)| owner.is(attempt));
        let mut pids = children.in_group(attempt);
        let tops = orphans
            .map(|(pid, _)| *pid)
            .chain(children.leader(attempt).map(|(pid, _)| pid));
        for pid in tops {
            pids.push(pid);
            signal::list_below(pid, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        let alive = pids.into_iter().filter_map(|pid| {
            let state = proc::stat(pid).ok()?.state;
            // Dead, and not reaped.
            (state != b'Z').then_some(Remnant { pid, state })
        });
        let mut remnants: Vec<Remnant> = alive.collect();
        let count = u32::try_from(remnants.len()).unwrap_or(u32::MAX);
        remnants.truncate(REMNANTS_MAX);
        (count > 0).then_some(Unkillable {
            attempt,
            since,
            count,
            remnants,
        })
    }

    /// Sends a signal to all processes of an attempt, and wakes those that are stopped.
    pub(super) fn signal(&mut self, attempt: AttemptId, signal: i32, children: &Children) {
        if signal == libc::SIGKILL {
            children.kill_group(attempt);
        }
        if let Err(error) = self.survey(children) {
            tracing::error!(%error, "the keeper cannot list its children");
        }
        // Deepest first would let parents see their children die before they know why.
        if let Some((pid, pidfd)) = children.leader(attempt) {
            signal::send(pidfd, signal);
            signal::below(pid, signal);
        }
        let own = std::process::id();
        let orphans = self.orphans.iter().filter(|(_, owner)| owner.is(attempt));
        for (pid, _) in orphans {
            signal::one(*pid, own, signal);
        }
    }

    /// Brings the list of orphans up to date.
    fn survey(&mut self, children: &Children) -> io::Result<()> {
        let mut found = Vec::new();
        let mut note = |pid| {
            if children.led_by(pid).is_none() {
                found.push(pid);
            }
        };
        match &self.own_children {
            Some(file) => {
                read_list(file, &mut self.buffer)?;
                proc::parse_list(&String::from_utf8_lossy(&self.buffer), &mut note);
            }
            None => proc::children(std::process::id(), note),
        }
        for pid in found {
            if !self.orphans.contains_key(&pid) {
                let owner = self.owner(pid, children);
                tracing::debug!(pid, ?owner, "a process lost its parent");
                self.orphans.insert(pid, owner);
            }
        }
        Ok(())
    }

    fn owner(&self, pid: u32, children: &Children) -> Owner {
        let of_session = proc::stat(pid)
            .ok()
            .and_then(|stat| children.of_session(stat.session));
        if let Some(attempt) = of_session.or_else(|| proc::cookie(pid)) {
            return Owner::Attempt(attempt);
        }
        let mut present: Vec<AttemptId> = children.running().collect();
        present.extend(self.sweeping.keys());
        present.sort_unstable();
        present.dedup();
        Owner::OneOf(present)
    }

    /// Returns whether there were any.
    fn kill_orphans(&self, attempt: AttemptId) -> bool {
        let mut any = false;
        for (pid, owner) in &self.orphans {
            if self.may_kill(owner, attempt) {
                any = true;
                // A pid of ours stays ours until we reap it.
                signal::one(*pid, std::process::id(), libc::SIGKILL);
            }
        }
        any
    }

    /// Whether all that a process may belong to is being cleared away, `attempt` among it.
    fn may_kill(&self, owner: &Owner, attempt: AttemptId) -> bool {
        match owner {
            Owner::Attempt(owner) => *owner == attempt,
            Owner::OneOf(owners) => {
                let is_condemned = |owner| self.sweeping.contains_key(owner);
                owners.is_empty() || owners.contains(&attempt) && owners.iter().all(is_condemned)
            }
        }
    }

    fn emptied(&mut self, attempt: AttemptId) {
        for owner in self.orphans.values_mut() {
            if let Owner::OneOf(owners) = owner {
                owners.retain(|other| *other != attempt);
            }
        }
    }
}

/// Reads all of a small file of `/proc` from its beginning.
fn read_list(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    const STEP: usize = 4_096;
    let mut length = 0;
    loop {
        buffer.resize(length + STEP, 0);
        let rest = buffer.get_mut(length..).unwrap_or_default();
        match file.read_at(rest, length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    buffer.truncate(length);
    Ok(())
}

impl Owner {
    fn is(&self, attempt: AttemptId) -> bool {
        match self {
            Self::Attempt(owner) => *owner == attempt,
            Self::OneOf(owners) => owners.as_slice() == [attempt],
        }
    }
}
