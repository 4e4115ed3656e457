//! Pieces of the command line with our own words, so that no text of the parser is shown.

use clap::{Arg, ArgAction, Command};

use crate::catalogue::Language;

/// A command that does something.
pub(super) fn leaf(name: &'static str, about: String) -> Command {
    Command::new(name).about(about)
}

/// A command that only holds others.
pub(super) fn group(name: &'static str, about: String) -> Command {
    leaf(name, about)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

/// An option with one value.
pub(super) fn option(name: &'static str, value: String, help: String) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .action(ArgAction::Set)
}

/// An option that may be given several times.
pub(super) fn options(name: &'static str, value: String, help: String) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

/// An option without a value.
pub(super) fn flag(name: &'static str, help: String) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

/// A value without an option.
pub(super) fn argument(id: &'static str, value: String, help: String) -> Arg {
    Arg::new(id).value_name(value).help(help).required(true)
}

/// Puts usage, headings and `--help` of `command` and all below it into our words.
pub(super) fn finish(command: Command, path: &str, language: Language) -> Command {
    let usage = usage(&command, path, language);
    let template = format!(
        "{{about}}\n\n{{before-help}}{}: {{usage}}\n\n{{all-args}}{{after-help}}",
        language.help_usage()
    );
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .help(language.help_help())
        .action(ArgAction::Help)
        .help_heading(language.help_global_options());
    command
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .override_usage(usage)
        .help_template(template)
        .subcommand_help_heading(language.help_commands())
        .mut_args(|arg| with_heading(arg, language))
        .arg(help)
        .mut_subcommands(|inner| {
            let path = format!("{path} {}", inner.get_name());
            finish(inner, &path, language)
        })
}

fn with_heading(arg: Arg, language: Language) -> Arg {
    let takes_value = arg.get_action().takes_values();
    let arg = arg.hide_possible_values(takes_value);
    if arg.get_help_heading().is_some() {
        return arg;
    }
    let positional = arg.is_positional();
    arg.help_heading(if positional {
        language.help_arguments()
    } else {
        language.help_options()
    })
}

fn usage(command: &Command, path: &str, language: Language) -> String {
    let mut words = vec![path.to_owned(), language.usage_options_placeholder()];
    if command.is_subcommand_required_set() {
        words.push(language.usage_command_placeholder());
    }
    for positional in command.get_positionals() {
        let names = positional.get_value_names().unwrap_or_default();
        let name = names.first().map_or("", |name| name.as_str());
        if positional.is_trailing_var_arg_set() {
            words.push(format!("[--] {name}"));
        } else if positional.is_required_set() {
            words.push(name.to_owned());
        } else {
            words.push(format!("[{name}]"));
        }
    }
    words.join(" ")
}
