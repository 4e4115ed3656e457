//! A process with its descendants, each held by a descriptor, so that none of them is mistaken.
//!
//! A descendant is found as the child of one that is held, or as one of a session whose leader is
//! held: sessions stay what they are when parents end, so that a child whose parent is gone is still
//! found there. Only a process that left both its session and its parents is nobody's.

use std::{collections::BTreeSet, io, os::fd::AsFd as _, time::Duration};

use flota_engine::policy::Policy;
use flota_model::{process::AskFault, units::Moment};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    permission::{admit, fault},
    reader::Reader,
};
use crate::{
    proc,
    sys::{clock, pidfd::PidFd},
};

/// Most processes of a tree that is stopped; each takes a descriptor meanwhile.
const TREE_LENGTH_MAX: usize = 512;
/// A tree is looked at this often for processes that were not there before.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a tree may take to stand still. One that waits in the kernel does not, and is killed all
/// the same.
const FREEZE_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks whether all stand still.
const FREEZE_EVERY: Duration = Duration::from_millis(2);
/// Most scans of the machine for one look; a tree that grows faster is looked at again.
const SCANS_MAX: usize = 8;

/// A process and its descendants.
pub(super) struct Tree<'a> {
    members: Vec<Member>,
    /// Asked for each of them.
    policy: &'a Policy,
}

struct Member {
    pid: u32,
    pidfd: PidFd,
    /// Of the round of signals that is under way.
    is_told: bool,
}

/// What one scan says of a process. Nothing of it is believed before it is held.
struct Seen {
    pid: u32,
    parent: u32,
    session: u32,
}

impl<'a> Tree<'a> {
    /// The process, which was admitted, and all that is found of it now.
    pub(super) fn of(pid: u32, pidfd: PidFd, policy: &'a Policy) -> Result<Self, AskFault> {
        let mut tree = Self {
            members: vec![Member {
                pid,
                pidfd,
                is_told: false,
            }],
            policy,
        };
        tree.grow()?;
        Ok(tree)
    }

