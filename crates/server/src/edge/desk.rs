//! Where every handler asks the fleet and the store, permit in hand.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use flota_engine::fleet::api::FleetEvent;
use flota_model::{
    command::{Ask, Command, Query, Refusal, Reply},
    ids::JobId,
    state::JobKind,
};
use flota_store::{
    history::{History, JobPage},
    journal::LoadFault,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, broadcast},
    task,
};

use super::{bug, processes::Shared};
use crate::{
    access::{Caller, Credentials, Denied, Permit, local},
    listener::Arrival,
    meter::Meter,
    problem::{
        ACCESS_DENIED, JOB_NOT_FOUND, Problem, SERVER_STOPPING, STORE_FULL, STORE_UNREADABLE,
        WATCHERS_TOO_MANY,
    },
    shell::{FleetHandle, Published, Publisher},
    stop::Stop,
    tcp_table,
    watcher::WatchProblems,
};

/// Most reads of the store at once; more wait. Each holds a thread and a connection to it.
const READS_MAX: usize = 8;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    parts: DeskParts,
    reads: Semaphore,
    lists: Semaphore,
    watchers: Arc<Semaphore>,
    shared_lists: Shared,
    watch_problems: WatchProblems,
}

/// What a desk is made of.
pub(crate) struct DeskParts {
    pub(crate) fleet: FleetHandle,
    pub(crate) history: Arc<dyn History>,
    pub(crate) credentials: Credentials,
    /// Set while the disk is nearly full.
    pub(crate) full: Arc<AtomicBool>,
    pub(crate) settings: Arc<crate::settings::Settings>,
    pub(crate) stop: Stop,
    pub(crate) meter: Arc<Meter>,
}

impl Desk {
    pub(crate) fn new(parts: DeskParts) -> Self {
        let watchers = Arc::new(Semaphore::new(parts.settings.limits.watchers_max));
        let lists = Semaphore::new(parts.settings.limits.lists_max);
        Self(Arc::new(Inner {
            parts,
            watchers,
            shared_lists: Shared::default(),
            watch_problems: WatchProblems::default(),
            reads: Semaphore::new(READS_MAX),
            lists,
        }))
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.0.parts.credentials
    }

    pub(crate) fn settings(&self) -> &crate::settings::Settings {
        &self.0.parts.settings
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.0.parts.meter
    }

    /// Says true when the server stops.
    pub(crate) fn stop(&self) -> Stop {
        self.0.parts.stop.clone()
    }

    /// The one at the other end of a connection of this machine, by the user that opened it.
    pub(crate) async fn caller_by_user(&self, arrival: Arrival) -> Option<Caller> {
        let Arrival::Port { peer, local } = arrival else {
            return None;
        };
        // A table of all connections of the machine is read.
        let found = task::spawn_blocking(move || tcp_table::user_of(peer, local)).await;
        let uid = found.ok().flatten()?;
        self.credentials().caller_of_user(uid)
    }

    /// Refuses new work while the disk is nearly full, so that results of old work still fit.
    pub(crate) fn refuse_when_full(&self) -> Result<(), Problem> {
        if !self.0.parts.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = self.settings().data.display();
        Err(Problem::new(
            STORE_FULL,
            format!("too little space is free on the disk of `{path}`"),
        ))
    }

    /// Has a command carried out.
    pub(crate) async fn command(&self, permit: Permit, command: Command) -> Result<Reply, Problem> {
        self.ask(permit, Ask::Command(command)).await
    }

    /// Has a command carried out; what it is refused for is left to the caller.
    pub(crate) async fn try_command(
        &self,
        permit: Permit,
        command: Command,
    ) -> Result<Result<Reply, Refusal>, Problem> {
        let fleet = &self.0.parts.fleet;
        let ask = Ask::Command(command);
        Ok(fleet.ask(permit.into_principal(), ask).await?)
    }

    /// Reads live state.
    pub(crate) async fn query(&self, permit: Permit, query: Query) -> Result<Reply, Problem> {
        self.ask(permit, Ask::Query(query)).await
    }

    /// Tells a node what came of an order that was authorised before.
    pub(crate) async fn tell(&self, query: Query) -> Result<Reply, Problem> {
        let fleet = &self.0.parts.fleet;
        Ok(fleet.ask(local(), Ask::Query(query)).await??)
    }

