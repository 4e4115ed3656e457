//! The command line: one tree of commands and options, built in the language of the person.

mod build;
mod care;
pub(super) mod execution;
mod host;
mod jobs;
mod processes;
mod services;
mod watches;

use clap::Command;

use self::build::{argument, finish, flag, group, leaf, option};
use crate::catalogue::Language;

/// The whole command line.
pub fn grammar(language: Language) -> Command {
    let root = Command::new("flota")
        .version(env!("CARGO_PKG_VERSION"))
        .about(language.about_flota())
        .before_help(examples(
            language,
            &[
                "flota dev --nodes 3",
                "flota submit --array 1-5 --wait -- echo {index}",
                "flota job logs last",
            ],
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(global(language))
        .arg(version(language))
        .arg(timeout(language))
        .subcommands([
            host::server(language),
            host::agent(language),
            host::dev(language),
            host::bench(language),
            care::doctor(language),
            care::backup(language),
            care::restore(language),
            care::completion(language),
        ])
        .subcommands([
            jobs::submit(language, "submit"),
            jobs::job(language),
            jobs::queue(language),
            jobs::list(language, "jobs").hide(true),
            jobs::logs(language, language.about_logs()),
            services::service(language),
            watches::watch(language),
            processes::list(language),
            processes::process(language),
            processes::start(language),
            processes::stop(language),
            processes::signal(language),
            node(language),
            node_list(language, "nodes").hide(true),
            fleet(language),
            kernel(language),
            leaf("version", language.about_version()),
            leaf("help", language.about_help()).arg(
                argument("topic", language.value_topic(), language.help_topic())
                    .num_args(0..)
                    .required(false),
            ),
        ]);
    finish(root, "flota", language)
}

/// Examples come first on a help page: most people need no more of it.
fn examples(language: Language, lines: &[&str]) -> String {
    format!("{}:\n  {}", language.help_examples(), lines.join("\n  "))
}

/// Options of every command.
fn global(language: Language) -> Vec<clap::Arg> {
    let all = [
        option("server", language.value_address(), language.help_server()),
        option(
            "token-file",
            language.value_file(),
            language.help_token_file(),
        ),
        option("output", language.value_format(), language.help_output()).short('o'),
        flag("quiet", language.help_quiet()).short('q'),
        flag("no-headers", language.help_no_headers()),
        option("color", language.value_when(), language.help_color()),
        option("lang", language.value_language(), language.help_lang()),
        option("config", language.value_file(), language.help_config()),
        flag("verbose", language.help_verbose())
            .short('v')
            .action(clap::ArgAction::Count),
    ];
    let heading = language.help_global_options();
    all.into_iter()
        .map(|arg| arg.global(true).help_heading(heading.clone()))
        .collect()
}

/// Other names of every `ls`.
const LIST_ALIASES: [&str; 3] = ["list", "get", "listar"];

fn node(language: Language) -> Command {
    let show = leaf("show", language.about_node_show())
        .aliases(["describe", "inspect"])
        .alias("mostrar")
        .arg(argument(
            "node",
            language.value_node(),
            language.help_node(),
        ))
        .arg(timeout(language));
    group("node", language.about_node())
        .before_help(examples(language, &["flota node ls", "flota node show n1"]))
        .subcommands([node_list(language, "ls").aliases(LIST_ALIASES), show])
}

fn node_list(language: Language, name: &'static str) -> Command {
    leaf(name, language.about_node_ls()).arg(timeout(language))
}

fn fleet(language: Language) -> Command {
    group("fleet", language.about_fleet()).subcommands([
        leaf("show", language.about_fleet_show()).arg(timeout(language)),
        leaf("recover", language.about_fleet_recover()).arg(timeout(language)),
    ])
}

fn kernel(language: Language) -> Command {
    group("kernel", language.about_kernel())
        .subcommand(leaf("ls", language.about_kernel_ls()).arg(timeout(language)))
}

fn version(language: Language) -> clap::Arg {
    flag("version", language.about_version())
        .short('V')
        .action(clap::ArgAction::Version)
        .help_heading(language.help_global_options())
}

/// How long the answer may take. It is a setting, so it is read by
/// the binary. Not a global option: `submit` has another one of that name.
fn timeout(language: Language) -> clap::Arg {
    option(
        "request-timeout",
        language.value_duration(),
        language.help_timeout(),
    )
    .long("timeout")
}
