//! What machines do.

use std::time::Duration;

use flota_model::{
    command::Sampled,
    ids::{NodeId, TaskIndex},
    sample as model,
    state::NodePhase,
    units::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convert::{cores, seconds};

/// Nodes send a sample each second. One that is older than this is one of the past, also when its
/// node still counts as up.
pub const CURRENT_MAX: Duration = Duration::from_secs(5);

/// What a machine did in about a second, and what it had then. What is not known is null, never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Seconds since it arrived, by the server's clock.
    pub age_seconds: f64,
    /// Whether it says what the machine does now: its node is up, and it is at most five seconds
    /// old. If not, show it as one of the past, or not at all.
    pub current: bool,
    /// When it was taken, by the clock of the node.
    pub taken_at: f64,
    /// How long the machine had been up.
    pub uptime_seconds: f64,
    /// Cores that were busy.
    pub cpu: Option<f64>,
    /// How busy each core was, from 0 to 1; only in `GET /api/v1/nodes/{node}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<f64>,
    /// Load of 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Memory.
    pub memory: Option<Memory>,
    /// The file system of the agent's data folder.
    pub data: Option<Space>,
    /// Disks, without partitions; only in `GET /api/v1/nodes/{node}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Device>,
    /// Network interfaces without the loopback; only in `GET /api/v1/nodes/{node}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Device>,
    /// How much work waits for cores, memory and disks.
    pub pressure: Pressures,
}

/// Memory in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What programs could still take.
    pub available: u64,
    /// All of the swap.
    pub swap_total: u64,
    /// What is free of it.
    pub swap_free: u64,
}

/// A file system, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What users other than root may still fill.
    pub free: u64,
}

/// A disk or a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// As the kernel names it.
    pub name: String,
    /// Bytes read or received since the boot.
    pub incoming: u64,
    /// Bytes written or sent since the boot.
    pub outgoing: u64,
    /// Bytes read or received a second.
    pub incoming_rate: Option<u64>,
    /// Bytes written or sent a second.
    pub outgoing_rate: Option<u64>,
}

/// Pressure by what is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pressures {
    /// Cores.
    pub cpu: Option<Pressure>,
    /// Memory.
    pub memory: Option<Pressure>,
    /// Disks.
    pub io: Option<Pressure>,
}

/// Share of the last ten seconds in which work waited, in percent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pressure {
    /// Some of it.
    pub some: f64,
    /// All of it at once.
    pub full: f64,
}

/// What is left of an attempt though it was killed: it waits inside the kernel, where no signal reaches
/// it, for a disk that does not answer for instance. It is not over until that is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unkillable {
    /// The index of its task, or the number of its replica.
    pub task: u32,
    /// Where: the node's number.
    pub node: u32,
    /// The attempt, `EPOCH-SALT-SEQUENCE`.
    pub attempt: String,
    /// When it was killed, by the clock of the node.
    pub since: f64,
    /// How many of its processes are left.
    pub count: u32,
    /// The first 16 of them.
    pub processes: Vec<Remnant>,
}

/// A process that was killed and is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remnant {
    /// Its number.
    pub pid: u32,
    /// Its state as in `man 5 proc_pid_stat`: `D` for one that waits inside the kernel.
    pub state: String,
}

impl Unkillable {
    /// Of a task, or of a replica.
    pub fn of(task: TaskIndex, node: NodeId, unkillable: &model::Unkillable) -> Self {
        let remnants = unkillable.remnants.iter().map(|remnant| Remnant {
            pid: remnant.pid,
            state: char::from(remnant.state).to_string(),
        });
        Self {
            task: task.0,
            node: node.0,
            attempt: unkillable.attempt.to_string(),
            since: seconds(unkillable.since),
            count: unkillable.count,
            processes: remnants.collect(),
        }
    }

    /// Its processes as people read them: `4711 D, 4712 D, …`.
    pub fn list(&self) -> String {
        let named = self.processes.iter();
        let mut words: Vec<String> = named
            .map(|process| format!("{} {}", process.pid, process.state))
            .collect();
        if usize::try_from(self.count).is_ok_and(|count| count > words.len()) {
            words.push("…".to_owned());
        }
        words.join(", ")
    }
}

