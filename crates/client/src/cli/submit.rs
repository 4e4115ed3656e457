//! `flota submit`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use clap::ArgMatches;
use flota_model::{
    rules::{MaxFails, RetryCause},
    spec::{
        JobSpec, KernelCall, OnDisconnect, Priority, Program, Retry, SPEC_LENGTH_MAX, TaskRange,
        Work,
    },
    units::{Bytes, Cpus, Timestamp},
};
use flota_wire::{
    rest::Submitted,
    spec::{self, Job, Notation},
};
use serde_json::json;

use self::sweep::Words;
use super::{Session, execution, wait};
use crate::{
    catalogue::Language,
    exit::Exit,
    failure::Failure,
    render::{Details, Field, Format, print_json},
};

mod cluster;
pub(super) mod input;
mod script;
mod sweep;

/// Bytes of randomness in a key: no two submissions of the world share one.
const KEY_BYTES: usize = 16;
/// How often a submission without an answer is made again.
const TRIES: usize = 3;
/// The most a job's name may have.
const NAME_LENGTH_MAX: usize = flota_model::spec::NAME_LENGTH_MAX;

pub(super) async fn submit(
    session: &mut Session<'_>,
    matches: &ArgMatches,
) -> Result<Exit, Failure> {
    let language = session.language();
    let jobs = jobs(language, matches, session.options.current_folder.as_deref())?;
    let key = match matches.get_one::<String>("idempotency-key") {
        Some(key) => key.clone(),
        None => random_key(language)?,
    };
    let [job] = &jobs[..] else {
        return submit_all(session, &jobs, &key, matches.get_flag("wait")).await;
    };
    let submitted = send(session, job, &key).await?;
    if !matches.get_flag("wait") {
        announce(session, &submitted)?;
        return Ok(Exit::Ok);
    }
    let text = language.submitted(submitted.job);
    session.screen.mention(&text);
    let finished = wait::wait(session, submitted.job, None).await?;
    match session.screen.format() {
        Format::Json | Format::JsonLines => print_json(session.screen, &finished)?,
        Format::Name => session.screen.print_line(&submitted.job.to_string())?,
        Format::Table | Format::Csv => {}
    }
    wait::verdict(session, &finished).await
}

/// Several jobs of one file, in their order; each has a key of its own, so that the whole command may be
/// repeated.
async fn submit_all(
    session: &mut Session<'_>,
    jobs: &[Job],
    key: &str,
    is_waited_for: bool,
) -> Result<Exit, Failure> {
    let mut all = Vec::with_capacity(jobs.len());
    for (number, job) in (1..).zip(jobs) {
        let submitted = send(session, job, &format!("{key}.{number}")).await?;
        announce(session, &submitted)?;
        all.push(submitted.job);
    }
    let mut exit = Exit::Ok;
    if is_waited_for {
        for job in all {
            let finished = wait::wait(session, job, None).await?;
            let one = wait::verdict(session, &finished).await?;
            if exit == Exit::Ok {
                exit = one;
            }
        }
    }
    Ok(exit)
}

/// Sends it again when no answer came: the key makes that safe.
pub(super) async fn send(
    session: &mut Session<'_>,
    job: &Job,
    key: &str,
) -> Result<Submitted, Failure> {
    let mut tries = 1;
    loop {
        let fault = match session.client().await?.submit_job(job, key).await {
            Ok(submitted) => return Ok(submitted),
            Err(fault) => fault,
        };
        if !fault.may_pass() {
            return Err(session.failure(&fault));
        }
        if tries == TRIES {
            let hint = session.language().hint_submit_again(key);
            return Err(session.failure(&fault).hint(hint));
        }
        tries += 1;
    }
}

fn announce(session: &mut Session<'_>, submitted: &Submitted) -> Result<(), Failure> {
    let language = session.language();
    if session.screen.format() == Format::Table {
        let text = if submitted.existing {
            language.submitted_before(submitted.job)
        } else {
            language.submitted(submitted.job)
        };
        session.screen.print_line(&text)?;
        session
            .screen
            .mention(&language.submitted_next(submitted.job));
        return Ok(());
    }
    let fields = vec![
        Field::number("job", language.header_job(), |item: &Submitted| {
            item.job.to_string()
        }),
        Field::text("existing", String::new(), |item: &Submitted| {
            item.existing.to_string()
        }),
    ];
    Details {
        item: submitted,
        fields,
        name: |item| item.job.to_string(),
    }
    .print(session.screen)
}

