//! The CSV of jobs of an older cluster: `algorithm,width,height,iterations[,priority]`.

use flota_model::{
    parameters::{Parameters, Rows, RowsSpec, RowsWriter},
    spec::Priority,
};
use serde_json::json;

use super::csv_record;
use crate::spec::{Job, Notation, SpecFaults, check_with, hash_of_rows, read_job};

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

/// Whether a line says nothing: blank, or a comment.
pub fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Whether a line is the header.
pub fn is_header(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    let columns: Vec<String> = line
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .collect();
    HEADERS
        .iter()
        .any(|names| columns == names[..] || columns == names[..4])
}

/// The priority of a line and its values, in the order of the columns of [`job`].
///
/// # Errors
/// What is wrong with it.
pub fn row(line: &str) -> Result<(Priority, [String; 4]), String> {
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
        None | Some(&("" | "2")) => Priority::MEDIUM,
        Some(&"1") => Priority::HIGH,
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

/// The job of rows of one priority.
///
/// # Errors
/// When there are too many of them.
pub fn job(priority: Priority, rows: RowsWriter) -> Result<Job, SpecFaults> {
    let count = rows.count();
    let bytes = rows.finish();
    let parameters = COLUMNS.map(|name| (name.to_owned(), json!(format!("{{{name}}}"))));
    let body = json!({
        "name": "julia",
        "priority": priority.0,
        "tasks": format!("1-{count}"),
        "kernel": {"name": "julia", "parameters": serde_json::Map::from_iter(parameters)},
    });
    let mut job = read_job(&body.to_string(), Notation::Json)?;
    let named = RowsSpec {
        columns: COLUMNS.map(str::to_owned).to_vec(),
        hash: hash_of_rows(&bytes),
        count,
    };
    job.rows = Rows::parse(bytes.into(), COLUMNS.len()).ok();
    job.spec.parameters = Some(Parameters::Rows(named));
    check_with(&job.spec, job.rows.as_ref())?;
    Ok(job)
}
