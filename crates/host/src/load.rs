//! Settings from all the places where they may be given.

use clap::ArgMatches;
use flota_client::{Exit, Failure, Language};

use crate::{
    environment::Environment,
    settings::{self, Given, Settings, Value},
};

/// Merges defaults, file, environment and options.
pub fn load(
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
        ["doctor"] => &["data", "listen", "cgroup"],
        ["server"] => &["data", "listen", "hpc-listen", "jobs-dir", "job-file"],
        ["dev"] => &["data", "listen"],
        ["agent"] => &[
            "data",
            "policy",
            "cgroup",
            "name",
            "cpus",
            "memory",
            "label",
            "line-listen",
            "slave-listen",
            "memory-listen",
        ],
        ["agent", "stop"] | ["bench" | "backup" | "restore"] => &["data"],
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

/// The matches of the innermost command.
pub fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, inner)| innermost(inner))
}
