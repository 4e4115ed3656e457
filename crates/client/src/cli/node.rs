//! `flota node`.

mod sample;

use clap::ArgMatches;
use flota_wire::rest::{Containment, Node};

use super::{Session, ask};
use crate::{
    catalogue::Language,
    clock,
    exit::Exit,
    failure::Failure,
    fault::ClientFault,
    nearest::nearest,
    render::{Details, Field, Format, Listing, age, bytes, cpus, labels, seconds_ago, utc},
};

pub(super) async fn list(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let nodes = ask!(session.nodes()).nodes;
    let language = session.language();
    if nodes.is_empty() && session.screen.format() == Format::Table {
        session.screen.mention(&language.no_nodes_yet());
    }
    Listing {
        items: &nodes,
        fields: listed(language),
        name: |node| node.name.clone(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

pub(super) async fn show(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let name = matches.get_one::<String>("node").expect("it is required");
    let node = find(session, name).await?;
    let mut fields = columns(session.language());
    fields.extend(more(session.language()));
    fields.extend(sample::whole(session.language()));
    Details {
        item: &node,
        fields,
        name: |node| node.name.clone(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

/// The node of that name or number.
pub(super) async fn find(session: &mut Session<'_>, name: &str) -> Result<Node, Failure> {
    match session.client().await?.node(name).await {
        Ok(node) => Ok(node),
        Err(fault) => Err(missing(session, name, fault).await),
    }
}

/// Where there is no such node, the hint is the nearest name that there is.
async fn missing(session: &mut Session<'_>, name: &str, fault: ClientFault) -> Failure {
    let failure = session.failure(&fault);
    if failure.exit() != Exit::NotFound {
        return failure;
    }
    let Ok(client) = session.client().await else {
        return failure;
    };
    let Ok(answer) = client.nodes().await else {
        return failure;
    };
    let near = nearest(name, answer.nodes.iter().map(|node| node.name.as_str()));
    match near {
        Some(near) => failure.hint(session.language().usage_did_you_mean(near)),
        None => failure,
    }
}

fn listed(language: Language) -> Vec<Field<Node>> {
    let mut fields = columns(language);
    // What it does comes behind what it is and lends.
    let behind = fields.len() - 2;
    fields.splice(behind..behind, sample::brief(language));
    fields
}

fn columns(language: Language) -> Vec<Field<Node>> {
    let now = clock::wall();
    let never = language.value_never();
    vec![
        Field::text("name", language.header_name(), |node: &Node| {
            node.name.clone()
        }),
        Field::state("phase", language.header_phase(), |node: &Node| {
            node.phase.clone()
        }),
        Field::number("cpus", language.header_cpus(), move |node: &Node| {
            language.free_of(cpus(node.reserved.cpus), cpus(node.capacity.cpus))
        })
        .raw(|node| cpus(node.capacity.cpus)),
        Field::number("memory", language.header_memory(), move |node: &Node| {
            language.free_of(bytes(node.reserved.memory), bytes(node.capacity.memory))
        })
        .raw(|node| node.capacity.memory.to_string()),
        Field::number("running", language.header_running(), |node: &Node| {
            node.running.to_string()
        }),
        Field::text(
            "last_heard_at",
            language.header_heard(),
            move |node: &Node| match node.last_heard_at {
                Some(then) => age(seconds_ago(then, now)),
                None => never.clone(),
            },
        )
        .raw(|node| {
            node.last_heard_at
                .map(|then| then.to_string())
                .unwrap_or_default()
        }),
        Field::text("version", language.header_version(), |node: &Node| {
            node.version.clone()
        }),
        Field::text("labels", language.header_labels(), |node: &Node| {
            labels(&node.labels)
        }),
    ]
}

fn more(language: Language) -> Vec<Field<Node>> {
    vec![
        Field::number("id", language.header_id(), |node: &Node| {
            node.id.to_string()
        }),
        Field::number("granted", language.header_granted(), |node: &Node| {
            node.granted.to_string()
        }),
        Field::number("unclaimed", language.header_unclaimed(), |node: &Node| {
            node.unclaimed.to_string()
        }),
        Field::text(
            "containment",
            language.header_containment(),
            |node: &Node| {
                let mode = |containment: &Containment| containment.mode.clone();
                node.containment.as_ref().map(mode).unwrap_or_default()
            },
        ),
        Field::text("enforced", language.header_enforced(), |node: &Node| {
            let words = |containment: &Containment| containment.enforced.join(",");
            node.containment.as_ref().map(words).unwrap_or_default()
        }),
        Field::text("joined_at", language.header_joined(), |node: &Node| {
            utc(node.joined_at)
        })
        .raw(|node| node.joined_at.to_string()),
    ]
}
