//! Whether a kernel takes the parameters that a job gives it.

use flota_engine::node::expand::{Names, kernel_call, values};
use flota_kernels::KernelFault;
use flota_model::{
    ids::{AttemptId, JobId, TaskIndex},
    parameters::Rows,
    spec::{JobSpec, KernelCall, Work},
};
use flota_wire::spec::{SpecFault, SpecFaults, check_kernels};

use crate::problem::{KERNEL_PARAMETER, KERNEL_UNKNOWN, Problem};

/// Tasks with parameters of their own whose kernel is tried before the job is accepted.
const PARAMETERS_CHECKED_MAX: u32 = 10_000;

/// Refuses a kernel that is not one of `known`, and parameters with which the first or the last
/// task would fail.
///
/// Those between are left to themselves where only their index differs: parameters are numbers in
/// ranges, so that what is wrong with some index is mostly wrong with one of the two.
pub(crate) fn check(spec: &JobSpec, rows: Option<&Rows>, known: &[String]) -> Result<(), Problem> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    check_kernels(spec, &known).map_err(|faults| Problem::of_spec(KERNEL_UNKNOWN, faults))?;
    let Work::Kernel(call) = &spec.work else {
        return Ok(());
    };
    let (first, last) = (spec.tasks.first.0, spec.tasks.last.0);
    // Values that somebody has written may be wrong anywhere.
    let looked_at = if spec.parameters.is_some() {
        PARAMETERS_CHECKED_MAX.min(spec.tasks.count())
    } else {
        1
    };
    for task in (first..first + looked_at).chain([last]) {
        let row = rows.map(|rows| rows.part(task - first, 1));
        let task = TaskIndex(task);
        let values = values(spec, task, row.as_ref());
        parameters(call, task, &values)?;
    }
    Ok(())
}

fn parameters(call: &KernelCall, task: TaskIndex, values: &[(&str, &str)]) -> Result<(), Problem> {
    // Neither number is known yet. These have the form of those that will be.
    let names = Names {
        attempt: AttemptId::default(),
        job: JobId(1),
        task,
        values,
    };
    let call = kernel_call(call, names);
    let Err(fault) = flota_kernels::check(&call.name, &call.parameters) else {
        return Ok(());
    };
    let fault = match fault {
        KernelFault::Parameter { name, what, hint } => SpecFault {
            field: format!("kernel.parameters.{name}"),
            what: format!("{what} (task {task})"),
            hint,
        },
        other @ (KernelFault::Unknown { .. } | KernelFault::Stopped | KernelFault::Failed(_)) => {
            SpecFault {
                field: "kernel".into(),
                what: other.to_string(),
                hint: None,
            }
        }
    };
    let list = vec![fault];
    Err(Problem::of_spec(KERNEL_PARAMETER, SpecFaults { list }))
}

#[cfg(test)]
mod tests {
    use flota_wire::spec::parse_json;
    use serde_json::{Value, json};

    use super::*;

    /// Field, what and hint of the fault; `None` when all is well.
    fn fault(tasks: &str, kernel: &Value) -> Option<(String, String, String)> {
        let body = json!({"name": "n", "tasks": tasks, "kernel": kernel});
        let spec = parse_json(body.to_string().as_bytes()).unwrap();
        let known: Vec<String> = flota_kernels::names()
            .iter()
            .map(|&name| name.into())
            .collect();
        let problem = check(&spec, None, &known).err()?;
        assert_eq!(problem.kind(), KERNEL_PARAMETER);
        let [fault] = problem.faults() else {
            panic!("{problem:?}")
        };
        let fault = fault.clone();
        Some((fault.field, fault.what, fault.hint.unwrap_or_default()))
    }

    fn sleep(parameters: Value) -> Value {
        json!({"name": "sleep", "parameters": parameters})
    }

    #[test]
    fn parameters_that_a_kernel_takes_are_accepted_with_their_placeholders() {
        let cases = [
            ("0-0", sleep(json!({"milliseconds": 5}))),
            ("1-9999999", sleep(json!({"milliseconds": "{index}"}))),
            ("7-9", sleep(json!({"milliseconds": "{index}{job}"}))),
            (
                "0-15",
                json!({"name": "julia",
                "parameters": {"columns": 4, "rows": 4, "tile": "{index}"}}),
            ),
            (
                "0-9",
                json!({"name": "arithmetic",
                "parameters": {"operation": "pi", "n": "1{index}", "seed": "{job}"}}),
            ),
            ("1-5", json!({"name": "noop"})),
        ];
        for (tasks, kernel) in cases {
            assert_eq!(fault(tasks, &kernel), None, "{tasks} {kernel}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_field_and_a_hint() {
        let cases = [
            (
                "0-0",
                sleep(json!({"ms": 5})),
                "milliseconds",
                "is missing (task 0)",
                "give a number from 0 to 604800000",
            ),
            (
                "0-0",
                sleep(json!({"milliseconds": 5, "milisecond": 5})),
                "milisecond",
                "is not known to this kernel (task 0)",
                "did you mean `milliseconds`?",
            ),
            (
                "1-2",
                sleep(json!({"milliseconds": "{index}s"})),
                "milliseconds",
                "must be a number from 0 to 604800000, not `1s` (task 1)",
                "",
            ),
            (
                "1-16",
                json!({"name": "julia", "parameters": {"columns": 4, "rows": 4, "tile": "{index}"}}),
                "tile",
                "must be a number from 0 to 15, not `16` (task 16)",
                "",
            ),
            (
                "0-0",
                sleep(json!({"milliseconds": "{attempt}"})),
                "milliseconds",
                "must be a number from 0 to 604800000, not `0-0000000000000000-0` (task 0)",
                "",
            ),
        ];
        for (tasks, kernel, field, what, hint) in cases {
            let expected = (
                format!("kernel.parameters.{field}"),
                what.into(),
                hint.into(),
            );
            assert_eq!(fault(tasks, &kernel), Some(expected));
        }
    }
}
