//! The keeper as a process of its own, for the tests of this crate. The real binary has the same
//! subcommand.

use std::{ffi::OsString, process::ExitCode};

use flota_agent::keeper::{self, KeeperSettings};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let subcommand = arguments.next();
    match subcommand.as_ref().and_then(|name| name.to_str()) {
        Some("__keeper") => run_keeper(arguments.collect()),
        _ => ExitCode::from(2),
    }
}

fn run_keeper(arguments: Vec<OsString>) -> ExitCode {
    match KeeperSettings::from_arguments(arguments) {
        Ok(settings) => keeper::main(&settings),
        Err(_) => ExitCode::from(2),
    }
}
