//! Processes of nodes: list, show, signal, stop.
//!
//! Lists are partial where nodes do not answer in time: these are named, with the reason.

mod asking;
mod filter;
mod groups;
mod orders;
mod routes;
mod selection;
mod shared;
mod watch;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use flota_model::{
    command::NodeView,
    ids::NodeId,
    process::{ProcessHandle, ProcessList, ProcessTarget},
};
use flota_wire::rest::{
    convert::seconds,
    inspect::ProcessDetails,
    process::{AnsweredNode, ProcessGroups, Processes, SilentNode},
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::{task, time::Instant};

use self::{
    filter::FILTERS,
    groups::Grouping,
    selection::{Selection, Wanted},
};
pub(super) use self::{orders::end_now, routes::ROUTES, shared::Shared};
use super::{Desk, Parameters, bug, fleet, node_views};
use crate::{
    access::{Caller, Object},
    problem::{PROCESS_NOT_FOUND, Problem},
};

/// `GET /api/v1/processes?node=NAME,…&name=PART&user=NAME&job=JOB&managed=true&kernel=false&sort=cpu&limit=1000&after=…`
async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + desk.settings().limits.list_within;
    let parameters = Parameters::parse(&uri, &known(&["node"], &selection::PARAMETERS))?;
    let wanted = Wanted::parse(&parameters)?;
    let nodes = wanted_nodes(&desk, &caller, &parameters).await?;
    let into = Selection::new(wanted);
    let gathered = gather(&desk, &caller, nodes, into, deadline).await;
    encode(move || gathered.finish()).await
}

/// `GET /api/v1/processes/groups?by=name&node=…&sort=cpu&…`
async fn grouped(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + desk.settings().limits.list_within;
    let parameters = Parameters::parse(&uri, &known(&["node"], &groups::PARAMETERS))?;
    let into = Grouping::parse(&parameters)?;
    let nodes = wanted_nodes(&desk, &caller, &parameters).await?;
    let gathered = gather(&desk, &caller, nodes, into, deadline).await;
    encode(move || gathered.finish_groups()).await
}

/// Names of parameters: those of the filter, and others.
fn known(some: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    [some, &FILTERS, more].concat()
}

/// For the page of the processes of a node: its name, and the list that the query asks for.
pub(crate) async fn processes_of_page(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    uri: &Uri,
) -> Result<(String, Processes), Problem> {
    let deadline = Instant::now() + desk.settings().limits.list_within;
    let parameters = Parameters::parse(uri, &known(&["lang"], &selection::PARAMETERS))?;
    let wanted = Wanted::parse(&parameters)?;
    let node = node_of(desk, caller, name).await?;
    let list = asking::list(desk, caller, &node, deadline).await?;
    let mut gathered = Gathered::new(Selection::new(wanted));
    gathered.add(&node, Ok(list));
    Ok((node.name, gathered.finish()))
}

/// The nodes that `node` names; else all.
async fn wanted_nodes(
    desk: &Desk,
    caller: &Caller,
    parameters: &Parameters,
) -> Result<Vec<NodeView>, Problem> {
    let nodes = node_views(desk, caller, &Object::Fleet).await?;
    match parameters.text("node") {
        Some(names) => chosen(&nodes, names),
        None => Ok(nodes),
    }
}

/// The nodes of a list of names or numbers, each once, by number.
fn chosen(nodes: &[NodeView], names: &str) -> Result<Vec<NodeView>, Problem> {
    let found: Result<Vec<&NodeView>, Problem> = names
        .split(',')
        .map(|name| fleet::node_named(nodes, name))
        .collect();
    let mut found = found?;
    found.sort_unstable_by_key(|node| node.node);
    found.dedup_by_key(|node| node.node);
    Ok(found.into_iter().cloned().collect())
}

/// `GET /api/v1/nodes/{node}/processes`: as the list of all nodes, but a node that does not answer is
/// an error.
async fn list_of_node(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + desk.settings().limits.list_within;
    let parameters = Parameters::parse(&uri, &known(&[], &selection::PARAMETERS))?;
    let wanted = Wanted::parse(&parameters)?;
    let node = node_of(&desk, &caller, &name).await?;
    let list = asking::list(&desk, &caller, &node, deadline).await?;
    let mut gathered = Gathered::new(Selection::new(wanted));
    gathered.add(&node, Ok(list));
    encode(move || gathered.finish()).await
}

/// `GET /api/v1/processes/{handle}?environment=true`
async fn process(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    uri: Uri,
) -> Result<Json<ProcessDetails>, Problem> {
    let with_values = with_values(&uri)?;
    let handle = handle_of(&text)?;
    let node = node_of(&desk, &caller, &handle.node.to_string()).await?;
    let target = ProcessTarget::Handle(handle);
    details(&desk, &caller, &node, (target, with_values))
        .await
        .map(Json)
}

