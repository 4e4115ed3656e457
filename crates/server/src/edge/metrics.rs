//! `/metrics` for Prometheus, text format 0.0.4.

use std::fmt::{Display, Write as _};

use axum::{
    Extension,
    extract::{Request, State},
    http::{Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use flota_model::{
    command::{FleetView, NodeView, Query, Reply},
    state::{JobPhase, NodePhase, TaskState},
};
use flota_store::space::space;
use tokio::task;

use super::{Desk, Parameters, bug, node_views};
use crate::{
    access::{Caller, Object, Verb},
    meter::{BATCHES_BOUNDS, COMMIT_BOUNDS, Meter},
    problem::Problem,
};

/// Counts every answer, also the refusals.
pub(super) async fn count(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let in_flight = desk.meter().begin();
    let response = next.run(request).await;
    drop(in_flight);
    desk.meter().request(response.status().as_u16());
    response
}

/// `GET /metrics`
pub(super) async fn metrics(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::FleetRead, &Object::Fleet)?;
    let Reply::Fleet(fleet) = desk.query(permit, Query::Fleet).await? else {
        return Err(bug("a query of the fleet got another answer"));
    };
    let nodes = node_views(&desk, &caller, &Object::Fleet).await?;
    let mut page = Page::default();
    page.gauge("flota_build_info", "The version that runs; always 1.");
    let version = desk.settings().version.clone();
    page.sample("flota_build_info", &[("version", &version)], 1);
    of_fleet(&mut page, &fleet);
    of_nodes(&mut page, &nodes);
    of_server(&mut page, &desk);
    of_commits(&mut page, desk.meter());
    of_store(&mut page, &desk).await;
    let media = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media)], page.0).into_response())
}

/// The text as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
            .expect("writing to a string cannot fail");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            some => format!("{{{}}}", some.join(",")),
        };
        writeln!(self.0, "{name}{labels} {value}").expect("writing to a string cannot fail");
    }

    /// `counts` are not cumulative, and one more than the bounds.
    fn histogram(&mut self, name: &str, bounds: &[String], counts: &[u64], sum: impl Display) {
        let mut below = 0;
        let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
        for (bound, count) in bounds.zip(counts) {
            below += count;
            self.sample(&format!("{name}_bucket"), &[("le", bound)], below);
        }
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], below);
    }

    fn single(&mut self, name: &str, help: &str, value: impl Display) {
        self.gauge(name, help);
        self.sample(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    text.replace('"', "\\\"").replace('\n', "\\n")
}

fn of_fleet(page: &mut Page, fleet: &FleetView) {
    page.gauge("flota_jobs", "Jobs that are not finished.");
    let active = fleet.jobs_live.saturating_sub(fleet.jobs_cancelling);
    for (phase, count) in [
        (JobPhase::Active, active),
        (JobPhase::Cancelling, fleet.jobs_cancelling),
    ] {
        page.sample("flota_jobs", &[("phase", phase.word())], count);
    }
    let behind = u8::from(fleet.store_behind.is_some());
    page.single(
        "flota_store_behind",
        "Whether the store is older than the fleet.",
        behind,
    );
    page.gauge("flota_tasks", "Tasks of live jobs.");
    for state in TaskState::ALL {
        page.sample(
            "flota_tasks",
            &[("state", state.word())],
            fleet.tasks.of(state),
        );
    }
}

/// What is told of each node: name, help, value.
type OfNode = (&'static str, &'static str, fn(&NodeView) -> f64);

fn of_nodes(page: &mut Page, nodes: &[NodeView]) {
    const OF_NODE: [OfNode; 4] = [
        ("flota_node_cpus", "Cores that a node lends.", |node| {
            f64::from(node.capacity.cpus.0) / 1e3
        }),
        ("flota_node_cpus_reserved", "Cores in use.", |node| {
            f64::from(node.reserved.cpus.0) / 1e3
        }),
        (
            "flota_node_attempts_granted",
            "Attempts granted and not settled.",
            |node| f64::from(node.granted),
        ),
        (
            "flota_node_attempts_running",
            "Attempts at the last heartbeat.",
            |node| f64::from(node.running),
        ),
    ];
    page.gauge("flota_nodes", "Nodes that have joined.");
    for phase in [NodePhase::Up, NodePhase::Away, NodePhase::Lost] {
        let count = nodes.iter().filter(|node| node.phase == phase).count();
        page.sample("flota_nodes", &[("phase", phase.word())], count);
    }
    for (name, help, value) in OF_NODE {
        page.gauge(name, help);
        for node in nodes {
            page.sample(name, &[("node", &node.name)], value(node));
        }
    }
}

fn of_server(page: &mut Page, desk: &Desk) {
    let meter = desk.meter();
    page.single(
        "process_start_time_seconds",
        "When the server started, in Unix seconds.",
        decimal(meter.since().0),
    );
    let name = "flota_http_requests_total";
    page.head(name, "counter", "Answered requests.");
    for (status, count) in meter.requests() {
        page.sample(name, &[("code", &status.to_string())], count);
    }
    page.single(
        "flota_http_requests_in_flight",
        "Requests that are being answered, this one among them.",
        meter.requests_in_flight(),
    );
    page.single(
        "flota_watchers",
        "Connections that watch events.",
        desk.watchers(),
    );
    let name = "flota_jobs_finished_total";
    page.head(name, "counter", "Jobs that finished.");
    page.sample(name, &[], meter.jobs_finished());
}

fn of_commits(page: &mut Page, meter: &Meter) {
    let name = "flota_commit_duration_seconds";
    page.head(name, "histogram", "Time of a commit of batches.");
    let bounds: Vec<String> = COMMIT_BOUNDS
        .iter()
        .map(|(_, text)| (*text).to_owned())
        .collect();
    let sum = decimal(meter.commit_micros());
    page.histogram(name, &bounds, &meter.commits(), sum);
    let name = "flota_commit_batches";
    page.head(name, "histogram", "Batches made durable at once.");
    let bounds = BATCHES_BOUNDS.map(|bound| bound.to_string());
    page.histogram(name, &bounds, &meter.batch_counts(), meter.batches());
}

/// Microseconds as seconds.
fn decimal(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// What cannot be measured is left out.
async fn of_store(page: &mut Page, desk: &Desk) {
    let folder = desk.settings().data.clone();
    let measured = task::spawn_blocking(move || {
        let length = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
        let bytes = length("flota.db") + length("flota.db-wal");
        (bytes, space(&folder).ok().map(|space| space.free))
    });
    if let Ok((bytes, free)) = measured.await {
        page.single(
            "flota_store_bytes",
            "Bytes of the store on its disk.",
            bytes,
        );
        if let Some(free) = free {
            page.single(
                "flota_store_free_bytes",
                "Free bytes of the disk of the store.",
                free,
            );
        }
    }
}
