//! `flota completion`.

use clap::ArgMatches;
use clap_complete::{Shell, generate};

use super::{Session, grammar};
use crate::{exit::Exit, failure::Failure};

/// Prints the script that makes a shell complete our commands and options.
pub(super) fn print(session: &mut Session<'_>, matches: &ArgMatches) -> Result<Exit, Failure> {
    let shell = match matches.get_one::<String>("shell").map(String::as_str) {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut commands = grammar(session.language());
    let mut script = Vec::new();
    generate(shell, &mut commands, "flota", &mut script);
    session.screen.print_bytes(&script)?;
    Ok(Exit::Ok)
}
