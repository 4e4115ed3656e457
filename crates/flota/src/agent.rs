//! `flota agent`, `flota agent stop` and the keeper.

use std::{
    ffi::OsString,
    net::{SocketAddr, ToSocketAddrs as _},
    process::ExitCode,
    sync::Arc,
};

use clap::ArgMatches;
use flota_agent::{
    AgentEnd, AgentFault, AgentSettings, FolderFault, HpcListener, LogLimits as Limits, StopFault,
    keeper::KeeperSettings, policy::PolicySource,
};
use flota_client::{Endpoint, Exit, Failure, Screen};
use flota_host::{Context, EndSignals, Settings, Threads, folder_held, host_name, machine};
use flota_model::resources::Resources;

/// Runs a keeper; `arguments` are those behind [`flota_host::KEEPER`].
pub(crate) fn keeper(arguments: &[OsString]) -> ExitCode {
    flota_host::start_small_logging();
    match KeeperSettings::from_arguments(arguments.iter().cloned()) {
        Ok(settings) => flota_agent::keeper::main(&settings),
        Err(fault) => {
            tracing::error!(%fault, "no keeper was started");
            ExitCode::from(Exit::Usage.code())
        }
    }
}

pub(crate) fn command(context: &Context, screen: &mut Screen) -> Result<Exit, Failure> {
    let language = context.language;
    let settings = settings(context)?;
    flota_host::tell_former_names(context, screen);
    let data = settings.data.display().to_string();
    if !screen.is_quiet() {
        let server = format!("http://{}", settings.server);
        screen.tell(&language.agent_starting(&settings.name, server));
        screen.tell(&language.agent_stop_hint(&data));
    }
    let ended = context.runtime(Threads::One)?.block_on(async {
        let mut signals =
            EndSignals::without_hangup().map_err(|source| context.not_set_up(&source))?;
        flota_host::follow_parent(context);
        let ended = flota_agent::run(settings, signals.next()).await;
        ended.map_err(|fault| failure(context, &fault))
    })?;
    if !screen.is_quiet() {
        screen.tell(&match ended {
            AgentEnd::Detached { programs } => language.agent_detached(programs, &data),
            AgentEnd::StoppedAll => language.agent_stopped_all(),
        });
    }
    Ok(Exit::Ok)
}

fn settings(context: &Context) -> Result<AgentSettings, Failure> {
    let given = &context.settings;
    let machine = machine().map_err(|source| context.not_set_up(&source))?;
    let name = given.name.clone().unwrap_or_else(host_name);
    let mut logs = Limits::default();
    if let Some(size) = given.logs_size {
        logs.node_bytes_max = size.0;
    }
    if let Some(age) = given.logs_age {
        logs.age_max = age;
    }
    let mut settings = AgentSettings {
        logs,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capacity: Some(Resources {
            cpus: given.cpus.unwrap_or(machine.cpus),
            memory: given.memory.unwrap_or(machine.memory),
            ..machine
        }),
        labels: given.labels.clone(),
        groups: given.cgroup.clone(),
        line: given.line_listen.clone(),
        hpc: hpc(given),
        ..AgentSettings::new(context.data()?, server(context)?, name)
    };
    apply_policy(context, &mut settings)?;
    Ok(settings)
}

/// Listeners for clients of the older cluster.
fn hpc(given: &Settings) -> Vec<(HpcListener, SocketAddr)> {
    let slave = given.hpc.slave_listen;
    let memory = given.hpc.memory_listen;
    let slave = slave.map(|address| (HpcListener::Slave, address));
    let memory = memory.map(|address| (HpcListener::Memory, address));
    slave.into_iter().chain(memory).collect()
}

/// What the owner of this machine allows: by the file that is named, or that is there, or as usual.
fn apply_policy(context: &Context, settings: &mut AgentSettings) -> Result<(), Failure> {
    let environment = &context.environment;
    let named = context.settings.policy.clone();
    let path = named.or_else(|| environment.policy_file());
    let policy = flota_agent::policy::load(path.as_deref(), environment.is_root);
    settings.policy = Some(PolicySource {
        path,
        is_root: environment.is_root,
    });
    settings.node.policy = Arc::new(policy.map_err(|fault| {
        let language = context.language;
        Failure::new("E-POLICY-INVALID", Exit::Usage, language.error_policy())
            .because_of(&fault)
            .hint(language.hint_policy())
    })?);
    Ok(())
}

