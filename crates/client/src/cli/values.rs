//! Values of options: text to value, with the reason in the language of the person.

use std::time::Duration;

use flota_model::{
    execution::{Bound, IoPriority, ResourceLimit},
    ids::TaskIndex,
    process::ProcessHandle,
    rules::{MaxFails, RetryCause},
    spec::{OnDisconnect, TASKS_PER_JOB_MAX, TaskRange},
    units::{Bytes, Cpus, Timestamp},
};
use flota_wire::{instant, quantity, spec};
use regex::bytes::{Regex, RegexBuilder};

use super::stop::Target;
use crate::{catalogue::Language, client::ProcessName, clock};

/// Most memory of a compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
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

/// An instant, or a span from now.
pub(super) fn instant(language: Language) -> impl Fn(&str) -> Result<Timestamp, String> + Clone {
    move |text| {
        if let Ok(span) = quantity::parse_duration(text) {
            let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
            return Ok(Timestamp(clock::wall().0.saturating_add(span)));
        }
        instant::parse(text).ok_or_else(|| language.why_not_an_instant())
    }
}

/// A number of tasks, or a share of them.
pub(super) fn max_fails(language: Language) -> impl Fn(&str) -> Result<MaxFails, String> + Clone {
    move |text| spec::parse_max_fails(text).ok_or_else(|| language.why_not_max_fails())
}

/// A cause of a retry.
pub(super) fn cause(language: Language) -> impl Fn(&str) -> Result<RetryCause, String> + Clone {
    move |text| spec::parse_cause(text).ok_or_else(|| language.why_not_a_cause())
}

/// One index, or a range of them, as written.
pub(super) fn indexes(language: Language) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) if first <= last => Ok(text.to_owned()),
            _ => Err(language.why_not_indexes()),
        }
    }
}

/// The number of a job, `last`, or the name of a service.
pub(super) fn job_or_service(
    language: Language,
) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| match text.chars().next() {
        None => Err(language.why_not_a_job()),
        Some('0'..='9') if text.parse::<u64>().is_err() => Err(language.why_not_a_job()),
        Some(_) => Ok(text.to_owned()),
    }
}

pub(super) fn duration(language: Language) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| quantity::parse_duration(text).map_err(|_| language.why_not_a_duration())
}

/// A Unix time in microseconds, from a span before now or a date in UTC.
pub(super) fn time(language: Language) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        if let Ok(span) = quantity::parse_duration(text) {
            let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
            return Ok(clock::wall().0.saturating_sub(span));
        }
        utc_micros(text).ok_or_else(|| language.why_not_a_time())
    }
}

/// `YYYY-MM-DD`, with `THH:MM` or `THH:MM:SS` or a blank instead of the `T`, and `Z` or nothing.
fn utc_micros(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let numbers = |text: &str, separator| -> Option<Vec<u64>> {
        let is_plain = |part: &str| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_digit());
        let parts = text.split(separator);
        parts
            .map(|part| is_plain(part).then(|| part.parse().ok())?)
            .collect()
    };
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let mut clock = numbers(clock, ':')?;
    if clock.len() == 2 {
        clock.push(0);
    }
    let [hour, minute, second] = clock.try_into().ok()?;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_of = |month| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_valid {
        return None;
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let days = years + (1..month).map(days_of).sum::<u64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
}

/// A regular expression for lines, whatever their bytes are.
pub(super) fn pattern(language: Language) -> impl Fn(&str) -> Result<Regex, String> + Clone {
    move |text| {
        let built = RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        built.map_err(|_| language.why_not_a_pattern())
    }
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

/// A whole number that may be below zero.
pub(super) fn signed(
    language: Language,
    first: i16,
    last: i16,
) -> impl Fn(&str) -> Result<i16, String> + Clone {
    move |text| {
        let parsed = text.parse::<i16>().ok();
        let within = parsed.filter(|number| (first..=last).contains(number));
        within.ok_or_else(|| language.why_not_a_number(first, last))
    }
}

pub(super) fn umask(language: Language) -> impl Fn(&str) -> Result<u16, String> + Clone {
    move |text| spec::parse_umask(text).ok_or_else(|| language.why_not_a_mask())
}

pub(super) fn io_priority(
    language: Language,
) -> impl Fn(&str) -> Result<IoPriority, String> + Clone {
    move |text| spec::parse_io_priority(text).ok_or_else(|| language.why_not_an_io_priority())
}

pub(super) fn resource_limit(
    language: Language,
) -> impl Fn(&str) -> Result<(ResourceLimit, Bound), String> + Clone {
    move |text| {
        let parsed = text.split_once('=').and_then(|(name, bound)| {
            let limit = ResourceLimit::of_word(name)?;
            Some((limit, spec::parse_bound(bound)?))
        });
        let known = ResourceLimit::ALL.map(ResourceLimit::word).join(", ");
        parsed.ok_or_else(|| language.why_not_a_limit(known))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_utc() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1970-01-02T00:01", 86_460),
            ("2000-02-29 12:00:00", 951_825_600),
            ("2026-05-01T12:30:15Z", 1_777_638_615),
        ] {
            assert_eq!(utc_micros(text), Some(seconds * 1_000_000), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "1969-12-31",
            "2001-02-29",
            "2026-13-01",
            "2026-05-01T24:00",
            "2026-05-01T1:30",
            "2026-05",
            "+026-05-01",
        ] {
            assert_eq!(utc_micros(text), None, "{text}");
        }
    }
}
