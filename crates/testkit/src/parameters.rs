//! Sweeps and rows: what jobs ask for, and that each task gets its own values.

use std::collections::BTreeMap;

use flota_model::{
    ids::{AttemptId, TaskIndex},
    parameters::{Axis, Parameters, Rows, RowsHash, RowsSpec, RowsWriter},
    spec::{JobSpec, Work},
};

use crate::{
    random::Random,
    truth::{Breach, Invariant, breach},
    world::World,
};

/// Some jobs have rows and some are sweeps, both of two values, which their work names.
pub(crate) fn draw(spec: &mut JobSpec, random: &mut Random) -> Option<Rows> {
    let count = spec.tasks.count();
    let rows = match random.below(3) {
        0 => return None,
        1 => {
            let seconds = if count.is_multiple_of(2) { 2 } else { 1 };
            let axis = |name: &str, count: u32| Axis {
                name: name.to_owned(),
                values: (0..count).map(|value| format!("{name}{value}")).collect(),
            };
            let axes = vec![axis("x", count / seconds), axis("y", seconds)];
            spec.parameters = Some(Parameters::Sweep(axes));
            None
        }
        _ => {
            let mut writer = RowsWriter::default();
            for row in 0..count {
                let values = of_row(row);
                writer.push(values.iter().map(String::as_str));
            }
            let columns = vec!["x".to_owned(), "y".to_owned()];
            let hash = RowsHash([0; 32]);
            let named = RowsSpec {
                columns,
                hash,
                count,
            };
            spec.parameters = Some(Parameters::Rows(named));
            Rows::parse(writer.finish().into(), 2).ok()
        }
    };
    match &mut spec.work {
        Work::Program(program) => program.argv.extend(["{x}".to_owned(), "-{y}-".to_owned()]),
        Work::Kernel(call) => {
            let named = [("x", "{x}"), ("y", "-{y}-")];
            let named = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
            call.parameters.extend(named);
        }
    }
    rows
}

/// What a row says, without looking at any bytes.
fn of_row(row: u32) -> [String; 2] {
    [
        format!("row{row}"),
        ["", "odd"][row as usize % 2].to_owned(),
    ]
}

/// The two values of a task.
fn expected(spec: &JobSpec, task: TaskIndex) -> Option<[String; 2]> {
    let offset = task.0 - spec.tasks.first.0;
    Some(match spec.parameters.as_ref()? {
        Parameters::Rows(_) => of_row(offset),
        Parameters::Sweep(axes) => {
            let seconds = u32::try_from(axes.last()?.values.len()).ok()?;
            [
                format!("x{}", offset / seconds),
                format!("y{}", offset % seconds),
            ]
        }
    })
}

impl World {
    /// A program starts with these arguments.
    pub(crate) fn has_its_arguments(
        &self,
        attempt: AttemptId,
        argv: &[String],
    ) -> Result<(), Breach> {
        let values = argv.iter().skip(3).map(String::as_str).collect();
        self.has_its_values(attempt, values)
    }

    /// A kernel starts with these parameters.
    pub(crate) fn has_its_parameters(
        &self,
        attempt: AttemptId,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), Breach> {
        let values = ["x", "y"].iter().filter_map(|name| parameters.get(*name));
        self.has_its_values(attempt, values.map(String::as_str).collect())
    }

    fn has_its_values(&self, attempt: AttemptId, values: Vec<&str>) -> Result<(), Breach> {
        let Some(granted) = self.truth.attempts.get(&attempt) else {
            return Ok(());
        };
        let Some([x, y]) = expected(&granted.spec.spec, granted.task.1) else {
            return Ok(());
        };
        let y = format!("-{y}-");
        if values == [x.as_str(), y.as_str()] {
            return Ok(());
        }
        let detail = format!(
            "{attempt} of {:?} got {values:?}, not {x} {y}",
            granted.task
        );
        breach(Invariant::OwnParameters, detail)
    }
}
