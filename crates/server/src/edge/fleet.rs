//! The fleet, its nodes and its kernels.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::Uri,
    routing::on,
};
use flota_model::command::{Command, NodeView, Query, Reply};
use flota_wire::rest;

use super::{
    Desk, Parameters, bug,
    routes::{Answer, Chapter, NODE, OF_FLEET, Route, Tag, schema},
};
use crate::{
    access::{Caller, Object, Verb},
    problem::{NODE_NOT_FOUND, Problem, STORE_CURRENT},
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        answers: &[Answer::json("The fleet.", schema::<rest::Fleet>)],
        problems: &[OF_FLEET],
        ..Route::get(
            "/api/v1/fleet",
            "getFleet",
            "The fleet at a glance.",
            |method| on(method, fleet),
        )
    },
    Route {
        answers: &[Answer::json(
            "What the fleet goes on under.",
            schema::<rest::Recovered>,
        )],
        problems: &[OF_FLEET, &[STORE_CURRENT]],
        ..Route::post(
            "/api/v1/fleet/recover",
            "recoverFleet",
            "Goes on with a store that is older than the fleet.",
            |method| on(method, recover),
        )
    },
    Route {
        answers: &[Answer::json("Their names.", schema::<rest::Kernels>)],
        ..Route::get(
            "/api/v1/kernels",
            "listKernels",
            "The functions that are built into the agents.",
            |method| on(method, kernels),
        )
    },
    Route {
        chapter: Chapter::Nodes,
        tag: Tag::OfBytes,
        answers: &[Answer::json("All nodes.", schema::<rest::Nodes>)],
        problems: &[OF_FLEET],
        ..Route::get(
            "/api/v1/nodes",
            "listNodes",
            "All nodes that have joined.",
            |method| on(method, nodes),
        )
    },
    Route {
        chapter: Chapter::Nodes,
        tag: Tag::OfBytes,
        parameters: &[NODE],
        answers: &[Answer::json("The node.", schema::<rest::Node>)],
        problems: &[OF_FLEET, &[NODE_NOT_FOUND]],
        ..Route::get("/api/v1/nodes/{node}", "getNode", "One node.", |method| {
            on(method, node)
        })
    },
];

/// `GET /api/v1/fleet`
pub(super) async fn fleet(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<rest::Fleet>, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::FleetRead, &Object::Fleet)?;
    let Reply::Fleet(view) = desk.query(permit, Query::Fleet).await? else {
        return Err(bug("a query of the fleet got another answer"));
    };
    let version = desk.settings().version.clone();
    Ok(Json(rest::Fleet {
        version,
        ..rest::Fleet::from(&view)
    }))
}

/// `POST /api/v1/fleet/recover`
pub(super) async fn recover(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<rest::Recovered>, Problem> {
    Parameters::parse(&uri, &[])?;
    let permit = caller.may(Verb::FleetRecover, &Object::Fleet)?;
    let Reply::Recovered(authority) = desk.command(permit, Command::Recover).await? else {
        return Err(bug("a recovery got another answer"));
    };
    Ok(Json(rest::Recovered {
        epoch: authority.epoch.0,
        term: authority.term.0,
    }))
}

/// `GET /api/v1/kernels`
pub(super) async fn kernels(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<rest::Kernels>, Problem> {
    Parameters::parse(&uri, &[])?;
    let _ = caller.may(Verb::KernelRead, &Object::Fleet)?;
    Ok(Json(rest::Kernels {
        kernels: desk.settings().kernels.clone(),
    }))
}

/// `GET /api/v1/nodes`
pub(super) async fn nodes(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<rest::Nodes>, Problem> {
    Parameters::parse(&uri, &[])?;
    let nodes = node_views(&desk, &caller, &Object::Fleet).await?;
    Ok(Json(rest::Nodes {
        nodes: nodes.iter().map(rest::Node::from).collect(),
    }))
}

/// `GET /api/v1/nodes/{name or number}`
pub(super) async fn node(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(wanted): Path<String>,
    uri: Uri,
) -> Result<Json<rest::Node>, Problem> {
    Parameters::parse(&uri, &[])?;
    let nodes = node_views(&desk, &caller, &Object::Node(wanted.clone())).await?;
    node_named(&nodes, &wanted).map(|node| Json(rest::Node::with_sample(node)))
}

/// The node of that name or number.
pub(crate) fn node_named<'a>(nodes: &'a [NodeView], wanted: &str) -> Result<&'a NodeView, Problem> {
    // A name may look like a number, and is what people mean by it.
    let named = nodes.iter().find(|node| node.name == wanted);
    let found = named.or_else(|| nodes.iter().find(|node| node.node.to_string() == wanted));
    found.ok_or_else(|| Problem::new(NODE_NOT_FOUND, format!("there is no node `{wanted}`")))
}

/// All nodes as they are now.
pub(crate) async fn node_views(
    desk: &Desk,
    caller: &Caller,
    object: &Object,
) -> Result<Vec<NodeView>, Problem> {
    let permit = caller.may(Verb::NodeRead, object)?;
    let Reply::Nodes(nodes) = desk.query(permit, Query::Nodes).await? else {
        return Err(bug("a query of the nodes got another answer"));
    };
    Ok(nodes)
}
