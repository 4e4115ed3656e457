//! The bounds of parameters, and how long their values are.

use std::collections::BTreeSet;

use flota_model::{
    parameters::{Axis, COLUMNS_MAX, Parameters, ROW_LENGTH_MAX, Rows, RowsSpec},
    spec::{JobSpec, TASKS_PER_JOB_MAX},
};

use super::{Known, is_name};
use crate::spec::{
    fault::{Faults, quoted},
    template::RESERVED,
};

/// Adds what is out of bounds; gives the names that templates may use.
pub(super) fn bounds<'a>(spec: &'a JobSpec, rows: Option<&Rows>, faults: &mut Faults) -> Known<'a> {
    let Some(parameters) = &spec.parameters else {
        return Known::default();
    };
    if spec.service.is_some() {
        faults.add("parameters", "a service has replicas, which are all alike");
    }
    let longest = match parameters {
        Parameters::Sweep(axes) => sweep(axes, faults),
        Parameters::Rows(named) => of_rows(named, rows, faults),
    };
    names(parameters, faults);
    count(spec, parameters, faults);
    Known { longest }
}

fn sweep<'a>(axes: &'a [Axis], faults: &mut Faults) -> Vec<(&'a str, usize)> {
    for (index, axis) in axes.iter().enumerate() {
        let field = || format!("parameters[{index}].values");
        if axis.values.is_empty() {
            faults.add(&field(), "empty: a job has at least one task");
        }
        for (place, value) in axis.values.iter().enumerate() {
            if value.contains('\0') {
                let place = format!("{}[{place}]", field());
                faults.add_with_hint(&place, "has a NUL byte", "programs cannot receive one");
            }
            if value.len() >= ROW_LENGTH_MAX {
                let what = format!("{} bytes, at most {}", value.len(), ROW_LENGTH_MAX - 1);
                faults.add(&format!("{}[{place}]", field()), what);
            }
        }
    }
    let longest = |axis: &Axis| axis.values.iter().map(String::len).max().unwrap_or(0);
    axes.iter()
        .map(|axis| (axis.name.as_str(), longest(axis)))
        .collect()
}

fn of_rows<'a>(
    named: &'a RowsSpec,
    rows: Option<&Rows>,
    faults: &mut Faults,
) -> Vec<(&'a str, usize)> {
    if named.count == 0 {
        faults.add("parameters.rows", "empty: a job has at least one task");
    }
    let mut longest = vec![0; named.columns.len()];
    let bytes = rows.map_or(&[][..], Rows::bytes);
    // By hand: ten million rows as lists would take a second.
    let (mut start, mut column) = (0, 0);
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0);
    for (end, _) in ends {
        if let Some(length) = longest.get_mut(column) {
            *length = (end - start).max(*length);
        }
        column = if column + 1 == longest.len() {
            0
        } else {
            column + 1
        };
        start = end + 1;
    }
    let names = named.columns.iter().map(String::as_str);
    names.zip(longest).collect()
}

fn names(parameters: &Parameters, faults: &mut Faults) {
    let names = parameters.names();
    if names.is_empty() || names.len() > COLUMNS_MAX {
        let what = format!("{} names, 1 to {COLUMNS_MAX} are allowed", names.len());
        faults.add("parameters", what);
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, name) in names.into_iter().enumerate() {
        let field = match parameters {
            Parameters::Sweep(_) => format!("parameters[{index}].name"),
            Parameters::Rows(_) => format!("parameters.columns[{index}]"),
        };
        if !is_name(name) {
            let hint =
                "1 to 63 letters, digits, dots, underscores and hyphens, first a letter or digit";
            let what = format!("{} is no name for a placeholder", quoted(name));
            faults.add_with_hint(&field, what, hint);
        } else if RESERVED.contains(&name) {
            let what = format!("{} has a meaning of its own", quoted(name));
            faults.add_with_hint(&field, what, "choose another name");
        } else if !seen.insert(name) {
            faults.add(&field, format!("{} is given twice", quoted(name)));
        }
    }
}

fn count(spec: &JobSpec, parameters: &Parameters, faults: &mut Faults) {
    match parameters.count() {
        Some(count) if count <= TASKS_PER_JOB_MAX => {
            // An empty one has its fault already.
            if count > 0 && count != spec.tasks.count() {
                let what = format!("{} tasks, but parameters for {count}", spec.tasks.count());
                faults.add_with_hint("tasks", what, "leave `tasks` out to count from 1");
            }
        }
        count => {
            let count = count.map_or_else(|| "more".to_owned(), |count| count.to_string());
            let what = format!("{count} combinations, at most {TASKS_PER_JOB_MAX}");
            faults.add_with_hint("parameters", what, "submit several jobs");
        }
    }
}