    /// How many belong to it, those included that are gone.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.members.iter().all(|member| is_over(&member.pidfd))
    }

    /// Signals all, also those that come up meanwhile, and waits for their end until `deadline`. One
    /// that was stopped is told to go on: it would not hear the signal.
    pub(super) fn ask(&mut self, signal: i32, deadline: Moment) -> Result<(), AskFault> {
        self.begin();
        loop {
            self.grow()?;
            self.tell(&[signal, libc::SIGCONT])?;
            if self.wait_until(deadline) {
                return Ok(());
            }
        }
    }

    /// Has all stand still, so that none escapes by a fork, and kills them.
    pub(super) fn kill(&mut self, deadline: Moment) -> Result<(), AskFault> {
        self.freeze()?;
        self.begin();
        loop {
            self.grow()?;
            self.tell(&[libc::SIGKILL])?;
            if self.wait_until(deadline) {
                return Ok(());
            }
        }
    }

    /// Those that are left: how many, and one of them with whether it waits inside the kernel.
    pub(super) fn left(&self) -> AskFault {
        let is_left = |member: &&Member| !is_over(&member.pidfd);
        let left: Vec<&Member> = self.members.iter().filter(is_left).collect();
        let in_kernel =
            |member: &&&Member| proc::stat(member.pid).is_ok_and(|stat| stat.state == b'D');
        let waiting = left.iter().find(in_kernel);
        let shown = waiting.or(left.first());
        AskFault::Alive {
            processes: u32::try_from(left.len()).unwrap_or(u32::MAX),
            pid: shown.map_or(0, |member| member.pid),
            in_kernel: waiting.is_some(),
        }
    }

    fn begin(&mut self) {
        for member in &mut self.members {
            member.is_told = false;
        }
    }

    /// Each that was not told yet.
    fn tell(&mut self, signals: &[i32]) -> Result<(), AskFault> {
        for member in self.members.iter_mut().filter(|member| !member.is_told) {
            for signal in signals {
                match member.pidfd.signal(*signal) {
                    Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                        return Err(fault(&error));
                    }
                    Ok(()) | Err(_) => member.is_told = true,
                }
            }
        }
        Ok(())
    }

    /// One that stands still starts nobody, so that after a scan without a new one all are known.
    fn freeze(&mut self) -> Result<(), AskFault> {
        let deadline = clock::moment() + FREEZE_WITHIN;
        self.begin();
        while clock::moment() < deadline {
            self.tell(&[libc::SIGSTOP])?;
            let is_still = self.members.iter().all(Member::is_still);
            if is_still && !self.grow()? {
                return Ok(());
            }
            if !is_still {
                self.wait(FREEZE_EVERY);
            }
        }
        Ok(())
    }

    /// Adds all that belong to it and are not in it yet; whether there were any.
    fn grow(&mut self) -> Result<bool, AskFault> {
        let before = self.members.len();
        for _ in 0..SCANS_MAX {
            let known = self.members.len();
            self.scan()?;
            if self.members.len() == known {
                break;
            }
        }
        Ok(self.members.len() > before)
    }

    fn scan(&mut self) -> Result<(), AskFault> {
        let mut reader = Reader::open().map_err(|error| fault(&error))?;
        let mut seen = Vec::new();
        for pid in reader.pids().map_err(|error| fault(&error))? {
            if let Some((line, _)) = reader.stat(pid, false)
                && !line.is_kernel
                && line.state != b'Z'
            {
                seen.push(Seen {
                    pid,
                    parent: line.parent,
                    session: line.session,
                });
            }
        }
        // A child may have a lower number than its parent: around until nobody is new.
        let mut known = 0;
        while known < self.members.len() {
            known = self.members.len();
            let sessions = self.sessions();
            for one in &seen {
                self.meet(one, &sessions)?;
            }
        }
        Ok(())
    }

    /// Sessions that a member leads or led, of which a member is left.
    fn sessions(&self) -> BTreeSet<u32> {
        let pids: BTreeSet<u32> = self.members.iter().map(|member| member.pid).collect();
        let of = |member: &Member| {
            let session = proc::stat(member.pid).ok()?.session;
            (!is_over(&member.pidfd)).then_some(session)
        };
        let sessions = self.members.iter().filter_map(of);
        sessions.filter(|session| pids.contains(session)).collect()
    }

    fn meet(&mut self, seen: &Seen, sessions: &BTreeSet<u32>) -> Result<(), AskFault> {
        let is_child = self.holds(seen.parent);
        if self.holds(seen.pid) || !(is_child || sessions.contains(&seen.session)) {
            return Ok(());
        }
        let Ok(pidfd) = PidFd::open(seen.pid) else {
            return Ok(());
        };
        let Ok(stat) = proc::stat(seen.pid) else {
            return Ok(());
        };
        // Read while it was held, and while those were there by which it is recognised: numbers of
        // parents and sessions are given away only after these have ended.
        let is_ours = self.holds(stat.parent)
            || sessions.contains(&stat.session) && self.sessions().contains(&stat.session);
        if stat.state == b'Z' || !is_ours || is_over(&pidfd) {
            return Ok(());
        }
        match admit(seen.pid, self.policy) {
            Ok(()) => {}
            Err(AskFault::Gone) => return Ok(()),
            Err(fault) => return Err(fault),
        }
        if self.members.len() == TREE_LENGTH_MAX {
            let errno = libc::E2BIG;
            return Err(AskFault::Unreadable { errno });
        }
        self.members.push(Member {
            pid: seen.pid,
            pidfd,
            is_told: false,
        });
        Ok(())
    }

    /// Whether a member has that number now.
    fn holds(&self, pid: u32) -> bool {
        let is_it = |member: &Member| member.pid == pid && !is_over(&member.pidfd);
        self.members.iter().any(is_it)
    }

    /// Waits for a while. True when there is nothing left to wait for.
    fn wait_until(&self, deadline: Moment) -> bool {
        let left = deadline.since(clock::moment());
        if self.is_gone() || left.is_zero() {
            return true;
        }
        self.wait(left.min(LOOK_EVERY));
        false
    }

    /// Until one of those that are left has ended, at most for `span`.
    fn wait(&self, span: Duration) {
        let left = self.members.iter().filter(|member| !is_over(&member.pidfd));
        let mut waited: Vec<PollFd<'_>> = left
            .map(|member| PollFd::from_borrowed_fd(member.pidfd.descriptor(), PollFlags::IN))
            .collect();
        if let Ok(span) = Timespec::try_from(span) {
            // Interrupted or not: the caller looks again.
            let _: io::Result<usize> = poll(&mut waited, Some(&span)).map_err(Into::into);
        }
    }
}

impl Member {
    /// Whether it cannot start another one now. One that waits inside the kernel (`D`) or is frozen
    /// cannot either.
    fn is_still(&self) -> bool {
        is_over(&self.pidfd)
            || proc::stat(self.pid).is_ok_and(|stat| matches!(stat.state, b'T' | b't' | b'D'))
    }
}

/// Whether the process has ended; a zombie has.
pub(super) fn is_over(pidfd: &PidFd) -> bool {
    let descriptor = pidfd.descriptor();
    let mut polled = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
}
