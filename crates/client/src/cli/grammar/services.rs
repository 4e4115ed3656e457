//! The commands about services.

use clap::{Arg, Command};
use flota_model::service::REPLICAS_MAX;

use super::{
    LIST_ALIASES,
    build::{argument, flag, group, leaf, option, options},
    examples, execution, jobs, timeout,
};
use crate::{catalogue::Language, cli::values};

pub(super) fn service(language: Language) -> Command {
    group("service", language.about_service())
        .alias("servicio")
        .before_help(examples(
            language,
            &[
                "flota service run web --replicas 2 --http :8080/ready -- ./web",
                "flota service apply services.toml --wait",
                "flota service ls",
                "flota service scale web 5",
            ],
        ))
        .subcommands([
            apply(language),
            run(language),
            leaf("ls", language.about_service_ls())
                .aliases(LIST_ALIASES)
                .arg(timeout(language)),
            leaf("show", language.about_service_show())
                .aliases(["describe", "inspect", "mostrar"])
                .args([name(language), timeout(language)]),
            scale(language),
            order(language, "restart", language.about_service_restart())
                .alias("reiniciar")
                .before_help(examples(
                    language,
                    &["flota service restart web --at-a-time 2 --wait"],
                ))
                .arg(at_a_time(language)),
            leaf("history", language.about_service_history())
                .alias("historial")
                .args([name(language), timeout(language)]),
            rollback(language),
            order(language, "stop", language.about_service_stop()).alias("detener"),
            order(language, "start", language.about_service_start()).alias("iniciar"),
            leaf("rm", language.about_service_rm())
                .aliases(["remove", "delete", "borrar"])
                .args([name(language), timeout(language)]),
        ])
}

fn name(language: Language) -> Arg {
    argument("service", language.value_service(), language.help_service())
}

fn waiting(language: Language) -> [Arg; 2] {
    let limit = option(
        "wait-timeout",
        language.value_duration(),
        language.help_service_wait_timeout(),
    );
    [
        flag("wait", language.help_service_wait()),
        limit
            .value_parser(values::duration(language))
            .requires("wait"),
    ]
}

fn order(language: Language, word: &'static str, about: String) -> Command {
    leaf(word, about)
        .arg(name(language))
        .args(waiting(language))
        .arg(timeout(language))
}

fn at_a_time(language: Language) -> Arg {
    option(
        "at-a-time",
        language.value_count(),
        language.help_service_at_a_time(),
    )
    .value_parser(values::number(language, 1, REPLICAS_MAX))
}

fn rollback(language: Language) -> Command {
    let to = option("to", language.value_revision(), language.help_service_to());
    order(language, "rollback", language.about_service_rollback())
        .aliases(["undo", "revertir"])
        .before_help(examples(
            language,
            &[
                "flota service rollback web --wait",
                "flota service rollback web --to 17",
            ],
        ))
        .args([
            to.value_parser(clap::value_parser!(u64)),
            at_a_time(language),
        ])
}

fn scale(language: Language) -> Command {
    let replicas = argument(
        "replicas",
        language.value_count(),
        language.help_service_replicas(),
    );
    leaf("scale", language.about_service_scale())
        .alias("escalar")
        .before_help(examples(language, &["flota service scale web 3 --wait"]))
        .args([
            name(language),
            replicas.value_parser(values::number(language, 0, REPLICAS_MAX)),
        ])
        .args(waiting(language))
        .arg(timeout(language))
}

fn apply(language: Language) -> Command {
    leaf("apply", language.about_service_apply())
        .alias("aplicar")
        .before_help(examples(
            language,
            &[
                "flota service apply services.toml",
                "flota service apply services.yaml --wait",
            ],
        ))
        .arg(argument(
            "file",
            language.value_file(),
            language.help_service_file(),
        ))
        .arg(at_a_time(language))
        .args(waiting(language))
        .arg(timeout(language))
}

fn run(language: Language) -> Command {
    let program = argument("program", language.value_program(), language.help_program());
    leaf("run", language.about_service_run())
        .alias("ejecutar")
        .before_help(examples(
            language,
            &[
                "flota service run beat -- ping -i 60 gateway",
                "flota service run web -r 3 --restart always --http :8080/ready -- ./web",
            ],
        ))
        .args([name(language), program.num_args(1..).trailing_var_arg(true)])
        .args(jobs::program(language))
        .args(execution::arguments(language))
        .args(shape(language))
        .args(health(language))
        .arg(at_a_time(language))
        .args(waiting(language))
        .arg(timeout(language))
}

/// How many, how large, and where.
fn shape(language: Language) -> [Arg; 7] {
    [
        options("env-file", language.value_file(), language.help_env_file()),
        option(
            "replicas",
            language.value_count(),
            language.help_service_replicas(),
        )
        .short('r')
        .value_parser(values::number(language, 1, REPLICAS_MAX)),
        option(
            "cpus",
            language.value_amount(),
            language.help_service_cpus(),
        )
        .value_parser(values::cpus(language)),
        option("memory", language.value_amount(), language.help_memory())
            .value_parser(values::size(language)),
        option("node", language.value_node(), language.help_submit_node()),
        options("label", language.value_key_value(), language.help_label())
            .short('l')
            .value_parser(values::pair(language)),
        flag("one-per-node", language.help_one_per_node()),
    ]
}

/// How it is kept up, and when it is ready.
fn health(language: Language) -> [Arg; 6] {
    let policies = ["never", "on-failure", "always", "unless-stopped"];
    [
        option("restart", language.value_policy(), language.help_restart()).value_parser(policies),
        option("http", language.value_address(), language.help_ready_http()).conflicts_with("tcp"),
        option("tcp", language.value_address(), language.help_ready_tcp()),
        option(
            "stop-signal",
            language.value_signal(),
            language.help_stop_signal(),
        )
        .value_parser(values::signal(language)),
        option("grace", language.value_duration(), language.help_grace())
            .value_parser(values::duration(language)),
        options(
            "depends-on",
            language.value_service(),
            language.help_depends_on(),
        ),
    ]
}
