//! Programs whose keeper is dead: watched, stopped and cleared away by the agent itself.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flota_engine::keeper::api::{End, Identity, StopReason};
use flota_model::{
    ids::AttemptId,
    outcome::Usage,
    units::{Moment, Timestamp},
};
use tokio::{io::Interest, sync::mpsc, task::JoinHandle, time::sleep};

use crate::{
    groups::{Group, Groups},
    input::Input,
    proc, signal,
    sys::{
        clock,
        pidfd::{NO_USAGE, PidFd},
        wait::Reaped,
        watched::watched,
    },
};

/// How long a process may be a zombie that its parent does not reap before its status is given up.
const UNREAPED_MAX: Duration = Duration::from_secs(30);
/// Between two looks, at first and at most.
const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);
/// Stops that wait to be taken; a second one can only shorten the first.
const STOPS_MAX: usize = 4;
/// Statuses kept of processes that were reaped before their watch looked.
const REAPED_MAX: usize = 4_096;

/// All programs without a keeper.
#[derive(Debug)]
pub(crate) struct Orphans {
    watches: BTreeMap<AttemptId, Watch>,
    inbox: mpsc::Sender<Input>,
    reaped: Statuses,
    groups: Arc<Groups>,
}

/// Statuses of children that were reaped because we are a subreaper.
#[derive(Debug, Clone, Default)]
struct Statuses(Arc<Mutex<BTreeMap<u32, Reaped>>>);

#[derive(Debug)]
struct Watch {
    stops: mpsc::Sender<StopOrder>,
    task: JoinHandle<()>,
}

/// Ends only our watch; the program goes on.
impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Orphans {
    pub(crate) fn new(inbox: mpsc::Sender<Input>, groups: Arc<Groups>) -> Self {
        Self {
            watches: BTreeMap::new(),
            inbox,
            reaped: Statuses::default(),
            groups,
        }
    }

    /// Watches a program until its tree is gone; tells its end by [`Input::OrphanEnded`]. `stopped`
    /// is why its keeper was told to stop it, if it was.
    pub(crate) fn watch(
        &mut self,
        attempt: AttemptId,
        pidfd: PidFd,
        (identity, started_at): (Identity, Timestamp),
        stopped: Option<StopReason>,
    ) {
        let (stops, orders) = mpsc::channel(STOPS_MAX);
        let orphan = Orphan {
            attempt,
            identity,
            started_at,
            stopped,
            reaped: self.reaped.clone(),
            enclosure: Arc::new(Enclosure {
                own: self.groups.of_attempt(attempt),
                groups: Arc::clone(&self.groups),
            }),
        };
        let inbox = self.inbox.clone();
        let task = tokio::spawn(async move {
            let end = orphan.watch(pidfd, orders).await;
            // Only an agent that ends does not take it.
            let _ = inbox.send(Input::OrphanEnded { attempt, end }).await;
        });
        self.watches.insert(attempt, Watch { stops, task });
    }

    /// Stops one: signal, grace, kill.
    pub(crate) fn stop(&self, attempt: AttemptId, signal: u8, grace: Duration, reason: StopReason) {
        if let Some(watch) = self.watches.get(&attempt) {
            // Full of earlier stops, which do as well: the engine that orders this one knows its
            // reason. Or it has just ended.
            let _ = watch.stops.try_send((signal, grace, reason));
        }
    }

    pub(crate) fn remove(&mut self, attempt: AttemptId) {
        self.watches.remove(&attempt);
    }

    /// A process was reaped that a keeper may have owned.
    pub(crate) fn reaped(&self, reaped: Reaped) {
        let mut statuses = self.reaped.0.lock().unwrap_or_else(PoisonError::into_inner);
        if statuses.len() >= REAPED_MAX {
            statuses.pop_first();
        }
        statuses.insert(reaped.pid, reaped);
    }
}

/// First signal, grace and reason.
type StopOrder = (u8, Duration, StopReason);

/// The control groups of a program, where it has any.
struct Enclosure {
    groups: Arc<Groups>,
    own: Vec<Group>,
}

impl Enclosure {
    fn kill(&self) {
        self.own.iter().for_each(|group| self.groups.kill(group));
    }

    /// Kills what is left; whether that was nothing.
    fn clear(&self) -> bool {
        let left = self.own.iter().filter(|group| !self.groups.clear(group));
        left.count() == 0
    }

    /// As the keeper would have judged (`Children::exited`).
    fn was_out_of_memory(&self, status: i32) -> bool {
        let is_out = |group| self.groups.was_out_of_memory(group);
        status != 0 && self.own.iter().any(is_out)
    }

    fn memory_peak(&self) -> Option<u64> {
        let peaks = self
            .own
            .iter()
            .filter_map(|group| self.groups.memory_peak(group));
        peaks.max()
    }
}

struct Orphan {
    attempt: AttemptId,
    identity: Identity,
    started_at: Timestamp,
    stopped: Option<StopReason>,
    reaped: Statuses,
    enclosure: Arc<Enclosure>,
}

impl Orphan {
    async fn watch(&self, pidfd: PidFd, orders: mpsc::Receiver<StopOrder>) -> End {
        let pidfd = Arc::new(pidfd);
        let stopped = self.wait(&pidfd, orders).await.unwrap_or_else(|error| {
            tracing::error!(attempt = %self.attempt, %error, "a program cannot be watched");
            self.stopped
        });
        let status = self.status(&pidfd).await;
        let ended_at = clock::wall();
        let peak = self.enclosure.memory_peak();
        let out_of_memory =
            status.is_some_and(|(status, _)| self.enclosure.was_out_of_memory(status));
        self.clear_away().await;
        match status {
            Some((status, usage)) => End::Known {
                status,
                usage: Usage {
                    memory_bytes_max: peak.or(usage.memory_bytes_max),
                    ..usage
                },
                out_of_memory,
                started_at: self.started_at,
                ended_at,
                fenced: false,
                stopped,
            },
            None => End::Unknown {
                started_at: Some(self.started_at),
                found_at: ended_at,
            },
        }
    }

