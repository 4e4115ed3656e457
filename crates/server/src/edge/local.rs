//! What clients of a node's own listeners want, asked like everything else: authorised, within the
//! limits, audited.

use std::sync::Arc;

use flota_model::{
    command::{Command, Query, Reply},
    local::{LocalOrder, LocalRefusal, LocalReply, REFUSAL_LENGTH_MAX},
    process::ProcessTarget,
    spec::{JobSpec, KernelCall, Retry},
    units::Cpus,
};
use flota_wire::spec::{parse_json, seal};
use serde_json::json;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{Desk, bug, check_kernels, processes};
use crate::{
    access::{Caller, Object, Verb},
    problem::{PROCESS_NOT_FOUND, Problem, SPEC_INVALID},
    shell::LocalWish,
};

/// Orders that are carried out at once; a stop takes as long as its grace.
const AT_ONCE_MAX: usize = 256;

/// Carries out orders for as long as the server runs.
pub(crate) async fn serve_local(desk: Desk, mut wishes: mpsc::Receiver<LocalWish>) {
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut under_way = JoinSet::new();
    while let Some(wish) = wishes.recv().await {
        while under_way.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let desk = desk.clone();
        under_way.spawn(async move {
            serve(&desk, wish).await;
            drop(place);
        });
    }
}

async fn serve(desk: &Desk, wish: LocalWish) {
    let caller = Caller::of_node(&wish.name);
    let (node, order) = (wish.node, wish.request);
    let answer = carry_out(desk, &caller, wish).await.map_err(refusal);
    let tell = Query::TellNode {
        node,
        order,
        answer,
    };
    if let Err(problem) = desk.tell(tell).await {
        tracing::warn!(detail = problem.detail(), "a node was not answered");
    }
}

async fn carry_out(desk: &Desk, caller: &Caller, wish: LocalWish) -> Result<LocalReply, Problem> {
    let here = Object::Node(wish.name.clone());
    match wish.order {
        LocalOrder::Start { name, argv } => {
            let permit = caller.may(Verb::JobSubmit, &here)?;
            desk.refuse_when_full()?;
            let command = Command::Submit {
                spec: seal(job(&wish.name, &name, &argv)?),
                rows: None,
                idempotency_key: None,
            };
            let Reply::Submitted { job, .. } = desk.command(permit, command).await? else {
                return Err(bug("a submission got another answer"));
            };
            Ok(LocalReply::Accepted { job })
        }
        LocalOrder::Compute { name, call } => {
            let permit = caller.may(Verb::JobSubmit, &here)?;
            desk.refuse_when_full()?;
            let spec = computation(&wish.name, &name, &call)?;
            check_kernels(&spec, None, &desk.settings().kernels)?;
            let command = Command::Submit {
                spec: seal(spec),
                rows: None,
                idempotency_key: None,
            };
            let Reply::Submitted { job, .. } = desk.command(permit, command).await? else {
                return Err(bug("a submission got another answer"));
            };
            Ok(LocalReply::Accepted { job })
        }
        LocalOrder::Stop { target, grace } => {
            let permit = caller.may(Verb::ProcessStop, &here)?;
            let is_here = target.node() == wish.node;
            if !is_here || matches!(target, ProcessTarget::Pid { pid: 0, .. }) {
                return Err(Problem::new(PROCESS_NOT_FOUND, format!("no {target} here")));
            }
            processes::end_now(desk, permit, target, grace).await?;
            Ok(LocalReply::Stopped)
        }
    }
}

/// A built-in function that runs on that node.
fn computation(node: &str, name: &str, call: &KernelCall) -> Result<JobSpec, Problem> {
    let body = json!({
        "name": name,
        "kernel": {"name": call.name, "parameters": call.parameters},
        "constraints": {"node": node},
    });
    parse_json(body.to_string().as_bytes()).map_err(|faults| Problem::of_spec(SPEC_INVALID, faults))
}

/// A program that runs on that node, once, at once.
fn job(node: &str, name: &str, argv: &[String]) -> Result<JobSpec, Problem> {
    // Nobody meant a placeholder.
    let literal = |text: &String| text.replace('{', "{{").replace('}', "}}");
    let argv: Vec<String> = argv.iter().map(literal).collect();
    let body = json!({
        "name": name,
        "program": {"argv": argv},
        "constraints": {"node": node},
    });
    let mut spec = parse_json(body.to_string().as_bytes())
        .map_err(|faults| Problem::of_spec(SPEC_INVALID, faults))?;
    spec.retry = Retry::Never;
    // As good as nothing, so that it need not wait for room.
    spec.resources.cpus = Cpus(1);
    Ok(spec)
}

fn refusal(problem: Problem) -> LocalRefusal {
    let mut detail = problem.detail().to_owned();
    detail.truncate(detail.floor_char_boundary(REFUSAL_LENGTH_MAX));
    LocalRefusal {
        code: problem.kind().code.to_owned(),
        detail,
    }
}
