//! What the machine of a node does, as far as it is known.

use flota_wire::rest::{
    Node,
    sample::{Device, Pressure, Pressures, Sample},
};

use crate::{
    catalogue::Language,
    render::{Field, bytes, cpus, duration},
};

/// For lists: empty where nothing is known of now.
pub(super) fn brief(language: Language) -> Vec<Field<Node>> {
    vec![
        Field::number("cpu_busy", language.header_busy(), |node: &Node| {
            current(node).and_then(busy).unwrap_or_default()
        }),
        Field::number(
            "memory_used",
            language.header_used_memory(),
            |node: &Node| {
                let used = current(node).and_then(used_memory);
                used.map(bytes).unwrap_or_default()
            },
        )
        .raw(|node| {
            let used = current(node).and_then(used_memory);
            used.map(|used| used.to_string()).unwrap_or_default()
        }),
    ]
}

/// For one node: the last that is known, and how old that is.
pub(super) fn whole(language: Language) -> Vec<Field<Node>> {
    let mut fields = vec![
        Field::text("sampled", language.header_sampled(), move |node: &Node| {
            sampled(language, node)
        }),
        field("uptime", language.header_uptime(), |sample| {
            Some(duration(sample.uptime_seconds))
        }),
        field("load", language.header_load(), |sample| {
            let load = sample.load?;
            Some(load.map(|value| format!("{value:.2}")).join(" "))
        }),
        field("busy", language.header_busy(), busy),
        field("cores", language.header_cores(), each_core),
    ];
    fields.extend(memory(language));
    fields.extend(devices(language));
    fields
}

fn memory(language: Language) -> [Field<Node>; 3] {
    [
        field(
            "used_memory",
            language.header_used_memory(),
            move |sample| {
                let all = sample.memory.as_ref()?.total;
                Some(language.free_of(bytes(used_memory(sample)?), bytes(all)))
            },
        ),
        field("swap", language.header_swap(), move |sample| {
            let memory = sample.memory.as_ref()?;
            let used = memory.swap_total.saturating_sub(memory.swap_free);
            Some(language.free_of(bytes(used), bytes(memory.swap_total)))
        }),
        field("data_free", language.header_data(), move |sample| {
            let space = sample.data.as_ref()?;
            Some(language.free_of(bytes(space.free), bytes(space.total)))
        }),
    ]
}

fn devices(language: Language) -> [Field<Node>; 3] {
    [
        field("disks", language.header_disks(), move |sample| {
            Some(rates(language, &sample.disks))
        }),
        field("networks", language.header_networks(), move |sample| {
            Some(rates(language, &sample.networks))
        }),
        field("pressure", language.header_pressure(), move |sample| {
            let of = |pressure: &Option<Pressure>| {
                let some = pressure.as_ref().map(|pressure| pressure.some);
                some.map_or_else(|| "?".to_owned(), |some| format!("{some:.1}%"))
            };
            let Pressures { cpu, memory, io } = &sample.pressure;
            Some(language.pressures(of(cpu), of(memory), of(io)))
        }),
    ]
}

/// Of the last sample; empty where that does not know.
fn field(
    key: &'static str,
    header: String,
    show: impl Fn(&Sample) -> Option<String> + 'static,
) -> Field<Node> {
    Field::text(key, header, move |node: &Node| {
        let sample = node.sample.as_ref();
        sample.and_then(&show).unwrap_or_default()
    })
}

fn current(node: &Node) -> Option<&Sample> {
    node.sample.as_ref().filter(|sample| sample.current)
}

fn sampled(language: Language, node: &Node) -> String {
    match &node.sample {
        None => language.not_sampled(),
        Some(sample) => {
            let ago = duration(sample.age_seconds);
            if sample.current {
                language.sampled_now(ago)
            } else {
                language.sampled_before(ago)
            }
        }
    }
}

fn busy(sample: &Sample) -> Option<String> {
    sample.cpu.map(cpus)
}

fn used_memory(sample: &Sample) -> Option<u64> {
    let memory = sample.memory.as_ref()?;
    Some(memory.total.saturating_sub(memory.available))
}

fn each_core(sample: &Sample) -> Option<String> {
    let percent = |core: &f64| format!("{:.0}%", core * 100.0);
    let cores: Vec<String> = sample.cores.iter().map(percent).collect();
    (!cores.is_empty()).then(|| cores.join(" "))
}

/// Those that did something in the last second; a machine may have dozens that never do.
fn rates(language: Language, devices: &[Device]) -> String {
    let text = |device: &Device| {
        let (incoming, outgoing) = (device.incoming_rate?, device.outgoing_rate?);
        let idle = incoming == 0 && outgoing == 0;
        let text = language.device_rates(&device.name, bytes(incoming), bytes(outgoing));
        Some(text).filter(|_| !idle)
    };
    let shown: Vec<String> = devices.iter().filter_map(text).collect();
    shown.join(", ")
}
