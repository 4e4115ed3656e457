//! The commands about processes.

use clap::{Arg, Command};
use flota_model::process::GRACE_MAX;

use super::{
    build::{argument, flag, leaf, option},
    examples, jobs, timeout,
};
use crate::{catalogue::Language, cli::values};

/// What a list can be sorted by.
const ORDERS: [&str; 7] = ["node", "pid", "name", "cpu", "memory", "time", "started"];

pub(super) fn list(language: Language) -> Command {
    let nodes = argument("nodes", language.value_node(), language.help_ps_nodes());
    let job = option("job", language.value_job(), language.help_ps_job());
    let sort = option("sort", language.value_order(), language.help_ps_sort());
    leaf("ps", language.about_ps())
        .alias("procesos")
        .before_help(examples(
            language,
            &[
                "flota ps n1 n2 --sort memory -n 20",
                "flota ps --managed",
                "flota ps --user ana --name python -o json",
            ],
        ))
        .args([
            nodes.required(false).num_args(0..),
            option("name", language.value_text(), language.help_ps_name()),
            option("user", language.value_user(), language.help_ps_user()),
            job.value_parser(clap::value_parser!(u64)),
            flag("managed", language.help_ps_managed()),
            flag("all", language.help_ps_all()).short('a'),
            sort.value_parser(ORDERS),
            jobs::limit(language),
            timeout(language),
        ])
}

pub(super) fn start(language: Language) -> Command {
    let program = argument("program", language.value_program(), language.help_program());
    leaf("start", language.about_start())
        .alias("iniciar")
        .before_help(examples(
            language,
            &[
                "flota start n1 -- sleep 1000",
                "flota start n1 --name web --cwd /srv -- python3 -m http.server",
            ],
        ))
        .args([
            argument("node", language.value_node(), language.help_node()),
            program.num_args(1..).trailing_var_arg(true),
            option("name", language.value_name(), language.help_name()),
            option("cpus", language.value_amount(), language.help_start_cpus())
                .value_parser(values::cpus(language)),
            option("memory", language.value_amount(), language.help_memory())
                .value_parser(values::size(language)),
        ])
        .args(jobs::program(language))
        .arg(timeout(language))
}

pub(super) fn stop(language: Language) -> Command {
    let target = targets(language.value_stop_target(), language.help_stop_target());
    let grace = option(
        "grace",
        language.value_duration(),
        language.help_stop_grace(),
    );
    leaf("stop", language.about_stop())
        .aliases(["detener", "kill"])
        .before_help(examples(
            language,
            &["flota stop 7", "flota stop n1/4711 --force --grace 30s"],
        ))
        .args([
            target.value_parser(values::target(language)),
            grace.value_parser(values::duration_at_most(language, GRACE_MAX)),
            force(language),
            timeout(language),
        ])
}

pub(super) fn signal(language: Language) -> Command {
    let signal = argument("signal", language.value_signal(), language.help_signal());
    let target = targets(language.value_process(), language.help_process());
    leaf("signal", language.about_signal())
        .alias("señal")
        .before_help(examples(language, &["flota signal HUP n1/4711 --force"]))
        .args([
            signal.value_parser(values::signal(language)),
            target.value_parser(values::process(language)),
            force(language),
            timeout(language),
        ])
}

fn targets(value: String, help: String) -> Arg {
    argument("target", value, help).num_args(1..)
}

fn force(language: Language) -> Arg {
    flag("force", language.help_force())
}
