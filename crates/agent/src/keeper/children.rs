//! The programs that the keeper owns.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use flota_engine::keeper::api::{ChildState, Event, FromKeeper, Identity, Launch, LogMode};
use flota_model::{
    execution::Limits,
    ids::{AttemptId, BootId},
    outcome::{StartStage, StreamName},
    units::Moment,
};

use super::{
    accounts,
    outputs::Outputs,
    peers::Descriptors,
    reactor::{Reactor, Source},
};
use crate::{
    groups::{self, Entrance, Group, Groups},
    logs::{LogId, Pump},
    proc,
    sys::{
        clock,
        pidfd::PidFd,
        spawn::{Fault, Order, Progress, Spawner, Spawning, setting::Setting},
        wait::Reaped,
    },
};

/// A program is given this long to be executed before its report is watched. Most that are short end
/// before: then there is one thing less to wake up for.
const LOOK_AFTER: Duration = Duration::from_millis(2);

/// All programs that were started and not released.
#[derive(Debug)]
pub(super) struct Children {
    by_attempt: BTreeMap<AttemptId, Child>,
    /// Leaders that are not reaped.
    leaders: BTreeMap<u32, AttemptId>,
    /// Those spawned a moment ago, and when to look how far they are.
    fresh: VecDeque<(Moment, u32, AttemptId)>,
    /// The attempt of each session: its number is the leader's pid, and is not given to another
    /// process while one of the session lives.
    sessions: BTreeMap<u32, AttemptId>,
    spawner: Spawner,
    outputs: Outputs,
    surroundings: Surroundings,
}

/// What is the same for all programs.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) boot: BootId,
    pub(super) pid_namespace: u64,
    pub(super) null: OwnedFd,
    /// Limits of open files to give back to them.
    pub(super) open_files: Option<(u64, u64)>,
    /// Where they may be contained.
    pub(super) groups: Groups,
}

#[derive(Debug)]
struct Child {
    pid: u32,
    /// Where the clock told it beyond doubt.
    start_time: Option<u64>,
    stage: Stage,
    /// Whether its report is watched.
    is_watched: bool,
    /// Its control group, until that is removed.
    group: Option<Group>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

#[derive(Debug)]
enum Stage {
    /// On its way to the program.
    Underway(Spawning),
    /// In the program, or reaped.
    Arrived(PidFd),
}

impl Children {
    pub(super) fn new(outputs: Outputs, surroundings: Surroundings) -> Self {
        Self {
            by_attempt: BTreeMap::new(),
            leaders: BTreeMap::new(),
            fresh: VecDeque::new(),
            sessions: BTreeMap::new(),
            spawner: Spawner::new(),
            outputs,
            surroundings,
        }
    }

    /// Sends a program on its way. Returns what failed at once; the rest is told by the child.
    pub(super) fn spawn(&mut self, mut launch: Launch, logs: &mut Pump) -> Option<Event> {
        let attempt = launch.attempt;
        if launch
            .environment
            .iter()
            .all(|(name, _)| name != proc::COOKIE)
        {
            launch
                .environment
                .push((proc::COOKIE.to_owned(), attempt.to_string()));
        }
        match self.try_spawn(&mut launch, logs) {
            Ok(child) => {
                let look_at = clock::moment() + LOOK_AFTER;
                self.fresh.push_back((look_at, child.pid, attempt));
                self.leaders.insert(child.pid, attempt);
                self.sessions.insert(child.pid, attempt);
                self.by_attempt.insert(attempt, child);
                None
            }
            Err(fault) => Some(not_executed(attempt, fault)),
        }
    }

    fn try_spawn(&mut self, launch: &mut Launch, logs: &mut Pump) -> Result<Child, Fault> {
        let execution = launch.execution.take().unwrap_or_default();
        let mut setting = accounts::setting(&execution, &launch.guard, &mut launch.environment)?;
        let Some((group, entrance)) = self.enclose(launch, &execution.limits)? else {
            return self.spawn_with(setting, launch, logs);
        };
        setting.membership = entrance.membership();
        let spawned = self.spawn_with(setting, launch, logs);
        match spawned {
            Ok(child) => Ok(Child {
                group: Some(group),
                ..child
            }),
            Err(fault) => {
                self.surroundings.groups.remove(&group);
                Err(fault)
            }
        }
    }