impl Sample {
    /// Without cores and devices, as in lists.
    pub fn brief(phase: NodePhase, sampled: &Sampled) -> Self {
        let Sampled { age, sample } = sampled;
        Self {
            age_seconds: age.as_secs_f64(),
            current: phase == NodePhase::Up && *age <= CURRENT_MAX,
            taken_at: seconds(sample.taken_at),
            uptime_seconds: seconds(Timestamp(
                u64::try_from(sample.uptime.as_micros()).unwrap_or(u64::MAX),
            )),
            cpu: sample.cpu.map(cores),
            cores: Vec::new(),
            load: sample.load.map(|load| load.map(hundredths)),
            memory: sample.memory.map(|memory| Memory {
                total: memory.total.0,
                available: memory.available.0,
                swap_total: memory.swap_total.0,
                swap_free: memory.swap_free.0,
            }),
            data: sample.data.map(|space| Space {
                total: space.total.0,
                free: space.free.0,
            }),
            disks: Vec::new(),
            networks: Vec::new(),
            pressure: Pressures {
                cpu: sample.cpu_pressure.map(pressure),
                memory: sample.memory_pressure.map(pressure),
                io: sample.io_pressure.map(pressure),
            },
        }
    }

    /// All of it.
    pub fn whole(phase: NodePhase, sampled: &Sampled) -> Self {
        let sample = &sampled.sample;
        Self {
            cores: sample.cores.iter().copied().map(cores).collect(),
            disks: sample.disks.iter().map(device).collect(),
            networks: sample.networks.iter().map(device).collect(),
            ..Self::brief(phase, sampled)
        }
    }
}

fn hundredths(value: u32) -> f64 {
    f64::from(value) / 100.0
}

fn pressure(pressure: model::Pressure) -> Pressure {
    Pressure {
        some: hundredths(pressure.some.into()),
        full: hundredths(pressure.full.into()),
    }
}

fn device(device: &model::DeviceSample) -> Device {
    Device {
        name: device.name.clone(),
        incoming: device.incoming.0,
        outgoing: device.outgoing.0,
        incoming_rate: device.incoming_rate.map(|rate| rate.0),
        outgoing_rate: device.outgoing_rate.map(|rate| rate.0),
    }
}

#[cfg(test)]
mod tests {
    use flota_model::units::{Bytes, Cpus};
    use serde_json::json;

    use super::*;

    fn sampled(age: Duration) -> Sampled {
        let sample = model::NodeSample {
            taken_at: Timestamp(1_700_000_000_500_000),
            uptime: Duration::from_millis(60_250),
            cpu: Some(Cpus(1_500)),
            cores: vec![Cpus(1_000), Cpus(500)],
            load: Some([150, 25, 0]),
            disks: vec![model::DeviceSample {
                name: "vda".into(),
                incoming: Bytes(7),
                ..model::DeviceSample::default()
            }],
            io_pressure: Some(model::Pressure {
                some: 1_234,
                full: 5,
            }),
            ..model::NodeSample::default()
        };
        Sampled {
            age,
            sample: Box::new(sample),
        }
    }

    #[test]
    fn a_sample_shows_what_is_known_and_lists_leave_the_long_parts_out() {
        let sampled = sampled(Duration::from_millis(1_500));
        let brief = serde_json::to_value(Sample::brief(NodePhase::Up, &sampled)).unwrap();
        let mut expected = json!({
            "age_seconds": 1.5, "current": true, "taken_at": 1_700_000_000.5,
            "uptime_seconds": 60.25, "cpu": 1.5, "load": [1.5, 0.25, 0.0], "memory": null,
            "data": null,
            "pressure": {"cpu": null, "memory": null, "io": {"some": 12.34, "full": 0.05}},
        });
        assert_eq!(brief, expected);
        expected["cores"] = json!([1.0, 0.5]);
        expected["disks"] = json!([{"name": "vda", "incoming": 7, "outgoing": 0,
            "incoming_rate": null, "outgoing_rate": null}]);
        let whole = serde_json::to_value(Sample::whole(NodePhase::Up, &sampled)).unwrap();
        assert_eq!(whole, expected);
    }

    #[test]
    fn only_a_fresh_sample_of_a_node_that_is_up_is_current() {
        let check = |phase, age, expected| {
            let sample = Sample::brief(phase, &sampled(age));
            assert_eq!(sample.current, expected, "{phase:?} {age:?}");
        };
        check(NodePhase::Up, CURRENT_MAX, true);
        check(NodePhase::Up, CURRENT_MAX + Duration::from_micros(1), false);
        check(NodePhase::Away, Duration::ZERO, false);
        check(NodePhase::Lost, Duration::ZERO, false);
    }
}
