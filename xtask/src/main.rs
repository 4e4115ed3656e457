//! Chores of the repository: `cargo xtask tidy`.
//!
//! What this crate does NOT do: it builds, tests and formats nothing; that is what the Makefile asks
//! cargo for.
#![expect(
    clippy::print_stderr,
    reason = "a tool for developers that reports to the terminal"
)]

mod tidy;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy(),
        _ => {
            eprintln!("usage: cargo xtask tidy");
            ExitCode::from(2)
        }
    }
}

fn tidy() -> ExitCode {
    let problems = tidy::problems(repository());
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The root of the repository that this crate was built in.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root")
}