    /// The control group of a program, where it gets one: with limits, and where it runs for long. Short
    /// ones without limits would start a fifth slower (decision 0013), and are found by their session
    /// and by losing their parent.
    fn enclose(
        &self,
        launch: &Launch,
        limits: &Limits,
    ) -> Result<Option<(Group, Entrance)>, Fault> {
        let groups = &self.surroundings.groups;
        let is_long = matches!(launch.logs, LogMode::Rotated { .. });
        let is_wanted = limits.is_any() || is_long;
        let must_be = !limits.required().is_empty();
        if !is_wanted || groups.is_empty() && !must_be {
            return Ok(None);
        }
        let name = groups::name(launch.attempt, launch.run);
        match groups.create(name, limits) {
            Ok(made) => Ok(Some(made)),
            Err(error) if must_be => Err(Fault {
                stage: StartStage::Contain,
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }),
            Err(error) => {
                tracing::warn!(%error, attempt = %launch.attempt, "a program has no control group");
                Ok(None)
            }
        }
    }

    fn spawn_with(
        &mut self,
        setting: Setting,
        launch: &Launch,
        logs: &mut Pump,
    ) -> Result<Child, Fault> {
        let output_fault = |error: io::Error| Fault {
            stage: StartStage::OpenOutput,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        };
        let [stdout, stderr] = self.streams(launch, logs).map_err(output_fault)?;
        let before = clock::tick(clock::moment());
        let order = Order {
            argv: &launch.argv,
            environment: &launch.environment,
            working_directory: &launch.working_directory,
            stdin: launch.stdin.as_deref(),
            null: self.surroundings.null.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
            dies_with_us: launch.fence.is_some(),
            open_files: self.surroundings.open_files,
        };
        let spawning = self.spawner.spawn(&order, setting)?;
        let after = clock::tick(clock::moment());
        Ok(Child {
            pid: spawning.pid,
            start_time: (before == after).then_some(after),
            stage: Stage::Underway(spawning),
            is_watched: false,
            group: None,
            stdout: self.kept(launch, stdout).map_err(output_fault)?,
            stderr: self.kept(launch, stderr).map_err(output_fault)?,
        })
    }

    /// The files that a program writes to.
    fn streams(&mut self, launch: &Launch, logs: &mut Pump) -> io::Result<[OwnedFd; 2]> {
        let attempt = launch.attempt;
        match launch.logs {
            LogMode::Captured => Ok([
                self.outputs.take(attempt, StreamName::Stdout)?,
                self.outputs.take(attempt, StreamName::Stderr)?,
            ]),
            LogMode::Rotated { run } => logs.open(LogId { attempt, run }),
        }
    }

    /// What we keep of one, for the agent: of a FIFO nothing, for it has its own writer.
    fn kept(&self, launch: &Launch, stream: OwnedFd) -> io::Result<OwnedFd> {
        match launch.logs {
            LogMode::Captured => Ok(stream),
            LogMode::Rotated { .. } => self.surroundings.null.try_clone(),
        }
    }

    /// When to look at those that were spawned a moment ago.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.fresh.front().map(|(look_at, ..)| *look_at)
    }

