//! From arguments to matches, and from the parser's errors to our own.

use std::{error::Error as _, ffi::OsString};

use clap::{
    ArgMatches, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::grammar;
use crate::{catalogue::Language, exit::Exit, failure::Failure, nearest::nearest};

/// Why nothing is run.
#[derive(Debug)]
pub enum Stopped {
    /// A page that was asked for, for standard output.
    Page(String),
    /// A page that was not asked for: the command is not complete. For standard error; exit code 2.
    Incomplete(String),
    /// A mistake.
    Failure(Failure),
}

impl Stopped {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Page(_) => Exit::Ok,
            Self::Incomplete(_) => Exit::Usage,
            Self::Failure(failure) => failure.exit(),
        }
    }
}

/// Parses a command line; the first argument is the name of the program.
///
/// # Errors
/// When it is wrong, not complete, or asks for help.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind is a mistake"
)]
pub fn parse(language: Language, arguments: &[OsString]) -> Result<ArgMatches, Stopped> {
    let commands = grammar(language);
    commands
        .try_get_matches_from(arguments)
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stopped::Page(error.to_string()),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Stopped::Incomplete(error.to_string())
            }
            _ => Stopped::Failure(failure(language, &error, &Place::of(arguments))),
        })
}

/// The command that was being given.
struct Place {
    /// As typed: `flota job ls`.
    path: String,
    /// The commands that may follow.
    next: Vec<String>,
}

impl Place {
    fn of(arguments: &[OsString]) -> Self {
        let mut command = grammar(Language::English);
        let mut path = vec!["flota".to_owned()];
        for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
            if let Some(inner) = command.find_subcommand(word).cloned() {
                path.push(word.to_owned());
                command = inner;
            }
        }
        let visible = command
            .get_subcommands()
            .filter(|inner| !inner.is_hide_set());
        let next = visible.map(|inner| inner.get_name().to_owned()).collect();
        Self {
            path: path.join(" "),
            next,
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the grammar cannot raise the other kinds"
)]
fn failure(language: Language, error: &Error, place: &Place) -> Failure {
    let context = Context(error);
    let option = context
        .names(ContextKind::InvalidArg)
        .pop()
        .unwrap_or_default();
    let value = context.first(ContextKind::InvalidValue);
    let what = match error.kind() {
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            language.usage_unknown_option(option)
        }
        ErrorKind::UnknownArgument => {
            language.usage_unexpected_value(context.first(ContextKind::InvalidArg))
        }
        ErrorKind::InvalidSubcommand => {
            language.usage_unknown_command(context.first(ContextKind::InvalidSubcommand))
        }
        ErrorKind::InvalidValue if value.is_empty() => language.usage_missing_value(option),
        ErrorKind::InvalidValue => language.usage_invalid_value(value, option),
        ErrorKind::ValueValidation => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            language.usage_invalid_value_why(value, option, why)
        }
        ErrorKind::ArgumentConflict => context.conflict(language, &option),
        ErrorKind::MissingRequiredArgument => {
            language.usage_missing_arguments(context.names(ContextKind::InvalidArg).join(" "))
        }
        ErrorKind::TooManyValues => language.usage_no_value(option),
        ErrorKind::InvalidUtf8 => language.usage_not_unicode(),
        _ => language.usage_other(),
    };
    Failure::usage(what).hint(context.hint(language, place))
}

/// What the parser tells about its error.
struct Context<'a>(&'a Error);

impl Context<'_> {
    fn all(&self, kind: ContextKind) -> Vec<String> {
        match self.0.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    fn first(&self, kind: ContextKind) -> String {
        self.all(kind).into_iter().next().unwrap_or_default()
    }

    fn names(&self, kind: ContextKind) -> Vec<String> {
        self.all(kind).iter().map(|text| bare(text)).collect()
    }

    fn conflict(&self, language: Language, option: &str) -> String {
        let others = self.names(ContextKind::PriorArg);
        let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
        if names.is_empty() || others.iter().any(|name| name == option) {
            return language.usage_repeated(option);
        }
        language.usage_conflict(option, names.join(", "))
    }

    fn hint(&self, language: Language, place: &Place) -> String {
        for (meant, written) in [
            (ContextKind::SuggestedArg, ContextKind::InvalidArg),
            (ContextKind::SuggestedValue, ContextKind::InvalidValue),
        ] {
            let meant = self.all(meant);
            let near = nearest(&self.first(written), meant.iter().map(String::as_str));
            if let Some(name) = near.or(meant.last().map(String::as_str)) {
                return language.usage_did_you_mean(name);
            }
        }
        let command = self.first(ContextKind::InvalidSubcommand);
        if let Some(name) = nearest(&command, place.next.iter().map(String::as_str)) {
            return language.usage_did_you_mean(name);
        }
        let valid = self.all(ContextKind::ValidValue);
        if valid.is_empty() {
            return language.usage_see_help(&place.path);
        }
        language.usage_one_of(valid.join(", "))
    }
}

/// The name of an argument without its values and marks: `--limit <COUNT>`, `[PROGRAM]...`.
fn bare(text: &str) -> String {
    let name = text.split([' ', '=']).next().unwrap_or_default();
    name.trim_matches(['<', '>', '[', ']', '.']).to_owned()
}
