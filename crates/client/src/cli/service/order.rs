//! `flota service apply`, `scale`, `restart`, `stop`, `start` and `rm`.

use std::time::Duration;

use clap::ArgMatches;
use flota_model::spec::JobSpec;
use flota_wire::{
    rest::service::{Applied, Service},
    spec,
};

use super::{
    super::{Session, ask},
    at_a_time, file, named,
    show::{self, ready},
    wait::{self, Goal},
};
use crate::{
    client::Order,
    exit::Exit,
    failure::Failure,
    render::{Field, Format, Listing},
};

pub(super) async fn apply(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let path = matches.get_one::<String>("file").expect("it is required");
    let specs = file::services(session.language(), path)?;
    apply_all(session, matches, &specs).await
}

/// Applies them in their order, tells what changed, and waits where that is asked for.
pub(super) async fn apply_all(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    specs: &[JobSpec],
) -> Result<Exit, Failure> {
    let mut applied = Vec::new();
    for spec in specs {
        let client = session.client().await?;
        let value = spec::to_value(spec);
        match client.apply(&spec.name, &value, at_a_time(matches)).await {
            Ok(one) => applied.push(one),
            Err(fault) => {
                // What was applied before stays so, and is told before the fault.
                if !applied.is_empty() {
                    tell(session, &applied)?;
                    session.screen.flush()?;
                }
                let left = specs.len() - applied.len() - 1;
                let text = session.language().service_refused(&spec.name, left);
                session.screen.mention(&text);
                return Err(session.failure(&fault));
            }
        }
    }
    tell(session, &applied)?;
    if matches.get_flag("wait") {
        for one in &applied {
            wait_for(session, matches, &one.service.name, Goal::Ready).await?;
        }
    } else if let [one] = applied.as_slice() {
        let next = session.language().service_next(&one.service.name);
        session.screen.mention(&next);
    }
    Ok(Exit::Ok)
}

fn tell(session: &mut Session<'_>, applied: &[Applied]) -> Result<(), Failure> {
    let language = session.language();
    if session.screen.format() == Format::Table {
        for one in applied {
            let text = language.applied_now(&one.service.name, &one.applied);
            session.screen.print_line(&text)?;
        }
        return Ok(());
    }
    Listing {
        items: applied,
        fields: vec![
            Field::text("name", language.header_service(), |one: &Applied| {
                one.service.name.clone()
            }),
            Field::text("applied", language.header_applied(), |one: &Applied| {
                one.applied.clone()
            }),
        ],
        name: |one| one.service.name.clone(),
    }
    .print(session.screen)
}

pub(super) async fn order(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    order: Order,
    goal: Goal,
) -> Result<Exit, Failure> {
    let name = named(matches);
    let service = ask!(session.order(name, order));
    if matches.get_flag("wait") {
        wait_for(session, matches, name, goal).await?;
        return Ok(Exit::Ok);
    }
    told(session, &service)?;
    Ok(Exit::Ok)
}

fn told(session: &mut Session<'_>, service: &Service) -> Result<(), Failure> {
    if session.screen.format() != Format::Table {
        return show::print(session, service);
    }
    let language = session.language();
    let (name, phase) = (&service.name, &service.phase);
    let text = language.service_is(name, phase, ready(service), service.replicas);
    session.screen.print_line(&text)
}

pub(super) async fn remove(session: &mut Session<'_>, name: &str) -> Result<Exit, Failure> {
    let service = ask!(session.remove_service(name));
    if session.screen.format() != Format::Table {
        show::print(session, &service)?;
        return Ok(Exit::Ok);
    }
    let text = session.language().service_removed(&service.name);
    session.screen.print_line(&text)?;
    Ok(Exit::Ok)
}

async fn wait_for(
    session: &mut Session<'_>,
    matches: &ArgMatches,
    name: &str,
    goal: Goal,
) -> Result<(), Failure> {
    let limit = matches.get_one::<Duration>("wait-timeout").copied();
    let service = wait::until(session, name, goal, limit).await?;
    if session.screen.format() != Format::Table {
        // What was applied is told already.
        return match matches.try_contains_id("file") {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => show::print(session, &service),
        };
    }
    let language = session.language();
    let text = match goal {
        Goal::Ready => language.service_ready(name, service.replicas),
        Goal::Stopped => language.service_stopped(name),
    };
    session.screen.print_line(&text)
}
