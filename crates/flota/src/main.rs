//! `flota`: server, agent, keeper and client in one binary.
//!
//! What this crate does NOT do: it decides nothing about the fleet. It reads what the process is
//! started with, merges the settings once, and hands them down as small structs.

mod agent;
mod bench;
mod bug;
mod dev;
mod environment;
mod logging;
mod server;
mod settings;
mod signals;

use std::{env, ffi::OsString, process::ExitCode};

use clap::ArgMatches;
use flota_client::{
    Color, Exit, Failure, Format, Language, Options, Screen, Search, Stopped, Style,
};

use self::{
    environment::Environment,
    logging::Logging,
    settings::{Given, Settings, Value},
};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    // Before anything else: a keeper has one thread and little memory, and outlives all of us.
    if arguments.get(1).is_some_and(|word| word == agent::KEEPER) {
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

/// All that a command needs beside its own options.
struct Context {
    language: Language,
    environment: Environment,
    settings: Settings,
    /// How often `-v` is given.
    verbose: u8,
    /// The settings file that an option names.
    config: Option<String>,
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

fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, inner)| innermost(inner))
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
            dev::command(context, screen, inner)
        }
        ["bench"] => {
            start_logging(context, "warn");
            bench::command(context, screen, inner)
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
    logging::start(&Logging {
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

/// How many threads carry the tasks of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    One,
    Several,
}

impl Context {
    /// The data folder that is set, or the usual one.
    fn data(&self) -> Result<std::path::PathBuf, Failure> {
        let set = self
            .settings
            .data
            .clone()
            .or_else(|| self.environment.data_folder());
        // Absolute, because it is told to people and handed to other processes.
        set.and_then(|path| std::path::absolute(path).ok())
            .ok_or_else(|| {
                Failure::new(
                    "E-FOLDER-UNKNOWN",
                    Exit::Failed,
                    self.language.error_no_home(),
                )
                .hint(self.language.hint_no_home())
            })
    }

    fn data_text(&self) -> String {
        self.data()
            .map_or_else(|_| String::new(), |path| path.display().to_string())
    }

    fn search(&self) -> Search {
        Search {
            server: self.settings.server.clone(),
            token_file: self.settings.token_file.clone(),
            data: self.data().ok(),
        }
    }

    fn runtime(&self, threads: Threads) -> Result<tokio::runtime::Runtime, Failure> {
        let mut builder = match threads {
            Threads::One => tokio::runtime::Builder::new_current_thread(),
            Threads::Several => tokio::runtime::Builder::new_multi_thread(),
        };
        builder
            .enable_all()
            .build()
            .map_err(|source| self.not_set_up(&source))
    }

    /// The system refuses something without which no command works.
    fn not_set_up(&self, source: &std::io::Error) -> Failure {
        Failure::new(
            "E-PROGRAM-UNUSABLE",
            Exit::Failed,
            self.language.error_runtime(),
        )
        .because_of(source)
    }
}

/// Another process has the data folder.
fn folder_held(language: Language, folder: &str, holder: &str) -> Failure {
    Failure::new(
        "E-FOLDER-HELD",
        Exit::Refused,
        language.error_folder_held(folder),
    )
    .because(holder)
    .hint(language.hint_folder_held())
}

/// Merges defaults, file, environment and options.
fn load(
    language: Language,
    environment: &Environment,
    matches: &ArgMatches,
) -> Result<Settings, Failure> {
    let named = innermost(matches)
        .get_one::<String>("config")
        .map(String::as_str);
    let file = environment.settings_file(named).map_err(|(path, source)| {
        let what = language.error_file_unreadable(path.display());
        Failure::new("E-FILE-UNREADABLE", Exit::Usage, what).because_of(&source)
    })?;
    let invalid = |faults: Vec<String>| {
        let failure = Failure::new(
            "E-SETTINGS-INVALID",
            Exit::Usage,
            language.error_settings_invalid(),
        );
        faults.into_iter().fold(failure, Failure::because)
    };
    let mut given = match &file {
        Some((path, text)) => settings::of_file(language, &path.display().to_string(), text)
            .map_err(|fault| invalid(vec![fault]))?,
        None => Vec::new(),
    };
    given.extend(settings::of_environment(language, &environment.variables));
    given.extend(of_options(language, matches));
    settings::merge(language, &given).map_err(invalid)
}

/// Options that are settings: of every command, and of some.
fn of_options(language: Language, matches: &ArgMatches) -> Vec<Given> {
    let inner = innermost(matches);
    let own: &[&str] = match flota_client::path_of(matches).as_slice() {
        ["server" | "dev"] => &["data", "listen"],
        ["agent"] => &["data", "name", "cpus", "memory", "label"],
        ["agent", "stop"] | ["bench"] => &["data"],
        _ => &[],
    };
    let every = ["server", "token-file", "output", "color"];
    let chosen = every.iter().chain(own).map(|option| (inner, *option));
    // Before the command as well as behind it.
    [(matches, "request-timeout"), (inner, "request-timeout")]
        .into_iter()
        .chain(chosen)
        .filter_map(|(matches, option)| of_option(language, matches, option))
        .collect()
}

/// `None` where it is not given, or the command has no such option.
fn of_option(language: Language, matches: &ArgMatches, option: &str) -> Option<Given> {
    let values = matches.try_get_many::<String>(option).ok().flatten()?;
    let values: Vec<&str> = values.map(String::as_str).collect();
    let (key, long) = match option {
        "label" => ("labels".to_owned(), option),
        "request-timeout" => ("timeout".to_owned(), "timeout"),
        option => (option.replace('-', "_"), option),
    };
    let place = language.place_flag(format!("--{long}"));
    Some(Given {
        place,
        key,
        value: Value::Text(values.join(",")),
    })
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
        color_out: settings.output == Format::Table && wanted(environment.out_is_terminal),
        color_err: !settings.output.is_json() && wanted(environment.err_is_terminal),
        bar: environment.err_is_terminal && environment.get("TERM") != Some("dumb"),
    }
}
