//! `flota service ls` and `show`.

use std::collections::BTreeMap;

use flota_wire::{
    rest::service::{Replica, Run, Service, ServiceWhole},
    signal,
};

use super::{
    super::{Session, ask, story::why_not_started},
    lines,
};
use crate::{
    catalogue::Language,
    clock,
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, Listing, age, print_json, seconds_ago},
};

pub(super) async fn list(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let services = ask!(session.services()).services;
    let language = session.language();
    if services.is_empty() && session.screen.format() == Format::Table {
        session.screen.mention(&language.no_services_yet());
    }
    Listing {
        items: &services,
        fields: columns(language),
        name: |service| service.name.clone(),
    }
    .print(session.screen)?;
    Ok(Exit::Ok)
}

pub(super) async fn show(session: &mut Session<'_>, name: &str) -> Result<Exit, Failure> {
    let whole = ask!(session.service(name));
    match session.screen.format() {
        Format::Json | Format::JsonLines => print_json(session.screen, &whole)?,
        Format::Name => session.screen.print_line(&whole.service.name)?,
        Format::Csv => replicas(session, &whole).await?,
        Format::Table => {
            print(session, &whole.service)?;
            if !whole.replicas.is_empty() {
                session.screen.print_line("")?;
                replicas(session, &whole).await?;
            }
            lines::of_rooms(session, &whole)?;
            lines::of_probes(session, &whole)?;
            lines::of_loops(session, &whole).await?;
        }
    }
    Ok(Exit::Ok)
}

/// One service, field by field.
pub(super) fn print(session: &mut Session<'_>, service: &Service) -> Result<(), Failure> {
    Details {
        item: service,
        fields: columns(session.language()),
        name: |service| service.name.clone(),
    }
    .print(session.screen)
}

async fn replicas(session: &mut Session<'_>, whole: &ServiceWhole) -> Result<(), Failure> {
    let names = node_names(session).await;
    Listing {
        items: &whole.replicas,
        fields: replica_columns(session.language(), names),
        name: |replica| replica.index.to_string(),
    }
    .print(session.screen)
}

/// A name is a comfort: without an answer there are numbers.
async fn node_names(session: &mut Session<'_>) -> BTreeMap<u32, String> {
    let Ok(client) = session.client().await else {
        return BTreeMap::new();
    };
    let nodes = client.nodes().await.map(|nodes| nodes.nodes);
    let nodes = nodes.unwrap_or_default().into_iter();
    nodes.map(|node| (node.id, node.name)).collect()
}

/// Replicas that count as up.
pub(super) fn ready(service: &Service) -> u32 {
    service.states.get("ready").copied().unwrap_or_default()
}

fn columns(language: Language) -> Vec<Field<Service>> {
    let now = clock::wall();
    vec![
        Field::text("name", language.header_service(), |service: &Service| {
            service.name.clone()
        }),
        Field::state("phase", language.header_phase(), |service: &Service| {
            service.phase.clone()
        }),
        Field::number(
            "ready",
            language.header_ready(),
            move |service: &Service| language.ready_of(ready(service), service.replicas),
        )
        .raw(|service| ready(service).to_string()),
        Field::text("states", language.header_replicas(), |service: &Service| {
            let states = service.states.iter();
            let words: Vec<String> = states
                .map(|(state, count)| format!("{state} {count}"))
                .collect();
            words.join(", ")
        }),
        Field::number(
            "restarts",
            language.header_restarts(),
            |service: &Service| service.restarts.to_string(),
        ),
        Field::number("job", language.header_revision(), |service: &Service| {
            service.job.to_string()
        }),
        Field::text(
            "waits_for",
            language.header_waits_for(),
            |service: &Service| {
                let waits = service.waits_for.iter();
                let words: Vec<String> = waits
                    .map(|wait| format!("{} {}", wait.service, wait.condition))
                    .collect();
                words.join(", ")
            },
        ),
        Field::text(
            "changed_at",
            language.header_changed(),
            move |service: &Service| age(seconds_ago(service.changed_at, now)),
        )
        .raw(|service| service.changed_at.to_string()),
    ]
}

fn replica_columns(language: Language, names: BTreeMap<u32, String>) -> Vec<Field<Replica>> {
    let now = clock::wall();
    vec![
        Field::number("index", language.header_replica(), |replica: &Replica| {
            replica.index.to_string()
        }),
        Field::state("state", language.header_state(), |replica: &Replica| {
            replica.state.clone()
        }),
        Field::text("node", language.header_node(), move |replica: &Replica| {
            let number = replica.node.map(|node| node.to_string());
            let name = replica.node.and_then(|node| names.get(&node).cloned());
            name.or(number).unwrap_or_default()
        })
        .raw(|replica| {
            replica
                .node
                .map(|node| node.to_string())
                .unwrap_or_default()
        }),
        Field::number("run", language.header_run(), |replica: &Replica| {
            replica.run.to_string()
        }),
        Field::text(
            "since",
            language.header_since(),
            move |replica: &Replica| {
                let since = replica.since.map(|since| age(seconds_ago(since, now)));
                since.unwrap_or_default()
            },
        )
        .raw(|replica| {
            replica
                .since
                .map(|since| since.to_string())
                .unwrap_or_default()
        }),
        Field::text(
            "last",
            language.header_last_end(),
            move |replica: &Replica| {
                let last = replica.last.as_ref();
                last.map(|run| ending(language, run)).unwrap_or_default()
            },
        )
        .raw(|replica| {
            let last = replica.last.as_ref();
            last.map(|run| run.outcome.clone()).unwrap_or_default()
        }),
        Field::number("job", language.header_revision(), |replica: &Replica| {
            replica.job.to_string()
        }),
    ]
}

/// How a run ended, in a few words.
pub(super) fn ending(language: Language, run: &Run) -> String {
    let how = match (run.exit_code, run.signal, &run.stage) {
        (Some(code), _, _) => language.last_end_exit(code),
        (_, Some(number), _) => format!("SIG{}", signal::name(number)),
        (_, _, Some(stage)) => {
            let why = why_not_started(language, stage, run.errno.unwrap_or_default());
            language.last_end_not_started(stage, why)
        }
        (None, None, None) => run.outcome.clone(),
    };
    if run.unhealthy {
        return language.last_end_unhealthy(how);
    }
    how
}
