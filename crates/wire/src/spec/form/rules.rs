//! What ends a job as a whole, and what holds it back.

use flota_model::rules::{JobRules, MaxFails, RetryCause};
use serde::Serialize;

use crate::{instant, quantity::format_duration, signal};

/// Younger than the first fixtures: each default has no place in the form.
#[derive(Serialize)]
pub(super) struct RulesForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    job_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fails: Option<MaxFailsForm>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum MaxFailsForm {
    Tasks(u32),
    Percent(String),
}

impl RulesForm {
    pub(super) fn of(rules: &JobRules) -> Self {
        Self {
            job_timeout: rules.timeout.map(format_duration),
            deadline: rules.deadline.map(instant::format),
            max_fails: rules.max_fails.map(|most| match most {
                MaxFails::Tasks(most) => MaxFailsForm::Tasks(most),
                MaxFails::Percent(most) => MaxFailsForm::Percent(format!("{most}%")),
            }),
            paused: rules.paused,
        }
    }
}

/// Causes of a retry as words.
pub(super) fn causes(causes: &[RetryCause]) -> Vec<String> {
    causes.iter().map(|cause| word(*cause)).collect()
}

fn word(cause: RetryCause) -> String {
    match cause {
        RetryCause::Exit { first, last } if first == last => format!("exit:{first}"),
        RetryCause::Exit { first, last } => format!("exit:{first}-{last}"),
        RetryCause::Signal(number) => format!("signal:{}", signal::name(number)),
        RetryCause::Timeout => "timeout".to_owned(),
        RetryCause::OutOfMemory => "oom".to_owned(),
        RetryCause::NotStarted => "not_started".to_owned(),
        RetryCause::Failed => "failed".to_owned(),
        RetryCause::Lost => "lost".to_owned(),
    }
}
