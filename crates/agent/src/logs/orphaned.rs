//! The agent's part: it writes the logs of programs whose keeper is dead, and tidies up.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use flota_model::{ids::AttemptId, units::Moment};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::pump::Pump;
use crate::sys::clock;

/// A program that was just cloned keeps the locks of its keeper until it is executed: streams of a
/// dead keeper are looked for again until then.
const LOOK_FOR: Duration = Duration::from_secs(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Between two looks for logs that are too old.
const TIDY_INTERVAL: Duration = Duration::from_mins(1);

/// A thread that writes logs as long as it is held.
#[derive(Debug)]
pub(crate) struct Orphaned {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    pump: Mutex<Pump>,
    bell: OwnedFd,
    is_over: AtomicBool,
    /// A keeper died.
    look: AtomicBool,
}

impl Orphaned {
    pub(crate) fn start(pump: Pump) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            pump: Mutex::new(pump),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            is_over: AtomicBool::new(false),
            look: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || own.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// A keeper is dead: what it wrote is ours now.
    pub(crate) fn adopt(&self) {
        self.shared.look.store(true, Ordering::Release);
        self.shared.ring();
    }

    /// Closes the logs of an attempt whose keeper is dead, of which no process is left.
    pub(crate) fn finish(&self, attempt: AttemptId) {
        self.shared.pump().finish_orphaned(attempt);
    }

    /// Takes over what dead keepers left, and closes the logs of what does not run any more.
    pub(crate) fn recover(&self, is_running: impl Fn(AttemptId) -> bool) {
        {
            let mut pump = self.shared.pump();
            if let Err(error) = pump.adopt_all() {
                tracing::error!(%error, "the logs of dead keepers cannot be used");
            }
            for attempt in pump.attempts() {
                if !is_running(attempt) {
                    pump.finish(attempt);
                }
            }
        }
        self.adopt();
    }
}

impl Drop for Orphaned {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            // It panicked where it is not joined; that is told already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn pump(&self) -> MutexGuard<'_, Pump> {
        // Whoever panicked left files, which are the truth.
        self.pump.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // Fails only where it is rung already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn run(&self) {
        let mut look_until = clock::moment();
        let mut tidy_at = clock::moment();
        while !self.is_over.load(Ordering::Acquire) {
            let now = clock::moment();
            if self.look.swap(false, Ordering::AcqRel) {
                look_until = now + LOOK_FOR;
            }
            let mut pump = self.pump();
            if now <= look_until
                && let Err(error) = pump.adopt_all()
            {
                tracing::error!(%error, "the logs of dead keepers cannot be used");
            }
            if tidy_at <= now {
                tidy_at = now + TIDY_INTERVAL;
                pump.tidy();
            }
            pump.turn();
            let wait_until = if now <= look_until {
                now + LOOK_INTERVAL
            } else {
                tidy_at
            };
            let wait_until = pump.deadline().map_or(wait_until, |at| at.min(wait_until));
            // The epoll lives as long as we do.
            let epoll = pump.descriptor().try_clone_to_owned();
            drop(pump);
            self.wait(epoll.ok(), wait_until);
        }
    }

    fn wait(&self, epoll: Option<OwnedFd>, until: Moment) {
        let span = until.since(clock::moment());
        let timeout = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        let bell = PollFd::new(&self.bell, PollFlags::IN);
        let _ = match &epoll {
            Some(epoll) => {
                let epoll = PollFd::from_borrowed_fd(epoll.as_fd(), PollFlags::IN);
                poll(&mut [bell, epoll], Some(&timeout))
            }
            None => poll(&mut [bell], Some(&timeout)),
        };
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
    }
}
