//! The commands that look after an installation.

use clap::{Arg, Command, ValueHint};

use super::{
    build::{argument, flag, leaf, option},
    examples,
    host::cgroup,
};
use crate::catalogue::Language;

/// Shells for which there is a completion.
pub(crate) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

pub(super) fn doctor(language: Language) -> Command {
    let lines = ["flota doctor", "flota doctor -o json"];
    let listen = option("listen", language.value_address(), language.help_listen());
    leaf("doctor", language.about_doctor())
        .before_help(examples(language, &lines))
        .args([data(language), listen, cgroup(language)])
}

pub(super) fn backup(language: Language) -> Command {
    leaf("backup", language.about_backup())
        .before_help(examples(language, &["flota backup fleet-monday.db"]))
        .args([file(language, language.help_backup_file()), data(language)])
}

pub(super) fn restore(language: Language) -> Command {
    leaf("restore", language.about_restore())
        .before_help(examples(
            language,
            &[
                "flota restore fleet-monday.db",
                "flota restore fleet-monday.db --force",
            ],
        ))
        .args([
            file(language, language.help_restore_file()),
            data(language),
            flag("force", language.help_restore_force()),
        ])
}

pub(super) fn completion(language: Language) -> Command {
    let lines = [
        "flota completion bash > ~/.local/share/bash-completion/completions/flota",
        "flota completion zsh > ~/.zfunc/_flota",
        "flota completion fish > ~/.config/fish/completions/flota.fish",
    ];
    let shell = argument("shell", language.value_shell(), language.help_shell());
    leaf("completion", language.about_completion())
        .before_help(examples(language, &lines))
        .arg(shell.value_parser(SHELLS))
}

fn file(language: Language, help: String) -> Arg {
    argument("file", language.value_file(), help).value_hint(ValueHint::FilePath)
}

fn data(language: Language) -> Arg {
    option("data", language.value_folder(), language.help_data()).value_hint(ValueHint::DirPath)
}
