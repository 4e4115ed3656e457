//! What monitors of memory measure and report.

use flota_model::sample::NodeSample;
use serde::{Deserialize, Serialize};

use super::job::object;

/// Use above which a monitor warns, in percent: that of the cores is the ceiling above which a node
/// takes no new work.
const CPU_ALARM: f64 = 85.0;
/// See [`CPU_ALARM`].
const MEMORY_ALARM: f64 = 85.0;
/// See [`CPU_ALARM`].
const DISK_ALARM: f64 = 90.0;

/// `GET /metricas` of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeMetrics {
    /// Its name.
    #[serde(rename = "nodo")]
    pub node: String,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
    /// Cores.
    pub cpu: CpuMetrics,
    /// Memory.
    #[serde(rename = "memoria")]
    pub memory: MemoryMetrics,
    /// The file system of the agent's data.
    #[serde(rename = "disco")]
    pub disk: DiskMetrics,
    /// All network interfaces but the loopback.
    #[serde(rename = "red")]
    pub network: NetworkMetrics,
}

/// What a master keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CurrentMetrics {
    /// Cores.
    #[serde(default)]
    pub cpu: CpuMetrics,
    /// Memory.
    #[serde(default, rename = "memoria")]
    pub memory: MemoryMetrics,
    /// The file system of the agent's data.
    #[serde(default, rename = "disco")]
    pub disk: DiskMetrics,
}

/// Use of the cores.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CpuMetrics {
    /// Of all of them together.
    #[serde(default)]
    pub percent: Option<f64>,
}

/// Use of memory. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct MemoryMetrics {
    /// That is not available.
    #[serde(default)]
    pub percent: Option<f64>,
    /// All of it.
    #[serde(default)]
    pub total: Option<u64>,
    /// Without swapping.
    #[serde(default, rename = "disponible")]
    pub available: Option<u64>,
    /// The rest.
    #[serde(default, rename = "usada")]
    pub used: Option<u64>,
}

/// Use of a disk. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct DiskMetrics {
    /// That is not free.
    #[serde(default)]
    pub percent: Option<f64>,
    /// All of it.
    #[serde(default)]
    pub total: Option<u64>,
    /// For users other than root.
    #[serde(default, rename = "libre")]
    pub free: Option<u64>,
}

/// Bytes since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct NetworkMetrics {
    /// Sent.
    #[serde(rename = "enviados")]
    pub sent: u64,
    /// Received.
    #[serde(rename = "recibidos")]
    pub received: u64,
}

/// `GET /alertas` of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alarms {
    /// Of the cores.
    #[serde(default)]
    pub cpu: bool,
    /// Of memory.
    #[serde(default, rename = "memoria")]
    pub memory: bool,
    /// Of the disk.
    #[serde(default, rename = "disco")]
    pub disk: bool,
}

/// What `GET /memoria` of a master says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MemoryReport {
    /// What is above its limit.
    #[serde(rename = "alertas")]
    pub alarms: Alarms,
    /// What it measured last.
    #[serde(rename = "metricas_actuales")]
    pub metrics: CurrentMetrics,
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
}

/// The body of `POST /reporte_memoria`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RemoteReport {
    /// The name of the monitor.
    #[serde(rename = "nodo_memoria")]
    pub node: String,
    /// As it says.
    #[serde(default, rename = "alertas")]
    pub alarms: Alarms,
    /// As it says.
    #[serde(default, rename = "metricas_actuales")]
    pub metrics: CurrentMetrics,
}

/// Reads the body of `POST /reporte_memoria`.
///
/// # Errors
/// What is missing or wrong, in Spanish.
pub fn parse_report(body: &[u8]) -> Result<RemoteReport, String> {
    let report: RemoteReport = serde_json::from_value(object(body)?).map_err(|fault| {
        format!("se espera {{nodo_memoria, alertas, metricas_actuales}}: {fault}")
    })?;
    if !crate::spec::is_name(&report.node) {
        return Err(
            "`nodo_memoria` debe tener de 1 a 63 letras, cifras, puntos o guiones".to_owned(),
        );
    }
    Ok(report)
}

impl NodeMetrics {
    /// What the last sample of a node says; `cores` are those of its machine where the sample does not
    /// tell.
    pub fn of(node: &str, sample: &NodeSample, cores: u32) -> Self {
        let current = CurrentMetrics::of(sample, cores);
        let sum = |bytes: fn(&flota_model::sample::DeviceSample) -> u64| {
            sample
                .networks
                .iter()
                .map(bytes)
                .fold(0, u64::saturating_add)
        };
        Self {
            node: node.to_owned(),
            timestamp: crate::rest::convert::seconds(sample.taken_at),
            cpu: current.cpu,
            memory: current.memory,
            disk: current.disk,
            network: NetworkMetrics {
                sent: sum(|device| device.outgoing.0),
                received: sum(|device| device.incoming.0),
            },
        }
    }

    /// What of it is above its limit.
    pub fn alarms(&self) -> Alarms {
        let current = CurrentMetrics {
            cpu: self.cpu,
            memory: self.memory,
            disk: self.disk,
        };
        current.alarms()
    }
}

impl CurrentMetrics {
    /// See [`NodeMetrics::of`].
    pub fn of(sample: &NodeSample, cores: u32) -> Self {
        let cores = u32::try_from(sample.cores.len())
            .unwrap_or(u32::MAX)
            .max(cores)
            .max(1);
        let busy = sample.cpu.map(|cpu| {
            let percent = f64::from(cpu.0) / 10.0 / f64::from(cores);
            tenths(percent.min(100.0))
        });
        let memory = sample.memory.map_or_else(MemoryMetrics::default, |memory| {
            let used = memory.total.0.saturating_sub(memory.available.0);
            MemoryMetrics {
                percent: share(used, memory.total.0),
                total: Some(memory.total.0),
                available: Some(memory.available.0),
                used: Some(used),
            }
        });
        let disk = sample
            .data
            .map_or_else(DiskMetrics::default, |data| DiskMetrics {
                percent: share(data.total.0.saturating_sub(data.free.0), data.total.0),
                total: Some(data.total.0),
                free: Some(data.free.0),
            });
        Self {
            cpu: CpuMetrics { percent: busy },
            memory,
            disk,
        }
    }

    /// What of it is above its limit. What is not known is not.
    pub fn alarms(&self) -> Alarms {
        let above = |percent: Option<f64>, limit: f64| percent.is_some_and(|value| value > limit);
        Alarms {
            cpu: above(self.cpu.percent, CPU_ALARM),
            memory: above(self.memory.percent, MEMORY_ALARM),
            disk: above(self.disk.percent, DISK_ALARM),
        }
    }
}

/// In percent, with a digit behind the point.
fn share(part: u64, whole: u64) -> Option<f64> {
    let tenths = u128::from(part) * 1_000 / u128::from(whole.max(1));
    let tenths = u32::try_from(tenths).ok()?;
    (whole > 0).then(|| f64::from(tenths) / 10.0)
}

fn tenths(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// Bytes in MB of 2^20 bytes, with two digits, as the older systems told them.
pub fn megabytes(bytes: u64) -> f64 {
    let hundredths = u128::from(bytes) * 100 / (1 << 20);
    let hundredths = u32::try_from(hundredths).unwrap_or(u32::MAX);
    f64::from(hundredths) / 100.0
}
