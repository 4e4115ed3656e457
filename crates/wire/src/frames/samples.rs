//! Samples of a machine.

use std::time::Duration;

use flota_model::{
    sample::{
        CORES_MAX, DEVICE_NAME_LENGTH_MAX, DEVICES_MAX, DeviceSample, MemorySample, NodeSample,
        Pressure, REMNANTS_MAX, Remnant, SpaceSample, UNKILLABLE_MAX, Unkillable,
    },
    units::{Bytes, Cpus, Timestamp},
};

use super::{
    DecodeFault, at_most,
    common::{decode_attempt, encode_attempt},
    proto,
};

/// Hundredths of a percent in one whole.
const WHOLE: u32 = 10_000;

pub(super) fn encode(sample: &NodeSample) -> proto::NodeSample {
    proto::NodeSample {
        taken_at: sample.taken_at.0,
        uptime_micros: u64::try_from(sample.uptime.as_micros()).unwrap_or(u64::MAX),
        cpu: sample.cpu.map(|cpu| cpu.0),
        cores: sample.cores.iter().map(|core| core.0).collect(),
        load: sample
            .load
            .iter()
            .flat_map(|load| load.iter().copied())
            .collect(),
        memory: sample.memory.map(|memory| proto::MemorySample {
            total: memory.total.0,
            available: memory.available.0,
            swap_total: memory.swap_total.0,
            swap_free: memory.swap_free.0,
        }),
        data: sample.data.map(|space| proto::SpaceSample {
            total: space.total.0,
            free: space.free.0,
        }),
        disks: sample.disks.iter().map(encode_device).collect(),
        networks: sample.networks.iter().map(encode_device).collect(),
        cpu_pressure: sample.cpu_pressure.map(encode_pressure),
        memory_pressure: sample.memory_pressure.map(encode_pressure),
        io_pressure: sample.io_pressure.map(encode_pressure),
        unkillable: sample.unkillable.iter().map(encode_unkillable).collect(),
    }
}

pub(super) fn decode(sample: proto::NodeSample) -> Result<NodeSample, DecodeFault> {
    at_most("sample.cores", sample.cores.len(), CORES_MAX)?;
    let load = match *sample.load {
        [] => None,
        [one, five, fifteen] => Some([one, five, fifteen]),
        _ => {
            return Err(DecodeFault::Invalid {
                field: "sample.load",
                what: "has not three values",
            });
        }
    };
    Ok(NodeSample {
        taken_at: Timestamp(sample.taken_at),
        uptime: Duration::from_micros(sample.uptime_micros),
        cpu: sample.cpu.map(Cpus),
        cores: sample.cores.into_iter().map(Cpus).collect(),
        load,
        memory: sample.memory.map(|memory| MemorySample {
            total: Bytes(memory.total),
            available: Bytes(memory.available),
            swap_total: Bytes(memory.swap_total),
            swap_free: Bytes(memory.swap_free),
        }),
        data: sample.data.map(|space| SpaceSample {
            total: Bytes(space.total),
            free: Bytes(space.free),
        }),
        disks: decode_devices("sample.disks", sample.disks)?,
        networks: decode_devices("sample.networks", sample.networks)?,
        cpu_pressure: decode_pressure(sample.cpu_pressure)?,
        memory_pressure: decode_pressure(sample.memory_pressure)?,
        io_pressure: decode_pressure(sample.io_pressure)?,
        unkillable: decode_all_unkillable(sample.unkillable)?,
    })
}

fn encode_unkillable(unkillable: &Unkillable) -> proto::Unkillable {
    let remnants = unkillable.remnants.iter().map(|remnant| proto::Remnant {
        pid: remnant.pid,
        state: remnant.state.into(),
    });
    proto::Unkillable {
        attempt: Some(encode_attempt(unkillable.attempt)),
        since: unkillable.since.0,
        count: unkillable.count,
        remnants: remnants.collect(),
    }
}

fn decode_all_unkillable(all: Vec<proto::Unkillable>) -> Result<Vec<Unkillable>, DecodeFault> {
    at_most("sample.unkillable", all.len(), UNKILLABLE_MAX)?;
    all.into_iter().map(decode_unkillable).collect()
}

fn decode_unkillable(unkillable: proto::Unkillable) -> Result<Unkillable, DecodeFault> {
    let field = "unkillable.remnants";
    at_most(field, unkillable.remnants.len(), REMNANTS_MAX)?;
    let remnant = |remnant: proto::Remnant| {
        let state = u8::try_from(remnant.state).ok();
        let state = state
            .filter(u8::is_ascii_alphabetic)
            .ok_or(DecodeFault::Invalid {
                field,
                what: "is no state of a process",
            })?;
        let pid = remnant.pid;
        Ok(Remnant { pid, state })
    };
    let remnants = unkillable.remnants.into_iter().map(remnant);
    Ok(Unkillable {
        attempt: decode_attempt("unkillable.attempt", unkillable.attempt)?,
        since: Timestamp(unkillable.since),
        count: unkillable.count,
        remnants: remnants.collect::<Result<_, DecodeFault>>()?,
    })
}

fn encode_device(device: &DeviceSample) -> proto::DeviceSample {
    proto::DeviceSample {
        name: device.name.clone(),
        incoming: device.incoming.0,
        outgoing: device.outgoing.0,
        incoming_rate: device.incoming_rate.map(|rate| rate.0),
        outgoing_rate: device.outgoing_rate.map(|rate| rate.0),
    }
}

fn decode_devices(
    field: &'static str,
    devices: Vec<proto::DeviceSample>,
) -> Result<Vec<DeviceSample>, DecodeFault> {
    at_most(field, devices.len(), DEVICES_MAX)?;
    devices
        .into_iter()
        .map(|device| {
            at_most("device.name", device.name.len(), DEVICE_NAME_LENGTH_MAX)?;
            Ok(DeviceSample {
                name: device.name,
                incoming: Bytes(device.incoming),
                outgoing: Bytes(device.outgoing),
                incoming_rate: device.incoming_rate.map(Bytes),
                outgoing_rate: device.outgoing_rate.map(Bytes),
            })
        })
        .collect()
}

fn encode_pressure(pressure: Pressure) -> proto::Pressure {
    proto::Pressure {
        some: pressure.some.into(),
        full: pressure.full.into(),
    }
}

fn decode_pressure(pressure: Option<proto::Pressure>) -> Result<Option<Pressure>, DecodeFault> {
    let share = |value: u32| {
        let value = u16::try_from(value.min(WHOLE + 1)).ok();
        value
            .filter(|value| u32::from(*value) <= WHOLE)
            .ok_or(DecodeFault::Invalid {
                field: "sample.pressure",
                what: "is more than all of the time",
            })
    };
    pressure
        .map(|pressure| {
            Ok(Pressure {
                some: share(pressure.some)?,
                full: share(pressure.full)?,
            })
        })
        .transpose()
}
