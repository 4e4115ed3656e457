//! The commands that become a server, an agent, or both.

use clap::{Arg, Command};

use super::{
    build::{argument, flag, leaf, option, options},
    examples,
};
use crate::{catalogue::Language, cli::values};

/// Most agents of `dev`: each is a process with a keeper of its own.
const NODES_MAX: u32 = 64;

pub(super) fn server(language: Language) -> Command {
    let lines = ["flota server", "flota server --listen 127.0.0.1:7071"];
    leaf("server", language.about_server())
        .before_help(examples(language, &lines))
        .args([
            listen(language),
            data(language, language.help_data()),
            option(
                "hpc-listen",
                language.value_address(),
                language.help_hpc_listen(),
            ),
            option(
                "jobs-dir",
                language.value_folder(),
                language.help_jobs_dir(),
            ),
            option("job-file", language.value_file(), language.help_job_file()),
        ])
}

pub(super) fn agent(language: Language) -> Command {
    let amount = |name, help| option(name, language.value_amount(), help);
    let lines = ["flota agent --server http://127.0.0.1:7070 -l gpu=yes"];
    leaf("agent", language.about_agent())
        .before_help(examples(language, &lines))
        .args([
            option("name", language.value_name(), language.help_agent_name()),
            data(language, language.help_data()),
            option(
                "policy",
                language.value_file(),
                language.help_agent_policy(),
            ),
            cgroup(language),
            amount("cpus", language.help_agent_cpus()),
            amount("memory", language.help_agent_memory()),
            label(language),
            options(
                "line-listen",
                language.value_line_listener(),
                language.help_line_listen(),
            ),
            option(
                "slave-listen",
                language.value_address(),
                language.help_slave_listen(),
            ),
            option(
                "memory-listen",
                language.value_address(),
                language.help_memory_listen(),
            ),
        ])
        .args_conflicts_with_subcommands(true)
        .subcommand(agent_stop(language))
}

pub(super) fn cgroup(language: Language) -> Arg {
    let help = language.help_agent_cgroup();
    option("cgroup", language.value_cgroup(), help)
}

fn agent_stop(language: Language) -> Command {
    leaf("stop", language.about_agent_stop())
        .before_help(examples(language, &["flota agent stop --all"]))
        .args([
            flag("all", language.help_stop_all()),
            data(language, language.help_data()),
        ])
}

pub(super) fn dev(language: Language) -> Command {
    let count = values::number(language, 1, NODES_MAX);
    let nodes = option("nodes", language.value_count(), language.help_dev_nodes());
    leaf("dev", language.about_dev())
        .before_help(examples(
            language,
            &["flota dev", "flota dev --nodes 5 --reset"],
        ))
        .args([
            nodes.value_parser(count),
            data(language, language.help_dev_data()),
            flag("reset", language.help_dev_reset()),
            flag("compat", language.help_dev_compat()),
            listen(language),
        ])
}

/// What `bench` can measure; `all` is every one of them.
const BENCHES: [&str; 9] = [
    "list", "noop", "exec", "latency", "cores", "agent", "service", "depth", "all",
];

pub(super) fn bench(language: Language) -> Command {
    let count = values::number(language, 1, NODES_MAX);
    let agents = option(
        "agents",
        language.value_count(),
        language.help_bench_agents(),
    );
    let name = argument("bench", language.value_bench(), language.help_bench());
    let lines = ["flota bench noop", "flota bench all -o json"];
    leaf("bench", language.about_bench())
        .before_help(examples(language, &lines))
        .args([
            name.value_parser(BENCHES),
            agents.value_parser(count),
            data(language, language.help_bench_data()),
        ])
}

fn data(language: Language, help: String) -> Arg {
    option("data", language.value_folder(), help)
}

fn listen(language: Language) -> Arg {
    option("listen", language.value_address(), language.help_listen())
}

fn label(language: Language) -> Arg {
    let help = language.help_agent_label();
    options("label", language.value_key_value(), help).short('l')
}