pub(super) fn random_key(language: Language) -> Result<String, Failure> {
    let mut bytes = [0_u8; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|source| {
        Failure::new(
            "E-RANDOM-UNAVAILABLE",
            Exit::Failed,
            language.error_random(),
        )
        .because(source.to_string())
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// The jobs that the command line describes: one, but for the CSV of an older cluster.
pub(super) fn jobs(
    language: Language,
    matches: &ArgMatches,
    current_folder: Option<&Path>,
) -> Result<Vec<Job>, Failure> {
    let words = Words::of(matches);
    let script = match words.argv.first() {
        Some(program) => script::options(language, program)?,
        None => None,
    };
    // What the script says comes first, so that the command line has the last word.
    let layers: Vec<&ArgMatches> = script.iter().chain([matches]).collect();
    let mut jobs = base(language, matches, &words.argv)?;
    for job in &mut jobs {
        for matches in &layers {
            apply_shape(&mut job.spec, matches);
            apply_policy(&mut job.spec, matches);
            apply_rules(&mut job.spec, matches);
        }
        apply_work(
            language,
            &mut job.spec,
            &layers,
            &words.argv,
            current_folder,
        )?;
        sweep::apply(language, job, &layers, &words)?;
        spec::check_with(&job.spec, job.rows.as_ref())
            .map_err(|faults| Failure::of_spec(language.error_command_spec_invalid(), faults))?;
    }
    Ok(jobs)
}

/// The job that the command line describes, for lines that are not known yet: as JSON.
pub(super) fn template(
    language: Language,
    matches: &ArgMatches,
    current_folder: Option<&Path>,
) -> Result<serde_json::Value, Failure> {
    let words = Words::of(matches);
    let mut jobs = base(language, matches, &words.argv)?;
    let mut job = jobs.remove(0);
    apply_shape(&mut job.spec, matches);
    apply_policy(&mut job.spec, matches);
    apply_rules(&mut job.spec, matches);
    apply_work(
        language,
        &mut job.spec,
        &[matches],
        &words.argv,
        current_folder,
    )?;
    Ok(spec::to_value(&job.spec))
}

/// The job before the other options: of the file, or of the program or kernel with all defaults.
fn base(language: Language, matches: &ArgMatches, argv: &[String]) -> Result<Vec<Job>, Failure> {
    if let Some(path) = matches.get_one::<String>("file") {
        return from_file(language, path);
    }
    let body = match (argv.first(), matches.get_one::<String>("kernel")) {
        (Some(program), _) => json!({"name": name_of(program), "program": {"argv": argv}}),
        (None, Some(kernel)) => json!({"name": name_of(kernel), "kernel": {"name": kernel}}),
        (None, None) => {
            let failure = Failure::usage(language.error_nothing_to_run());
            return Err(failure.hint(language.hint_nothing_to_run()));
        }
    };
    let job = spec::read_job(&body.to_string(), Notation::Json)
        .map_err(|faults| Failure::of_spec(language.error_command_spec_invalid(), faults))?;
    Ok(vec![job])
}

/// A job needs a name: that of its program, without what a name cannot have.
pub(super) fn name_of(program: &str) -> String {
    let file = program.rsplit('/').next().unwrap_or_default();
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let kept: String = file.chars().filter(|letter| allowed(*letter)).collect();
    let name = kept.trim_start_matches(['.', '_', '-']);
    match name.get(..NAME_LENGTH_MAX).unwrap_or(name) {
        "" => "job".to_owned(),
        name => name.to_owned(),
    }
}

fn from_file(language: Language, path: &str) -> Result<Vec<Job>, Failure> {
    let bytes = input::read(language, path, SPEC_LENGTH_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let what = language.error_spec_invalid(path);
        Failure::new("E-SPEC-INVALID", Exit::Usage, what).because("UTF-8")
    })?;
    if cluster::is_cluster(&text) {
        return cluster::jobs(language, path, &text);
    }
    let parsed = spec::read_job(&text, Notation::of(path, &text));
    let job = parsed.map_err(|faults| Failure::of_spec(language.error_spec_invalid(path), faults));
    Ok(vec![job?])
}

fn apply_shape(spec: &mut JobSpec, matches: &ArgMatches) {
    if let Ok(Some(range)) = matches.try_get_one::<TaskRange>("array") {
        spec.tasks = *range;
    }
    if let Some(name) = matches.get_one::<String>("name") {
        spec.name.clone_from(name);
    }
    if let Some(priority) = matches.get_one::<u32>("priority") {
        spec.priority = Priority(u8::try_from(*priority).expect("the parser takes 1 to 3"));
    }
    if let Some(cpus) = matches.get_one::<Cpus>("cpus") {
        spec.resources.cpus = *cpus;
    }
    if let Some(memory) = matches.get_one::<Bytes>("memory") {
        spec.resources.memory = *memory;
    }
    if let Some(node) = matches.get_one::<String>("node") {
        spec.constraints.node = Some(node.clone());
    }
    spec.constraints.labels.extend(pairs(matches, "label"));
}

fn apply_policy(spec: &mut JobSpec, matches: &ArgMatches) {
    if let Some(timeout) = matches.get_one::<Duration>("timeout") {
        spec.timeout = Some(*timeout);
    }
    if let Some(grace) = matches.get_one::<Duration>("grace") {
        spec.grace = *grace;
    }
    if let Some(policy) = matches.get_one::<OnDisconnect>("on-disconnect") {
        spec.on_disconnect = *policy;
    }
    if matches.get_flag("retry-never") {
        spec.retry = Retry::Never;
    }
    let asked = matches.get_one::<u32>("retries");
    let waited = matches.get_one::<Duration>("backoff");
    if asked.is_none() && waited.is_none() {
        return;
    }
    if spec.retry == Retry::Never {
        spec.retry = Retry::default();
    }
    if let Retry::Limited {
        retries,
        backoff,
        backoff_max,
    } = &mut spec.retry
    {
        if let Some(asked) = asked {
            *retries = u16::try_from(*asked).expect("the parser takes at most RETRIES_MAX");
        }
        if let Some(waited) = waited {
            *backoff = *waited;
            *backoff_max = (*backoff_max).max(*waited);
        }
    }
}

fn apply_rules(spec: &mut JobSpec, matches: &ArgMatches) {
    let rules = &mut spec.rules;
    if let Some(timeout) = matches.get_one::<Duration>("job-timeout") {
        rules.timeout = Some(*timeout);
    }
    if let Some(deadline) = matches.get_one::<Timestamp>("deadline") {
        rules.deadline = Some(*deadline);
    }
    if let Some(most) = matches.get_one::<MaxFails>("max-fails") {
        rules.max_fails = Some(*most);
    }
    rules.paused |= matches.get_flag("paused");
    for (id, causes) in [
        ("retry-on", &mut rules.retry_on),
        ("retry-not-on", &mut rules.retry_not_on),
    ] {
        if let Some(given) = matches.get_many::<RetryCause>(id) {
            *causes = given.copied().collect();
            // In the normal form they are in order, each once.
            causes.sort_unstable();
            causes.dedup();
        }
    }
}

fn apply_work(
    language: Language,
    spec: &mut JobSpec,
    layers: &[&ArgMatches],
    argv: &[String],
    current_folder: Option<&Path>,
) -> Result<(), Failure> {
    let kernel = layers
        .iter()
        .find_map(|matches| matches.get_one::<String>("kernel"));
    if let Some(kernel) = kernel {
        if !argv.is_empty() {
            let program = format!("`{}`", language.value_program());
            return Err(Failure::usage(language.usage_conflict("--kernel", program))
                .hint(language.usage_see_help("flota submit")));
        }
        spec.work = Work::Kernel(KernelCall {
            name: kernel.clone(),
            ..KernelCall::default()
        });
    }
    if !argv.is_empty() {
        spec.work = Work::Program(Program {
            argv: argv.to_vec(),
            ..Program::default()
        });
    }
    for matches in layers {
        match &mut spec.work {
            Work::Kernel(call) => {
                let of_programs = ["env", "cwd", "stdin"];
                let is_of_program = of_programs.into_iter().any(|id| matches.contains_id(id));
                if is_of_program || execution::is_given(matches) {
                    return Err(Failure::usage(language.error_program_option_with_kernel()));
                }
                call.parameters.extend(pairs(matches, "param"));
            }
            Work::Program(program) => {
                if matches.contains_id("param") {
                    return Err(Failure::usage(language.error_parameter_without_kernel()));
                }
                apply_program(program, matches, current_folder);
            }
        }
    }
    Ok(())
}

pub(super) fn apply_program(
    program: &mut Program,
    matches: &ArgMatches,
    current_folder: Option<&Path>,
) {
    program.environment.extend(pairs(matches, "env"));
    execution::apply(&mut program.execution, matches);
    if let Some(stdin) = matches.get_one::<String>("stdin") {
        program.stdin = Some(absolute(stdin, current_folder));
    }
    if let Some(folder) = matches.get_one::<String>("cwd") {
        program.working_directory = Some(absolute(folder, current_folder));
    }
    // `./sim` has no meaning but from where the person stands.
    let relative = program
        .argv
        .first()
        .is_some_and(|name| name.contains('/') && !name.starts_with('/'));
    if relative && program.working_directory.is_none() {
        let folder = current_folder.and_then(Path::to_str);
        program.working_directory = folder.map(escape_braces);
    }
}

/// From where the person stands, if it is relative.
fn absolute(path: &str, current_folder: Option<&Path>) -> String {
    let folder = current_folder.and_then(Path::to_str);
    match folder {
        Some(folder) if !path.starts_with('/') && !path.starts_with('{') => {
            format!("{}/{path}", escape_braces(folder).trim_end_matches('/'))
        }
        _ => path.to_owned(),
    }
}

/// In a spec, `{` begins a placeholder.
fn escape_braces(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

pub(super) fn pairs(matches: &ArgMatches, id: &str) -> BTreeMap<String, String> {
    matches
        .get_many::<(String, String)>(id)
        .unwrap_or_default()
        .cloned()
        .collect()
}
