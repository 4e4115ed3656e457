//! The commands about processes.

use std::time::Duration;

use clap::{Arg, Command};
use flota_model::process::GRACE_MAX;

use super::{
    build::{argument, flag, group, leaf, option},
    examples, execution, jobs, timeout,
};
use crate::{catalogue::Language, cli::values};

/// What a list can be sorted by; the last three words are for groups.
const ORDERS: [&str; 17] = [
    "node",
    "pid",
    "parent",
    "name",
    "command",
    "user",
    "state",
    "cgroup",
    "job",
    "cpu",
    "machine",
    "memory",
    "time",
    "threads",
    "started",
    "group",
    "processes",
];
/// What groups have in common.
const GROUPS: [&str; 5] = ["name", "user", "cgroup", "job", "node"];

/// Highest share of a core that can be asked for, in percent.
const CPU_PERCENT_MAX: u32 = 100_000;

/// Longest time between two looks of a watcher.
const WATCH_MAX: Duration = Duration::from_mins(1);

pub(super) fn list(language: Language) -> Command {
    let nodes = argument("nodes", language.value_node(), language.help_ps_nodes());
    let job = option("job", language.value_job(), language.help_ps_job());
    let percent = option(
        "cpu-min",
        language.value_percent(),
        language.help_ps_cpu_min(),
    );
    let memory = option(
        "memory-min",
        language.value_amount(),
        language.help_ps_memory_min(),
    );
    let tick = option("watch", language.value_duration(), language.help_ps_watch());
    let by = option("group", language.value_key(), language.help_ps_group());
    let sort = option("sort", language.value_order(), language.help_ps_sort());
    leaf("ps", language.about_ps())
        .alias("procesos")
        .before_help(examples(
            language,
            &[
                "flota ps n1 n2 --sort memory -n 20",
                "flota ps --managed",
                "flota ps --user ana --name python -o json",
                "flota ps --tree n1",
                "flota ps --sort cpu --watch",
                "flota ps --group name --sort memory",
            ],
        ))
        .args([
            nodes.required(false).num_args(0..),
            option("name", language.value_text(), language.help_ps_name()),
            option("regex", language.value_pattern(), language.help_ps_regex()),
            option("user", language.value_user(), language.help_ps_user()),
            option("state", language.value_letters(), language.help_ps_state()),
            percent.value_parser(values::number(language, 0, CPU_PERCENT_MAX)),
            memory.value_parser(values::size(language)),
            job.value_parser(clap::value_parser!(u64)),
            flag("managed", language.help_ps_managed()),
            flag("all", language.help_ps_all()).short('a'),
            sort.value_parser(ORDERS),
            by.value_parser(GROUPS),
            flag("tree", language.help_ps_tree()).conflicts_with("group"),
            tick.value_parser(values::duration_at_most(language, WATCH_MAX))
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("1s")
                .conflicts_with_all(["group", "tree"]),
            jobs::limit(language),
            timeout(language),
        ])
}

pub(super) fn process(language: Language) -> Command {
    let name = argument(
        "process",
        language.value_process(),
        language.help_show_process(),
    );
    let show = leaf("show", language.about_process_show())
        .aliases(["describe", "inspect"])
        .alias("mostrar")
        .before_help(examples(
            language,
            &[
                "flota process show n1/4711",
                "flota process show n1/4711 -o json",
            ],
        ))
        .args([
            name.value_parser(values::process(language)),
            flag("environment", language.help_show_environment()),
            timeout(language),
        ]);
    group("process", language.about_process())
        .alias("proceso")
        .subcommand(show)
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
        .args(execution::arguments(language))
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
            &["flota stop 7", "flota stop n1/4711 --force-pid --grace 30s"],
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
        .before_help(examples(
            language,
            &["flota signal HUP n1/4711 --force-pid"],
        ))
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
    flag("force-pid", language.help_force()).alias("force")
}
