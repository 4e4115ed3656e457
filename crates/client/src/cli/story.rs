//! How an attempt ended, in words.

use std::{collections::BTreeMap, io};

use flota_model::{outcome::StartStage, policy::Rule};
use flota_wire::{
    rest::{Attempt, Task},
    signal,
};

use super::Session;
use crate::{catalogue::Language, render::clean};

/// Most nodes whose names are asked for, one request each; others are shown by number.
const NAMES_MAX: usize = 32;

/// Names of the nodes on which the last attempts of `tasks` ran. Best effort: a name is a comfort.
pub(super) async fn node_names(session: &mut Session<'_>, tasks: &[Task]) -> BTreeMap<u32, String> {
    let last = tasks.iter().filter_map(|task| task.attempts.last());
    let nodes = last.map(|last| last.node).collect();
    names_of(session, nodes).await
}

/// Names of these nodes, as far as they are to be had.
pub(super) async fn names_of(session: &mut Session<'_>, nodes: Vec<u32>) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for node in nodes {
        if names.len() < NAMES_MAX && !names.contains_key(&node) {
            let Ok(client) = session.client().await else {
                return names;
            };
            if let Ok(found) = client.node(&node.to_string()).await {
                names.insert(node, found.name);
            }
        }
    }
    names
}

/// `ENOENT` (`man 3 errno`).
const NO_SUCH: i32 = 2;

/// Exit code, signal or `errno`, as a column.
pub(super) fn exit(attempt: &Attempt) -> String {
    match (attempt.exit_code, attempt.signal, attempt.errno) {
        (Some(code), _, _) => code.to_string(),
        (_, Some(signal), _) => signal_name(signal),
        (_, _, Some(errno)) => {
            let stage = attempt.stage.as_deref().unwrap_or_default();
            match rule(stage, errno) {
                Some(rule) => format!("{stage} {}", rule.word()),
                None => format!("{stage} errno {errno}"),
            }
        }
        (None, None, None) => String::new(),
    }
}

/// How the last attempt of a task ended, and where.
pub(super) fn of_task(language: Language, task: &Task, names: &BTreeMap<u32, String>) -> String {
    if task.state == "succeeded" {
        return language.story_succeeded();
    }
    if task.state == "cancelled" {
        return language.story_cancelled();
    }
    match task.attempts.last() {
        Some(last) => of_one(language, last, names),
        None => language.story_no_attempt(&task.state),
    }
}

/// How an attempt ended, and where.
pub(super) fn of_one(
    language: Language,
    attempt: &Attempt,
    names: &BTreeMap<u32, String>,
) -> String {
    let name = names.get(&attempt.node).map(|name| clean(name));
    let node = name.unwrap_or_else(|| language.node_number(attempt.node));
    of_attempt(language, attempt, &node)
}

fn of_attempt(language: Language, attempt: &Attempt, node: &str) -> String {
    match attempt.outcome.as_str() {
        "exited" => language.story_exited(attempt.exit_code.unwrap_or_default(), node),
        "signalled" => {
            language.story_signalled(signal_name(attempt.signal.unwrap_or_default()), node)
        }
        "not_started" => {
            let stage = attempt.stage.as_deref().unwrap_or("?");
            let why = why_not_started(language, stage, attempt.errno.unwrap_or_default());
            language.story_not_started(stage, why, node)
        }
        "failed" => {
            language.story_failed(clean(attempt.message.as_deref().unwrap_or_default()), node)
        }
        "out_of_memory" => language.story_out_of_memory(node),
        "timed_out" => language.story_timed_out(node),
        "cancelled" => language.story_cancelled(),
        "lost" => language.story_lost(node),
        "unknown" => language.story_unknown(node),
        word => language.story_other(word, node),
    }
}

/// What `errno` means at that step.
pub(super) fn why_not_started(language: Language, stage: &str, errno: i32) -> String {
    if let Some(rule) = rule(stage, errno) {
        return language.why_policy(rule.word(), "E-POLICY-REFUSED");
    }
    if stage == StartStage::Identity.word() && errno == NO_SUCH {
        return language.why_unknown_user("E-USER-UNKNOWN");
    }
    if stage == StartStage::Contain.word() {
        return language.why_unenforced("E-LIMIT-UNENFORCED");
    }
    io::Error::from_raw_os_error(errno).to_string()
}

fn rule(stage: &str, errno: i32) -> Option<Rule> {
    (stage == StartStage::Policy.word())
        .then(|| Rule::of_number(errno))
        .flatten()
}

fn signal_name(number: u8) -> String {
    let name = signal::name(number);
    if name.bytes().all(|letter| letter.is_ascii_digit()) {
        return name;
    }
    format!("{number} (SIG{name})")
}