    /// Waits for the end of the leader, and stops it where that is asked for; tells why it was
    /// stopped, if it was.
    async fn wait(
        &self,
        pidfd: &Arc<PidFd>,
        mut orders: mpsc::Receiver<StopOrder>,
    ) -> io::Result<Option<StopReason>> {
        let duplicate = pidfd.descriptor().try_clone_to_owned()?;
        let ended = watched(duplicate, Interest::READABLE)?;
        let mut stopped = self.stopped;
        let mut kill_at: Option<Moment> = None;
        loop {
            let overdue = async {
                match kill_at {
                    Some(at) => sleep(at.since(clock::moment())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ready = ended.readable() => return ready.map(|_| stopped),
                Some((number, grace, reason)) = orders.recv() => {
                    stopped = stopped.max(Some(reason));
                    if kill_at.is_none() {
                        self.signal(pidfd, i32::from(number)).await;
                    }
                    let at = clock::moment() + grace;
                    kill_at = Some(kill_at.map_or(at, |earlier| earlier.min(at)));
                }
                () = overdue => {
                    self.signal(pidfd, libc::SIGKILL).await;
                    kill_at = Some(clock::moment() + LOOK_AGAIN_MAX);
                }
            }
        }
    }

    /// Signals the whole tree, as far as it can be found.
    async fn signal(&self, pidfd: &Arc<PidFd>, number: i32) {
        let (pidfd, pid) = (Arc::clone(pidfd), self.identity.pid);
        let (attempt, identity) = (self.attempt, self.identity);
        let enclosure = Arc::clone(&self.enclosure);
        let signal_all = move || {
            if number == libc::SIGKILL {
                enclosure.kill();
            }
            signal::send(&pidfd, number);
            if pidfd.signal(0).is_ok() {
                signal::below(pid, number);
            }
            signal_left(attempt, identity, number);
        };
        // Reading all of `/proc` takes milliseconds.
        let _ = tokio::task::spawn_blocking(signal_all).await;
    }

    /// The status of the leader, from whoever knows it: from us if it became our child, from
    /// `/proc` while it is a zombie, from its pidfd after it was reaped. Never guessed.
    async fn status(&self, pidfd: &PidFd) -> Option<(i32, Usage)> {
        let deadline = clock::moment() + UNREAPED_MAX;
        loop {
            if let Ok(Some(reaped)) = pidfd.reap() {
                return Some((reaped.status, reaped.usage));
            }
            if let Some(reaped) = self.reaped_before() {
                return Some((reaped.status, reaped.usage));
            }
            if let Some(status) = pidfd.status_after_reaping() {
                return Some((status, NO_USAGE));
            }
            let is_gone = pidfd.signal(0).is_err();
            match proc::stat(self.identity.pid) {
                // One that exits with 0 and one whose status may not be read look alike here, so
                // 0 is only believed from elsewhere.
                Ok(stat)
                    if stat.state == b'Z'
                        && stat.start_time == self.identity.start_time
                        && stat.exit_status != 0 =>
                {
                    return Some((stat.exit_status, NO_USAGE));
                }
                _ if is_gone || clock::moment() >= deadline => {
                    // Between the look above and the reaping it may have become known.
                    return pidfd
                        .status_after_reaping()
                        .map(|status| (status, NO_USAGE));
                }
                _ => sleep(LOOK_AGAIN_FIRST).await,
            }
        }
    }

    fn reaped_before(&self) -> Option<Reaped> {
        let mut statuses = self.reaped.0.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.remove(&self.identity.pid)
    }

    /// Kills what the leader left until nothing is left.
    async fn clear_away(&self) {
        let mut pause = LOOK_AGAIN_FIRST;
        loop {
            let (attempt, identity) = (self.attempt, self.identity);
            let enclosure = Arc::clone(&self.enclosure);
            let kill = move || {
                let is_clear = enclosure.clear();
                signal_left(attempt, identity, libc::SIGKILL) == 0 && is_clear
            };
            match tokio::task::spawn_blocking(kill).await {
                Ok(true) | Err(_) => return,
                Ok(false) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }
}

/// Signals every process but the leader that belongs to an attempt; returns how many there are.
fn signal_left(attempt: AttemptId, identity: Identity, signal: i32) -> usize {
    let mut count = 0;
    // Once the number of the leader is another process's, so is its session.
    let session_is_ours =
        proc::stat(identity.pid).map_or(true, |stat| stat.start_time == identity.start_time);
    let belongs = |pid| {
        let stat = proc::stat(pid).ok().filter(|stat| stat.state != b'Z');
        stat.is_some_and(|stat| {
            let is_of_session = session_is_ours && stat.session == identity.pid;
            proc::cookie(pid).map_or(is_of_session, |cookie| cookie == attempt)
        })
    };
    proc::all(|pid| {
        if pid != identity.pid
            && belongs(pid)
            && let Ok(pidfd) = PidFd::open(pid)
            // Again, now that its number cannot go over to another process.
            && belongs(pid)
            && pidfd.signal(signal).is_ok()
        {
            count += 1;
        }
    });
    count
}