    /// Looks at them. The report of one that is still on its way is watched from now on.
    pub(super) fn look(&mut self, now: Moment, reactor: &Reactor) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((look_at, pid, attempt)) = self.fresh.front().copied() {
            let is_there = self.leaders.get(&pid) == Some(&attempt);
            if is_there && look_at > now {
                break;
            }
            self.fresh.pop_front();
            let Some(Child {
                stage: Stage::Underway(spawning),
                is_watched,
                ..
            }) = self.by_attempt.get_mut(&attempt).filter(|_| is_there)
            else {
                continue;
            };
            match spawning.progress() {
                Progress::Executed => events.extend(self.arrive(attempt)),
                // Told once it is reaped, which is now.
                Progress::Failed(_) => {}
                // A report that cannot be watched is read when the child is reaped, or never; that
                // is only as bad as a hanging `execve`.
                Progress::Underway => match reactor.watch(spawning.report(), Source::Report(pid)) {
                    Ok(()) => *is_watched = true,
                    Err(error) => {
                        tracing::error!(%error, %attempt, "a start cannot be watched");
                    }
                },
            }
        }
        events
    }

    /// A child on its way has something to tell. Its failure is told only once it is reaped.
    pub(super) fn reported(&mut self, pid: u32, reactor: &Reactor) -> Option<Event> {
        let attempt = *self.leaders.get(&pid)?;
        let child = self.by_attempt.get_mut(&attempt)?;
        let Stage::Underway(spawning) = &mut child.stage else {
            return None;
        };
        let progress = spawning.progress();
        if progress != Progress::Underway {
            reactor.unwatch(spawning.report());
        }
        (progress == Progress::Executed)
            .then(|| self.arrive(attempt))
            .flatten()
    }

    /// A child of this process was reaped; gives what that means, if it was a leader.
    pub(super) fn reaped(&mut self, reaped: Reaped, reactor: &Reactor) -> Vec<Event> {
        let Some(attempt) = self.leaders.get(&reaped.pid).copied() else {
            return Vec::new();
        };
        let mut events = Vec::new();
        if let Some(Child {
            stage: Stage::Underway(spawning),
            is_watched,
            ..
        }) = self.by_attempt.get_mut(&attempt)
        {
            if *is_watched {
                reactor.unwatch(spawning.report());
            }
            if let Progress::Failed(fault) = spawning.progress() {
                self.leaders.remove(&reaped.pid);
                self.release(attempt);
                return vec![not_executed(attempt, fault)];
            }
            events.extend(self.arrive(attempt));
        }
        self.leaders.remove(&reaped.pid);
        events.push(self.exited(attempt, reaped));
        events
    }

    /// A leader that reports success has coped with whatever was killed around it.
    fn exited(&self, attempt: AttemptId, reaped: Reaped) -> Event {
        let groups = &self.surroundings.groups;
        let child = self.by_attempt.get(&attempt);
        let group = child.and_then(|child| child.group.as_ref());
        let mut usage = reaped.usage;
        let peak = group.and_then(|group| groups.memory_peak(group));
        usage.memory_bytes_max = peak.or(usage.memory_bytes_max);
        let is_out = |group| groups.was_out_of_memory(group);
        Event::LeaderExited {
            attempt,
            status: reaped.status,
            usage,
            out_of_memory: reaped.status != 0 && group.is_some_and(is_out),
        }
    }

    /// Kills all that is in the control group of an attempt, if it has one.
    pub(super) fn kill_group(&self, attempt: AttemptId) {
        if let Some(group) = self.group(attempt) {
            self.surroundings.groups.kill(group);
        }
    }

    /// The same, and removes it once it is empty; whether it is gone.
    pub(super) fn clear_group(&mut self, attempt: AttemptId) -> bool {
        let groups = &self.surroundings.groups;
        let Some(child) = self.by_attempt.get_mut(&attempt) else {
            return true;
        };
        child.group.take_if(|group| groups.clear(group));
        child.group.is_none()
    }

    /// The processes in the control group of an attempt.
    pub(super) fn in_group(&self, attempt: AttemptId) -> Vec<u32> {
        let group = self.group(attempt);
        group.map_or_else(Vec::new, |group| self.surroundings.groups.processes(group))
    }

    fn group(&self, attempt: AttemptId) -> Option<&Group> {
        self.by_attempt.get(&attempt)?.group.as_ref()
    }

    /// Removes what we made for all groups, as far as nobody else needs it.
    pub(super) fn leave_groups(&self) {
        self.surroundings.groups.leave_plain();
    }

    /// The child has let go of our memory.
    fn arrive(&mut self, attempt: AttemptId) -> Option<Event> {
        let mut child = self.by_attempt.remove(&attempt)?;
        if let Stage::Underway(spawning) = child.stage {
            child.stage = Stage::Arrived(self.spawner.settle(spawning));
        }
        let identity = self.identity(&child);
        self.by_attempt.insert(attempt, child);
        Some(Event::Executed { attempt, identity })
    }

    /// Where the clock did not tell the start time, `/proc` does; a reaped child is not there any
    /// more, and needs none, for nobody will look for it.
    fn identity(&self, child: &Child) -> Identity {
        let from_proc = || proc::stat(child.pid).map_or(0, |stat| stat.start_time);
        Identity {
            boot: self.surroundings.boot,
            pid_namespace: self.surroundings.pid_namespace,
            pid: child.pid,
            start_time: child.start_time.unwrap_or_else(from_proc),
            pidfd_inode: child.pidfd().inode().unwrap_or(0),
        }
    }

    /// Lets go of the descriptors of an attempt.
    pub(super) fn release(&mut self, attempt: AttemptId) {
        let Some(child) = self.by_attempt.remove(&attempt) else {
            return;
        };
        if self.sessions.get(&child.pid) == Some(&attempt) {
            self.sessions.remove(&child.pid);
        }
        if let Stage::Underway(spawning) = child.stage {
            self.spawner.settle(spawning);
        }
        if let Some(group) = &child.group {
            self.surroundings.groups.remove(group);
        }
        self.outputs.give_back(child.stdout);
        self.outputs.give_back(child.stderr);
    }

    /// Cuts outputs that have grown too long. Returns whether any child may still write.
    pub(super) fn limit_outputs(&self) -> bool {
        for child in self
            .leaders
            .values()
            .filter_map(|attempt| self.by_attempt.get(attempt))
        {
            self.outputs.limit(&child.stdout);
            self.outputs.limit(&child.stderr);
        }
        !self.leaders.is_empty()
    }

    pub(super) fn has_leaders(&self) -> bool {
        !self.leaders.is_empty()
    }

    /// The attempt of an unreaped leader.
    pub(super) fn led_by(&self, pid: u32) -> Option<AttemptId> {
        self.leaders.get(&pid).copied()
    }

    /// All attempts whose leader is not reaped.
    pub(super) fn running(&self) -> impl Iterator<Item = AttemptId> {
        self.leaders.values().copied()
    }

    pub(super) fn of_session(&self, session: u32) -> Option<AttemptId> {
        self.sessions.get(&session).copied()
    }

    /// The leader of an attempt, if it is not reaped.
    pub(super) fn leader(&self, attempt: AttemptId) -> Option<(u32, &PidFd)> {
        let child = self.by_attempt.get(&attempt)?;
        (self.leaders.get(&child.pid) == Some(&attempt)).then(|| (child.pid, child.pidfd()))
    }
}

