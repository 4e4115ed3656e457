//! The normal form of parameters: a list for a sweep, a table for rows.

use flota_model::parameters::{Axis, Parameters};
use serde::Serialize;

use crate::spec::parameters::hash_text;

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ParametersForm<'a> {
    Sweep(Vec<AxisForm<'a>>),
    Rows {
        columns: &'a [String],
        rows: String,
        count: u32,
    },
}

#[derive(Serialize)]
pub(super) struct AxisForm<'a> {
    name: &'a str,
    values: &'a [String],
}

impl<'a> ParametersForm<'a> {
    pub(super) fn of(parameters: &'a Parameters) -> Self {
        match parameters {
            Parameters::Sweep(axes) => Self::Sweep(axes.iter().map(axis).collect()),
            Parameters::Rows(rows) => Self::Rows {
                columns: &rows.columns,
                rows: hash_text(rows.hash),
                count: rows.count,
            },
        }
    }
}

fn axis(axis: &Axis) -> AxisForm<'_> {
    AxisForm {
        name: &axis.name,
        values: &axis.values,
    }
}
