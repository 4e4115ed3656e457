//! `flota service run`: a service from the command line.

use std::time::Duration;

use clap::ArgMatches;
use flota_model::{
    service::{Condition, Dependency, Placement},
    spec::{JobSpec, Work},
    units::{Bytes, Cpus},
};
use flota_wire::spec;
use serde_json::json;

use super::{
    super::{Session, submit},
    file, named, order,
};
use crate::{exit::Exit, failure::Failure};

pub(super) async fn run(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let spec = described(session, matches)?;
    order::apply_all(session, matches, &[spec]).await
}

/// The service that the command line describes.
fn described(session: &Session<'_>, matches: &ArgMatches) -> Result<JobSpec, Failure> {
    let language = session.language();
    let wrong = |faults| Failure::of_spec(language.error_command_spec_invalid(), faults);
    let body = body(matches).to_string();
    let mut spec = spec::parse_json(body.as_bytes()).map_err(wrong)?;
    if let Some(cpus) = matches.get_one::<Cpus>("cpus") {
        spec.resources.cpus = *cpus;
    }
    if let Some(memory) = matches.get_one::<Bytes>("memory") {
        spec.resources.memory = *memory;
    }
    if let Some(node) = matches.get_one::<String>("node") {
        spec.constraints.node = Some(node.clone());
    }
    spec.constraints.labels = submit::pairs(matches, "label");
    if let Some(grace) = matches.get_one::<Duration>("grace") {
        spec.grace = *grace;
    }
    if let Work::Program(program) = &mut spec.work {
        let folder = session.options.current_folder.as_deref();
        submit::apply_program(program, matches, folder);
    }
    let files = matches.get_many::<String>("env-file").unwrap_or_default();
    file::add_variables(language, &mut spec, files.cloned())?;
    apply_service(&mut spec, matches);
    spec::check(&spec).map_err(wrong)?;
    Ok(spec)
}

/// What has a short form in the text of a spec.
fn body(matches: &ArgMatches) -> serde_json::Value {
    let argv: Vec<&String> = matches
        .get_many("program")
        .expect("it is required")
        .collect();
    let mut service = json!({});
    let text = |id: &str| matches.get_one::<String>(id);
    if let Some(policy) = text("restart") {
        service["restart"] = json!(policy);
    }
    for way in ["http", "tcp"] {
        if let Some(address) = text(way) {
            service["readiness"] = json!({way: address, "interval": "1s"});
        }
    }
    json!({
        "name": named(matches),
        "program": {"argv": argv, "logs": "rotated"},
        "service": service,
    })
}

fn apply_service(spec: &mut JobSpec, matches: &ArgMatches) {
    let Some(service) = &mut spec.service else {
        return;
    };
    if let Some(replicas) = matches.get_one::<u32>("replicas") {
        service.replicas = *replicas;
    }
    if matches.get_flag("one-per-node") {
        service.placement = Placement::OnePerNode;
    }
    service.stop_signal = matches.get_one::<u8>("stop-signal").copied();
    let names = matches.get_many::<String>("depends-on").unwrap_or_default();
    let depend = |service: &String| Dependency {
        service: service.clone(),
        condition: Condition::default(),
    };
    service.dependencies = names.map(depend).collect();
}
