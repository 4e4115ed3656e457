//! What the keeper waits for.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use flota_engine::keeper::api::Peer;
use flota_model::units::Moment;
use rustix::{
    event::epoll,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

/// Most sources looked at in one turn.
const READY_MAX: usize = 256;

/// Where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Signals,
    Timer,
    Listener,
    /// Logs that are rotated.
    Logs,
    /// A connection of an agent.
    Peer(Peer),
    /// The pipe of a child that is on its way to its program.
    Report(u32),
}

/// Whether there is something else to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Wait,
    /// Only look.
    Look,
}

/// An epoll with one timer on `CLOCK_BOOTTIME`.
pub(super) struct Reactor {
    epoll: OwnedFd,
    timer: OwnedFd,
    timer_at: Option<Moment>,
    ready: Vec<epoll::Event>,
}

impl fmt::Debug for Reactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reactor")
            .field("timer_at", &self.timer_at)
            .finish_non_exhaustive()
    }
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let reactor = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            timer: timerfd_create(TimerfdClockId::Boottime, flags)?,
            timer_at: None,
            ready: Vec::with_capacity(READY_MAX),
        };
        reactor.watch(&reactor.timer, Source::Timer)?;
        Ok(reactor)
    }

    /// Watches for something to read.
    pub(super) fn watch(&self, descriptor: impl AsFd, source: Source) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            descriptor,
            token(source),
            epoll::EventFlags::IN,
        )?)
    }

    /// Ends it. Closing alone would not: a child that was just cloned has a copy of the descriptor,
    /// and until it has closed that, the epoll would go on telling.
    pub(super) fn unwatch(&self, descriptor: impl AsFd) {
        // Fails only for what is not watched.
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    /// Watches a connection also for room to write, or no longer.
    pub(super) fn watch_room(
        &self,
        descriptor: impl AsFd,
        source: Source,
        wanted: bool,
    ) -> io::Result<()> {
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, wanted);
        Ok(epoll::modify(
            &self.epoll,
            descriptor,
            token(source),
            flags,
        )?)
    }

    /// Waits until something happens, or `deadline` has passed.
    pub(super) fn wait(&mut self, deadline: Option<Moment>, pace: Pace) -> io::Result<Vec<Source>> {
        const AT_ONCE: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        self.set_timer(deadline)?;
        self.ready.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.ready),
            (pace == Pace::Look).then_some(&AT_ONCE),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let sources: Vec<Source> = self
            .ready
            .iter()
            .filter_map(|event| source(event.data.u64()))
            .collect();
        if sources.contains(&Source::Timer) {
            // Only to make it unreadable; how often it fired does not matter.
            let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            self.timer_at = None;
        }
        Ok(sources)
    }

    fn set_timer(&mut self, deadline: Option<Moment>) -> io::Result<()> {
        if self.timer_at == deadline {
            return Ok(());
        }
        // A value of zero would disarm it; a moment in the past fires at once.
        let at = Duration::from_micros(deadline.map_or(0, |deadline| deadline.0.max(1)));
        let value = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: at.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &value)?;
        self.timer_at = deadline;
        Ok(())
    }
}

fn token(source: Source) -> epoll::EventData {
    let (kind, number) = match source {
        Source::Signals => (0, 0),
        Source::Timer => (1, 0),
        Source::Listener => (2, 0),
        Source::Peer(peer) => (3, peer.0),
        Source::Report(pid) => (4, pid),
        Source::Logs => (5, 0),
    };
    epoll::EventData::new_u64((kind << 32) | u64::from(number))
}

fn source(token: u64) -> Option<Source> {
    let number = u32::try_from(token & u64::from(u32::MAX)).ok()?;
    match token >> 32 {
        0 => Some(Source::Signals),
        1 => Some(Source::Timer),
        2 => Some(Source::Listener),
        3 => Some(Source::Peer(Peer(number))),
        4 => Some(Source::Report(number)),
        5 => Some(Source::Logs),
        _ => None,
    }
}
