//! What ends a job as a whole, and what holds it back.

use flota_model::{
    rules::{JobRules, MaxFails, RetryCause},
    units::Timestamp,
};

use super::{
    super::{
        fault::{Faults, quoted},
        tree::Tree,
    },
    fields::{Fields, Given},
};
use crate::{instant, signal};

/// Reads the fields of the job itself.
pub(super) fn rules(fields: &mut Fields, faults: &mut Faults) -> JobRules {
    JobRules {
        paused: fields
            .take("paused")
            .and_then(|given| given.truth(faults))
            .unwrap_or(false),
        timeout: fields
            .take("job_timeout")
            .and_then(|given| given.duration(faults)),
        deadline: fields
            .take("deadline")
            .and_then(|given| deadline(given, faults)),
        max_fails: fields
            .take("max_fails")
            .and_then(|given| max_fails(given, faults)),
        ..JobRules::default()
    }
}

fn deadline(given: Given, faults: &mut Faults) -> Option<Timestamp> {
    let path = given.path.clone();
    if let Tree::Whole(_) = given.tree {
        let seconds: u32 = given.whole(faults)?;
        return Some(Timestamp(u64::from(seconds) * 1_000_000));
    }
    let text = given.text(faults)?;
    let at = instant::parse(&text);
    if at.is_none() {
        let what = format!("{} is no instant", quoted(&text));
        let hint = "for example `2027-01-01T03:00:00Z` or `2027-01-01T03:00:00+01:00`";
        faults.add_with_hint(&path, what, hint);
    }
    at
}

fn max_fails(given: Given, faults: &mut Faults) -> Option<MaxFails> {
    let path = given.path.clone();
    if let Tree::Whole(_) = given.tree {
        return given.whole(faults).map(MaxFails::Tasks);
    }
    let text = given.text(faults)?;
    let parsed = parse_max_fails(&text);
    if parsed.is_none() {
        let what = format!("{} is no number of tasks", quoted(&text));
        faults.add_with_hint(&path, what, "for example 10, or `5%`");
    }
    parsed
}

/// Parses `10` and `5%`.
pub fn parse_max_fails(text: &str) -> Option<MaxFails> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_suffix('%') {
        Some(percent) if is_plain(percent) => {
            let percent = percent.parse().ok().filter(|percent| *percent <= 100);
            percent.map(MaxFails::Percent)
        }
        None if is_plain(text) => text.parse().ok().map(MaxFails::Tasks),
        _ => None,
    }
}

/// Causes of a retry.
pub(super) fn causes(given: Option<Given>, faults: &mut Faults) -> Vec<RetryCause> {
    let items = given.map(|given| given.items(faults)).unwrap_or_default();
    let mut causes = Vec::new();
    for given in items {
        let path = given.path.clone();
        let Some(text) = given.text(faults) else {
            continue;
        };
        match parse_cause(&text) {
            Some(cause) => causes.push(cause),
            None => {
                let what = format!("{} is no cause", quoted(&text));
                let hint = "`exit:3`, `exit:1-127`, `signal:KILL`, `timeout`, `oom`, \
                            `not_started`, `failed` or `lost`";
                faults.add_with_hint(&path, what, hint);
            }
        }
    }
    causes.sort_unstable();
    causes.dedup();
    causes
}

/// Parses `exit:3`, `exit:1-127`, `signal:KILL`, `timeout`, `oom`, `not_started`, `failed`, `lost`.
pub fn parse_cause(text: &str) -> Option<RetryCause> {
    if let Some(codes) = text.strip_prefix("exit:") {
        let (first, last) = codes.split_once('-').unwrap_or((codes, codes));
        let code = |text: &str| text.parse::<u8>().ok().filter(|code| *code > 0);
        let (first, last) = (code(first)?, code(last)?);
        return (first <= last).then_some(RetryCause::Exit { first, last });
    }
    if let Some(name) = text.strip_prefix("signal:") {
        return signal::parse(name).map(RetryCause::Signal);
    }
    match text {
        "timeout" => Some(RetryCause::Timeout),
        "oom" => Some(RetryCause::OutOfMemory),
        "not_started" => Some(RetryCause::NotStarted),
        "failed" => Some(RetryCause::Failed),
        "lost" => Some(RetryCause::Lost),
        _ => None,
    }
}
