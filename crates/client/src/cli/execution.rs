//! As whom and within which limits a program runs: options into a spec.

use clap::{ArgMatches, parser::ValueSource};
use flota_model::{
    execution::{Bound, Execution, IoPriority, ResourceLimit},
    units::{Bytes, Cpus},
};

pub(super) use super::grammar::execution::IDS;

/// Whether a person gave one of the options of programs.
pub(super) fn is_given(matches: &ArgMatches) -> bool {
    let given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    IDS.iter().any(given)
}

/// Puts what was given into the settings of a program, over what is there.
pub(super) fn apply(execution: &mut Execution, matches: &ArgMatches) {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    replace(&mut execution.user, text("program-user"));
    replace(&mut execution.group, text("group"));
    let groups = matches.get_many::<String>("groups");
    replace(
        &mut execution.groups,
        groups.map(|groups| groups.cloned().collect()),
    );
    replace(
        &mut execution.umask,
        matches.get_one::<u16>("umask").copied(),
    );
    let nice = matches.get_one::<i16>("nice");
    let nice = nice.map(|nice| i8::try_from(*nice).expect("the parser takes -20 to 19"));
    replace(&mut execution.nice, nice);
    let priority = matches.get_one::<IoPriority>("ioprio").copied();
    replace(&mut execution.io_priority, priority);
    let limits = matches.get_many::<(ResourceLimit, Bound)>("rlimit");
    execution
        .resource_limits
        .extend(limits.unwrap_or_default().copied());
    let adjust = matches.get_one::<i16>("oom-score-adj").copied();
    replace(&mut execution.oom_score_adjust, adjust);
    execution.new_privileges |= matches.get_flag("new-privileges");
    apply_limits(execution, matches);
}

fn apply_limits(execution: &mut Execution, matches: &ArgMatches) {
    let limits = &mut execution.limits;
    let size = |id: &str| matches.get_one::<Bytes>(id).copied();
    replace(&mut limits.memory, size("memory-max"));
    replace(&mut limits.swap, size("swap-max"));
    replace(
        &mut limits.pids,
        matches.get_one::<u32>("pids-max").copied(),
    );
    replace(
        &mut limits.cpus,
        matches.get_one::<Cpus>("cpu-quota").copied(),
    );
    let weight = |id: &str| {
        let weight = matches.get_one::<u32>(id);
        weight.map(|weight| u16::try_from(*weight).expect("the parser takes at most WEIGHT_MAX"))
    };
    replace(&mut limits.cpu_weight, weight("cpu-weight"));
    replace(&mut limits.io_weight, weight("io-weight"));
    limits.best_effort |= matches.get_flag("best-effort");
}

fn replace<T>(target: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *target = given;
    }
}
