//! The commands about jobs.

use clap::{Arg, Command};
use flota_model::{log::LOG_TAIL_MAX, state::TaskState};

use super::{
    LIST_ALIASES,
    build::{argument, flag, group, leaf, option, options},
    examples, execution, timeout,
};
use crate::{catalogue::Language, cli::values};

pub(super) fn job(language: Language) -> Command {
    group("job", language.about_job())
        .before_help(examples(
            language,
            &["flota job ls", "flota job show last", "flota job logs 7 -f"],
        ))
        .subcommands([
            submit(language, "submit"),
            list(language, "ls").aliases(LIST_ALIASES),
            leaf("show", language.about_job_show())
                .aliases(["describe", "inspect"])
                .alias("mostrar")
                .args([
                    job_argument(language),
                    flag("failed", language.help_show_failed()),
                    timeout(language),
                ]),
            tasks(language),
            wait(language),
            leaf("cancel", language.about_job_cancel())
                .alias("cancelar")
                .args([job_argument(language), reason(language), timeout(language)]),
            retry(language),
            dead(language),
            leaf("pause", language.about_job_pause())
                .alias("pausar")
                .args([job_argument(language), reason(language), timeout(language)]),
            leaf("resume", language.about_job_resume())
                .alias("reanudar")
                .args([job_argument(language), timeout(language)]),
            logs(language, language.about_job_logs()),
            results(language),
        ])
}

pub(super) fn list(language: Language, name: &'static str) -> Command {
    let phase = option("phase", language.value_phase(), language.help_job_phase());
    let kind = option("kind", language.value_kind(), language.help_job_kind());
    leaf(name, language.about_job_ls()).args([
        limit(language),
        phase.value_parser(["active", "cancelling", "finished"]),
        kind.value_parser(["batch", "service", "all"]),
        timeout(language),
    ])
}

fn tasks(language: Language) -> Command {
    let state = option("state", language.value_state(), language.help_task_state());
    let states: Vec<&str> = TaskState::ALL.into_iter().map(TaskState::word).collect();
    leaf("tasks", language.about_job_tasks())
        .before_help(examples(language, &["flota job tasks last --state failed"]))
        .args([
            job_argument(language),
            state.value_parser(states),
            limit(language),
            timeout(language),
        ])
}

/// Why something is done.
pub(super) fn reason(language: Language) -> Arg {
    option("reason", language.value_text(), language.help_reason())
}

/// All batch work as a whole.
pub(super) fn queue(language: Language) -> Command {
    group("queue", language.about_queue())
        .before_help(examples(
            language,
            &["flota queue pause --reason maintenance", "flota queue show"],
        ))
        .subcommands([
            leaf("show", language.about_queue_show())
                .alias("mostrar")
                .arg(timeout(language)),
            leaf("pause", language.about_queue_pause())
                .alias("pausar")
                .args([reason(language), timeout(language)]),
            leaf("resume", language.about_queue_resume())
                .alias("reanudar")
                .arg(timeout(language)),
        ])
}

fn retry(language: Language) -> Command {
    leaf("retry", language.about_job_retry())
        .alias("reintentar")
        .before_help(examples(
            language,
            &[
                "flota job retry last --failed-only",
                "flota job retry 7 --task 3 --task 10-20",
            ],
        ))
        .args([
            job_argument(language),
            flag("failed-only", language.help_retry_failed_only()),
            options("task", language.value_range(), language.help_retry_task())
                .value_parser(values::indexes(language)),
            timeout(language),
        ])
}

fn dead(language: Language) -> Command {
    let state = option("state", language.value_state(), language.help_dead_state());
    leaf("dead", language.about_job_dead())
        .before_help(examples(
            language,
            &["flota job dead", "flota job dead --state failed --retry"],
        ))
        .args([
            state.value_parser(["dead", "failed", "unknown"]),
            flag("retry", language.help_dead_retry()),
            limit(language),
            timeout(language),
        ])
}

