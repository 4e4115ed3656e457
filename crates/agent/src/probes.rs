//! Asking services of this node whether they are well. When to ask, and what an answer means, the
//! engine decides (`flota_engine::supervise::probe`).

mod exec;
mod http;
mod tcp;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use flota_engine::keeper::api::Guard;
use flota_model::{
    execution::Execution,
    replica::PROBE_DETAIL_LENGTH_MAX,
    service::{ExpandedCheck, ProbeResult},
    units::Moment,
};
use tokio::{
    net::lookup_host,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{error::Elapsed, timeout},
};

use crate::sys::{
    clock,
    spawn::{Fault, Spawning},
    wait::Reaped,
};

/// Probes at a time. Each takes a connection or a process; a thousand services that are asked once
/// in ten seconds need far fewer.
pub(crate) const IN_FLIGHT_MAX: usize = 64;
/// Longest text about a probe that is kept, in bytes: it says why a service is not ready.
pub(crate) const DETAIL_LENGTH_MAX: usize = PROBE_DETAIL_LENGTH_MAX;

/// Where a service listens. Only addresses of this machine are asked: a spec must not make the fleet
/// knock at doors of others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    /// A name or a number.
    host: String,
    port: u16,
}

/// A program that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exec {
    argv: Vec<String>,
    /// The whole environment, as the service has it.
    environment: Vec<(String, String)>,
    working_directory: String,
    execution: Execution,
    guard: Guard,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) result: ProbeResult,
    /// For people: why it failed, or what the program said. At most [`DETAIL_LENGTH_MAX`] bytes.
    pub(crate) detail: String,
}

/// Performs probes, so many at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Probes {
    places: Arc<Semaphore>,
    statuses: Statuses,
    open_files: Option<(u64, u64)>,
}

/// Programs of probes that run, and how those ended that somebody else has reaped: the main loop
/// reaps all children, because the agent is a subreaper.
#[derive(Debug, Clone, Default)]
struct Statuses(Arc<Mutex<BTreeMap<u32, Option<i32>>>>);

impl Probes {
    /// `open_files`: the limits of open files that programs are given, where ours are others.
    pub(crate) fn new(open_files: Option<(u64, u64)>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            statuses: Statuses::default(),
            open_files,
        }
    }

    /// A child was reaped; `true` if it was the program of a probe.
    pub(crate) fn reaped(&self, reaped: Reaped) -> bool {
        self.statuses.note(reaped.pid, reaped.status)
    }

    /// Performs one probe. `within` includes the wait for a place. A program that it began is ended
    /// within that time as well.
    pub(crate) async fn perform(
        &self,
        check: ExpandedCheck,
        guard: Guard,
        within: Duration,
    ) -> Finding {
        let deadline = clock::moment() + within;
        let late =
            |_: Elapsed| Finding::failed(format!("no answer within {} ms", within.as_millis()));
        let Some(place) = self.place(within).await else {
            return Finding::failed("too many probes at a time");
        };
        let left = deadline.since(clock::moment());
        let finding = match check {
            ExpandedCheck::Http { host, port, path } => {
                timeout(left, http::ask(&Address { host, port }, &path)).await
            }
            ExpandedCheck::Tcp { host, port } => {
                timeout(left, tcp::ask(&Address { host, port })).await
            }
            ExpandedCheck::Exec {
                argv,
                environment,
                working_directory,
                execution,
            } => {
                let exec = Exec {
                    argv,
                    environment,
                    working_directory,
                    execution: *execution,
                    guard,
                };
                return self.execute(exec, deadline, place).await;
            }
        };
        drop(place);
        finding.unwrap_or_else(late)
    }

    async fn place(&self, within: Duration) -> Option<OwnedSemaphorePermit> {
        let acquired = timeout(within, Arc::clone(&self.places).acquire_owned()).await;
        // It is never closed, so the only failure is to be late.
        acquired.ok()?.ok()
    }

    /// On a thread of its own, which lives as long as the program.
    async fn execute(&self, exec: Exec, deadline: Moment, place: OwnedSemaphorePermit) -> Finding {
        let (statuses, open_files) = (self.statuses.clone(), self.open_files);
        let (answer, found) = oneshot::channel();
        let run = move || {
            let finding = exec::ask(&exec, &statuses, open_files, deadline);
            // Who asked may have given up.
            let _ = answer.send(finding);
            drop(place);
        };
        if let Err(error) = thread::Builder::new().name("probe".into()).spawn(run) {
            return Finding::failed(format!("no thread for the probe: {error}"));
        }
        let lost = |_| Finding::failed("the thread of the probe ended early");
        found.await.unwrap_or_else(lost)
    }
}

impl Finding {
    fn failed(detail: impl Into<String>) -> Self {
        Self::new(ProbeResult::Failed, detail)
    }

    fn new(result: ProbeResult, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(DETAIL_LENGTH_MAX));
        Self { result, detail }
    }
}

impl Address {
    /// The first address of this machine that the name stands for.
    async fn resolve(&self) -> Result<SocketAddr, Finding> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let found = lookup_host((host, self.port)).await.map_err(|error| {
            Finding::failed(format!("the name `{}` is not known: {error}", self.host))
        })?;
        let mut own = found.filter(|address| is_own(address.ip()));
        own.next().ok_or_else(|| {
            Finding::failed(format!("`{}` is no address of this machine", self.host))
        })
    }
}

/// Whether an address belongs to this machine: only such a one can be bound (`man 7 ip`,
/// `EADDRNOTAVAIL`). Nothing is sent.
fn is_own(address: IpAddr) -> bool {
    !address.is_multicast() && UdpSocket::bind((address, 0)).is_ok()
}

impl Statuses {
    /// Runs `spawn`, and knows the child that it gives before anybody can say that it was reaped.
    fn spawn(&self, spawn: impl FnOnce() -> Result<Spawning, Fault>) -> Result<Spawning, Fault> {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let child = spawn()?;
        statuses.insert(child.pid, None);
        drop(statuses);
        Ok(child)
    }

    fn note(&self, pid: u32, status: i32) -> bool {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ours = statuses.contains_key(&pid);
        if is_ours {
            statuses.insert(pid, Some(status));
        }
        drop(statuses);
        is_ours
    }

    fn status(&self, pid: u32) -> Option<i32> {
        let statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.get(&pid).copied().flatten()
    }

    fn remove(&self, pid: u32) {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.remove(&pid);
    }

    /// Whether a process is the program of a probe itself.
    fn contains(&self, pid: u32) -> bool {
        let statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.contains_key(&pid)
    }
}
