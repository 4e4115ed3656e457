//! The master of an older cluster ([`flota_wire::hpc`]): its queue is ours, its slaves are our nodes.

mod file;
mod follow;
mod foreign;
mod jobs;
mod nodes;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use flota_wire::{
    browser::ORIGINS,
    hpc::{
        answer::{Added, Cleared, MasterAlive, MasterState, MemoryReports, Status},
        job::{JobRequest, parse_job},
        metrics::parse_report,
    },
    rest::convert::seconds,
};
use serde::Serialize;

pub(crate) use self::file::DEFAULT_FILE;
use self::{foreign::Foreigners, nodes::Reports};
use super::http::{of_problem, refused};
use crate::{
    access::Caller,
    clock,
    edge::{Desk, read_body},
    problem::Problem,
};

/// What the adapter of the older cluster is started with.
#[derive(Debug, Clone)]
pub struct HpcSettings {
    /// Where its master listens; loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where files of jobs are; nothing outside it is read.
    pub jobs_folder: PathBuf,
    /// The file that is loaded at a start, relative to the folder.
    pub job_file: PathBuf,
    /// Pages of these origins may ask; `:*` at the end means any port.
    pub origins: Vec<String>,
    /// Programs beside the built-in algorithms, by name; width, height and iterations are added to
    /// their arguments.
    pub algorithms: BTreeMap<String, Vec<String>>,
    /// How long one picture may take.
    pub work_within: Duration,
    /// How often it is repeated after a failure.
    pub retries: u16,
    /// Between two looks at a foreign slave; three without an answer, and it is taken for gone.
    pub ping_interval: Duration,
}

impl HpcSettings {
    /// The defaults for that address and data folder.
    pub fn new(listen: SocketAddr, data: &std::path::Path) -> Self {
        Self {
            listen,
            jobs_folder: data.join("jobs"),
            job_file: DEFAULT_FILE.into(),
            origins: ORIGINS.map(str::to_owned).to_vec(),
            algorithms: BTreeMap::new(),
            work_within: Duration::from_mins(5),
            retries: 3,
            ping_interval: Duration::from_secs(10),
        }
    }
}

/// The adapter. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hpc(Arc<Inner>);

struct Inner {
    desk: Desk,
    caller: Caller,
    settings: HpcSettings,
    /// Of foreign monitors.
    reports: Reports,
    /// Slaves that are no agents of ours.
    foreign: Foreigners,
    /// Where agents reach us.
    server: SocketAddr,
    /// Whether jobs came from the file since the start.
    from_file: AtomicBool,
}

impl Hpc {
    pub(super) fn new(desk: Desk, settings: HpcSettings, server: SocketAddr) -> Self {
        Self(Arc::new(Inner {
            desk,
            caller: Caller::of_hpc(),
            settings,
            reports: Reports::default(),
            foreign: Foreigners::default(),
            server,
            from_file: AtomicBool::new(false),
        }))
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/ping", get(ping))
            .route("/estado", get(state))
            .route("/esclavos", get(slaves))
            .route("/memoria", get(memory))
            .route("/agregar_trabajo", post(add))
            .route("/cargar_trabajos", post(file::load))
            .route("/limpiar_cola", post(clear))
            .route("/reporte_memoria", post(report))
            .route("/registrar_esclavo", post(foreign::register))
            .route("/resultado", post(foreign::result))
            .with_state(self)
    }

    /// Brings foreign slaves back, and queues what is new in the file of jobs, for as long as the
    /// server runs.
    pub(super) async fn tend(self) {
        foreign::recall(&self).await;
        follow::follow(&self).await;
    }

    async fn body(&self, body: Body) -> Result<bytes::Bytes, Problem> {
        let within = self.0.desk.settings().limits.body_within;
        read_body(body, within).await
    }

    /// Submits a picture: the number of its job. With a key it is submitted once, however often it is
    /// asked for.
    async fn submit(&self, request: &JobRequest, key: Option<String>) -> Result<u64, Problem> {
        let Inner { desk, caller, .. } = &*self.0;
        jobs::submit((desk, caller), &self.0.settings, request, key).await
    }

    async fn pending(&self) -> Result<u64, Problem> {
        jobs::pending(&self.0.desk, &self.0.caller).await
    }
}

/// Seconds since the Unix epoch.
fn now() -> f64 {
    seconds(clock::now().wall)
}

/// An answer, or what stands in its way.
fn answered<T: Serialize>(result: Result<T, Problem>) -> Response {
    match result {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => of_problem(&problem),
    }
}

async fn ping(State(hpc): State<Hpc>) -> Response {
    let alive = async {
        let slaves = nodes::slaves(&hpc.0.desk, &hpc.0.caller).await?;
        Ok(MasterAlive {
            status: "active",
            timestamp: now(),
            pending: hpc.pending().await?,
            active_slaves: slaves.values().filter(|slave| slave.active).count(),
        })
    };
    answered(alive.await)
}

async fn state(State(hpc): State<Hpc>) -> Response {
    let state = async {
        let Inner { desk, caller, .. } = &*hpc.0;
        Ok(MasterState {
            pending: hpc.pending().await?,
            slaves: nodes::slaves(desk, caller).await?,
            completed: jobs::completed(desk, caller).await?,
            from_file: hpc.0.from_file.load(Ordering::Relaxed),
            timestamp: now(),
        })
    };
    answered(state.await)
}

async fn slaves(State(hpc): State<Hpc>) -> Response {
    answered(nodes::slaves(&hpc.0.desk, &hpc.0.caller).await)
}

async fn memory(State(hpc): State<Hpc>) -> Response {
    let reports = nodes::reports(&hpc.0.desk, &hpc.0.caller, &hpc.0.reports).await;
    answered(reports.map(|reports| MemoryReports {
        reports,
        timestamp: now(),
    }))
}

async fn add(State(hpc): State<Hpc>, body: Body) -> Response {
    let body = match hpc.body(body).await {
        Ok(body) => body,
        Err(problem) => return of_problem(&problem),
    };
    let request = match parse_job(&body) {
        Ok(request) => request,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let added = async {
        let task = hpc.submit(&request, None).await?;
        let position = hpc.pending().await?.max(1);
        Ok(Added {
            status: "added",
            task,
            position,
        })
    };
    answered(added.await)
}

async fn clear(State(hpc): State<Hpc>) -> Response {
    let removed = jobs::clear(&hpc.0.desk, &hpc.0.caller).await;
    answered(removed.map(|removed| Cleared {
        status: "cleared",
        removed,
    }))
}

async fn report(State(hpc): State<Hpc>, body: Body) -> Response {
    let body = match hpc.body(body).await {
        Ok(body) => body,
        Err(problem) => return of_problem(&problem),
    };
    match parse_report(&body).and_then(|report| hpc.0.reports.keep(report, clock::now().wall)) {
        Ok(()) => Json(Status { status: "received" }).into_response(),
        Err(why) => refused(StatusCode::BAD_REQUEST, why),
    }
}