impl Child {
    fn pidfd(&self) -> &PidFd {
        match &self.stage {
            Stage::Underway(spawning) => &spawning.pidfd,
            Stage::Arrived(pidfd) => pidfd,
        }
    }
}

/// Three for each child that runs or ran, also where the attempt is released meanwhile: the other
/// end counts on it.
impl<'a> Descriptors<'a> for &'a Children {
    fn gather(&self, message: &FromKeeper, out: &mut Vec<BorrowedFd<'a>>) {
        let mut three = |attempt| {
            let null = self.surroundings.null.as_fd();
            out.extend(self.by_attempt.get(&attempt).map_or([null; 3], |child| {
                [
                    child.pidfd().descriptor(),
                    child.stdout.as_fd(),
                    child.stderr.as_fd(),
                ]
            }));
        };
        match message {
            FromKeeper::Started { attempt, .. } => three(*attempt),
            FromKeeper::Listed { children, .. } => {
                for child in children {
                    match child.state {
                        ChildState::Running { .. } | ChildState::Ended(_) => three(child.attempt),
                        ChildState::Waiting
                        | ChildState::Starting
                        | ChildState::NotStarted { .. } => {}
                    }
                }
            }
            FromKeeper::NotStarted { .. }
            | FromKeeper::Ended { .. }
            | FromKeeper::Refused { .. }
            | FromKeeper::Unkillable(_) => {}
        }
    }
}

fn not_executed(attempt: AttemptId, fault: Fault) -> Event {
    Event::NotExecuted {
        attempt,
        stage: fault.stage,
        errno: fault.errno,
    }
}