    async fn ask(&self, permit: Permit, ask: Ask) -> Result<Reply, Problem> {
        Ok(self
            .0
            .parts
            .fleet
            .ask(permit.into_principal(), ask)
            .await??)
    }

    /// Reads committed state, on a thread where waiting for the disk holds up nobody.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        _permit: &Permit,
        read: impl FnOnce(&dyn History) -> Result<T, LoadFault> + Send + 'static,
    ) -> Result<T, Problem> {
        let history = Arc::clone(&self.0.parts.history);
        let _place = self
            .0
            .reads
            .acquire()
            .await
            .map_err(|_| bug("the readers are closed"))?;
        let read = task::spawn_blocking(move || read(&*history));
        read.await
            .map_err(|_| bug("a read of the store panicked"))?
            .map_err(Problem::from)
    }

    /// All events from now on. Who may not read jobs gets none of them, hence the permit.
    pub(crate) fn watch(&self, _permit: &Permit) -> broadcast::Receiver<Published> {
        self.0.parts.fleet.watch()
    }

    /// Where watchers read. What they may hear of is checked by topic.
    pub(crate) fn publisher(&self) -> &Publisher {
        self.0.parts.fleet.publisher()
    }

    /// A place for one more who watches for a long time, given back when dropped.
    pub(crate) fn watcher_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.0.watchers).try_acquire_owned();
        place.map_err(|_| {
            let limit = self.settings().limits.watchers_max;
            Problem::new(
                WATCHERS_TOO_MANY,
                format!("at most {limit} connections may watch at once"),
            )
        })
    }

    /// A place for one more list of the processes of a node, given back when dropped. `None` when the
    /// desk is closed, which it never is.
    pub(crate) async fn list_place(&self) -> Option<SemaphorePermit<'_>> {
        self.0.lists.acquire().await.ok()
    }

    /// Lists of processes that several watchers look at.
    pub(crate) fn shared_lists(&self) -> &Shared {
        &self.0.shared_lists
    }

    /// Why watched files get on with nothing.
    pub(crate) fn watch_problems(&self) -> &WatchProblems {
        &self.0.watch_problems
    }

    /// How many watch for a long time.
    pub(crate) fn watchers(&self) -> usize {
        let limit = self.settings().limits.watchers_max;
        limit.saturating_sub(self.0.watchers.available_permits())
    }

    /// The job that the path names: a number, or `last`.
    ///
    /// No permit: the number of the newest job is no secret, and the permit is for the job itself.
    pub(crate) async fn job_named(&self, name: &str) -> Result<JobId, Problem> {
        if name != "last" {
            let number = name.parse().map_err(|_| no_job(name))?;
            return Ok(JobId(number));
        }
        let history = Arc::clone(&self.0.parts.history);
        let _place = self
            .0
            .reads
            .acquire()
            .await
            .map_err(|_| bug("the readers are closed"))?;
        let page = JobPage {
            before: None,
            phase: None,
            kind: Some(JobKind::Batch),
            limit: 1,
        };
        let found = task::spawn_blocking(move || history.jobs(&page)).await;
        let jobs = found
            .map_err(|_| bug("a read of the store panicked"))?
            .map_err(Problem::from)?;
        let newest = jobs.rows.first();
        newest
            .map(|job| job.job)
            .ok_or_else(|| Problem::new(JOB_NOT_FOUND, "there is no job yet"))
    }
}

/// No job has that number or name.
pub(crate) fn no_job(name: impl std::fmt::Display) -> Problem {
    Problem::new(JOB_NOT_FOUND, format!("there is no job `{name}`"))
}

/// Whether watchers of `job` should look again.
pub(crate) fn concerns(published: &Published, job: JobId) -> bool {
    match &published.event {
        FleetEvent::Job { job: other, .. } => *other == job,
        FleetEvent::Node { .. } | FleetEvent::Service { .. } | FleetEvent::Replica { .. } => false,
    }
}

/// The server stops while somebody waits.
pub(crate) fn stopping() -> Problem {
    Problem::new(SERVER_STOPPING, "the server is stopping")
}

impl From<Denied> for Problem {
    fn from(_: Denied) -> Self {
        Self::new(ACCESS_DENIED, "your role does not include this")
    }
}

impl From<LoadFault> for Problem {
    fn from(fault: LoadFault) -> Self {
        tracing::error!(fault = %crate::chain::Chain(&fault), "failed to read the store");
        Self::new(STORE_UNREADABLE, fault.to_string())
    }
}