/// The address of the server: the one that is set, or the usual one on this machine.
fn server(context: &Context) -> Result<SocketAddr, Failure> {
    let language = context.language;
    let endpoint = match &context.settings.server {
        Some(text) => {
            Endpoint::parse(text).map_err(|fault| Failure::of_client(language, &fault))?
        }
        None => Endpoint::local(),
    };
    let refused = || {
        let what = language.error_agent_server(&endpoint);
        Failure::new("E-AGENT-ADDRESS", Exit::Usage, what).hint(language.hint_agent_server())
    };
    let Endpoint::Tcp { host, port } = &endpoint else {
        return Err(refused());
    };
    let found = (host.as_str(), *port).to_socket_addrs();
    let mut found = found.map_err(|source| refused().because_of(&source))?;
    found.next().ok_or_else(refused)
}

fn failure(context: &Context, fault: &AgentFault) -> Failure {
    let language = context.language;
    match fault {
        AgentFault::Folder(folder) => of_folder(context, folder),
        AgentFault::Refused(_) => Failure::new(
            "E-AGENT-REFUSED",
            Exit::Refused,
            language.error_agent_refused(),
        )
        .because_of(fault)
        .hint(language.hint_agent_refused()),
        AgentFault::Listen { address, source } => {
            let is_taken = source.kind() == std::io::ErrorKind::AddrInUse;
            let failure = if is_taken {
                let what = language.error_port_in_use(address);
                Failure::new("E-PORT-IN-USE", Exit::Refused, what)
            } else {
                Failure::new(
                    "E-AGENT-FAILED",
                    Exit::Failed,
                    language.error_agent_failed(),
                )
            };
            failure.because_of(fault).hint(language.hint_line_port())
        }
        AgentFault::Address(address) => {
            let what = language.error_agent_server(address.address);
            Failure::new("E-AGENT-ADDRESS", Exit::Usage, what)
                .because_of(address)
                .hint(language.hint_agent_server())
        }
        AgentFault::Journal(_)
        | AgentFault::Keepers(_)
        | AgentFault::Outputs { .. }
        | AgentFault::LinkDied
        | AgentFault::System { .. } => Failure::new(
            "E-AGENT-FAILED",
            Exit::Failed,
            language.error_agent_failed(),
        )
        .because_of(fault),
    }
}

fn of_folder(context: &Context, fault: &FolderFault) -> Failure {
    let language = context.language;
    match fault {
        FolderFault::Held { path, holder } => {
            folder_held(language, &path.display().to_string(), holder)
        }
        FolderFault::File { .. } => {
            let what = language.error_folder_unusable(context.data_text());
            Failure::new("E-FOLDER-UNUSABLE", Exit::Failed, what).because_of(fault)
        }
    }
}

pub(crate) fn stop(
    context: &Context,
    screen: &mut Screen,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let language = context.language;
    if !matches.get_flag("all") {
        return Err(Failure::usage(language.error_stop_needs_all()));
    }
    let data = context.data()?;
    if !data.exists() {
        screen.tell(&language.agent_stopped_none());
        return Ok(Exit::Ok);
    }
    let runtime = context.runtime(Threads::One)?;
    runtime
        .block_on(flota_agent::stop_all(&data))
        .map_err(|fault| of_stop(context, &fault))?;
    screen.tell(&language.agent_stopped_all());
    Ok(Exit::Ok)
}

fn of_stop(context: &Context, fault: &StopFault) -> Failure {
    if let StopFault::Folder(folder) = fault {
        return of_folder(context, folder);
    }
    let what = context.language.error_stop_failed();
    Failure::new("E-STOP-INCOMPLETE", Exit::Failed, what).because_of(fault)
}
