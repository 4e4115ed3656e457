//! Values of options: text to value, with the reason in the language of the person.

use std::time::Duration;

use flota_model::{
    ids::TaskIndex,
    process::ProcessHandle,
    spec::{OnDisconnect, TASKS_PER_JOB_MAX, TaskRange},
    units::{Bytes, Cpus},
};
use flota_wire::quantity;

use super::stop::Target;
use crate::{catalogue::Language, client::ProcessName};

/// Longest idempotency key that servers take.
const KEY_LENGTH_MAX: usize = 128;

/// The number of a job, or `last`.
pub(super) fn job(language: Language) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| match text {
        "last" => Ok(text.to_owned()),
        _ if text.parse::<u64>().is_ok() => Ok(text.to_owned()),
        _ => Err(language.why_not_a_job()),
    }
}

pub(super) fn duration(language: Language) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| quantity::parse_duration(text).map_err(|_| language.why_not_a_duration())
}

pub(super) fn size(language: Language) -> impl Fn(&str) -> Result<Bytes, String> + Clone {
    move |text| quantity::parse_size(text).map_err(|_| language.why_not_a_size())
}

pub(super) fn cpus(language: Language) -> impl Fn(&str) -> Result<Cpus, String> + Clone {
    move |text| parse_cpus(text).ok_or_else(|| language.why_not_cpus())
}

/// Cores as people write them: a decimal number with at most three decimals.
pub fn parse_cpus(text: &str) -> Option<Cpus> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let thousandths: u32 = format!("{fraction:0<3}").parse().ok()?;
    Some(Cpus(
        whole
            .parse::<u32>()
            .ok()?
            .checked_mul(1000)?
            .checked_add(thousandths)?,
    ))
}

pub(super) fn number(
    language: Language,
    first: u32,
    last: u32,
) -> impl Fn(&str) -> Result<u32, String> + Clone {
    move |text| {
        let parsed = text
            .parse::<u32>()
            .ok()
            .filter(|number| (first..=last).contains(number));
        parsed.ok_or_else(|| language.why_not_a_number(first, last))
    }
}

pub(super) fn pair(
    language: Language,
) -> impl Fn(&str) -> Result<(String, String), String> + Clone {
    move |text| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(language.why_not_a_pair()),
    }
}

pub(super) fn range(language: Language) -> impl Fn(&str) -> Result<TaskRange, String> + Clone {
    move |text| {
        let invalid = || language.why_not_a_range();
        let (first, last) = text.split_once('-').ok_or_else(invalid)?;
        let first: u32 = first.parse().map_err(|_| invalid())?;
        let last: u32 = last.parse().map_err(|_| invalid())?;
        if first > last {
            return Err(language.why_range_reversed(first, last));
        }
        if last - first >= TASKS_PER_JOB_MAX {
            return Err(language.why_range_too_long(TASKS_PER_JOB_MAX));
        }
        Ok(TaskRange {
            first: TaskIndex(first),
            last: TaskIndex(last),
        })
    }
}

pub(super) fn on_disconnect(
    language: Language,
) -> impl Fn(&str) -> Result<OnDisconnect, String> + Clone {
    move |text| match text.split_once(':') {
        None if text == "stop" => Ok(OnDisconnect::Stop),
        None if text == "keep" => Ok(OnDisconnect::default()),
        Some(("keep", span)) => quantity::parse_duration(span)
            .map(|lost_after| OnDisconnect::Keep { lost_after })
            .map_err(|_| language.why_not_a_policy()),
        _ => Err(language.why_not_a_policy()),
    }
}

pub(super) fn idempotency_key(
    language: Language,
) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| {
        let visible = text.bytes().all(|letter| letter.is_ascii_graphic());
        if text.is_empty() || text.len() > KEY_LENGTH_MAX || !visible {
            return Err(language.why_not_a_key(KEY_LENGTH_MAX));
        }
        Ok(text.to_owned())
    }
}

/// A duration that is not longer than `most`.
pub(super) fn duration_at_most(
    language: Language,
    most: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    let parse = duration(language);
    move |text| {
        let span = parse(text)?;
        if span > most {
            return Err(language.why_duration_too_long(quantity::format_duration(most)));
        }
        Ok(span)
    }
}

pub(super) fn signal(language: Language) -> impl Fn(&str) -> Result<u8, String> + Clone {
    move |text| flota_wire::signal::parse(text).ok_or_else(|| language.why_not_a_signal())
}

/// A process by its handle, or as NODE/PID.
pub(super) fn process(language: Language) -> impl Fn(&str) -> Result<Target, String> + Clone {
    move |text| match process_name(text) {
        Some(name) => Ok(Target::Process(name)),
        None => Err(language.why_not_a_process()),
    }
}

/// A process or a job.
pub(super) fn target(language: Language) -> impl Fn(&str) -> Result<Target, String> + Clone {
    let is_job = job(language);
    move |text| match (process_name(text), is_job(text)) {
        (Some(name), _) => Ok(Target::Process(name)),
        (None, Ok(job)) => Ok(Target::Job(job)),
        (None, Err(_)) => Err(language.why_not_a_target()),
    }
}

fn process_name(text: &str) -> Option<ProcessName> {
    if text.parse::<ProcessHandle>().is_ok() {
        return Some(ProcessName::Handle(text.to_owned()));
    }
    let (node, pid) = text.rsplit_once('/')?;
    let is_number = pid.bytes().all(|byte| byte.is_ascii_digit());
    let pid = pid.parse().ok().filter(|pid| is_number && *pid > 0)?;
    let node = (!node.is_empty()).then(|| node.to_owned())?;
    Some(ProcessName::Number { node, pid })
}
