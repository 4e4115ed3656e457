//! Parameters of tasks: a sweep is a list of axes, rows are a table.

use flota_model::{
    ids::TaskIndex,
    parameters::{Axis, Parameters, Rows, RowsSpec, RowsWriter},
    spec::TaskRange,
};

use super::fields::{Fields, Given};
use crate::spec::{
    fault::{Faults, quoted},
    parameters::{hash_of_rows, hash_of_text, of_rows},
    tree::Tree,
};

/// Parameters, with the rows where they are written out.
pub(super) fn parameters(given: Given, faults: &mut Faults) -> Option<(Parameters, Option<Rows>)> {
    if let Tree::List(_) = given.tree {
        let axes = given.items(faults);
        let axes = axes.into_iter().filter_map(|given| axis(given, faults));
        return Some((Parameters::Sweep(axes.collect()), None));
    }
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let columns = fields.required("columns", faults);
    let columns = columns.map(|given| given.texts(faults)).unwrap_or_default();
    let rows = fields.required("rows", faults);
    let count = fields.take("count");
    fields.finish(faults);
    let rows = rows?;
    if let Tree::Text(text) = &rows.tree {
        let hash = hash_of_text(text);
        if hash.is_none() {
            let hint = "the SHA-256 of the rows as 64 hexadecimal digits, or a list of rows";
            let what = format!("{} is no hash of rows", quoted(text));
            faults.add_with_hint(&rows.path, what, hint);
        }
        let Some(count) = count else {
            faults.add("parameters.count", "missing");
            return None;
        };
        let (hash, count) = (hash?, count.whole(faults)?);
        let named = RowsSpec {
            columns,
            hash,
            count,
        };
        return Some((Parameters::Rows(named), None));
    }
    let rows = written_out(rows, columns.len(), faults)?;
    if let Some(count) = count
        && count.whole(faults) != Some(rows.count())
    {
        let what = format!("there are {} rows", rows.count());
        faults.add_with_hint("parameters.count", what, "leave it out");
    }
    let named = RowsSpec {
        columns,
        hash: hash_of_rows(rows.bytes()),
        count: rows.count(),
    };
    Some((Parameters::Rows(named), Some(rows)))
}

fn axis(given: Given, faults: &mut Faults) -> Option<Axis> {
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let name = fields.required("name", faults);
    let values = fields.required("values", faults);
    fields.finish(faults);
    let name = name.and_then(|given| given.text(faults));
    let values = values.map(|given| given.items(faults));
    let values = values.unwrap_or_default().into_iter();
    Some(Axis {
        name: name?,
        values: values.filter_map(|given| given.scalar(faults)).collect(),
    })
}

/// Rows as lists of values, or values where there is one column.
fn written_out(given: Given, columns: usize, faults: &mut Faults) -> Option<Rows> {
    let mut writer = RowsWriter::default();
    let mut is_sound = true;
    for given in given.items(faults) {
        let path = given.path.clone();
        let values = if let Tree::List(_) = given.tree {
            given.items(faults)
        } else {
            vec![given]
        };
        let count = values.len();
        let read = |given: Given| {
            let path = given.path.clone();
            let value = given.scalar(faults)?;
            if value.contains('\0') {
                faults.add_with_hint(&path, "has a NUL byte", "programs cannot receive one");
                return None;
            }
            Some(value)
        };
        let values: Vec<String> = values.into_iter().filter_map(read).collect();
        if count != columns {
            faults.add(&path, format!("{count} values for {columns} columns"));
        }
        is_sound &= count == columns && values.len() == count;
        writer.push(values.iter().map(String::as_str));
    }
    if columns == 0 {
        faults.add("parameters.columns", "empty");
    }
    if !is_sound || columns == 0 {
        return None;
    }
    let rows = Rows::parse(writer.finish().into(), columns);
    rows.map_err(|fault| of_rows(fault, faults)).ok()
}

/// The tasks of a job that has parameters and does not say which it has.
pub(super) fn tasks(parameters: &Parameters) -> TaskRange {
    TaskRange {
        first: TaskIndex(1),
        last: TaskIndex(parameters.count().unwrap_or(u32::MAX).max(1)),
    }
}
