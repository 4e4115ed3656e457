//! `flota`: server, agent, keeper and client in one binary.
//!
//! What this crate does NOT do: it decides nothing about the fleet. It reads what the process is
//! started with, merges the settings once, and hands them down as small structs.

mod agent;
mod bug;
mod server;

use std::{env, ffi::OsString, process::ExitCode};

use clap::ArgMatches;
use flota_client::{Color, Exit, Failure, Format, Language, Options, Screen, Stopped, Style};
use flota_host::{Context, Environment, KEEPER, Logging, Threads, innermost, load};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    // Before anything else: a keeper has one thread and little memory, and outlives all of us.
    if arguments.get(1).is_some_and(|word| word == KEEPER) {
        return agent::keeper(&arguments[2..]);
    }
    let environment = Environment::of_process();
    let language = environment.language(language_flag(&arguments));
    let exit = bug::guard(language, || start(language, &environment, &arguments));
    ExitCode::from(exit.code())
}

/// The value of `--lang`, which must be known before the command line can be parsed in a language.
fn language_flag(arguments: &[OsString]) -> Option<&str> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let options = words
        .iter()
        .position(|word| *word == "--")
        .map_or(&words[..], |end| &words[..end]);
    let joined = options.iter().find_map(|word| word.strip_prefix("--lang="));
    let next = || {
        options
            .windows(2)
            .find(|pair| pair[0] == "--lang")
            .map(|pair| pair[1])
    };
    joined.or_else(next)
}

fn start(language: Language, environment: &Environment, arguments: &[OsString]) -> Exit {
    let plain = Style {
        language,
        headers: true,
        ..Style::default()
    };
    let mut screen = Screen::of_process(plain);
    let matches = match flota_client::parse(language, arguments) {
        Ok(matches) => matches,
        Err(stopped) => return stop(&mut screen, stopped),
    };
    let innermost = innermost(&matches);
    let settings = match load(language, environment, &matches) {
        Ok(settings) => settings,
        Err(failure) => {
            failure.tell(&mut screen);
            return failure.exit();
        }
    };
    let verbose = innermost.get_count("verbose");
    let config = innermost.get_one::<String>("config").cloned();
    let environment = environment.clone();
    let context = Context {
        language,
        environment,
        settings,
        verbose,
        config,
    };
    let mut screen = Screen::of_process(style(&context, innermost));
    perform(&context, &mut screen, &matches)
}

/// Tells why no command is run.
fn stop(screen: &mut Screen, stopped: Stopped) -> Exit {
    let exit = stopped.exit();
    match stopped {
        Stopped::Page(text) => {
            // A reader that has enough of a page is no failure.
            let _ = screen.print(&text).and_then(|()| screen.flush());
        }
        Stopped::Incomplete(text) => screen.tell(text.trim_end()),
        Stopped::Failure(failure) => failure.tell(screen),
    }
    exit
}

fn perform(context: &Context, screen: &mut Screen, matches: &ArgMatches) -> Exit {
    let inner = innermost(matches);
    let result = match flota_client::path_of(matches).as_slice() {
        ["server"] => {
            start_logging(context, of_host(screen));
            server::command(context, screen)
        }
        ["agent"] => {
            start_logging(context, of_host(screen));
            agent::command(context, screen)
        }
        ["agent", "stop"] => {
            start_logging(context, "warn");
            agent::stop(context, screen, inner)
        }
        ["dev"] => {
            start_logging(context, "warn");
            flota_host::dev(context, screen, inner)
        }
        ["doctor"] => {
            start_logging(context, "error");
            flota_host::doctor(context, screen)
        }
        ["backup"] => {
            start_logging(context, "warn");
            flota_host::backup(context, screen, inner)
        }
        ["restore"] => {
            start_logging(context, "warn");
            flota_host::restore(context, screen, inner)
        }
        ["bench"] => {
            start_logging(context, "warn");
            flota_bench::command(context, screen, inner)
        }
        _ => {
            start_logging(context, "warn");
            client(context, screen, matches)
        }
    };
    result.unwrap_or_else(|failure| {
        failure.tell(screen);
        failure.exit()
    })
}

/// What a server or an agent logs when nobody says otherwise.
fn of_host(screen: &Screen) -> &'static str {
    if screen.is_quiet() { "warn" } else { "info" }
}

fn start_logging(context: &Context, usual: &str) {
    flota_host::start_logging(&Logging {
        filter: context.settings.log.as_deref(),
        verbose: context.verbose,
        usual,
        as_json: context.settings.log_as_json,
    });
}

fn client(context: &Context, screen: &mut Screen, matches: &ArgMatches) -> Result<Exit, Failure> {
    let options = Options {
        search: context.search(),
        timeout: context.settings.timeout,
        current_folder: context.environment.current_folder.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let runtime = context.runtime(Threads::One)?;
    Ok(runtime.block_on(flota_client::run(screen, &options, matches)))
}

fn style(context: &Context, matches: &ArgMatches) -> Style {
    let (settings, environment) = (&context.settings, &context.environment);
    // https://no-color.org: set and not empty.
    let wanted = |terminal: bool| match settings.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let dumb = environment.get("TERM") == Some("dumb");
            terminal && !dumb && environment.get("NO_COLOR").is_none()
        }
    };
    Style {
        language: context.language,
        format: settings.output,
        headers: !matches.get_flag("no-headers"),
        quiet: matches.get_flag("quiet"),
        terminal: environment.out_is_terminal,
        color_out: settings.output == Format::Table && wanted(environment.out_is_terminal),
        color_err: !settings.output.is_json() && wanted(environment.err_is_terminal),
        bar: environment.err_is_terminal && environment.get("TERM") != Some("dumb"),
    }
}
