//! The commands about watched files.

use clap::{Arg, Command};

use super::{
    LIST_ALIASES,
    build::{argument, group, leaf, option},
    examples, jobs, timeout,
};
use crate::catalogue::Language;

pub(super) fn watch(language: Language) -> Command {
    group("watch", language.about_watch())
        .alias("vigilar")
        .before_help(examples(
            language,
            &[
                "flota watch add urls.txt -- wget -q {line}",
                "flota watch add runs.csv --format csv -- ./sim --n={n}",
                "flota watch add trabajos.txt --format hpc",
                "flota watch show urls.txt",
            ],
        ))
        .subcommands([
            add(language),
            leaf("ls", language.about_watch_ls())
                .aliases(LIST_ALIASES)
                .arg(timeout(language)),
            leaf("show", language.about_watch_show())
                .aliases(["describe", "inspect", "mostrar"])
                .args([path(language), timeout(language)]),
            leaf("rm", language.about_watch_rm())
                .aliases(["remove", "delete", "borrar"])
                .args([path(language), timeout(language)]),
        ])
}

fn path(language: Language) -> Arg {
    argument("path", language.value_path(), language.help_watch_path())
}

fn add(language: Language) -> Command {
    let format = option(
        "format",
        language.value_format(),
        language.help_watch_format(),
    );
    let command = leaf("add", language.about_watch_add())
        .alias("agregar")
        .arg(path(language))
        .arg(format.value_parser(["lines", "csv", "json-lines", "hpc"]));
    jobs::template(command, language)
}
