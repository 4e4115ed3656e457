//! What master and slaves answer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{job::TaskKey, metrics::MemoryReport};

/// Why nothing came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorAnswer {
    /// In Spanish.
    pub error: String,
}

/// That something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Status {
    /// E.g. `received`.
    pub status: &'static str,
}

/// `GET /ping` of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alive {
    /// `active`.
    pub status: &'static str,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
}

/// `GET /ping` of the master.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MasterAlive {
    /// `active`.
    pub status: &'static str,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
    /// Tasks that wait.
    #[serde(rename = "trabajos_pendientes")]
    pub pending: u64,
    /// Slaves that answer.
    #[serde(rename = "esclavos_activos")]
    pub active_slaves: usize,
}

/// `POST /agregar_trabajo`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// `added`.
    pub status: &'static str,
    /// The number of the job.
    #[serde(rename = "trabajo_id")]
    pub task: u64,
    /// From 1 on.
    #[serde(rename = "posicion_cola")]
    pub position: u64,
}

/// `POST /cargar_trabajos`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// `loaded`.
    pub status: &'static str,
    /// Of this file.
    #[serde(rename = "trabajos_cargados")]
    pub count: usize,
    /// Tasks that wait now.
    #[serde(rename = "trabajos_pendientes")]
    pub pending: u64,
    /// Lines that are no jobs, each with its number and the reason.
    #[serde(rename = "errores", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// `POST /limpiar_cola`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// `cleared`.
    pub status: &'static str,
    /// How many were removed.
    #[serde(rename = "trabajos_eliminados")]
    pub removed: u64,
}

/// `GET /estado` of the master.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MasterState {
    /// Tasks that wait.
    #[serde(rename = "trabajos_pendientes")]
    pub pending: u64,
    /// By name.
    #[serde(rename = "esclavos")]
    pub slaves: BTreeMap<String, Slave>,
    /// Since the store was made.
    #[serde(rename = "trabajos_completados")]
    pub completed: u64,
    /// Whether jobs came from the file.
    #[serde(rename = "trabajos_desde_archivo")]
    pub from_file: bool,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
}

/// A slave as its master sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slave {
    /// Where it listens; absent where it does not.
    pub ip: Option<String>,
    /// Where it listens; absent where it does not.
    #[serde(rename = "puerto")]
    pub port: Option<u16>,
    /// Whether it answers.
    #[serde(rename = "activo")]
    pub active: bool,
    /// Seconds since the Unix epoch.
    #[serde(rename = "ultimo_ping")]
    pub heard_at: Option<f64>,
    /// Percent.
    #[serde(rename = "carga_cpu")]
    pub cpu_percent: Option<f64>,
    /// MB.
    #[serde(rename = "memoria_libre")]
    pub memory_free: Option<f64>,
}

/// `GET /memoria`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryReports {
    /// By node.
    #[serde(rename = "reportes")]
    pub reports: BTreeMap<String, MemoryReport>,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
}

/// `POST /registrar_esclavo`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// `registered`.
    pub status: &'static str,
}

/// What a slave is doing, and on what machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Activity {
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
    /// Whether it works.
    #[serde(rename = "ocupado")]
    pub busy: bool,
    /// At what.
    #[serde(rename = "trabajo_actual")]
    pub current: Option<TaskKey>,
    /// Percent.
    pub cpu_percent: Option<f64>,
    /// MB.
    #[serde(rename = "memoria_libre")]
    pub memory_free: Option<f64>,
    /// MB.
    #[serde(rename = "memoria_total")]
    pub memory_total: Option<f64>,
    /// MB.
    #[serde(rename = "memoria_usada")]
    pub memory_used: Option<f64>,
}

/// `GET /ping` of a slave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlaveAlive {
    /// `active`.
    pub status: &'static str,
    /// The rest.
    #[serde(flatten)]
    pub activity: Activity,
}

/// `GET /estado` of a slave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlaveState {
    /// As in [`SlaveAlive`].
    #[serde(flatten)]
    pub activity: Activity,
    /// What it did last.
    #[serde(rename = "ultimo_trabajo")]
    pub last: Option<TaskKey>,
}

/// `POST /ejecutar`, taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// `accepted`.
    pub status: &'static str,
    /// As it was given, or the number of the job.
    #[serde(rename = "trabajo_id")]
    pub task: TaskKey,
}

/// `POST /ejecutar`, refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Busy {
    /// In Spanish.
    pub error: String,
    /// What it works at.
    #[serde(rename = "trabajo_actual")]
    pub current: Option<TaskKey>,
}
