//! Agent and keeper as processes of their own, for the tests of this crate. The real binary has the
//! same subcommands.

use std::{ffi::OsString, io::Write as _, path::Path, process::ExitCode};

use flota_agent::{
    AgentEnd, AgentSettings,
    keeper::{self, KeeperSettings},
};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let subcommand = arguments.next();
    let arguments: Vec<OsString> = arguments.collect();
    match subcommand.as_ref().and_then(|name| name.to_str()) {
        Some("__keeper") => run_keeper(arguments),
        Some("agent") => run_agent(&arguments),
        Some("stop") => run_stop(&arguments),
        Some("bomb") => explode(),
        _ => ExitCode::from(2),
    }
}

fn run_keeper(arguments: Vec<OsString>) -> ExitCode {
    match KeeperSettings::from_arguments(arguments) {
        Ok(settings) => keeper::main(&settings),
        Err(_) => ExitCode::from(2),
    }
}

/// `agent DATA SERVER OUTPUT-BYTES-MAX [VERSION-MAX]`; says on stdout how it ended.
fn run_agent(arguments: &[OsString]) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let [data, server, output_bytes_max, version_max @ ..] = arguments else {
        return ExitCode::from(2);
    };
    let text = |argument: &OsString| argument.to_str().map(str::to_owned).unwrap_or_default();
    let version_max = version_max
        .iter()
        .find_map(|version| text(version).parse().ok());
    let (Ok(server), Ok(output_bytes_max)) = (text(server).parse(), text(output_bytes_max).parse())
    else {
        return ExitCode::from(2);
    };
    let usual = AgentSettings::new(data.into(), server, "node".to_owned());
    let settings = AgentSettings {
        output_bytes_max,
        keeper_version_max: version_max.unwrap_or(usual.keeper_version_max),
        ..usual
    };
    block_on(async {
        let kind = tokio::signal::unix::SignalKind::terminate();
        let mut terminate = tokio::signal::unix::signal(kind).map_err(|error| error.to_string())?;
        let shutdown = async move {
            terminate.recv().await;
        };
        match flota_agent::run(settings, shutdown).await {
            Ok(AgentEnd::Detached { programs }) => Ok(format!("detached {programs}")),
            Ok(AgentEnd::StoppedAll) => Ok("stopped".to_owned()),
            Err(fault) => Err(chain(&fault)),
        }
    })
}

/// `bomb`: starts itself as often as it may, for ever.
#[expect(clippy::disallowed_methods, reason = "a program of a test")]
fn explode() -> ! {
    loop {
        let child = std::process::Command::new("/proc/self/exe")
            .arg("bomb")
            .spawn();
        if child.is_err() {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }
}

/// `stop DATA`.
fn run_stop(arguments: &[OsString]) -> ExitCode {
    let [data] = arguments else {
        return ExitCode::from(2);
    };
    block_on(async {
        let stopped = flota_agent::stop_all(Path::new(data)).await;
        stopped
            .map(|()| "stopped".to_owned())
            .map_err(|fault| chain(&fault))
    })
}

fn block_on(work: impl Future<Output = Result<String, String>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.to_string()),
    };
    let (text, code) = match result {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => (format!("fault: {text}"), ExitCode::FAILURE),
    };
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