fn wait(language: Language) -> Command {
    let limit = option(
        "timeout",
        language.value_duration(),
        language.help_wait_timeout(),
    );
    leaf("wait", language.about_job_wait())
        .alias("esperar")
        .before_help(examples(language, &["flota job wait last --timeout 10m"]))
        .args([
            job_argument(language),
            limit.value_parser(values::duration(language)),
        ])
}

/// Also without `job` before it.
pub(super) fn logs(language: Language, about: String) -> Command {
    leaf("logs", about)
        .before_help(examples(
            language,
            &[
                "flota job logs last",
                "flota job logs 7 --task 3 -f",
                "flota logs 7 --since 10m --grep error",
                "flota logs web -f",
            ],
        ))
        .args([
            argument(
                "job",
                language.value_job_or_service(),
                language.help_job_or_service(),
            )
            .value_parser(values::job_or_service(language)),
            task(language),
            option(
                "stream",
                language.value_stream(),
                language.help_logs_stream(),
            )
            .value_parser(["stdout", "stderr", "result", "both"]),
            flag("follow", language.help_logs_follow()).short('f'),
            timeout(language),
        ])
        .args(rotated(language))
}

/// What only rotated logs can be asked.
fn rotated(language: Language) -> [Arg; 7] {
    let time =
        |name, help| option(name, language.value_time(), help).value_parser(values::time(language));
    [
        option("tail", language.value_count(), language.help_logs_tail())
            .short('n')
            .conflicts_with("since")
            .value_parser(values::number(language, 0, LOG_TAIL_MAX)),
        time("since", language.help_logs_since()),
        time("until", language.help_logs_until()),
        option("grep", language.value_pattern(), language.help_logs_grep())
            .value_parser(values::pattern(language)),
        option("run", language.value_count(), language.help_logs_run())
            .value_parser(values::number(language, 1, u32::MAX)),
        flag("stdout", language.help_logs_stdout()).conflicts_with_all(["stream", "stderr"]),
        flag("stderr", language.help_logs_stderr()).conflicts_with("stream"),
    ]
}

fn results(language: Language) -> Command {
    leaf("results", language.about_job_results())
        .before_help(examples(language, &["flota job results last -d out"]))
        .args([
            job_argument(language),
            option(
                "dir",
                language.value_folder(),
                language.help_results_folder(),
            )
            .short('d'),
            task(language),
            timeout(language),
        ])
}

fn job_argument(language: Language) -> Arg {
    argument("job", language.value_job(), language.help_job()).value_parser(values::job(language))
}

fn task(language: Language) -> Arg {
    option("task", language.value_task(), language.help_logs_task()).value_parser(values::number(
        language,
        0,
        u32::MAX,
    ))
}

pub(super) fn limit(language: Language) -> Arg {
    option("limit", language.value_count(), language.help_limit())
        .short('n')
        .value_parser(values::number(language, 1, u32::MAX))
}

/// `submit`, also as `job submit`.
pub(super) fn submit(language: Language, name: &'static str) -> Command {
    leaf(name, language.about_submit())
        .alias("enviar")
        .before_help(examples(
            language,
            &[
                "flota submit --wait -- echo hello",
                "flota submit --array 1-100 --retries 3 -- ./sim {index}",
                "flota submit --kernel noop --array 1-1000000",
                "flota submit --file job.toml --wait",
                "flota submit -- ./sim --mode={1} {2} ::: fast exact ::: 10 100 1000",
                "flota submit --csv runs.csv -- ./sim --mode={mode} {n}",
                "flota submit --each-line urls.txt -- wget -q {line}",
            ],
        ))
        .args(work(language))
        .args(inputs(language))
        .args(shape(language))
        .args(policy(language))
        .args(rules(language))
        .args(program(language))
        .args(execution::arguments(language))
        .args([
            option(
                "idempotency-key",
                language.value_key(),
                language.help_idempotency_key(),
            )
            .value_parser(values::idempotency_key(language)),
            flag("wait", language.help_wait()),
        ])
}

