//! As whom and within which limits a program runs.

use clap::Arg;
use flota_model::execution::WEIGHT_MAX;

use super::build::{flag, option, options};
use crate::{catalogue::Language, cli::values};

/// The options that only programs have, by their ids.
pub(in crate::cli) const IDS: [&str; 16] = [
    "program-user",
    "group",
    "groups",
    "umask",
    "nice",
    "ioprio",
    "rlimit",
    "oom-score-adj",
    "new-privileges",
    "memory-max",
    "swap-max",
    "pids-max",
    "cpu-quota",
    "cpu-weight",
    "io-weight",
    "best-effort",
];

/// The options of [`IDS`].
pub(super) fn arguments(language: Language) -> impl Iterator<Item = Arg> {
    let heading = language.heading_execution();
    identity(language)
        .into_iter()
        .chain(limits(language))
        .map(move |argument| argument.help_heading(heading.clone()))
}

fn identity(language: Language) -> [Arg; 9] {
    let signed = |name, help, first, last| {
        option(name, language.value_count(), help)
            .allow_negative_numbers(true)
            .value_parser(values::signed(language, first, last))
    };
    [
        option(
            "program-user",
            language.value_user(),
            language.help_program_user(),
        )
        .long("user"),
        option(
            "group",
            language.value_group(),
            language.help_program_group(),
        ),
        options(
            "groups",
            language.value_group(),
            language.help_program_groups(),
        )
        .long("add-group"),
        option("umask", language.value_mask(), language.help_umask())
            .value_parser(values::umask(language)),
        signed("nice", language.help_nice(), -20, 19),
        option("ioprio", language.value_class(), language.help_ioprio())
            .value_parser(values::io_priority(language)),
        options("rlimit", language.value_limit(), language.help_rlimit())
            .value_parser(values::resource_limit(language)),
        signed("oom-score-adj", language.help_oom_score_adj(), -1000, 1000),
        flag("new-privileges", language.help_new_privileges()),
    ]
}

fn limits(language: Language) -> [Arg; 7] {
    let size = |name, help| {
        option(name, language.value_amount(), help).value_parser(values::size(language))
    };
    let number = |name, help, most| {
        option(name, language.value_count(), help).value_parser(values::number(language, 1, most))
    };
    let weight = u32::from(WEIGHT_MAX);
    [
        size("memory-max", language.help_memory_max()),
        size("swap-max", language.help_swap_max()),
        number("pids-max", language.help_pids_max(), 1 << 22),
        option(
            "cpu-quota",
            language.value_amount(),
            language.help_cpu_quota(),
        )
        .value_parser(values::cpus(language)),
        number("cpu-weight", language.help_cpu_weight(), weight),
        number("io-weight", language.help_io_weight(), weight),
        flag("best-effort", language.help_limits_best_effort()),
    ]
}
