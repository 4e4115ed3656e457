//! How a running kernel is asked to end.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Asks one running kernel to end. Once raised it stays raised.
///
/// Computing kernels poll [`Stop::raised`]; waiting ones use [`Stop::wait`] and are woken at once.
#[derive(Debug, Default)]
pub struct Stop {
    raised: AtomicBool,
    // Held while the flag is set, so that a waiter cannot miss the bell between its look and its wait.
    gate: Mutex<()>,
    bell: Condvar,
}

impl Stop {
    /// A flag that is not raised.
    pub const fn new() -> Self {
        Self {
            raised: AtomicBool::new(false),
            gate: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// Asks the kernel to end.
    pub fn raise(&self) {
        let gate = self.lock();
        self.raised.store(true, Ordering::Release);
        drop(gate);
        self.bell.notify_all();
    }

    /// Whether the kernel was asked to end.
    pub fn raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Waits for `span` or until the flag is raised, whichever is first; returns whether it is raised.
    pub fn wait(&self, span: Duration) -> bool {
        drop(
            self.bell
                .wait_timeout_while(self.lock(), span, |()| !self.raised()),
        );
        self.raised()
    }

    /// Nothing is guarded that a panic could leave half done, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
