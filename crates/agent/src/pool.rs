//! Threads that run kernels.
//!
//! Work and results pass through one lock, taken once a kernel; the main loop is woken only when
//! there was no result before, and takes all that gathered.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use flota_kernels::{KernelFault, Stop};
use flota_model::{ids::AttemptId, outcome::Usage, spec::KernelCall, units::Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::sys::clock;

/// A kernel to run.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) attempt: AttemptId,
    pub(crate) call: KernelCall,
}

/// A kernel that ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) attempt: AttemptId,
    pub(crate) result: Result<Vec<u8>, KernelFault>,
    pub(crate) ran: (Timestamp, Timestamp),
    pub(crate) usage: Usage,
}

/// The threads. How much is handed to them the engine bounds (`running_max`).
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    bell: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Work>,
    finished: Vec<Finished>,
    /// What each thread runs.
    running: Vec<Option<Running>>,
    is_closing: bool,
}

#[derive(Debug, Clone)]
struct Running {
    attempt: AttemptId,
    stop: Arc<Stop>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts `count` threads, at least one. `wake` is called when results came where none were.
    pub(crate) fn new(count: usize, wake: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let count = count.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                finished: Vec::new(),
                running: vec![None; count],
                is_closing: false,
            }),
            bell: Condvar::new(),
            wake: Box::new(wake),
        });
        let spawn = |index| {
            let shared = Arc::clone(&shared);
            let name = format!("kernel-{index}");
            std::thread::Builder::new()
                .name(name)
                .spawn(move || shared.work(index))
        };
        let threads = (0..count).map(spawn).collect::<io::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// Hands out work; it is begun in this order.
    pub(crate) fn run(&self, works: Vec<Work>) {
        let count = works.len();
        self.shared.lock().waiting.extend(works);
        for _ in 0..count.min(self.threads.len()) {
            self.shared.bell.notify_one();
        }
    }

    /// Raises the stop flag of a kernel; one that has not begun never does.
    pub(crate) fn stop(&self, attempt: AttemptId) {
        let mut state = self.shared.lock();
        let mut running = state.running.iter().flatten();
        if let Some(running) = running.find(|running| running.attempt == attempt) {
            return running.stop.raise();
        }
        let index = state
            .waiting
            .iter()
            .position(|work| work.attempt == attempt);
        if index
            .and_then(|index| state.waiting.remove(index))
            .is_some()
        {
            let now = clock::wall();
            state.finished.push(Finished {
                attempt,
                result: Err(KernelFault::Stopped),
                ran: (now, now),
                usage: Usage::default(),
            });
            drop(state);
            (self.shared.wake)();
        }
    }

    /// All that ended since the last call.
    pub(crate) fn finished(&self) -> Vec<Finished> {
        std::mem::take(&mut self.shared.lock().finished)
    }

    /// Stops all kernels, begins no new ones, and waits for the threads.
    pub(crate) fn close(self) {
        let mut state = self.shared.lock();
        state.is_closing = true;
        state
            .running
            .iter()
            .flatten()
            .for_each(|running| running.stop.raise());
        drop(state);
        self.shared.bell.notify_all();
        for thread in self.threads {
            // Panics of kernels are caught; a panic of the thread itself was printed there.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, index: usize) {
        let mut stop = Arc::new(Stop::new());
        let mut used = thread_time();
        let mut last = None;
        while let Some(work) = self.next(index, last.take(), &stop) {
            let began = clock::wall();
            let result = run(&work.call, &stop);
            let (before, ended) = (used, clock::wall());
            used = thread_time();
            if stop.raised() {
                stop = Arc::new(Stop::new());
            }
            last = Some(Finished {
                attempt: work.attempt,
                result,
                ran: (began, ended),
                usage: Usage {
                    user_micros: used.saturating_sub(before),
                    ..Usage::default()
                },
            });
        }
    }

    /// Delivers the last result and takes the next work, in one turn of the lock.
    fn next(&self, index: usize, last: Option<Finished>, stop: &Arc<Stop>) -> Option<Work> {
        let mut state = self.lock();
        if let Some(slot) = state.running.get_mut(index) {
            *slot = None;
        }
        if let Some(last) = last {
            state.finished.push(last);
            if state.finished.len() == 1 {
                drop(state);
                (self.wake)();
                state = self.lock();
            }
        }
        loop {
            if state.is_closing {
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                if let Some(slot) = state.running.get_mut(index) {
                    *slot = Some(Running {
                        attempt: work.attempt,
                        stop: Arc::clone(stop),
                    });
                }
                return Some(work);
            }
            state = self
                .bell
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A kernel that panics has failed; nothing of it is shared but its stop flag.
fn run(call: &KernelCall, stop: &Stop) -> Result<Vec<u8>, KernelFault> {
    let run = || flota_kernels::run(&call.name, &call.parameters, stop);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(KernelFault::Failed(format!(
            "the kernel panicked: {}",
            text.unwrap_or_else(|| "no message".to_owned())
        )))
    })
}

/// Processor time of the calling thread in microseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}
