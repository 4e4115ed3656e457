//! `/nodes/{name}`: one node, and what its machine does.

mod words;

use std::time::Duration;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use flota_model::{command::NodeView, containment::LimitKind, units::Timestamp};
use flota_wire::rest::sample::{Device, Pressure, Pressures, Sample};

use self::words::Words;
use super::{
    Refresh,
    html::{Text, add},
    language::Language,
    overview::{failed, heard, machine, node_badge, running},
    page, time,
};
use crate::{
    access::{Caller, Object},
    clock,
    edge::{Desk, Parameters, node_named, node_views},
    problem::Problem,
};

/// `GET /nodes/{name or number}?lang=es`
pub(crate) async fn node(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let language = Language::of_request(&headers, &uri);
    match load(&desk, &caller, &name, &uri).await {
        Ok(node) => {
            let title = format!("{} {}", language.texts().node, node.name);
            let body = render(language, &node, clock::now().wall);
            page(language, &title, Refresh::Often, &body)
        }
        Err(problem) => failed(problem, &headers, &uri),
    }
}

async fn load(desk: &Desk, caller: &Caller, name: &str, uri: &Uri) -> Result<NodeView, Problem> {
    Parameters::parse(uri, &["lang"])?;
    let nodes = node_views(desk, caller, &Object::Node(name.to_owned())).await?;
    node_named(&nodes, name).cloned()
}

fn render(language: Language, node: &NodeView, now: Timestamp) -> String {
    let (texts, words) = (language.texts(), Words::of(language));
    let mut body = format!(
        "<main><h1>{} {}</h1><p>{}</p>",
        Text(texts.node),
        Text(&node.name),
        node_badge(texts, node.phase),
    );
    let labels: Vec<String> = node
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let rows = [
        (texts.heard, heard(texts, node, now)),
        (words.joined, date(node.joined_at)),
        (texts.version, Text(&node.version).to_string()),
        (
            texts.processors,
            format!("{}/{}", node.reserved.cpus, node.capacity.cpus),
        ),
        (
            texts.memory,
            format!(
                "{}/{}",
                time::size(node.reserved.memory.0),
                time::size(node.capacity.memory.0)
            ),
        ),
        (texts.running, running(node)),
        (texts.granted, node.granted.to_string()),
        (words.containment, Text(containment(node)).to_string()),
        (words.labels, Text(labels.join(", ")).to_string()),
    ];
    body += &table(&rows);
    add(&mut body, format_args!("<h2>{}</h2>", Text(words.sample)));
    let shown = match &node.sample {
        None => format!("<p>{}</p>", Text(words.no_sample)),
        Some(sampled) => sample(language, &Sample::whole(node.phase, sampled)),
    };
    body += &shown;
    add(
        &mut body,
        format_args!(
            "<p class=\"quiet\"><a href=\"/api/v1/nodes/{0}\">{1}</a> · \
             <a href=\"/nodes/{0}/processes?sort=cpu&amp;kernel=false&amp;lang={3}\">{2}</a></p></main>",
            node.node,
            Text(texts.as_json),
            Text(words.processes),
            language.word(),
        ),
    );
    body
}

/// The mode, and the limits that the node enforces.
fn containment(node: &NodeView) -> String {
    let Some(containment) = node.containment else {
        return "—".to_owned();
    };
    let limits: Vec<&str> = containment.enforced.iter().map(LimitKind::word).collect();
    let limits = if limits.is_empty() {
        "—".to_owned()
    } else {
        limits.join(", ")
    };
    format!("{}: {limits}", containment.mode.word())
}

fn date(at: Timestamp) -> String {
    let date = time::date(at);
    format!("<time datetime=\"{}\">{date}</time>", machine(at))
}

/// Values that are not current are said to be so before they are read.
fn sample(language: Language, sample: &Sample) -> String {
    let (texts, words) = (language.texts(), Words::of(language));
    let age = Duration::try_from_secs_f64(sample.age_seconds).unwrap_or_default();
    let ago = (texts.ago)(&time::span(age));
    let said = if sample.current {
        format!("<p class=\"quiet\">{}</p>", Text(ago))
    } else {
        format!(
            "<p class=\"banner\" role=\"alert\">⚠ {} {}</p>",
            Text(words.not_current),
            Text(ago)
        )
    };
    said + &table(&values(words, sample))
}

fn values(words: &Words, sample: &Sample) -> Vec<(&'static str, String)> {
    let unknown = || "?".to_owned();
    let load = sample
        .load
        .map(|load| load.map(|value| format!("{value:.2}")).join(" "));
    let memory = sample.memory.as_ref();
    let used = memory.map(|memory| used_of(memory.total, memory.available));
    let swap = memory.map(|memory| used_of(memory.swap_total, memory.swap_free));
    let data = sample.data.as_ref();
    let data = data.map(|space| used_of(space.total, space.free));
    let uptime = Duration::try_from_secs_f64(sample.uptime_seconds).unwrap_or_default();
    let cores: Vec<String> = sample
        .cores
        .iter()
        .map(|core| format!("{:.0} %", core * 100.0))
        .collect();
    let Pressures { cpu, memory, io } = &sample.pressure;
    vec![
        (words.uptime, time::span(uptime)),
        (words.load, load.unwrap_or_else(unknown)),
        (
            words.busy,
            sample.cpu.map_or_else(unknown, |cpu| format!("{cpu:.2}")),
        ),
        (words.cores, cores.join(" · ")),
        (words.memory, used.unwrap_or_else(unknown)),
        (words.swap, swap.unwrap_or_else(unknown)),
        (words.data, data.unwrap_or_else(unknown)),
        (words.disks, devices(&sample.disks)),
        (words.networks, devices(&sample.networks)),
        (words.cpu_pressure, pressure(cpu.as_ref())),
        (words.memory_pressure, pressure(memory.as_ref())),
        (words.io_pressure, pressure(io.as_ref())),
    ]
}

fn used_of(total: u64, free: u64) -> String {
    let used = total.saturating_sub(free);
    format!(
        "<meter min=\"0\" max=\"{}\" value=\"{used}\"></meter> {}/{}",
        total.max(1),
        time::size(used),
        time::size(total)
    )
}

fn pressure(pressure: Option<&Pressure>) -> String {
    pressure.map_or_else(
        || "?".to_owned(),
        |pressure| format!("{:.1} % · {:.1} %", pressure.some, pressure.full),
    )
}

fn devices(devices: &[Device]) -> String {
    let rate = |rate: Option<u64>| {
        rate.map_or_else(|| "?".to_owned(), |rate| format!("{}/s", time::size(rate)))
    };
    let line = |device: &Device| {
        let (incoming, outgoing) = (rate(device.incoming_rate), rate(device.outgoing_rate));
        format!("{} ↓ {incoming} ↑ {outgoing}", Text(&device.name))
    };
    let lines: Vec<String> = devices.iter().map(line).collect();
    lines.join("<br>")
}

/// `values` are markup.
fn table(values: &[(&'static str, String)]) -> String {
    let mut rows = String::new();
    for (name, value) in values {
        add(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"wrap\">{value}</td></tr>",
                Text(name)
            ),
        );
    }
    format!("<div class=\"scroll\"><table><tbody>{rows}</tbody></table></div>")
}