/// The options of a job without those that say what differs between its tasks.
pub(super) fn template(command: Command, language: Language) -> Command {
    command
        .args(work(language))
        .args(shape(language).into_iter().skip(1))
        .args(policy(language))
        .args(program(language))
        .args(execution::arguments(language))
}

/// What runs.
fn work(language: Language) -> [Arg; 4] {
    [
        argument("program", language.value_program(), language.help_program())
            .required(false)
            .num_args(1..)
            .trailing_var_arg(true),
        option("kernel", language.value_name(), language.help_kernel()),
        options(
            "param",
            language.value_key_value(),
            language.help_parameter(),
        )
        .short('p')
        .value_parser(values::pair(language)),
        option("file", language.value_file(), language.help_file()),
    ]
}

/// What differs between the tasks.
fn inputs(language: Language) -> [Arg; 4] {
    let others = |own: &str| {
        let all = ["each-line", "csv", "json-lines"].into_iter();
        all.filter(|name| *name != own).collect::<Vec<&str>>()
    };
    let file =
        |name, help| option(name, language.value_file(), help).conflicts_with_all(others(name));
    [
        options("sweep", language.value_sweep(), language.help_sweep())
            .value_parser(values::pair(language)),
        file("each-line", language.help_each_line()),
        file("csv", language.help_csv()),
        file("json-lines", language.help_json_lines()),
    ]
}

/// How many, how large, and where.
fn shape(language: Language) -> [Arg; 7] {
    [
        option("array", language.value_range(), language.help_array())
            .value_parser(values::range(language)),
        option("name", language.value_name(), language.help_name()),
        option("priority", language.value_count(), language.help_priority())
            .value_parser(values::number(language, 1, 3)),
        option("cpus", language.value_amount(), language.help_cpus())
            .value_parser(values::cpus(language)),
        option("memory", language.value_amount(), language.help_memory())
            .value_parser(values::size(language)),
        option("node", language.value_node(), language.help_submit_node()),
        options("label", language.value_key_value(), language.help_label())
            .short('l')
            .value_parser(values::pair(language)),
    ]
}

/// What happens when it takes too long or fails.
fn policy(language: Language) -> [Arg; 6] {
    let duration = |id, help| {
        option(id, language.value_duration(), help).value_parser(values::duration(language))
    };
    [
        duration("timeout", language.help_submit_timeout()),
        duration("grace", language.help_grace()),
        option("retries", language.value_count(), language.help_retries())
            .value_parser(values::number(
                language,
                0,
                u32::from(flota_model::spec::RETRIES_MAX),
            ))
            .conflicts_with("retry-never"),
        flag("retry-never", language.help_retry_never()),
        duration("backoff", language.help_backoff()).conflicts_with("retry-never"),
        option(
            "on-disconnect",
            language.value_policy(),
            language.help_on_disconnect(),
        )
        .value_parser(values::on_disconnect(language)),
    ]
}

/// What ends the job as a whole, and what holds it back.
fn rules(language: Language) -> [Arg; 6] {
    [
        option(
            "job-timeout",
            language.value_duration(),
            language.help_job_timeout(),
        )
        .value_parser(values::duration(language)),
        option("deadline", language.value_time(), language.help_deadline())
            .value_parser(values::instant(language)),
        option(
            "max-fails",
            language.value_amount(),
            language.help_max_fails(),
        )
        .value_parser(values::max_fails(language)),
        options("retry-on", language.value_cause(), language.help_retry_on())
            .value_parser(values::cause(language))
            .conflicts_with("retry-never"),
        options(
            "retry-not-on",
            language.value_cause(),
            language.help_retry_not_on(),
        )
        .value_parser(values::cause(language))
        .conflicts_with("retry-never"),
        flag("paused", language.help_paused()),
    ]
}

/// What a program finds around it.
pub(super) fn program(language: Language) -> [Arg; 3] {
    [
        options("env", language.value_key_value(), language.help_env())
            .value_parser(values::pair(language)),
        option("cwd", language.value_folder(), language.help_cwd()),
        option("stdin", language.value_path(), language.help_stdin()),
    ]
}