/// `GET /api/v1/nodes/{node}/processes/{pid}?environment=true`: whoever has that number now.
async fn process_of_node(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((name, pid)): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<ProcessDetails>, Problem> {
    let with_values = with_values(&uri)?;
    let (node, target) = number_of(&desk, &caller, &name, &pid).await?;
    details(&desk, &caller, &node, (target, with_values))
        .await
        .map(Json)
}

/// For the page of a process.
pub(crate) async fn details_of_number(
    desk: &Desk,
    caller: &Caller,
    node: &str,
    pid: &str,
) -> Result<ProcessDetails, Problem> {
    let (node, target) = number_of(desk, caller, node, pid).await?;
    details(desk, caller, &node, (target, false)).await
}

fn with_values(uri: &Uri) -> Result<bool, Problem> {
    let parameters = Parameters::parse(uri, &["environment"])?;
    let asked = parameters.parsed("environment", "true or false", |text| text.parse().ok())?;
    Ok(asked.unwrap_or(false))
}

async fn number_of(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    pid: &str,
) -> Result<(NodeView, ProcessTarget), Problem> {
    let pid = pid.parse().map_err(|_| no_process(pid))?;
    let view = node_of(desk, caller, name).await?;
    let target = ProcessTarget::Pid {
        node: view.node,
        pid,
    };
    Ok((view, target))
}

async fn details(
    desk: &Desk,
    caller: &Caller,
    node: &NodeView,
    (target, with_values): (ProcessTarget, bool),
) -> Result<ProcessDetails, Problem> {
    let detail = asking::inspect(desk, caller, node, target, with_values).await?;
    Ok(ProcessDetails::new(node.node, &node.name, detail))
}

fn handle_of(text: &str) -> Result<ProcessHandle, Problem> {
    text.parse().map_err(|_| no_process(text))
}

fn no_process(name: impl std::fmt::Display) -> Problem {
    Problem::new(PROCESS_NOT_FOUND, format!("there is no process `{name}`"))
}

/// The node of that name or number.
async fn node_of(desk: &Desk, caller: &Caller, name: &str) -> Result<NodeView, Problem> {
    let nodes = node_views(desk, caller, &Object::Node(name.to_owned())).await?;
    fleet::node_named(&nodes, name).cloned()
}

/// Takes in the processes of one node after the other.
trait Collect {
    fn add(&mut self, node: NodeId, name: &str, list: ProcessList);
}

/// What came back from the nodes.
struct Gathered<T> {
    into: T,
    answered: Vec<AnsweredNode>,
    unanswered: Vec<SilentNode>,
}

/// Asks all of them at once, as far as there is room.
async fn gather<T: Collect>(
    desk: &Desk,
    caller: &Caller,
    nodes: Vec<NodeView>,
    into: T,
    deadline: Instant,
) -> Gathered<T> {
    let ask = |node: NodeView| async move {
        // Held until the answer is taken in: answers of all lists at once stay bounded too.
        let place = tokio::time::timeout_at(deadline, desk.list_place()).await;
        let list = asking::list(desk, caller, &node, deadline).await;
        (node, list, place)
    };
    let mut gathered = Gathered::new(into);
    let at_once = desk.settings().limits.asked_max;
    let mut answers = stream::iter(nodes).map(ask).buffer_unordered(at_once);
    while let Some((node, list, place)) = answers.next().await {
        gathered.add(&node, list);
        drop(place);
    }
    gathered
}

impl<T: Collect> Gathered<T> {
    fn new(into: T) -> Self {
        Self {
            into,
            answered: Vec::new(),
            unanswered: Vec::new(),
        }
    }

    fn add(&mut self, node: &NodeView, list: Result<ProcessList, Problem>) {
        match list {
            Ok(list) => {
                let shown = u32::try_from(list.rows.len()).unwrap_or(u32::MAX);
                self.answered.push(AnsweredNode {
                    node: node.node.0,
                    name: node.name.clone(),
                    read_at: seconds(list.read_at),
                    processes: list.total,
                    left_out: list.total.saturating_sub(shown),
                    scan: list.scan,
                });
                self.into.add(node.node, &node.name, list);
            }
            Err(problem) => self.unanswered.push(SilentNode {
                node: node.node.0,
                name: node.name.clone(),
                phase: node.phase.word().to_owned(),
                code: problem.kind().code.to_owned(),
                detail: problem.detail().to_owned(),
            }),
        }
    }

    fn sort(&mut self) {
        self.answered.sort_unstable_by_key(|node| node.node);
        self.unanswered.sort_unstable_by_key(|node| node.node);
    }
}

impl Gathered<Selection> {
    fn finish(mut self) -> Processes {
        self.sort();
        let selected = self.into.finish();
        Processes {
            processes: selected.processes,
            matching: selected.matching,
            next: selected.next,
            answered: self.answered,
            unanswered: self.unanswered,
        }
    }
}

impl Gathered<Grouping> {
    fn finish_groups(mut self) -> ProcessGroups {
        self.sort();
        let grouped = self.into.finish();
        ProcessGroups {
            groups: grouped.groups,
            matching: grouped.matching,
            left_out: grouped.left_out,
            answered: self.answered,
            unanswered: self.unanswered,
        }
    }
}

/// Sorting and writing thousands of processes takes milliseconds, which others need not wait for.
async fn encode<T: Serialize>(
    finish: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, Problem> {
    let encoded = task::spawn_blocking(move || serde_json::to_vec(&finish())).await;
    let encoded = encoded.map_err(|_| bug("the encoding of processes panicked"))?;
    let body = encoded.map_err(|_| bug("processes are no JSON"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
