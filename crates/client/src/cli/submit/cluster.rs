//! The CSV of jobs of an older cluster.

use std::collections::BTreeMap;

use flota_model::{parameters::RowsWriter, spec::Priority};
use flota_wire::{
    inputs::{
        InputFault,
        cluster::{is_blank, is_header, job, row},
    },
    spec::Job,
};

use super::input::invalid;
use crate::{catalogue::Language, failure::Failure};

/// Whether the first line that says something is its header.
pub(super) fn is_cluster(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !is_blank(line));
    lines.next().is_some_and(is_header)
}

/// One job for each priority, the most urgent first.
pub(super) fn jobs(language: Language, path: &str, text: &str) -> Result<Vec<Job>, Failure> {
    let mut by_priority: BTreeMap<Priority, RowsWriter> = BTreeMap::new();
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !is_blank(line));
    for (line, text) in lines.skip(1) {
        let read = row(text).map_err(|what| invalid(language, path, &InputFault { line, what }));
        let (priority, values) = read?;
        let rows = by_priority.entry(priority).or_default();
        rows.push(values.iter().map(String::as_str));
    }
    if by_priority.is_empty() {
        let what = "there is no row".to_owned();
        return Err(invalid(language, path, &InputFault { line: 1, what }));
    }
    let jobs = by_priority.into_iter();
    let wrong = |faults| Failure::of_spec(language.error_command_spec_invalid(), faults);
    jobs.map(|(priority, rows)| job(priority, rows).map_err(wrong))
        .collect()
}
