//! The CSV of jobs of an older cluster: `algorithm,width,height,iterations[,priority]`.

use std::collections::BTreeMap;

use flota_model::{
    parameters::{Parameters, Rows, RowsSpec, RowsWriter},
    spec::Priority,
};
use flota_wire::{
    inputs::{InputFault, csv_record},
    spec::{Job, Notation, hash_of_rows, read_job},
};
use serde_json::json;

use super::input::invalid;
use crate::{catalogue::Language, failure::Failure};

/// The names of its columns, in English and in Spanish; the last one may be missing.
const HEADERS: [[&str; 5]; 2] = [
    ["algorithm", "width", "height", "iterations", "priority"],
    ["algoritmo", "width", "height", "iteraciones", "prioridad"],
];
/// Its algorithms, and which variant of the kernel `julia` each is.
const ALGORITHMS: [(&str, &str); 3] = [
    ("Secuencial", "scalar"),
    ("Numpy", "vector"),
    ("juliaCython", "parallel"),
];
/// What the rows of its jobs have.
const COLUMNS: [&str; 4] = ["variant", "width", "height", "iterations"];

/// Whether the first line that says something is its header.
pub(super) fn is_cluster(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| says_something(line));
    lines.next().is_some_and(is_header)
}

fn says_something(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn is_header(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    let columns: Vec<String> = line
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .collect();
    HEADERS
        .iter()
        .any(|names| columns == names[..] || columns == names[..4])
}

/// One job for each priority, the most urgent first.
pub(super) fn jobs(language: Language, path: &str, text: &str) -> Result<Vec<Job>, Failure> {
    let mut by_priority: BTreeMap<Priority, RowsWriter> = BTreeMap::new();
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| says_something(line));
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
    jobs.map(|(priority, rows)| job(language, priority, rows))
        .collect()
}

fn row(line: &str) -> Result<(Priority, [String; 4]), String> {
    let values = csv_record(line)?;
    let values: Vec<&str> = values.iter().map(|value| value.trim()).collect();
    if !(4..=5).contains(&values.len()) {
        return Err(format!("{} columns, expected 4 or 5", values.len()));
    }
    let known = ALGORITHMS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(values[0]));
    let Some((_, variant)) = known else {
        let names = ALGORITHMS.map(|(name, _)| name).join(", ");
        return Err(format!(
            "there is no algorithm `{}`; known: {names}",
            values[0].escape_debug()
        ));
    };
    let mut row = [
        (*variant).to_owned(),
        String::new(),
        String::new(),
        String::new(),
    ];
    for (place, value) in values.iter().enumerate().take(4).skip(1) {
        let number = value.parse::<u32>().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| {
            format!(
                "{} `{}` is no number from 1 on",
                COLUMNS[place],
                value.escape_debug()
            )
        })?;
        row[place] = number.to_string();
    }
    let priority = match values.get(4) {
        None | Some(&"") => Priority::MEDIUM,
        Some(&"1") => Priority::HIGH,
        Some(&"2") => Priority::MEDIUM,
        Some(&"3") => Priority::LOW,
        Some(other) => {
            return Err(format!(
                "priority `{}` is not 1, 2 or 3",
                other.escape_debug()
            ));
        }
    };
    Ok((priority, row))
}

fn job(language: Language, priority: Priority, rows: RowsWriter) -> Result<Job, Failure> {
    let count = rows.count();
    let bytes = rows.finish();
    let parameters = COLUMNS.map(|name| (name.to_owned(), json!(format!("{{{name}}}"))));
    let body = json!({
        "name": "julia",
        "priority": priority.0,
        "tasks": format!("1-{count}"),
        "kernel": {"name": "julia", "parameters": serde_json::Map::from_iter(parameters)},
    });
    let wrong = |faults| Failure::of_spec(language.error_command_spec_invalid(), faults);
    let mut job = read_job(&body.to_string(), Notation::Json).map_err(wrong)?;
    let named = RowsSpec {
        columns: COLUMNS.map(str::to_owned).to_vec(),
        hash: hash_of_rows(&bytes),
        count,
    };
    job.rows = Rows::parse(bytes.into(), COLUMNS.len()).ok();
    job.spec.parameters = Some(Parameters::Rows(named));
    Ok(job)
}
